"""What one engine holds of a stack is not overlooked by a command under the other one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.held import held, held_elsewhere
from model_factory.cli.main import app
from model_factory.cli.session import EngineName, Session
from model_factory.engines.pulumi import local_state
from model_factory.local.engine.request import Operation, Request

LOCAL, PULUMI = EngineName.LOCAL, EngineName.PULUMI
STACK = "urn:pulumi:dev::model-factory::pulumi:pulumi:Stack::model-factory-dev"
DEFAULT = "urn:pulumi:dev::model-factory::pulumi:providers:aws::default_7_0_0"
RESOURCES: list[dict[str, Any]] = [
    {"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False},
    {"urn": DEFAULT, "type": "pulumi:providers:aws", "custom": True, "id": "1"},
]


def hold(project: Path, engine: EngineName, resources: list[dict[str, Any]] = RESOURCES) -> Path:
    """As that engine leaves it."""
    manifest = {"time": "", "magic": "", "version": ""}
    latest = {"manifest": manifest, **({"resources": resources} if resources else {})}
    if engine is PULUMI:
        file = local_state(project, "model-factory", "dev")
        document: Any = {"version": 3, "checkpoint": {"stack": "organization/model-factory/dev", "latest": latest}}
    else:
        file = project / ".factory" / "stacks" / "dev.json"
        document = {"version": 3, "deployment": latest}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


@pytest.mark.parametrize(("engine", "other"), [(LOCAL, PULUMI), (PULUMI, LOCAL)])
class TestEngines:
    @pytest.mark.parametrize("operation", ["up", "refresh", "destroy"])
    def test_one_changes_nothing_of_a_stack_that_the_other_alone_holds(
        self, project: Path, engine: EngineName, other: EngineName, operation: Operation
    ) -> None:
        hold(project, engine, [])
        file = hold(project, other)
        with pytest.raises(
            BadInputError, match=rf"1 resource of dev .*factory {operation} --engine {other}`"
        ) as caught:
            held_elsewhere(Session.open("dev", project), engine, Request(operation))
        assert str(file.relative_to(project)) in str(caught.value)

    def test_a_preview_says_so(self, project: Path, engine: EngineName, other: EngineName) -> None:
        hold(project, other)
        session = Session.open("dev", project)
        for request in (Request("preview"), Request("destroy", preview_only=True)):
            assert "where nothing stands" in held_elsewhere(session, engine, request)

    def test_both_may_hold_it_and_that_is_said(self, project: Path, engine: EngineName, other: EngineName) -> None:
        hold(project, engine)
        hold(project, other)
        assert "so does" in held_elsewhere(Session.open("dev", project), engine, Request("up"))

    def test_nothing_is_said_where_the_other_holds_nothing(
        self, project: Path, engine: EngineName, other: EngineName
    ) -> None:
        hold(project, engine)
        assert not held_elsewhere(Session.open("dev", project), engine, Request("destroy"))
        hold(project, other, [])
        assert not held_elsewhere(Session.open("dev", project), engine, Request("destroy"))

    def test_a_state_that_cannot_be_read_hinders_the_other_engine_in_nothing(
        self, project: Path, engine: EngineName, other: EngineName
    ) -> None:
        hold(project, other).write_text("{", encoding="utf-8")
        assert not held_elsewhere(Session.open("dev", project), engine, Request("destroy"))


class TestCommands:
    @pytest.mark.parametrize("command", [["destroy", "--yes"], ["up", "--yes"], ["refresh", "--yes"]])
    def test_are_refused_with_exit_code_2_before_anything_starts(self, project: Path, command: list[str]) -> None:
        hold(project, PULUMI)
        result = CliRunner().invoke(app, [*command, "--cwd", str(project)])
        assert isinstance(result.exception, BadInputError), result.output
        assert result.exception.exit_code == 2
        assert not (project / ".factory" / "clouds").exists()

    def test_of_the_state_say_who_has_it(self, project: Path) -> None:
        hold(project, PULUMI)
        result = CliRunner().invoke(app, ["stack", "output", "--cwd", str(project)])
        assert isinstance(result.exception, CommandError)
        assert "1 resource of it stand under the Pulumi CLI" in str(result.exception)

    def test_default_providers_count_for_nothing_as_in_displays(self, project: Path) -> None:
        hold(project, LOCAL)
        assert held(Session.open("dev", project), LOCAL) == 1


class TestNothing:
    @pytest.mark.parametrize(
        ("resources", "state"), [(RESOURCES[1:], "empty"), ([], "empty"), (RESOURCES, "local state")]
    )
    def test_of_a_destroyed_stack_is_called_empty(
        self, project: Path, resources: list[dict[str, Any]], state: str
    ) -> None:
        hold(project, LOCAL, resources)
        listed = CliRunner().invoke(app, ["stack", "ls", "--cwd", str(project)], env={"COLUMNS": "120"})
        (row,) = [line for line in listed.stdout.splitlines() if line.startswith("dev ")]
        assert row.rstrip().endswith(state)
        told = CliRunner().invoke(app, ["stack", "output", "--cwd", str(project)], env={"COLUMNS": "120"})
        assert told.exit_code == 0
        assert told.stdout == (
            "Stack dev is empty: nothing of it stands.\n" if state == "empty" else "Stack dev has no outputs.\n"
        )

    def test_of_a_damaged_state_is_no_empty_one(self, project: Path) -> None:
        hold(project, LOCAL).write_text("{")
        listed = CliRunner().invoke(app, ["stack", "ls", "--cwd", str(project)], env={"COLUMNS": "120"})
        assert "local state" in listed.stdout
