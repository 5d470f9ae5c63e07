"""`factory preview --state`: what it refuses, before anything runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_factory.cli.errors import CommandError
from model_factory.cli.main import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Pulumi.yaml", "__main__.py", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def refused(folder: Path, *arguments: str) -> CommandError:
    result = CliRunner().invoke(app, ["preview", "--cwd", str(folder), *arguments])
    assert isinstance(result.exception, CommandError), result.output
    assert not (folder / ".factory").exists()
    return result.exception


def state(folder: Path, text: str) -> list[str]:
    file = folder / "state.json"
    file.write_text(text, encoding="utf-8")
    return ["--state", str(file)]


class TestStateFile:
    @pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null"])
    def test_that_is_no_export_is_refused(self, folder: Path, text: str) -> None:
        error = refused(folder, *state(folder, text))
        assert error.exit_code == 2
        assert "stack export" in str(error)

    def test_that_is_not_there_is_refused(self, folder: Path) -> None:
        error = refused(folder, "--state", str(folder / "none.json"))
        assert error.exit_code == 2
        assert "cannot be read" in str(error)

    def test_of_another_stack_is_refused(self, folder: Path) -> None:
        stack = "urn:pulumi:other::model-factory::pulumi:pulumi:Stack::model-factory-other"
        resources = [{"urn": stack, "type": "pulumi:pulumi:Stack", "custom": False}]
        empty = {"time": "", "magic": "", "version": ""}
        text = json.dumps({"version": 3, "deployment": {"manifest": empty, "resources": resources}})
        assert "other" in str(refused(folder, *state(folder, text)))

    def test_that_is_too_new_is_refused(self, folder: Path) -> None:
        assert "newer" in str(refused(folder, *state(folder, '{"version": 99, "deployment": {}}')))


class TestOtherOptions:
    @pytest.mark.parametrize("option", [["--refresh"], ["--engine", "pulumi"]])
    def test_that_would_ask_a_cloud_are_refused(self, folder: Path, option: list[str]) -> None:
        error = refused(folder, *state(folder, "{}"), "--stack", "prod", *option)
        assert error.exit_code == 2
        assert option[0] in str(error)
