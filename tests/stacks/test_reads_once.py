"""Each process of a command opens the project's files once: what it read is handed on as values."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow

FILES = ("Pulumi.dev.plan.yaml", "Pulumi.dev.yaml", "Pulumi.yaml")
WATCH = """
import os, sys

def note(event, arguments):
    if event == "open" and os.path.basename(str(arguments[0])) in {files!r}:
        with open({log!r}, "a", encoding="utf-8") as log:
            log.write(f"{{os.getpid()}} {{os.path.basename(str(arguments[0]))}}\\n")

sys.addaudithook(note)
"""


class Watched:
    """A stack whose commands note each opening of the project's files."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.stack = stack
        self.site, self.log = folder / "site", folder / "opened"
        self.site.mkdir()
        (self.site / "sitecustomize.py").write_text(WATCH.format(files=FILES, log=str(self.log)), encoding="utf-8")

    def opened(self, *arguments: str) -> Counter[tuple[str, str]]:
        """How often each process of the command opened each file."""
        self.log.write_text("", encoding="utf-8")
        self.stack.factory(*arguments, env={"PYTHONPATH": str(self.site)})
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return Counter((pid, name) for pid, name in (line.split() for line in lines))


@pytest.fixture
def watched(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(stack, tmp_path_factory.mktemp("watched"))


def files_of(opened: Counter[tuple[str, str]], process: int) -> set[str]:
    pids = list(dict.fromkeys(pid for pid, _ in opened))
    return {name for pid, name in opened if pid == pids[process]}


class TestProjectFiles:
    def test_are_opened_once_in_each_process(self, watched: Watched) -> None:
        runs = {
            "doctor": ("doctor",),
            "cost": ("cost", "--planned"),
            "preview": ("preview", "--json"),
            "up": ("up", "--yes", "--json"),
        }
        for command, arguments in runs.items():
            opened = watched.opened(*arguments)
            assert set(opened.values()) == {1}, (command, opened)
            assert files_of(opened, 0) == set(FILES), command
            programs = {pid for pid, _ in opened}
            assert len(programs) == {"doctor": 1, "cost": 2, "preview": 2, "up": 3}[command], (
                command,
                opened,
            )
