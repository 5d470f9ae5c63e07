"""On a narrow terminal a table says what it says on a wide one: no name and no amount is cut or broken, and no line is too long."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_factory.cli.main import app

WIDE = 200


def shown(project: Path, command: str, columns: int) -> str:
    words = command.split()
    if words[0] != "offers":
        words += ["--cwd", str(project)]
    result = CliRunner().invoke(
        app, words, env={"COLUMNS": str(columns)}, catch_exceptions=False, standalone_mode=False
    )
    return result.stdout


@pytest.mark.parametrize(
    "command",
    [
        "offers", "offers --rejected", "plan --stack dev", "plan --keep --stack prod", "plan --why assistant --stack dev",
        "stack ls",
    ],
)  # fmt: skip
class TestTables:
    def test_have_the_same_words_at_any_width_and_no_line_too_long(self, project: Path, command: str) -> None:
        wide = {*shown(project, command, WIDE).split()}
        for columns in (80, 120):
            narrow = shown(project, command, columns)
            assert {*narrow.split()} - {"→"} <= wide
            for line in narrow.splitlines():
                # Sentences are broken by the terminal, so that they are copied whole; columns stand two spaces apart.
                assert len(line) <= columns or "  " not in line.strip(), line
