"""`factory preview --state`: what it refuses, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_factory.cli.errors import CommandError
from model_factory.cli.main import app

ROOT = Path(__file__).parents[2]


def refused(project: Path, *arguments: str) -> CommandError:
    result = CliRunner().invoke(app, ["preview", "--cwd", str(project), *arguments])
    assert isinstance(result.exception, CommandError), result.output
    assert not (project / ".factory").exists()
    return result.exception


def state(project: Path, text: str) -> list[str]:
    file = project / "state.json"
    file.write_text(text, encoding="utf-8")
    return ["--state", str(file)]


class TestStateFile:
    @pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null"])
    def test_that_is_no_export_is_refused(self, project: Path, text: str) -> None:
        error = refused(project, *state(project, text))
        assert error.exit_code == 2
        assert "stack export" in str(error)

    def test_that_is_not_there_is_refused(self, project: Path) -> None:
        error = refused(project, "--state", str(project / "none.json"))
        assert error.exit_code == 2
        assert "cannot be read" in str(error)

    def test_of_another_stack_is_refused(self, project: Path) -> None:
        stack = "urn:pulumi:other::model-factory::pulumi:pulumi:Stack::model-factory-other"
        resources = [{"urn": stack, "type": "pulumi:pulumi:Stack", "custom": False}]
        empty = {"time": "", "magic": "", "version": ""}
        text = json.dumps({"version": 3, "deployment": {"manifest": empty, "resources": resources}})
        assert "other" in str(refused(project, *state(project, text)))

    def test_that_is_too_new_is_refused(self, project: Path) -> None:
        assert "newer" in str(refused(project, *state(project, '{"version": 99, "deployment": {}}')))


class TestOtherOptions:
    @pytest.mark.parametrize("option", [["--refresh"], ["--engine", "pulumi"]])
    def test_that_would_ask_a_cloud_are_refused(self, project: Path, option: list[str]) -> None:
        error = refused(project, *state(project, "{}"), "--stack", "prod", *option)
        assert error.exit_code == 2
        assert option[0] in str(error)


class TestDestroyPreview:
    def test_files_of_it_are_refused_where_it_is_to_be_done(self, project: Path) -> None:
        file = project / "comment.md"
        result = CliRunner().invoke(app, ["destroy", "--yes", "--cwd", str(project), "--markdown", str(file)])
        assert isinstance(result.exception, CommandError), result.output
        assert "--preview-only" in str(result.exception)
        assert not file.exists()
