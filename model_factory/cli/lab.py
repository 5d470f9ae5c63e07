"""`factory lab`: a real Kubernetes behind the local clouds, on this machine: from nothing to a model that answers, and back to nothing."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, Self

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from model_factory.cli import laboratory
from model_factory.cli.called import command
from model_factory.cli.clouds import ensure_running
from model_factory.cli.console import json_text
from model_factory.cli.errors import EXIT_INTERRUPTED, BadInputError
from model_factory.cli.options import DEFAULT_LAB, Cwd, Json, console_for
from model_factory.cli.progress import LINE_EVERY_SECONDS
from model_factory.cli.project import find_project
from model_factory.cli.session import LAB_PLACE, Session
from model_factory.cli.steps import Steps, duration
from model_factory.local.lab import build as builds
from model_factory.local.lab import cache
from model_factory.local.lab.build import BuildStep
from model_factory.local.lab.modules import DEFAULT_MINOR, MINORS
from model_factory.local.lab.programs import modules_of
from model_factory.planning.settings.problems import instead
from model_factory.preview.wording import count

app = typer.Typer(
    help="A real Kubernetes behind the local clouds, on this machine.",
    no_args_is_help=True,
)

LabStack = Annotated[str, typer.Option("--stack", "-s", help="The stack whose clusters are the lab's.")]
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
    for minor in kubernetes or ():
        if minor not in MINORS:
            raise BadInputError(f"--kubernetes {minor}: the lab has no such minor; {instead(minor, list(MINORS))}")
    built = build_programs(kubernetes or [DEFAULT_MINOR], console, keep_go_caches=keep_go_caches, quiet=as_json)
    seconds = round(time.monotonic() - began)
    if as_json:
        document = {"built": built, "seconds": seconds, "folder": str(cache.root())}
        sys.stdout.write(json_text(json.dumps(document, indent=4)) + "\n")
    elif built:
        console.print(f"Built {', '.join(built)} in {duration(seconds)}, kept in {cache.root()}.", soft_wrap=True)
    else:
        console.print(f"All is built, in {cache.root()}.", soft_wrap=True)


@app.command()
def machine() -> None:
    """Install what a real node needs of this machine (root, Debian), and say what stands against one. Exit code 1 where something does."""
    console = console_for(as_json=False)
    if laboratory.prepare_machine(Steps(console)):
        raise typer.Exit(1)
    console.print("This machine can be a node.")


@app.command()
def up(
    stack_name: LabStack = DEFAULT_LAB,
    model: Annotated[
        str, typer.Option("--model", help="The model to ask in the end, instead of the first that needs no GPU.")
    ] = "",
    keep_go_caches: KeepGoCaches = False,
    as_json: Json = False,
    cwd: Cwd = Path(),
) -> None:
    """From nothing to an answer: build what is not built, start clouds and clusters, bring the stack up, ask a model.

    Can be run again: what stands stays, and what was killed is mended. Without root there is no real node: Pods are then simulated, and no
    model answers. --json has steps (seconds each), seconds, realNode, and of the answer model, site, latencyMs, answer.
    """
    session = Session.open(stack_name, cwd)
    laboratory.require_lab(session)
    asked = laboratory.model_to_ask(session, model)
    console = console_for(as_json=as_json)
    steps = Steps(console, quiet=as_json)
    with ends_on_term():
        with steps.step("machine", "looking what it has"):
            obstacle = laboratory.prepare_machine(steps)
        with steps.step("programs", "building what is not built yet"):
            build_programs(session.kubernetes_minors, console, keep_go_caches=keep_go_caches, quiet=as_json)
        with steps.step("models", "making images and weights that are not made yet"):
            laboratory.make_models(steps)
        with steps.step("clouds", "starting clouds and registry"):
            registry_url = laboratory.registry(session.project).ensure()
            ensure_running(session, console, quiet=True)
        with steps.step("stack", f"bringing up {session.stack}"):
            laboratory.bring_up(session, registry_url, steps, quiet=as_json)
        answered = None
        if asked is not None and not obstacle:
            with steps.step("request", f"asking {asked}"):
                answered = laboratory.ask(session, asked, steps)
    if as_json:
        document = laboratory.document(steps, obstacle, asked, answered)
        sys.stdout.write(json_text(json.dumps(document, indent=4, ensure_ascii=False)) + "\n")
        return
    if answered is not None:
        console.print(Text(f"\n{asked}: {answered.answer}"), soft_wrap=True)
        console.print(Text(f"{answered.figures.p50_ms:,.1f} ms at {answered.way.site}, {answered.protocol}\n", "dim"))
    console.print(steps.sum())
    if answered is not None:
        console.print(f"\nAsk again: {command(f'request {asked} --stack {session.stack}')}", soft_wrap=True)
    console.print(
        f"Look at it: {command(f'status --stack {session.stack}')}; delete it: {command('lab down')}", soft_wrap=True
    )


@app.command()
def down(stack_name: LabStack = DEFAULT_LAB, cwd: Cwd = Path()) -> None:
    """Delete the lab: its stack, then every process, mount, namespace and file. What was built stays in the cache for the next time."""
    console = console_for(as_json=False)
    project = find_project(cwd.resolve())
    with ends_on_term():
        found = laboratory.take_down(project, stack_name, Steps(console))
    for each in found:
        console.print(f"Took away {each}.", soft_wrap=True)
    console.print("Nothing of the lab is left.")


@app.command()
def status(as_json: Json = False, cwd: Cwd = Path()) -> None:
    """What runs of the lab, and in how much memory. Exit code 1 where nothing does."""
    project = find_project(cwd.resolve())
    rows = laboratory.running(project.work_dir / LAB_PLACE)
    if as_json:
        document = {
            "folder": str(project.work_dir / LAB_PLACE),
            "cache": str(cache.root()),
            "processes": [asdict(row) for row in rows],
        }
        sys.stdout.write(json_text(json.dumps(document, indent=4)) + "\n")
    else:
        _show_running(console_for(as_json=False), rows)
    if not rows:
        raise typer.Exit(1)


@app.command()
def clean() -> None:
    """Remove what was built for the lab from this user's cache: programs, images, weights. A lab that runs keeps running."""
    folder = cache.root()
    bytes_ = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    cache.remove(folder)
    said = f"Removed {folder}, {bytes_ / _MIB:,.0f} MiB." if bytes_ else "Nothing was built."
    console_for(as_json=False).print(said, soft_wrap=True)


def _show_running(console: Console, rows: Sequence[laboratory.Running]) -> None:
    if not rows:
        console.print(f"Nothing of the lab runs; {command('lab up')} starts it.", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("process")
    table.add_column("pid", justify="right")
    table.add_column("MiB", justify="right")
    for row in rows:
        table.add_row(Text(row.name), str(row.pid), f"{row.memory_mib:,.0f}")
    table.add_row(Text("in all", "bold"), "", Text(f"{sum(row.memory_mib for row in rows):,.0f}", "bold"))
    console.print(table)


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
