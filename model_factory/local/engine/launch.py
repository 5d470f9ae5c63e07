"""Starts the program: as a child process that talks gRPC, or on a thread of this process that calls the monitor directly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import pulumi
import pulumi.runtime
from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from model_factory.local.engine import program as launcher
from model_factory.local.engine.events import EventSink, Severity
from model_factory.local.engine.monitor import EngineService, Monitor
from model_factory.local.engine.request import Deployment, Program
from model_factory.local.environment import for_child

_GRPC_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 400 * 1024 * 1024),
    ("grpc.max_send_message_length", 400 * 1024 * 1024),
    ("grpc.so_reuseport", 0),
)
_GRACE_SECONDS: Final = 3.0
_OUR_ROOT: Final = Path(__file__).resolve().parents[3]


async def run_child(
    monitor: Monitor, engine: EngineService, deployment: Deployment, sink: EventSink, stopped: asyncio.Event
) -> int:
    """Run the program in a child process; the exit code. Once `stopped` is set it gets a moment to end by itself."""
    server = grpc.aio.server(options=_GRPC_OPTIONS)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    lifeline, held = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *_command(deployment, address, lifeline), cwd=deployment.program.root, env=_environment(deployment.program),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1024 * 1024,
            # Ctrl-C in the terminal is for the engine, which lets running steps end first.
            start_new_session=True,
            pass_fds=(lifeline,),
        )  # fmt: skip
        try:
            return await _watch(process, sink, stopped)
        finally:
            if process.returncode is None:
                _kill(process.pid)
                await process.wait()
    finally:
        os.close(lifeline)
        os.close(held)
        await server.stop(grace=None)


async def _watch(process: asyncio.subprocess.Process, sink: EventSink, stopped: asyncio.Event) -> int:
    sources: list[tuple[asyncio.StreamReader | None, Severity]] = [
        (process.stdout, "info"),
        (process.stderr, "info#err"),
    ]
    streams = [
        asyncio.ensure_future(_forward(stream, severity, sink)) for stream, severity in sources if stream is not None
    ]
    ended = asyncio.ensure_future(process.wait())
    stop = asyncio.ensure_future(stopped.wait())
    await asyncio.wait((ended, stop), return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        await asyncio.wait((ended,), timeout=_GRACE_SECONDS)
    if not ended.done():
        _kill(process.pid)
    stop.cancel()
    code = await ended
    await asyncio.wait(streams, timeout=_GRACE_SECONDS)
    return code


async def _forward(stream: asyncio.StreamReader, severity: Severity, sink: EventSink) -> None:
    while line := await _line(stream):
        sink.diagnostic(severity, line.decode(errors="replace"))


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(error.consumed)


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _command(deployment: Deployment, address: str, lifeline: int) -> list[str]:
    request, program = deployment.request, deployment.program
    command = [
        str(program.python),
        "-u",
        "-m",
        "model_factory.local.engine.program",
        "--monitor",
        address,
        "--engine",
        address,
    ]
    command += [
        "--project",
        program.project,
        "--stack",
        program.stack,
        "--organization",
        program.organization,
    ]
    command += [
        "--root",
        str(program.root.resolve()),
        "--parallel",
        str(request.parallel),
        "--lifeline",
        str(lifeline),
    ]
    return [*command, "--dry-run"] if request.previews else command


def _environment(program: Program) -> dict[str, str]:
    merged = {**for_child(), **program.env}
    merged["PULUMI_CONFIG"] = json.dumps(dict(program.config))
    merged["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(sorted(program.secret_keys))
    merged["PYTHONPATH"] = os.pathsep.join(part for part in (str(_OUR_ROOT), merged.get("PYTHONPATH", "")) if part)
    return merged


async def run_in_process(
    monitor: Monitor, engine: EngineService, deployment: Deployment, function: Callable[[], None]
) -> int:
    """Run a program on a thread of this process. Its calls go to the same coroutines, without sockets or serialisation.

    The thread has its own context, so the SDK's settings of this run stay in it. It cannot be killed: a program that does
    not end by itself holds the run up.
    """
    loop = asyncio.get_running_loop()
    result: Future[int] = Future()

    def body() -> None:
        try:
            result.set_result(_program_thread(monitor, engine, deployment, function, loop))
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the result
            result.set_exception(error)

    threading.Thread(target=body, name="program", daemon=True).start()
    return await asyncio.wrap_future(result)


def _program_thread(
    monitor: Monitor, engine: EngineService, deployment: Deployment, function: Callable[[], None],
    engine_loop: asyncio.AbstractEventLoop,
) -> int:  # fmt: skip
    request, program = deployment.request, deployment.program
    launcher.tune_sdk()
    pulumi.runtime.set_all_config(dict(program.config), sorted(program.secret_keys))
    settings.reset_options(
        project=program.project, stack=program.stack, parallel=request.parallel, preview=request.previews,
        organization=program.organization, root_directory=str(program.root.resolve()),
    )  # fmt: skip
    sdk: Any = settings.SETTINGS
    stubs = _DirectStub(monitor, engine_loop), _DirectStub(engine, engine_loop)
    sdk.monitor, sdk.engine = stubs
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max(request.parallel, 1) * 4, thread_name_prefix="program-call")
    loop.set_default_executor(executor)
    try:
        return launcher.run(loop, function)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        loop.close()
        for stub in stubs:
            stub.end()


class _DirectStub:
    """Stands where the SDK expects a gRPC stub: each method calls the servicer's coroutine on the engine's loop.

    The SDK's settings keep it beyond the run; it keeps nothing of the engine and its providers then.
    """

    def __init__(self, servicer: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._servicer = servicer
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        def call(request: Any) -> Any:
            try:
                method = getattr(self._servicer, name)
                return asyncio.run_coroutine_threadsafe(method(request, _DirectContext()), self._loop).result()
            except (CancelledError, RuntimeError) as error:
                raise DirectCallError(grpc.StatusCode.UNAVAILABLE, "the engine has ended") from error

        return call

    def end(self) -> None:
        """Calls fail from now on as those to an engine that has ended."""
        self._servicer = _Ended()


class _Ended:
    """In place of a servicer that is gone."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} was called after the engine's end")


class DirectCallError(grpc.RpcError):
    """What a gRPC call would have raised."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class _DirectContext:
    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise DirectCallError(code, details)
