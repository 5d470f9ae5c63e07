"""What `factory lab up` and `down` do, step by step: all that a stack on the lab's clusters needs of this machine, and the end of that."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import psutil

from model_factory.cli.called import command
from model_factory.cli.display import Display
from model_factory.cli.engine import opened
from model_factory.cli.errors import EXIT_INTERRUPTED, BadInputError, CommandError
from model_factory.cli.held import held
from model_factory.cli.operations import Runner
from model_factory.cli.project import Project
from model_factory.cli.request import Answered, NoReplicaError, Reaching
from model_factory.cli.seeding import seed_stack
from model_factory.cli.session import LAB_PLACE, EngineName, Session
from model_factory.cli.steps import Steps
from model_factory.local.clouds import manager
from model_factory.local.engine.errors import LockedError
from model_factory.local.engine.request import DEFAULT_PARALLEL, Request
from model_factory.local.engine.secrets import Crypter
from model_factory.local.engine.store import StackStore
from model_factory.local.errors import LocalError
from model_factory.local.lab import apt, remains
from model_factory.local.lab.images.store import ImageStore
from model_factory.local.lab.node import requirements
from model_factory.local.lab.node.join import NODE
from model_factory.local.lab.programs import programs_for
from model_factory.local.lab.registry import Registry
from model_factory.local.lab.weights.store import MODELS, WeightsStore
from model_factory.local.providers import background

REGISTRY: Final = "registry"
_MIB: Final = 1024**2
_READY_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process of the lab, in a Pod or not."""

    name: str
    pid: int
    memory_mib: float
    """Its part of what it holds: a page that several processes share, as those of a program that runs twice, is divided among them."""


def require_lab(session: Session) -> None:
    """BadInputError for a stack whose clusters are not the lab's."""
    if not session.on_lab:
        raise BadInputError(
            f"stack {session.stack} does not run on the lab's clusters; write model-factory:local: {{kubernetes: lab}} in {session.file.name}, "
            f"or take the stack that has it: {command('lab up')}"
        )


def prepare_machine(steps: Steps) -> str:
    """Install what a real node needs where that can be done, and return why there is none; empty where this machine can be one."""
    missing = requirements.missing_programs()
    if missing and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        packages = requirements.packages_of(missing)
        steps.say(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; apt-get installs {', '.join(packages)}"
        )
        if failed := apt.install(packages):
            steps.say(failed)
    if obstacle := requirements.obstacle():
        steps.say(f"No model runs for real: {obstacle}. All else does; Pods are simulated.")
    return obstacle


def bring_up(session: Session, registry_url: str, steps: Steps, *, quiet: bool) -> None:
    """`factory up --yes`, and beside it what its models are made of: images and weights go where they are pulled from as soon as that is
    there.

    Raises:
        CommandError, LocalError: one of the two failed.
    """
    # In quiet all that is on stdout is the command's own.
    shown = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    with (
        shown,
        beside(lambda ended: seed_stack(session, registry_url, ended, steps.say)),
        opened(session, EngineName.AUTO) as engine,
    ):
        Runner(session, engine, Display(session, as_json=quiet), yes=True).up(Request("up", DEFAULT_PARALLEL))


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Generator[None]:
    """Do `work` on another thread while the block runs; it is to end when the event is set, which is when the block has failed.

    Where it fails, the block is asked to end as Ctrl-C asks, and its failure is raised: the block's is only what came of that.
    """
    failures: list[Exception] = []
    failed, over = threading.Event(), threading.Event()

    def run() -> None:
        try:
            work(failed)
        except Exception as error:  # noqa: BLE001  raised again below
            failures.append(error)
            if not over.is_set():
                signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=run, name="beside")
    thread.start()
    try:
        yield
    except BaseException:
        failed.set()
        raise
    finally:
        over.set()
        thread.join()
        if failures:
            raise failures[0]


def registry(project: Project) -> Registry:
    """The lab's registry of images."""
    return Registry(project.work_dir / LAB_PLACE / REGISTRY, programs_for().registry)


def make_models(steps: Steps) -> None:
    """Make the images and the weights of the lab's models, once for this user. LabError, where what they are made of cannot be had."""
    ImageStore(steps.say).images()
    store = WeightsStore(steps.say)
    for model in MODELS:
        store.weights(model)


