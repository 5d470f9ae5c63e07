"""On a narrow terminal a table says what it says on a wide one: no name and no amount is cut or broken, and no line is too long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_factory.cli.main import app
from model_factory.local.clouds import manager
from model_factory.local.clouds.manager import CloudSpec, CloudStatus

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
            lines = shown(project, command, columns).splitlines()
            narrow = "\n".join(line for line in lines if not line.startswith("left out for want of room"))
            assert {*narrow.split()} - {"→"} <= wide
            for line in narrow.splitlines():
                # Sentences are broken by the terminal, so that they are copied whole; columns stand two spaces apart.
                assert len(line) <= columns or "  " not in line.strip(), line


class TestClouds:
    def test_are_told_with_each_count_beside_its_kind(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        holds = {"eks:pod-identity-association": 3, "artifactregistry.repositories": 12, "none:at-all": 0}

        def running(specs: Sequence[CloudSpec], _root: Path) -> list[CloudStatus]:
            return [CloudStatus(spec.name, spec.port, True, pid=7, resources=holds) for spec in specs]

        monkeypatch.setattr(manager, "status", running)
        for columns in (80, WIDE):
            said = shown(project, "clouds status", columns)
            assert max(map(len, said.splitlines())) <= columns
            assert "aws: running, pid 7, http://127.0.0.1:" in said
            assert "3 eks:pod-identity-association" in said
            assert "12 artifactregistry.repositories" in said
            assert "none:at-all" not in said
            assert "kubernetes: files, .factory/clouds/kubernetes" in said
