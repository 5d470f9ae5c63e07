"""Ctrl-C, wherever it comes: one line, exit code 130, and a terminal as it was."""

from __future__ import annotations

import importlib.abc
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from model_factory.cli import entry, main
from model_factory.cli.display import Display, Ended
from model_factory.cli.errors import CommandError
from model_factory.cli.operations import Runner
from model_factory.cli.reports import Files
from model_factory.cli.session import Session
from model_factory.engines.protocol import Emit, Outcome
from model_factory.engines.pulumi import PulumiError
from model_factory.local.engine.request import Request
from model_factory.preview.events import Report
from tests.preview.samples import step


class Interrupted:
    """An engine during which somebody presses Ctrl-C, once; it ends as asked, or as the Pulumi CLI's own commands do."""

    name = "local"
    secrets: Collection[str] = ()

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def run(self, request: Request, emit: Emit, cancel: threading.Event | None = None) -> Outcome:
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel is not None
        assert cancel.wait(10)
        if self._error is not None:
            raise self._error
        return Outcome(ok=False, cancelled=True)


def runner(project: Path, engine: Any) -> tuple[Runner, io.StringIO]:
    session = Session.open("dev", project)
    display = Display(session)
    out = io.StringIO()
    display.console = Console(file=out, width=200)
    return Runner(session, engine, display, yes=True), out


class TestOperations:
    @pytest.mark.parametrize("error", [None, PulumiError("the Pulumi CLI cannot open stack dev: it said nothing")])
    def test_a_preview_ends_with_one_line_and_shows_no_half_of_it(self, project: Path, error: Exception | None) -> None:
        running, out = runner(project, Interrupted(error))
        with pytest.raises(CommandError, match=r"^Interrupted\. Nothing was changed\.$") as caught:
            running.preview(Request("preview"), Files(), offline="Offline.")
        assert caught.value.exit_code == 130
        assert out.getvalue() == "Offline.\nPreviewing dev …\n"

    def test_an_error_that_nobody_caused_stays_one(self, project: Path) -> None:
        class Failing(Interrupted):
            def run(self, request: Request, emit: Emit, cancel: threading.Event | None = None) -> Outcome:
                raise PulumiError("no login")

        with pytest.raises(PulumiError, match="no login"):
            runner(project, Failing())[0].preview(Request("preview"), Files(), offline="Offline.")

    def test_a_change_says_that_it_stops_and_how_to_go_on(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def running_already(*_: Any, **__: Any) -> None:
            """No cloud is started."""

        monkeypatch.setattr("model_factory.cli.operations.ensure_running", running_already)
        running, out = runner(project, Interrupted())
        with pytest.raises(CommandError, match="run `factory up` again") as caught:
            running.up(Request("up"), skip_preview=True)
        assert caught.value.exit_code == 130
        assert "Stopping: steps in flight are finished" in out.getvalue()

    def test_the_second_one_ends_at_once_and_gives_the_cursor_back(self) -> None:
        program = """
import os, signal
from rich.console import Console
from model_factory.cli.interrupts import interrupts
from model_factory.cli.progress import Progress
from model_factory.graph.masking import Masker
console = Console(force_terminal=True)
with Progress(console, "x", Masker()) as progress, interrupts(console, progress.stop, lambda: "last words"):
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    print("goes on")
"""
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 130, ended.stderr
        assert "goes on" not in ended.stdout
        assert ended.stdout.rindex("\x1b[?25h") > ended.stdout.rindex("\x1b[?25l")
        assert ended.stdout.endswith("\nlast words\n"), "the prompt stands on a line of its own"
        assert not ended.stderr

    def test_what_a_second_one_abandons_is_named_with_the_command_that_goes_on(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def running_already(*_: Any, **__: Any) -> None:
            """No cloud is started."""

        class Twice(Interrupted):
            def run(self, request: Request, emit: Emit, cancel: threading.Event | None = None) -> Outcome:
                (planned,) = step("create", name="cluster", new={}).values()
                emit({"resourcePreEvent": {**planned, "planning": False}})
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
                raise AssertionError("goes on")

        def ends(code: int) -> None:
            raise SystemExit(code)

        monkeypatch.setattr("model_factory.cli.operations.ensure_running", running_already)
        monkeypatch.setattr(os, "_exit", ends)
        running, out = runner(project, Twice())
        with pytest.raises(SystemExit) as caught:
            running.up(Request("up"), skip_preview=True)
        assert caught.value.code == 130
        assert re.fullmatch(
            r"Interrupted\. Abandoned under way: \S+ cluster; what was done is kept\. Run `factory up` again to go on\.",
            out.getvalue().splitlines()[-1],
        )


class TestQuestion:
    @pytest.mark.parametrize(
        ("typed", "agreed"), [("y", True), ("YES", True), ("n", False), ("", False), ("d\nyes", True)]
    )
    def test_takes_the_first_letter_for_the_word(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool
    ) -> None:
        running, out = runner(project, Interrupted())
        running = replace(running, yes=False)
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
        answers = iter(typed.split("\n"))
        monkeypatch.setattr("builtins.input", lambda *_: next(answers))
        planned = Ended(Report.of([step("update", old={"size": 6}, new={"size": 7}, diffs=["size"])]), Outcome(ok=True))
        with nullcontext() if agreed else pytest.raises(CommandError, match="Nothing was changed"):
            running._confirm(planned, "Update dev?")  # pyright: ignore[reportPrivateUsage]
        assert "Update dev? [yes/no/details] (no): " in out.getvalue()
        assert ("6 → 7" in out.getvalue()) == typed.startswith("d")


class TestElsewhere:
    def test_in_any_command(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        def pressed(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Session, "open", pressed)
        for command in ("plan", "doctor", "cost", "preview", "clouds start", "stack output"):
            monkeypatch.setattr(sys, "argv", ["factory", *command.split()])
            with pytest.raises(SystemExit) as caught:
                main.main()
            said = capsys.readouterr()
            assert (caught.value.code, said.err, said.out) == (130, "Interrupted.\n", ""), command

    def test_while_the_command_is_being_loaded(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Pressed(importlib.abc.MetaPathFinder):
            def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
                if fullname == "model_factory.cli.main":
                    raise KeyboardInterrupt

        monkeypatch.setenv("PATH", os.defpath)  # which the command adds its own folder to
        monkeypatch.delitem(sys.modules, "model_factory.cli.main")
        monkeypatch.setattr(sys, "meta_path", [Pressed(), *sys.meta_path])
        with pytest.raises(SystemExit) as caught:
            entry.main()
        assert (caught.value.code, capsys.readouterr().err) == (130, "Interrupted.\n")

    def test_other_ends_keep_their_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["factory", "no-such-command"])
        with pytest.raises(SystemExit) as caught:
            main.main()
        assert caught.value.code == 2