def ask(session: Session, model: str, steps: Steps) -> Answered:
    """One answer of a model, once a replica is ready: after a node was killed, its Pods start anew while all resources are unchanged.

    Raises:
        CommandError: it does not answer, or refuses.
    """
    with closing(Reaching(session)) as reaching:
        answered = _asked(reaching, model, steps)
    if answered.figures.failures:
        raise CommandError(f"{model} did not answer: {answered.figures.problems[0][0]}")
    return answered


def _asked(reaching: Reaching, model: str, steps: Steps) -> Answered:
    deadline, told = time.monotonic() + _READY_SECONDS, ""
    while True:
        try:
            return reaching.ask(model)
        except NoReplicaError as error:
            if time.monotonic() > deadline:
                raise
            if told != str(error):
                told = str(error)
                steps.say(f"waiting: {told}")
        time.sleep(_LOOK_SECONDS)


def model_to_ask(session: Session, named: str) -> str | None:
    """The model that is named, or the first that needs no GPU: the others are simulated. None where all are. BadInputError for a name
    that is none of them."""
    models = [each.name for each in session.settings.models if not each.gpus_per_replica]
    if named and named not in models:
        run = (
            f"on the lab's node run {', '.join(models)}; name one of these"
            if models
            else "every model of the stack is simulated"
        )
        raise BadInputError(f"--model {named}: {run}")
    return named or next(iter(models), None)


def document(steps: Steps, obstacle: str, model: str | None, answered: Answered | None) -> dict[str, Any]:
    """What `lab up` did, for machines; what concerns an answer is null where nobody was asked."""
    return {
        "steps": {name: round(seconds, 1) for name, seconds in steps.seconds.items()},
        "seconds": round(steps.total, 1),
        "realNode": obstacle or True,
        "model": model,
        "site": answered and answered.way.site,
        "latencyMs": answered and round(answered.figures.p50_ms, 3),
        "answer": answered and answered.answer,
    }


def take_down(project: Project, stack: str, steps: Steps) -> Sequence[str]:
    """Delete the stack, then all of the lab that is left, however it was left. Returns what had to be taken away by name.

    Raises:
        LabError: not all of it could be taken away.
        LockedError: another run holds the stack.
    """
    from model_factory.local.lab.node.real_node import RealNode  # brings the client of clusters, a second of imports

    try:
        session = Session.open(stack, project.root)
    except BadInputError as error:
        steps.say(f"The stack cannot be read, so it is not deleted resource by resource: {error}")
    else:
        _destroy(session, steps)
        manager.stop(session.clouds(), project.root)
    background.stop(project.root)
    # Its link and control groups are the machine's, not the folder's: they go by its name, whatever became of its files.
    RealNode(project.work_dir / LAB_PLACE / NODE).remove()
    Registry(project.work_dir / LAB_PLACE / REGISTRY, Path()).stop()
    store = StackStore(project.work_dir / "stacks", project.name, stack, _no_crypter)
    if store.exists():
        with store.lock():
            store.remove()
    folder = project.work_dir / LAB_PLACE
    found = remains.sweep(folder)
    return [each for each in found.described() if not each.startswith("folder ")]


def _destroy(session: Session, steps: Steps) -> None:
    if not held(session, EngineName.LOCAL):
        return
    try:
        with opened(session, EngineName.LOCAL) as engine:
            Runner(session, engine, Display(session), yes=True).destroy(Request("destroy", DEFAULT_PARALLEL))
    except LockedError:
        raise
    except (CommandError, LocalError) as error:
        if isinstance(error, CommandError) and error.exit_code == EXIT_INTERRUPTED:
            raise
        steps.say(
            f"The stack could not be deleted resource by resource; all of it is on this machine, and goes with it: {error}"
        )


def _no_crypter() -> Crypter:
    raise AssertionError("a state is removed without being read")


def running(folder: Path) -> list[Running]:
    """What runs of the lab in this folder, Pods' processes among it, the largest first."""
    found: dict[int, psutil.Process] = {}
    for process in remains.find(folder).processes:
        try:
            found |= {each.pid: each for each in (process, *process.children(recursive=True))}
        except psutil.Error:
            continue
    rows: list[Running] = []
    for process in found.values():
        try:
            rows.append(Running(_described(process), process.pid, _own_bytes(process) / _MIB))
        except psutil.Error:
            continue
    return sorted(rows, key=lambda each: (-each.memory_mib, each.pid))


def _own_bytes(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return full.pss if psutil.LINUX else full.uss


def _described(process: psutil.Process) -> str:
    """Its name, and of our own processes the module."""
    words = process.cmdline()
    module = next((after for word, after in pairwise(words) if word == "-m"), "")
    return module.removeprefix("model_factory.") or process.name()
