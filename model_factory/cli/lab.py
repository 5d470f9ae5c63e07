"""`factory lab`: a real Kubernetes behind the local clouds, on this machine: build what it is made of, and see what there is of it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Final, Self

import typer
from rich.console import Console
from rich.status import Status

from model_factory.cli.console import json_text
from model_factory.cli.errors import EXIT_INTERRUPTED
from model_factory.cli.options import Json, console_for
from model_factory.cli.progress import LINE_EVERY_SECONDS
from model_factory.cli.steps import duration
from model_factory.local.lab import build as builds
from model_factory.local.lab import cache
from model_factory.local.lab.build import BuildStep
from model_factory.local.lab.modules import DEFAULT_MINOR
from model_factory.local.lab.programs import modules_of
from model_factory.preview.wording import count

app = typer.Typer(
    help="A real Kubernetes behind the local clouds, on this machine.",
    no_args_is_help=True,
)

Minors = Annotated[
    list[str] | None,
    typer.Option("--kubernetes", help="A minor of Kubernetes, such as 1.36; can be repeated.", metavar="MINOR"),
]
KeepGoCaches = Annotated[
    bool,
    typer.Option(
        "--keep-go-caches",
        help="Use the caches that Go has for this user, and leave in them what is fetched and compiled.",
    ),
]
_MIB: Final = 1024**2


@app.command()
def build(kubernetes: Minors = None, keep_go_caches: KeepGoCaches = False, as_json: Json = False) -> None:
    """Build the lab's programs with Go, once for this user: etcd, Kubernetes, containerd and what else a cluster is made of.

    What is built lies in $XDG_CACHE_HOME/model-factory/lab (~/.cache), and every clone of the project uses it. Nothing is fetched that go.sum
    does not name.
    """
    console = console_for(as_json=as_json)
    began = time.monotonic()
    built = build_programs(kubernetes or [DEFAULT_MINOR], console, keep_go_caches=keep_go_caches, quiet=as_json)
    seconds = round(time.monotonic() - began)
    if as_json:
        document = {"built": built, "seconds": seconds, "folder": str(cache.root())}
        sys.stdout.write(json_text(json.dumps(document, indent=4)) + "\n")
    elif built:
        console.print(f"Built {', '.join(built)} in {duration(seconds)}, kept in {cache.root()}.")
    else:
        console.print(f"All is built, in {cache.root()}.")


@app.command()
def clean() -> None:
    """Remove what was built for the lab from this user's cache: programs, images, weights. A lab that runs keeps running."""
    folder = cache.root()
    bytes_ = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    cache.remove(folder)
    console_for(as_json=False).print(f"Removed {folder}, {bytes_ / _MIB:,.0f} MiB." if bytes_ else "Nothing was built.")


def build_programs(
    minors: Sequence[str], console: Console, *, keep_go_caches: bool = False, quiet: bool = False
) -> list[str]:
    """Build what is missing for these minors of Kubernetes, telling how far it is, and return the names of what was built.

    Raises:
        LabError: a minor that the lab has not; `BuildError` where it cannot be built.
    """
    modules = list(dict.fromkeys(module for minor in minors for module in modules_of(minor)))
    with ends_on_term(), _Told(console, quiet=quiet) as told:
        built = builds.build(modules, told.step, own_go_caches=not keep_go_caches, waits=told.waits)
    return [module.name for module in built]


@contextmanager
def ends_on_term() -> Generator[None]:
    """SIGTERM ends what runs in the block as Ctrl-C does, so that what it began is taken back."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(EXIT_INTERRUPTED)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class _Told:
    """How far a build is: on a terminal a line that changes, elsewhere a line now and then."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._status: Status | None = None
        self._began = self._said = time.monotonic()
        self._module = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def waits(self) -> None:
        """Another build of the same runs."""
        self._say("Another build of the lab's programs runs; waiting for it", now=True)

    def step(self, step: BuildStep) -> None:
        """One more module is fetched, or one more package is compiled."""
        first, self._module = step.module != self._module, step.module
        elapsed = duration(time.monotonic() - self._began)
        how_far = (
            f"{step.done:,} of {count(step.total, 'package')}"
            if step.total
            else f"fetched {count(step.done, 'module')}"
        )
        self._say(f"Building the lab's {step.module}: {how_far}, {elapsed}, {step.what}", now=first)

    def _say(self, text: str, *, now: bool) -> None:
        if self._quiet:
            return
        if self._console.is_interactive:
            if self._status is None:
                self._status = self._console.status(text)
                self._status.start()
            self._status.update(text)
        elif now or time.monotonic() - self._said >= LINE_EVERY_SECONDS:
            self._said = time.monotonic()
            self._console.print(text)
