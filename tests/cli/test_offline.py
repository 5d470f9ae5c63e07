"""`factory preview --state`: what it refuses, before anything runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_factory.cli.engine import asks_no_cloud
from model_factory.cli.errors import CommandError
from model_factory.cli.main import app
from model_factory.cli.session import EngineName, Session

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


@pytest.fixture
def no_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho no login >&2; exit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


class TestWithoutCliOrAccount:
    @pytest.mark.usefixtures("no_cli")
    def test_real_accounts_are_previewed_offline_where_there_is_no_cli(self, project: Path) -> None:
        said = asks_no_cloud(Session.open("prod", project), EngineName.AUTO, None)
        assert "the Pulumi CLI is not on PATH: prod is compared with nothing" in said
        assert "--state FILE" in said

    @pytest.mark.usefixtures("cli")
    def test_and_where_the_local_engine_is_asked_for_but_not_else(self, project: Path) -> None:
        prod, dev = Session.open("prod", project), Session.open("dev", project)
        assert "compared with nothing" in asks_no_cloud(prod, EngineName.LOCAL, None)
        assert not asks_no_cloud(prod, EngineName.AUTO, None)
        assert not asks_no_cloud(prod, EngineName.PULUMI, None)
        for engine in EngineName:
            assert not asks_no_cloud(dev, engine, None)
            assert "compared with x.json" in asks_no_cloud(dev, engine, Path("x.json"))

    @pytest.mark.usefixtures("no_cli")
    def test_nothing_that_asks_or_changes_a_cloud_goes_on(self, project: Path) -> None:
        assert "--refresh" in str(refused(project, "--stack", "prod", "--refresh"))
        assert "Pulumi CLI" in str(refused(project, "--stack", "prod", "--engine", "pulumi"))
        for command in ("up", "refresh", "destroy"):
            result = CliRunner().invoke(app, [command, "--yes", "--stack", "prod", "--cwd", str(project)])
            assert isinstance(result.exception, CommandError), result.output
            assert "`factory preview --engine local`" in str(result.exception)

    @pytest.mark.usefixtures("cli")
    def test_a_cli_that_is_not_logged_in_is_told_with_the_way_that_needs_none(self, project: Path) -> None:
        result = CliRunner().invoke(app, ["preview", "--stack", "prod", "--cwd", str(project)])
        assert isinstance(result.exception, CommandError), result.output
        assert "`factory preview --engine local` asks no cloud" in str(result.exception)

    @pytest.mark.slow
    def test_the_preview_is_whole_and_says_what_it_did_and_leaves_nothing(self, project: Path, tmp_path: Path) -> None:
        before = sorted(project.iterdir())
        home = tmp_path / "home"
        home.mkdir()
        ended = subprocess.run(
            [str(Path(sys.executable).with_name("factory")), "preview", "--stack", "prod", "--json"],
            cwd=project, env={"PATH": os.devnull, "HOME": str(home)}, capture_output=True, text=True, timeout=240,
            check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr.startswith("Offline, as the Pulumi CLI is not on PATH")
        told = json.loads(ended.stdout)
        assert set(told["changeSummary"]) == {"create"}
        assert told["changeSummary"]["create"] > 100
        assert any("nothing of the stack exists" in note["message"] for note in told["diagnostics"])
        assert not any(home.iterdir())
        assert sorted({*project.iterdir()} - {home, project / "__pycache__"}) == before


class TestDestroyPreview:
    def test_files_of_it_are_refused_where_it_is_to_be_done(self, project: Path) -> None:
        file = project / "comment.md"
        result = CliRunner().invoke(app, ["destroy", "--yes", "--cwd", str(project), "--markdown", str(file)])
        assert isinstance(result.exception, CommandError), result.output
        assert "--preview-only" in str(result.exception)
        assert not file.exists()
