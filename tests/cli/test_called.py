"""A command that is told of can be pasted: it is called as this one was, and works on the same stack with the same engine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from model_factory.cli.called import command, pasteable
from model_factory.cli.entry import _be_found
from model_factory.cli.main import app


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program at .venv/bin/factory of the folder where we are, that was typed so; PATH has none."""
    program = tmp_path / ".venv" / "bin" / "factory"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [".venv/bin/factory"])
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("FACTORY_STACK", raising=False)
    return program


def commands() -> Iterator[tuple[str, Any]]:
    root: Any = typer.main.get_command(app)
    for name, found in root.commands.items():
        below: dict[str, Any] = getattr(found, "commands", {})
        yield from ((f"{name} {each}", command) for each, command in below.items())
        if not below:
            yield name, found


class TestProgram:
    def test_is_bare_where_the_shell_finds_this_very_one(self, called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(called.parent))
        assert command("up") == "factory up"
        monkeypatch.setattr(sys, "argv", [str(called)])
        assert command("up") == "factory up"

    def test_is_the_way_to_it_where_this_process_alone_finds_it(
        self, called: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        _be_found()
        assert shutil.which("factory") == str(called)
        assert command("up") == ".venv/bin/factory up"

    def test_is_the_way_to_it_where_the_shell_finds_none_or_another(
        self, called: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert command("up") == ".venv/bin/factory up"
        other = called.parent.parent / "other"
        other.mkdir()
        (other / "factory").write_text("", encoding="utf-8")
        (other / "factory").chmod(0o755)
        monkeypatch.setenv("PATH", str(other))
        monkeypatch.setattr(sys, "argv", [str(called)])
        assert command("up") == ".venv/bin/factory up"
        monkeypatch.chdir(other)
        assert command("up") == f"{called} up"
        monkeypatch.chdir(called.parent)
        assert command("up") == "./factory up"

    def test_is_quoted_for_a_shell(self, called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = called.parents[2] / "a b"
        folder.mkdir()
        monkeypatch.setattr(sys, "argv", [str(called.rename(folder / "factory")), "up", "-C", "c d"])
        assert shlex.split(command("up --diff")) == ["a b/factory", "up", "--diff", "--cwd", "c d"]


class TestOptions:
    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("up", ""),
            ("up --stack dev", ""),
            ("up --stack prod", " --stack prod"),
            ("up --stack=prod -y", " --stack prod"),
            ("up -ys prod", " --stack prod"),
            ("up --engine pulumi --commit x", " --engine pulumi"),
            ("up -C there -s prod --engine=local", " --stack prod --engine local --cwd there"),
            ("lab up", " --stack lab"),
            ("lab down -s other", " --stack other"),
        ],
    )
    @pytest.mark.usefixtures("called")
    def test_that_were_given_are_kept(self, typed: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", [".venv/bin/factory", *typed.split()])
        assert command("destroy") == f".venv/bin/factory destroy{kept}"

    @pytest.mark.usefixtures("called")
    def test_a_stack_of_the_environment_is_written_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FACTORY_STACK", "prod")
        assert command("up") == ".venv/bin/factory up --stack prod"
        monkeypatch.setattr(sys, "argv", [".venv/bin/factory", "up", "--stack", "dev"])
        assert command("up") == ".venv/bin/factory up --stack dev"

    @pytest.mark.usefixtures("called")
    def test_what_a_hint_says_itself_stands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", [".venv/bin/factory", "up", "--stack", "prod", "--engine", "local"])
        assert command("up --stack dev --engine pulumi") == ".venv/bin/factory up --stack dev --engine pulumi"

    @pytest.mark.usefixtures("called")
    def test_are_those_that_each_command_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", [".venv/bin/factory", "up", "-s", "prod", "--engine", "local", "-C", "there"])
        seen = 0
        for name, each in commands():
            takes = {option for parameter in each.params for option in parameter.opts}
            words = command(name).split()
            assert {word for word in words if word.startswith("--")} == takes & {"--stack", "--engine", "--cwd"}, name
            seen += 1
        assert seen > 20


class TestTexts:
    @pytest.mark.usefixtures("called")
    def test_have_each_command_in_them_made_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", [".venv/bin/factory", "up", "--stack", "prod"])
        text = "a factory; run `factory plan --apply`, or `pulumi up`, or `factory stack export | pulumi stack import -s prod`."
        assert pasteable(text) == (
            "a factory; run `.venv/bin/factory plan --apply --stack prod`, or `pulumi up`, "
            "or `.venv/bin/factory stack export --stack prod | pulumi stack import -s prod`."
        )
