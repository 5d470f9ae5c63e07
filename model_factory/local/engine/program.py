"""Runs a Pulumi program in a process of its own: `python -u -m model_factory.local.engine.program …`.

Does what `pulumi-language-python-exec` does (it is not on PyPI), and takes three costs out of the SDK: its DEBUG messages, each a
blocking call to the engine, the rescan of all pending outputs when one completes, and the whole stack trace sent per resource.
Python is told to look for unreachable cycles seldom: with the defaults that is a third of the time of a program of 1,000 resources.
Configuration comes in PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS. The program is a folder with a `__main__.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pulumi
import pulumi.log
import pulumi.runtime
import pulumi.runtime.resource
import pulumi.runtime.stack
from pulumi.runtime import settings
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.rpc_manager import RPCManager

# As pulumi-language-python-exec: the message has been shown, no other is needed.
SHOWN_EXIT_CODE: Final = 32
# Resource, CustomResource or ComponentResource, and the class itself: what calls the third made the resource.
_CONSTRUCTORS: Final = 3
# Containers made before Python looks for cycles, and how often before it looks among the older ones. Nearly all that a program makes lives
# until it ends: at 1,000 and 5,000 resources it takes as much memory as with the defaults (700, 10, 10).
_COLLECT_SELDOM: Final = (100_000, 50, 100)
# The SDK's modules, changed in place; its types do not describe what is changed.
_STACK_MODULE: Final[Any] = pulumi.runtime.stack
_RESOURCE_MODULE: Final[Any] = pulumi.runtime.resource
_SETTINGS: Final[Any] = settings.SETTINGS


def main(arguments: list[str]) -> int:
    """Run the program; the exit code is 0, or `SHOWN_EXIT_CODE` where it failed and said why."""
    options = _options(arguments)
    gc.set_threshold(*_COLLECT_SELDOM)
    threading.Thread(target=_end_with_engine, args=(options.lifeline,), name="lifeline", daemon=True).start()
    tune_sdk()
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        settings.Settings(
            monitor=options.monitor, engine=options.engine, project=options.project, stack=options.stack,
            parallel=options.parallel, dry_run=options.dry_run, organization=options.organization,
            root_directory=options.root,
        )
    )  # fmt: skip
    program = str(Path(options.root))
    sys.argv = [program]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max(options.parallel, 1) * 4))
    return run(loop, lambda: _run_folder(program), program)


def _end_with_engine(lifeline: int) -> None:
    """Nothing is ever written to this pipe: its end means that the engine is gone, however it went."""
    os.read(lifeline, 1)
    os._exit(1)


def run(loop: asyncio.AbstractEventLoop, function: Callable[[], None], folder: str = "") -> int:
    """Run a program on this loop, and report how it failed, if it did. `folder` is where the author's own code lies."""
    # A program that ends early leaves futures unobserved; that is expected and says nothing to users.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        loop.run_until_complete(_in_stack(function))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return SHOWN_EXIT_CODE
    except Exception as error:  # noqa: BLE001 - a program may raise anything, and its author must see it
        pulumi.log.error(f"Program failed with an unhandled exception:\n{user_traceback(error, folder)}")
        return SHOWN_EXIT_CODE
    return 0


async def _in_stack(function: Callable[[], None]) -> None:
    await pulumi.runtime.run_in_stack(function)


def _run_folder(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def user_traceback(error: BaseException, program: str) -> str:
    """The traceback from the program's own first frame on; of a file that cannot be read as Python, where it is wrong."""
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error))
    frames = traceback.extract_tb(error.__traceback__)
    own = next(
        (index for index, frame in enumerate(frames) if program and frame.filename.startswith(program + os.sep)),
        0,
    )
    return "".join(traceback.format_exception(error, limit=own - len(frames)))


def tune_sdk() -> None:
    """Make the SDK's cost per resource small and constant. All together: the first change alone does not pay."""
    pulumi.log.debug = _no_debug
    _STACK_MODULE.wait_for_rpcs = _wait_for_rpcs
    _RESOURCE_MODULE._get_stack_trace = _where  # noqa: SLF001 - the module's global is what it calls


def _where() -> source_pb2.StackTrace:
    """The program's line that makes the resource, alone. The SDK reads and sends every frame, and the engine keeps only this."""
    frame = sys._getframe(1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as `inspect`, but reads no source files
    constructors = 0
    while frame.f_back is not None and constructors < _CONSTRUCTORS:
        frame = frame.f_back
        constructors += frame.f_code.co_name == "__init__"
    if constructors < _CONSTRUCTORS or frame.f_back is None:
        return source_pb2.StackTrace()
    caller = frame.f_back
    uri = "file://" + quote(str(Path(caller.f_code.co_filename).absolute()))
    position = source_pb2.SourcePosition(uri=uri, line=caller.f_lineno)
    return source_pb2.StackTrace(frames=[source_pb2.StackFrame(pc=position)])


def _no_debug(*_: Any, **__: Any) -> None:
    """The engine shows no debug messages, so none are sent."""


async def _wait_for_rpcs(await_all_outstanding_tasks: bool = True) -> None:
    """As the SDK's own, but waits for all pending outputs at once instead of scanning them at each completion."""
    manager: RPCManager = _STACK_MODULE._get_rpc_manager()  # noqa: SLF001 - what the SDK's own asks
    while True:
        while manager.rpcs:
            await asyncio.sleep(0)
            await _observed(manager, manager.rpcs.pop())
        if manager.unhandled_exception is not None:
            raise manager.unhandled_exception.with_traceback(manager.exception_traceback)
        if await_all_outstanding_tasks:
            while pending := _take_outputs():
                done, waiting = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    await task
                if waiting:
                    with _SETTINGS.lock:
                        _SETTINGS.outputs.update(waiting)
        if not manager.rpcs:
            return


async def _observed(manager: RPCManager, call: Any) -> None:
    try:
        await call
    except Exception as error:
        if manager.unhandled_exception is not None:
            raise error from manager.unhandled_exception.with_traceback(manager.exception_traceback)
        raise


def _take_outputs() -> list[asyncio.Task[Any]]:
    with _SETTINGS.lock:
        pending = list(_SETTINGS.outputs)
        _SETTINGS.outputs.clear()
    return pending


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="model_factory.local.engine.program", description="Run a Pulumi program for the local engine."
    )
    for name in ("monitor", "engine", "project", "stack", "organization", "root"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--dry-run", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # All is said and done: tearing down large SDK modules would only cost time.
    os._exit(code)
