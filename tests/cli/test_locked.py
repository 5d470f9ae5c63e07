"""The plan lock in the commands: `up` keeps it before anything is changed and after somebody agreed, nothing else writes it, and `--locked`
takes it as it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.prompt import Prompt
from ruamel.yaml import YAML
from typer.testing import CliRunner

from model_factory.cli.display import Display
from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.main import app
from model_factory.cli.operations import Runner
from model_factory.cli.project import find_project
from model_factory.cli.session import Session
from model_factory.engines.protocol import Emit, Outcome
from model_factory.local.engine.request import Operation, Request
from model_factory.planning.placing.lock import Lock, read_lock
from model_factory.planning.placing.market import Market
from model_factory.planning.planned import market

ROOT = Path(__file__).parents[2]
STACKS = ("dev", "prod", "staging")


@pytest.fixture
def lock(project: Path) -> Path:
    """The lock of prod, which runs on real accounts: a command on it starts nothing by itself."""
    return project / "Pulumi.prod.plan.yaml"


@dataclass
class FakeEngine:
    """Does nothing, and tells what the lock was like when it was asked to."""

    look: Callable[[], bool]
    refused: bool = False
    unchanged: bool = False
    seen: list[tuple[Operation, bool]] = field(default_factory=list[tuple[Operation, bool]])
    secrets: Collection[str] = ()
    name: str = "local"

    def run(self, request: Request, emit: Emit, cancel: threading.Event | None = None) -> Outcome:
        self.seen.append((request.operation, self.look()))
        return Outcome(not self.refused, unchanged=self.unchanged)


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def up(project: Path, engine: FakeEngine, *, yes: bool = True, skip_preview: bool = False) -> None:
    session = Session.open("prod", project)
    Runner(session, engine, Display(session), yes).up(Request("up"), skip_preview=skip_preview)


class TestUp:
    def test_writes_the_lock_after_the_preview_and_before_the_first_change(self, project: Path, lock: Path) -> None:
        lock.unlink()
        engine = FakeEngine(lock.exists)
        up(project, engine)
        assert engine.seen == [("preview", False), ("up", True)]
        assert read_lock(lock, "prod") == Lock.of(Session.open("prod", project).plan)

    def test_writes_it_without_a_preview_too(self, project: Path, lock: Path) -> None:
        lock.unlink()
        engine = FakeEngine(lock.exists)
        up(project, engine, skip_preview=True)
        assert engine.seen == [("up", True)]

    def test_writes_it_for_a_stack_that_is_up_already(self, project: Path, lock: Path) -> None:
        lock.unlink()
        engine = FakeEngine(lock.exists, unchanged=True)
        up(project, engine)
        assert engine.seen == [("preview", False)]
        assert lock.exists()

    def test_leaves_it_where_the_preview_is_refused(self, project: Path, lock: Path) -> None:
        lock.unlink()
        with pytest.raises(CommandError):
            up(project, FakeEngine(lock.exists, refused=True))
        assert not lock.exists()

    @pytest.mark.parametrize(("answer", "written"), [("no", False), ("yes", True)])
    def test_asks_before(
        self, project: Path, lock: Path, monkeypatch: pytest.MonkeyPatch, answer: str, written: bool
    ) -> None:
        lock.unlink()
        monkeypatch.setattr(Prompt, "ask", lambda *_, **__: answer)
        monkeypatch.setattr(Runner, "_require_agreement", lambda _: None)
        engine = FakeEngine(lock.exists)
        if written:
            up(project, engine, yes=False)
        else:
            with pytest.raises(CommandError, match="Nothing was changed"):
                up(project, engine, yes=False)
        assert lock.exists() == written
        assert [operation for operation, _ in engine.seen] == (["preview", "up"] if written else ["preview"])

    def test_changes_nothing_where_the_lock_cannot_be_written(
        self, project: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock.unlink()
        monkeypatch.setattr("model_factory.planning.placing.lock.os.fsync", full)
        engine = FakeEngine(lock.exists)
        with pytest.raises(BadInputError, match=r"Pulumi\.prod\.plan\.yaml: cannot be written .* make room"):
            up(project, engine)
        assert [operation for operation, _ in engine.seen] == ["preview"]

    def test_leaves_a_lock_that_says_the_same_in_other_words(self, project: Path, lock: Path) -> None:
        text = f"# Our own remark.\n{lock.read_text()}"
        lock.write_text(text)
        up(project, FakeEngine(lock.exists))
        assert lock.read_text() == text


class TestDestroy:
    def test_leaves_the_lock(self, project: Path, lock: Path) -> None:
        session = Session.open("prod", project)
        Runner(session, FakeEngine(lock.exists), Display(session), yes=True).destroy(Request("destroy"))
        assert lock.exists()


class TestLocked:
    @pytest.mark.parametrize("stack", STACKS)
    def test_takes_the_locks_of_the_repository(self, stack: str) -> None:
        session = Session.open(stack, ROOT, locked=True)
        assert session.lock == Lock.of(session.plan), f"run `factory plan --keep --apply --stack {stack}`"

    @pytest.mark.parametrize("command", [("preview",), ("up", "--yes")])
    def test_refuses_a_missing_lock(self, project: Path, lock: Path, command: tuple[str, ...]) -> None:
        lock.unlink()
        with pytest.raises(BadInputError, match=r"is not there.*`factory plan --keep --apply --stack prod`.*commit"):
            run(project, *command)
        assert not lock.exists()

    def test_refuses_a_lock_that_would_change_and_names_the_models(self, project: Path, lock: Path) -> None:
        lock.write_text(lock.read_text().replace("  assistant:\n", "  helper:\n"))
        with pytest.raises(BadInputError, match="would change for assistant, helper"):
            run(project, "preview")

    def test_a_broken_lock_is_refused_without_it_too(self, project: Path, lock: Path) -> None:
        lock.write_text("version: 1\n")
        with pytest.raises(BadInputError, match=r"Pulumi\.prod\.plan\.yaml:1: .*factory plan --apply --stack prod"):
            Session.open("prod", project)


class TestStays:
    """What moves nothing: a lock that says all is taken with --locked."""

    @pytest.fixture
    def stack(self, project: Path) -> Path:
        return project / "Pulumi.prod.yaml"

    def test_in_another_order_of_the_file(self, project: Path, stack: Path) -> None:
        document = YAML().load(stack)
        models = document["config"]["model-factory:models"]
        document["config"]["model-factory:models"] = {name: models[name] for name in reversed(list(models))}
        YAML().dump(document, stack)
        assert Session.open("prod", project, locked=True).lock

    def test_with_another_label(self, project: Path, stack: Path) -> None:
        stack.write_text(stack.read_text().replace("team: model-platform", "squad: inference"))
        assert Session.open("prod", project, locked=True).lock

    def test_with_a_further_region_which_factory_plan_weighs(self, project: Path, stack: Path) -> None:
        document = YAML().load(stack)
        document["config"]["model-factory:aws"]["regions"] = ["us-east-1", "us-east-2", "us-west-2"]
        YAML().dump(document, stack)
        session = Session.open("prod", project, locked=True)
        assert any("us-west-2 has a cluster and no model" in note.message for note in session.plan.notes)

    def test_at_other_prices_which_factory_plan_weighs(
        self, project: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = Session.open("prod", project)
        taken = {leg.offer for each in before.plan.placements for leg in each.legs}
        dearer = Market.of(
            replace(offer, usd_per_hour=3 * offer.usd_per_hour) if offer in taken else offer
            for offer in market().offers
        )
        for module in ("session", "plan"):
            monkeypatch.setattr(f"model_factory.cli.{module}.market", lambda: dearer)
        session = Session.open("prod", project, locked=True)
        assert session.lock == before.lock
        told = CliRunner().invoke(app, ["plan", "--json", "--stack", "prod", "--cwd", str(project)]).stdout
        moves = json.loads(told)["moves"]
        assert {move["kind"] for move in moves} == {"moves"}
        assert all(Decimal(move["savesUsdPerHour"]["idle"]) > 0 for move in moves)


class TestStacks:
    def test_a_lock_is_no_stack(self, project: Path) -> None:
        assert find_project(project).stacks() == ["dev", "prod"]

    def test_nor_can_it_be_taken_for_one(self, project: Path) -> None:
        with pytest.raises(BadInputError, match=r"is a plan lock; the stack file is Pulumi\.dev\.yaml"):
            Session.open("dev.plan", project)


def run(project: Path, *command: str) -> None:
    arguments = [*command, "--locked", "--stack", "prod", "--cwd", str(project)]
    CliRunner().invoke(app, arguments, catch_exceptions=False, standalone_mode=False)
