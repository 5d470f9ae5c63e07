"""Every command's help has examples, which are commands that it takes, and its exit codes."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from model_factory.cli.examples import EXAMPLES
from model_factory.cli.main import app
from tests.cli.test_called import commands

COMMANDS = dict(commands())


def test_each_command_has_some_and_none_is_of_another() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", EXAMPLES)
class TestExamples:
    def test_are_taken_by_the_command(self, name: str) -> None:
        for example in EXAMPLES[name]:
            inner = re.search(r"\$\(factory (.*)\)", example)
            words = shlex.split(inner[1] if inner else example)
            assert " ".join(words[: len(name.split())]) == name
            command: Any = COMMANDS[name]
            with command.make_context(name, words[len(name.split()) :]) as context:
                assert context.command is command

    def test_stand_in_its_help_with_the_exit_codes(self, name: str) -> None:
        said = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}).stdout
        assert f"factory {EXAMPLES[name][0]}" in said or EXAMPLES[name][0] in said
        assert "Exit codes: 0 done; 1 failed; 2" in said
        assert ("3 drift" in said) == (name == "refresh")
        assert ("4 with --agreed" in said) == (name == "up")


def test_an_option_that_a_command_has_not_is_noticed() -> None:
    command: Any = typer.main.get_command(app)
    with pytest.raises(Exception, match="No such option"):
        command.commands["plan"].make_context("plan", ["--no-such"])
