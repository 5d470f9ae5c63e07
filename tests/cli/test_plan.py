"""`factory plan` tells what another plan would change, changes the plan lock alone and only when asked, and says why a model is where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from model_factory.cli.errors import BadInputError
from model_factory.cli.main import app
from model_factory.cli.session import Session
from model_factory.planning.placing.lock import Lock, read_lock

FIELDS = {"stack", "lock", "differs", "written", "moves", "savesUsdPerHour", "notes", "notesAsKept"}
MOVE_FIELDS = {"model", "kind", "before", "after", "replicas", "savesUsdPerHour", "usdPerHour", "interrupts"}


def plan(project: Path, *arguments: str, columns: int = 160) -> str:
    command = ["plan", "--cwd", str(project), *arguments]
    result = CliRunner().invoke(
        app, command, env={"COLUMNS": str(columns)}, catch_exceptions=False, standalone_mode=False
    )
    return result.stdout


def document(project: Path, *arguments: str) -> Any:
    return json.loads(plan(project, "--json", *arguments))


PINS = {
    "assistant": {"clouds": ["aws"], "accelerators": ["l40s"]},
    "embeddings": {"clouds": ["gcp"], "accelerators": ["l4"]},
    "image-classifier": {"clouds": ["aws"], "accelerators": ["t4"]},
}


@pytest.fixture
def lock(project: Path) -> Path:
    """Of the dev stack as planned today, all on demand and each model on a kind of machine that is named here: a machine of twice the size
    costs more whatever the tables say."""
    yaml = YAML()
    stack = project / "Pulumi.dev.yaml"
    document = yaml.load(stack)
    for name, model in document["config"]["model-factory:models"].items():
        model.pop("spot", None)
        model.update(PINS.get(name, {}))
    yaml.dump(document, stack)
    lock = project / "Pulumi.dev.plan.yaml"
    lock.unlink()
    plan(project, "--apply")
    return lock


@pytest.fixture
def edit(lock: Path) -> Callable[..., str]:
    """Changes texts of the lock; each must be there."""

    def change(*pairs: tuple[str, str]) -> str:
        text = lock.read_text()
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new)
        lock.write_text(text)
        return text

    return change


DEARER = (
    "l4x1-on-demand: {capacity: on-demand, machineType: g6.xlarge}",
    "l4x1-on-demand: {capacity: on-demand, machineType: g6.2xlarge}",
)
"""Where object-detector runs alone."""


class TestNothingMoves:
    def test_of_itself(self, project: Path, lock: Path) -> None:
        before = lock.read_bytes()
        assert "Nothing would move." in plan(project)
        told = document(project)
        assert all("adds nodes" in each for each in told.pop("notes"))
        assert told == {
            "stack": "dev",
            "lock": lock.name,
            "differs": False,
            "written": False,
            "moves": [],
            "savesUsdPerHour": {"idle": "0", "peak": "0"},
            "notesAsKept": [],
        }
        assert lock.read_bytes() == before

    def test_when_it_is_applied_to_what_it_says_already(self, project: Path, lock: Path) -> None:
        before = lock.read_bytes()
        assert "says so already" in plan(project, "--apply")
        assert lock.read_bytes() == before


class TestMoves:
    def test_are_told_with_what_they_save_and_interrupt_and_nothing_is_written(
        self, project: Path, lock: Path, edit: Callable[..., str]
    ) -> None:
        text = edit(DEARER)
        told = document(project)
        assert told.keys() == FIELDS
        (move,) = told["moves"]
        assert move.keys() == MOVE_FIELDS
        assert (move["model"], move["kind"]) == ("object-detector", "moves")
        assert move["before"] == {"aws/us-east-1": [{"capacity": "on-demand", "machineType": "g6.2xlarge"}]}
        assert move["after"] == {"aws/us-east-1": [{"capacity": "on-demand", "machineType": "g6.xlarge"}]}
        saves = {when: Decimal(amount) for when, amount in move["savesUsdPerHour"].items()}
        assert saves["idle"] > 0
        assert saves["peak"] == 3 * saves["idle"]
        assert told["savesUsdPerHour"] == move["savesUsdPerHour"]
        assert move["interrupts"] == ["its replicas in aws/us-east-1 restart on new nodes"]
        assert lock.read_text() == text

    @pytest.mark.parametrize("columns", [80, 160])
    def test_read_well_on_any_terminal(self, project: Path, edit: Callable[..., str], columns: int) -> None:
        edit(DEARER)
        shown = plan(project, columns=columns)
        words = " ".join(shown.split())
        for told in ("object-detector", "g6.2xlarge", "g6.xlarge", "restart on new nodes", "Saves"):
            assert told in words
        assert "…" not in shown
        assert "\x1b" not in shown

    def test_are_written_when_applied_and_are_none_then(
        self, project: Path, lock: Path, edit: Callable[..., str]
    ) -> None:
        before = lock.read_text()
        edit(DEARER)
        assert f"Wrote {lock.name}" in plan(project, "--apply")
        assert lock.read_text() == before
        assert "Nothing would move." in plan(project)

    def test_of_a_model_that_no_longer_fits_are_told_apart(self, project: Path, edit: Callable[..., str]) -> None:
        edit(("  embeddings:\n    gcp/us-central1: [l4x1", "  embeddings:\n    aws/us-east-1: [t4x1"))
        told = document(project)
        (move,) = told["moves"]
        assert (move["model"], move["kind"]) == ("embeddings", "must")
        assert move["savesUsdPerHour"] == {"idle": None, "peak": None}
        assert any(
            "embeddings" in note and "aws is not among its clouds" in note
            for note in [*told["notes"], *told["notesAsKept"]]
        )
        assert "(as it was kept)" in plan(project)

    def test_to_a_further_site_lose_nothing(self, project: Path, lock: Path) -> None:
        stack = project / "Pulumi.dev.yaml"
        document_ = YAML().load(stack)
        model = document_["config"]["model-factory:models"]["embeddings"]
        del model["clouds"], model["replicas"]
        model["sites"] = {"aws/us-east-1": {"min": 1, "max": 2}, "gcp/us-central1": {"min": 2, "max": 2}}
        YAML().dump(document_, stack)
        (move,) = document(project, "--keep")["moves"]
        assert (move["kind"], sorted(move["before"]), sorted(move["after"])) == (
            "must",
            ["gcp/us-central1"],
            ["aws/us-east-1", "gcp/us-central1"],
        )
        assert "as it was kept" not in plan(project, "--keep")

    def test_tell_what_is_new_and_what_is_gone(self, project: Path, edit: Callable[..., str]) -> None:
        edit(("  object-detector:", "  old-model:"))
        kinds = {move["model"]: move["kind"] for move in document(project)["moves"]}
        assert kinds == {"object-detector": "new", "old-model": "gone"}

    def test_without_a_lock_every_model_is_new(self, project: Path, lock: Path) -> None:
        lock.unlink()
        told = document(project)
        assert told["differs"]
        assert {move["kind"] for move in told["moves"]} == {"new"}
        assert len(told["moves"]) == len(Session.open("dev", project).settings.models)
        assert not lock.exists()


class TestModel:
    def test_moves_alone(self, project: Path, lock: Path, edit: Callable[..., str]) -> None:
        edit(DEARER, ("l40sx1-on-demand: {capacity: on-demand, machineType: g6e.xlarge}",
                      "l40sx1-on-demand: {capacity: on-demand, machineType: g6e.2xlarge}"))  # fmt: skip
        assert [move["model"] for move in document(project)["moves"]] == ["assistant", "object-detector"]
        assert "`factory plan --model object-detector --apply` writes that" in plan(
            project, "--model", "object-detector"
        )
        told = document(project, "--model", "object-detector", "--apply")
        assert [move["model"] for move in told["moves"]] == ["object-detector"]
        assert "g6e.2xlarge" in lock.read_text()
        assert "g6.2xlarge" not in lock.read_text()

    def test_that_is_not_there_is_refused_with_the_nearest(self, project: Path) -> None:
        for arguments in (("--model", "asistant"), ("--why", "asistant")):
            with pytest.raises(BadInputError, match="no model 'asistant'; write assistant"):
                plan(project, *arguments)


class TestKeep:
    def test_moves_nothing_that_fits_and_places_what_is_new(
        self, project: Path, lock: Path, edit: Callable[..., str]
    ) -> None:
        edit(DEARER, ("  assistant:\n    aws/us-east-1: [l40sx1-on-demand]\n", ""))
        told = document(project, "--keep", "--apply")
        assert [(move["model"], move["kind"]) for move in told["moves"]] == [("assistant", "new")]
        assert "g6.2xlarge" in lock.read_text()
        assert Session.open("dev", project, locked=True).lock == read_lock(lock, "dev")


class TestBrokenLock:
    def test_is_refused_unless_all_of_it_is_written_anew(self, project: Path, lock: Path) -> None:
        lock.write_text("version: 1\n")
        for arguments in ((), ("--keep", "--apply"), ("--model", "assistant", "--apply")):
            with pytest.raises(BadInputError, match="factory plan --apply --stack dev"):
                plan(project, *arguments)
        shown = plan(project, "--apply")
        assert "is missing" in shown
        lock.write_text("version: 1\n")
        assert any("is missing" in each for each in document(project, "--apply")["notesAsKept"])
        assert read_lock(lock, "dev") == Lock.of(Session.open("dev", project).plan)


class TestWhy:
    @pytest.fixture(autouse=True)
    def today(self, project: Path) -> None:
        plan(project, "--apply")

    def test_tells_the_candidates_best_first_and_marks_the_chosen(self, project: Path) -> None:
        told = document(project, "--why", "embeddings")
        assert told.keys() == {"stack", "model", "candidates", "against"}
        prices = [Decimal(each["usdPerHour"]["idle"]) for each in told["candidates"]]
        assert prices == sorted(prices)
        assert [each["chosen"] for each in told["candidates"]] == [True] + [False] * (len(prices) - 1)
        first = told["candidates"][0]
        assert [leg["capacity"] for leg in first["legs"]] == ["spot", "on-demand"]

    def test_tells_idle_gpus(self, project: Path) -> None:
        whole = [
            each
            for each in document(project, "--why", "embeddings")["candidates"]
            if {leg["acceleratorCount"] for leg in each["legs"]} == {8}
        ]
        assert whole
        assert all(each["idleGpus"] == {"idle": 7, "peak": 4} for each in whole)

    def test_the_kept_place_stays_marked_where_another_is_cheaper(
        self, project: Path, lock: Path, edit: Callable[..., str]
    ) -> None:
        edit(DEARER)
        first, second, *_ = document(project, "--why", "object-detector")["candidates"]
        assert not first["chosen"]
        assert second["chosen"]
        assert second["legs"][0]["machineType"] == "g6.2xlarge"

    def test_tells_what_stands_against_each_other_machine(self, project: Path) -> None:
        against = document(project, "--why", "object-detector")["against"]
        told = {each["machineType"]: each["reasons"] for each in against if "aws/us-east-1" in each["sites"]}
        assert told["g4dn.4xlarge"] == ["has t4, not among the accelerators"]
        assert told["g6.2xlarge"] == ["fits, and a machine with the same accelerator is cheaper there"]

    def test_sites_and_amounts_are_whole_on_eighty_columns(self, project: Path) -> None:
        shown = plan(project, "--why", "embeddings", columns=80).partition("What stands")[0]
        assert "aws/us-east-1 " in shown
        assert "…" not in shown

    def test_is_of_a_readable_length(self, project: Path) -> None:
        shown = plan(project, "--why", "embeddings")
        assert re.search(r"●  (aws|gcp)/", shown)
        assert "What stands against the rest" in shown
        assert re.search(r" and \d+ more in \d+ regions: fits, and is in none", shown)
        assert len(shown.splitlines()) < 40

    @pytest.mark.parametrize("option", [("--apply",), ("--keep",), ("--model", "assistant")])
    def test_goes_with_nothing_that_plans(self, project: Path, option: tuple[str, ...]) -> None:
        with pytest.raises(BadInputError, match="--why changes nothing"):
            plan(project, "--why", "assistant", *option)


class TestReplicas:
    def test_stand_with_each_site_of_a_model_that_moves_and_of_one_that_stays(self, project: Path) -> None:
        stays = plan(project, "--keep", columns=200)
        assert "Nothing would move" in stays
        for line in stays.splitlines():
            if line.startswith("image-classifier"):
                assert "2–6" in line
                break
        else:
            pytest.fail(stays)
        assert "1–4 replicas" in plan(project, columns=200)
