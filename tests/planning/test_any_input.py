"""Whatever stands in a stack file, a project file or a plan lock: it is valid, or refused by lines that say what to do.

A few hundred files in a normal run; `GENERATED_FILES=10000` for as many as that. What failed is made again by its number: `damaged(number, right)`.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from components.kubernetes.serving import SERVING
from model_factory.planning.placing.lock import Lock, read_lock
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.load import read_config, read_files
from model_factory.planning.settings.problems import Problem, SettingsError
from model_factory.planning.settings.stackfile import read_project_file, read_stack_file
from tests.planning.broken_files import damaged
from tests.planning.project import Project

ROOT = Path(__file__).parents[2]
FILES = int(os.environ.get("GENERATED_FILES", "200"))
PARTS = 10
CPU_SECONDS_MAX = 60
"""Ends what would not end: what is read without a budget takes minutes."""
LINE_MAX = 1_500
RIGHT = [
    (ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"),
    (ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8"),
]
LOCK = (ROOT / "Pulumi.dev.plan.yaml").read_text(encoding="utf-8")
PROJECT = (ROOT / "Pulumi.yaml").read_text(encoding="utf-8")


@contextmanager
def an_end(told: str) -> Generator[None]:
    """Fails what takes the processor for too long, while it does."""

    def over(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"no end: {told}")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def judged(read: Callable[[], object], told: str, *, file: bool = True) -> bool:
    """Whether the file is valid. A refusal has lines of its own words that can be printed; anything else fails here."""
    refused = None
    with an_end(told):
        try:
            read()
        except SettingsError as error:
            refused = error
    if refused is None:
        return True
    lines = str(refused).splitlines()
    assert refused.problems, told
    assert all(line.isprintable() and 10 < len(line) < LINE_MAX for line in lines), (told, lines)
    assert all(each.message and (each.file or not file) for each in refused.problems), (told, lines)
    return False


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


@pytest.fixture(scope="module", autouse=True)
def _read() -> None:
    market()  # tables are read once, and not by the first file


@pytest.mark.parametrize("part", range(PARTS))
class TestDamagedFiles:
    def test_of_stacks_are_valid_or_refused(self, project: Project, part: int) -> None:
        valid = 0
        for number in numbers(part):
            write(project.stack_file, damaged(number, RIGHT[number % 2]))
            valid += judged(lambda: planned(_reading(project), market()), f"stack file {number}")
        assert valid < len(numbers(part))

    def test_of_stacks_are_so_too_as_engines_hand_them_over(self, project: Project, part: int) -> None:
        for number in numbers(part)[::4]:
            write(project.stack_file, damaged(number, RIGHT[number % 2]))
            for config in _as_handed_over(project):
                reading = partial(read_config, config, SERVING, stack="dev")
                judged(lambda reading=reading: planned(reading(), market()), f"configuration {number}", file=False)

    def test_of_plans_and_projects_are_valid_or_refused(self, project: Project, part: int) -> None:
        lock = project.root / "Pulumi.dev.plan.yaml"
        for number in numbers(part)[::4]:
            write(lock, damaged(number, LOCK))
            judged(lambda: read_lock(lock, "dev"), f"plan lock {number}")
            write(project.project_file, damaged(number, PROJECT))
            judged(lambda: _raise(read_project_file(project.project_file).problems), f"project file {number}")


class TestThousandModels:
    def test_are_read_and_planned_and_stay(self, project: Project) -> None:
        """In one region, to be quick: `benchmarks/plan.py --models 1000` has eight."""
        image = f"registry.example/server@sha256:{'0' * 64}"
        model = f"{{runtime: vllm, image: '{image}', weights: {{uri: bucket://m}}, gpuMemoryGib: 20, requestsPerSecond: 1, replicas: {{min: 1, max: 1}}}}"
        head = "config:\n  aws:region: us-east-1\n  model-factory:environment: dev\n  model-factory:aws: {}\n  model-factory:models:\n"
        write(project.stack_file, head + "".join(f"    model-{number}: {model}\n" for number in range(1_000)))
        settings, plan = planned(_reading(project), market())
        assert len(settings.models) == len(plan.placements) == 1_000
        assert Lock.of(planned(_reading(project), market(), Lock.of(plan))[1]) == Lock.of(plan)


def numbers(part: int) -> range:
    return range(part, FILES, PARTS)


def _reading(project: Project):
    return read_files(read_stack_file(project.stack_file), read_project_file(project.project_file), SERVING)


def _as_handed_over(project: Project) -> Iterator[Mapping[str, object]]:
    """The configuration as the program gets it: text, or JSON text. None for what an engine refuses before."""
    try:
        config = read_stack_file(project.stack_file).config
        yield {key: each if isinstance(each, str) else json.dumps(each) for key, each in config.items()}
    except (SettingsError, TypeError):  # unreadable, or with secrets that the engine would decrypt
        return


def _raise(problems: tuple[Problem, ...]) -> None:
    if problems:
        raise SettingsError(problems)
