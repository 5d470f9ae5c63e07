"""Whatever a test leaves behind fails and is named, so that every file passes alone and after any other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")

LEAKS = {
    "environment": ("os.environ['LEFT'] = 'x'", "changed and not set back: environment: LEFT"),
    "folder": ("os.chdir('/')", "changed and not set back: folder:"),
    "import_path": ("sys.path.append('/left')", "changed and not set back: import path: "),
    "module": ("sys.modules['json'] = object()", "changed and not set back: modules: json"),
    "handler": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "changed and not set back: signal: 15",
    ),
    "context": ("STACK.set('prod')", "changed and not set back: context: stack"),
    "loop": ("asyncio.set_event_loop(asyncio.new_event_loop())", "left behind: socket:"),
    "thread": (
        "threading.Thread(target=time.sleep, args=(20,), daemon=True, name='lasting').start()",
        "left behind: thread lasting",
    ),
    "process": ("KEPT.append(subprocess.Popen(['sleep', '20']))", "left behind: process "),
    "file": ("KEPT.append(open(__file__))", "left behind: "),
}
MODULE = """
import asyncio, contextvars, json, os, signal, subprocess, sys, threading, time
KEPT = []
STACK = contextvars.ContextVar("stack")
def test_leaks(): {statement}
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments))
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_every_leak_is_named(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(re.sub(r"GRACE_SECONDS = .*", "GRACE_SECONDS = 0.2", CONFTEST))
    for name, (statement, _) in LEAKS.items():
        (tmp_path / f"test_{name}.py").write_text(MODULE.format(statement=statement))
    (tmp_path / "test_nothing.py").write_text(MODULE.format(statement="pass"))
    ended = run("-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, tmp_path)
    said = re.findall(r"^_+ ERROR at teardown of test_leaks _+\n(.*)", ended.stdout, re.MULTILINE)
    for (name, (_, text)), line in zip(sorted(LEAKS.items()), said, strict=True):
        assert line.startswith(text), f"{name}: {ended.stdout}"


@pytest.mark.slow
def test_two_files_of_components_leave_no_event_loop() -> None:
    ended = run("tests/components/test_names.py", "tests/components/aws/test_network.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "unclosed" not in ended.stderr
