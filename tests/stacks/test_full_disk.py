"""A disk that is full ends a run with one message, and once there is space the next run converges with nothing orphaned."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stacks.harness import LocalStack
from tests.stacks.test_faults import small

pytestmark = pytest.mark.slow


def mount(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack whose state, clouds and rendered objects have 400 KiB."""
    stack = LocalStack(tmp_path)
    stack.edit(small)
    folder = tmp_path / ".factory"
    folder.mkdir()
    if (mounted := mount(folder, "size=400k")).returncode != 0:
        pytest.skip(f"needs leave to mount a file system: {mounted.stderr.strip()}")
    try:
        yield stack
    finally:
        stack.close()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def test_one_message_and_the_next_run_converges(cramped: LocalStack) -> None:
    stack = cramped
    stack.factory("clouds", "start")
    empty = stack.held()
    failed = stack.factory("up", "--yes", "--skip-preview", check=False)
    assert failed.code == 1
    assert "Traceback" not in failed.out + failed.err
    lines = [line for line in failed.err.splitlines() if line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert "No space left on device" in lines[0]
    assert "free some space and run again" in lines[0]
    assert mount(stack.root / ".factory", "remount", "size=64m").returncode == 0
    stack.factory("up", "--yes", "--skip-preview")
    assert set(stack.factory("up", "--refresh", "--yes", "--json").json["changeSummary"]) == {"same"}
    stack.factory("destroy", "--yes")
    assert stack.held() == empty
