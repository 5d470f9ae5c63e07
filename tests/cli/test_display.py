"""What a person is shown of an operation that is previewed first."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from model_factory.cli.display import Display, Ended
from model_factory.engines.protocol import Outcome
from model_factory.preview.events import Report
from tests.preview.samples import error, step, warning


def shown(*calls: str) -> str:
    """What stands on the terminal after these methods were called for an `up` that warns."""
    session: Any = SimpleNamespace(stack="dev", project=SimpleNamespace(name="p"), is_local=False)
    display = Display(session)
    display.console = Console(file=io.StringIO(), width=200, no_color=True)
    ended = Ended(
        Report.of([warning("llm moves"), step("create", new={}), error("no room")]), Outcome(ok=True, outputs={})
    )
    for call in calls:
        getattr(display, call)(ended, *(["up"] if call == "end" else []))
    return cast("io.StringIO", display.console.file).getvalue()


class TestWarnings:
    def test_are_told_before_the_question_and_not_again_after_it(self) -> None:
        assert shown("plan", "end").count("llm moves") == 1
        assert shown("plan", "details", "end").count("llm moves") == 1

    def test_are_told_by_a_change_that_nobody_was_asked_about(self) -> None:
        assert shown("end").count("llm moves") == 1

    def test_errors_are_told_each_time(self) -> None:
        assert shown("plan", "end").count("no room") == 2
