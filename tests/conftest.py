"""What every test stands on: it leaves the process as it found it, so that no file depends on which others ran before it.

Two looks. After each test: what a test changes by an assignment. After each file: what runs and what is open, since a file's fixtures
may keep a server for all its tests.
"""

from __future__ import annotations

import contextvars
import gc
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest

GRACE_SECONDS = 5
FILES = Path("/proc/self/fd")
"""Where Linux shows what a process has open; on other systems that is not looked at."""
# No test holds a time: the machine may be busy with something else.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def nothing_changed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Environment, folder, import path, imported modules, signal handlers and context variables (Pulumi's settings) are as before."""
    before, modules = _settings(), dict(sys.modules)
    yield
    after = _settings()
    changed = [
        f"{kind}: {key}"
        for kind, values in before.items()
        if values != after[kind]
        for key in values.keys() | after[kind].keys()
        if values.get(key) != after[kind].get(key)
    ]
    if modules != sys.modules:  # new ones are no change
        changed += [f"modules: {name}" for name in modules if sys.modules.get(name) is not modules[name]]
    request.node.funcargs.clear()  # pytest keeps the last test's past the end of their fixtures, and what they hold open with them
    if changed:
        pytest.fail(f"changed and not set back: {', '.join(sorted(changed))}", pytrace=False)


@pytest.fixture(scope="module")
def session_keeps_servers() -> bool:
    """Whether a room's fixtures keep a server, and connections to it, longer than one file. A room that does overrides this."""
    return False


@pytest.fixture(scope="module", autouse=True)
def nothing_left(session_keeps_servers: bool) -> Iterator[None]:
    """Threads, sockets, pipes, open files and child processes are gone: event loops among them, which hold two sockets each."""
    before = _running()
    yield
    until = time.monotonic() + GRACE_SECONDS
    while (left := _running() - before) and not session_keeps_servers:
        if time.monotonic() > until:
            pytest.fail(f"left behind: {', '.join(sorted(left))}", pytrace=False)
        gc.collect()
        time.sleep(0.01)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the lab are skipped, with the reason, where it cannot run."""
    of_a_node = [item for item in items if item.get_closest_marker("realnode")]
    of_the_lab = [item for item in items if item.get_closest_marker("lab") or item in of_a_node]
    if not of_the_lab:
        return
    from model_factory.local.errors import ProgramsMissingError
    from model_factory.local.lab.programs import programs_for

    try:
        programs_for()
    except ProgramsMissingError as error:
        for item in of_the_lab:
            item.add_marker(pytest.mark.skip(reason=str(error)))
    if of_a_node and (reason := _no_node()):
        for item in of_a_node:
            item.add_marker(pytest.mark.skip(reason=reason))


def _no_node() -> str:
    from model_factory.local.lab.node.requirements import obstacle

    return obstacle()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of the tests that spoil calls on their way to a cloud, by cloud and fault."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in getattr(report, "user_properties", ()):
            if name == "spoiled calls" and report.when == "call":
                cloud, fault, figures = value
                rows.setdefault((cloud, fault), Counter()).update(figures)
    if rows:
        heads = ("calls", "at once", "at the next run", "asked again", "orphans")
        terminalreporter.section("spoiled calls: converged, how, and what was left behind")
        terminalreporter.write_line(f"{'':32}" + "".join(f"{head:>17}" for head in heads))
        for (cloud, fault), figures in sorted(rows.items()):
            terminalreporter.write_line(f"{cloud:14}{fault:18}" + "".join(f"{figures[head]:>17}" for head in heads))


def _settings() -> dict[str, dict[Any, Any]]:
    return {
        "environment": {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"},
        "folder": {"": Path.cwd()},
        "import path": dict(enumerate(sys.path)),
        "signal": {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)},
        "context": {each.name: value for each, value in contextvars.copy_context().items()},
    }


def _running() -> set[str]:
    found = {f"thread {each.name} ({each.ident})" for each in threading.enumerate()}
    for each in FILES.glob("*"):
        with suppress(FileNotFoundError):  # the listing's own, closed by now
            found.add(str(each.readlink()))
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.add(f"process {child.pid} {child.name()}")
    # gRPC keeps a few of the anonymous ones for the life of the process.
    return {each for each in found if not each.startswith(("anon_inode:", "/dev/", "/proc/"))}
