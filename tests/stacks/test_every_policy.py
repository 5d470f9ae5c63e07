"""Every check of the project's pack over real resources of the local engine: one stack breaks it, and a sound one passes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from model_factory.cli.project import find_project, program_config
from model_factory.local.clouds import manager
from model_factory.local.engine.deploy import run
from model_factory.local.engine.request import Deployment, Operation, PackSource, Program, Request
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore
from model_factory.local.providers.packages import local_providers
from model_factory.planning.settings.stackfile import read_stack_file
from policies.pack import POLICIES
from tests.stacks.harness import ROOT, LocalStack

pytestmark = pytest.mark.slow

HERE: Final = Path(__file__).parent
NAMES: Final = tuple(each.name for each in POLICIES)
NOT_BROKEN: Final[Mapping[str, str]] = {
    "ecr-not-public": "the local provider has neither policies of ECR repositories nor ECR Public, and refuses them by name",
    "gpu-limit-equals-request": "Kubernetes itself refuses such Pods, and so does the local provider before policies are asked",
}
NOT_PASSED: Final[Mapping[str, str]] = {"ecr-not-public": NOT_BROKEN["ecr-not-public"]}
# What our own stack, made ready for production, still breaks, and why it may.
CHOSEN: Final[Mapping[str, str]] = {
    "archived-runtime": "one model waits for its callers to move",
    "monitor-and-slo": "the program makes no monitors or objectives",
    "scale-to-zero-outside-production": "every model keeps a replica, and nothing tells the policy that this is production",
}
SUMMARIES: Final = ("policyAnalyzeSummaryEvent", "policyAnalyzeStackSummaryEvent")


@dataclass(slots=True)
class Verdicts:
    """What a run said: the checks that were broken, those not evaluated, those that some resource or the stack passed."""

    broken: set[str] = field(default_factory=set[str])
    not_evaluated: set[str] = field(default_factory=set[str])
    passed: set[str] = field(default_factory=set[str])
    errors: list[str] = field(default_factory=list[str])

    def hear(self, event: dict[str, Any]) -> None:
        for kind in SUMMARIES:
            self.passed.update(event.get(kind, {}).get("passed") or ())
        if said := event.get("policyEvent"):
            unknown = "can't run policy" in said["message"]
            (self.not_evaluated if unknown else self.broken).add(said["policyName"])
        if (told := event.get("diagnosticEvent")) and told["severity"] == "error":
            self.errors.append(told["message"])


class Judged:
    """A stack with clouds of its own, over which every check of the pack tells what it finds and stops nothing."""

    def __init__(self, folder: Path, program: Path | None = None, **settings: Mapping[str, Any]) -> None:
        self.stack = LocalStack(folder)
        if program is not None:
            shutil.copy(program, folder / "__main__.py")
        self._config = folder / "levels.json"
        self._config.write_text(json.dumps({"all": "advisory", **settings}), encoding="utf-8")
        crypter = PassphraseCrypter("judged", new_salt("judged"))
        self._project = find_project(folder)
        self._store = StackStore(folder / ".factory" / "stacks", self._project.name, self.stack.name, lambda: crypter)

    def start(self) -> None:
        at_once = [replace(each, transition_seconds=0.0) for each in self.stack.specs]
        manager.start(at_once, self.stack.root)

    def run(self, operation: Operation) -> Verdicts:
        verdicts = Verdicts()
        outcome = run(
            Deployment(
                Request(operation, policy_packs=(PackSource(ROOT / "policies", self._config),)),
                Program(
                    self._project.name,
                    self.stack.name,
                    self.stack.root,
                    program_config(self._project, read_stack_file(self.stack.stack_file), lambda text: text).values,
                ),
            ),
            store=self._store,
            providers=local_providers(self.stack.root),
            emit=verdicts.hear,
        )
        assert outcome.ok, verdicts.errors
        return verdicts


def produce(config: dict[str, Any]) -> None:
    """Our own stack as for production, where what holds data is protected, and with nothing on spot machines alone."""
    config["model-factory:environment"] = "prod"
    for model in config["model-factory:models"].values():
        model["spot"] = False


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Operation, Verdicts]]:
    judged = Judged(tmp_path_factory.mktemp("careless"), HERE / "careless_program.py")
    try:
        judged.start()
        operations: tuple[Operation, ...] = ("preview", "up")
        yield {each: judged.run(each) for each in operations}
    finally:
        judged.stack.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    judged = Judged(tmp_path_factory.mktemp("own"))
    judged.stack.edit(produce)
    try:
        judged.start()
        yield judged.run("up")
    finally:
        judged.stack.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    objectives = {"objectives": ["kubernetes:core/*:ConfigMap"]}
    folder = tmp_path_factory.mktemp("sound")
    return Judged(folder, HERE / "sound_program.py", **{"monitor-and-slo": objectives}).run("up")


class TestCarelessResources:
    @pytest.mark.parametrize("name", [each for each in NAMES if each not in NOT_BROKEN])
    @pytest.mark.parametrize("operation", ["preview", "up"])
    def test_they_break_it(self, careless: Mapping[Operation, Verdicts], operation: Operation, name: str) -> None:
        assert name in careless[operation].broken

    def test_what_they_cannot_break_is_named_with_its_reason(self, careless: Mapping[Operation, Verdicts]) -> None:
        assert set(NAMES) - careless["up"].broken == NOT_BROKEN.keys()

    def test_nothing_is_left_open_once_all_is_known(self, careless: Mapping[Operation, Verdicts]) -> None:
        assert not careless["up"].not_evaluated


class TestSoundResources:
    @pytest.mark.parametrize("name", [each for each in NAMES if each not in NOT_PASSED])
    def test_they_pass_it(self, own: Verdicts, sound: Verdicts, name: str) -> None:
        assert name in own.passed | sound.passed

    def test_our_own_stack_breaks_what_it_chose_to(self, own: Verdicts) -> None:
        assert own.broken == CHOSEN.keys()
        assert not own.not_evaluated
