"""Progress of an operation, as it stands on a terminal and in a log."""

from __future__ import annotations

import io
import re
import threading
from typing import Any

import pytest
from rich.console import Console

from model_factory.cli.progress import Progress
from model_factory.graph.masking import Masker
from model_factory.graph.urn import STACK_TYPE
from tests.cli.screen import Screen
from tests.preview import samples

BUCKET = "aws:s3/bucket:Bucket"
Event = dict[str, Any]


def began(name: str, op: str = "create", type_: str = BUCKET, **more: Any) -> Event:
    return {"resourcePreEvent": {"metadata": _metadata(name, op, type_, **more)}}


def ended(name: str, op: str = "create", type_: str = BUCKET, **more: Any) -> Event:
    return {"resOutputsEvent": {"metadata": _metadata(name, op, type_, **more)}}


def failed(name: str, op: str = "create") -> Event:
    return {"resOpFailedEvent": {"metadata": _metadata(name, op, BUCKET), "status": 0, "steps": 0}}


def _metadata(name: str, op: str, type_: str, **more: Any) -> Event:
    return samples.step(op, type_, name, new={}, **more)["resOutputsEvent"]["metadata"] | {"logical": "-" not in op}


def on_terminal(*events: Event, columns: int = 80, rows: int = 24, **options: Any) -> tuple[list[str], Screen]:
    """The last block that could be seen, and the screen when all was over."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=columns, height=rows, highlight=False)
    console.print("said before")
    with Progress(console, "Updating dev", Masker(), **options) as progress:
        for event in events:
            progress(event)
    screen = Screen(columns, rows)
    screen.feed(out.getvalue())
    return "\n".join(screen.frames[-1]).rstrip().splitlines(), screen


def in_log(*events: Event, lines: int = 1, **options: Any) -> list[str]:
    """What a log holds once that many lines of progress were due."""
    told = threading.Event()

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            written = super().write(text)
            if self.getvalue().count("\n") > lines:
                told.set()
            return written

    out = Log()
    with Progress(
        Console(file=out, width=200), "Updating dev", Masker(), line_every_seconds=0.02, **options
    ) as progress:
        for event in events:
            progress(event)
        assert told.wait(10), "no line though nothing happens: it hangs for all that a log says"
    return out.getvalue().splitlines()


def seconds_struck(lines: list[str]) -> list[str]:
    return [re.sub(r"\d+ s\b", "_ s", line) for line in lines]


class TestTerminal:
    def test_each_resource_under_way_has_its_state_and_time_the_longest_running_first(self) -> None:
        block, _ = on_terminal(began("a"), began("b", "update"), began("c"), ended("a"), expected_changes=3)
        head, *rows = seconds_struck(block[1:])
        assert head.endswith("Updating dev: 1 of 3 done, 2 under way, _ s")
        assert [row.split() for row in rows] == [
            ["~", "updating", "aws:s3:Bucket", "b", "_", "s"],
            ["+", "creating", "aws:s3:Bucket", "c", "_", "s"],
            ["+", "created", "aws:s3:Bucket", "a", "_", "s"],
        ]

    def test_a_failure_stays_with_its_reason_whatever_ends_after_it(self) -> None:
        others = [each(f"b{number}") for number in range(40) for each in (began, ended)]
        reason = samples.error("AccessDenied: no\nmore", samples.urn(BUCKET, "a"))
        block, _ = on_terminal(began("a"), reason, failed("a"), *others, expected_changes=41)
        assert "40 of 41 done, 1 failed" in block[1]
        assert "create failed aws:s3:Bucket a: AccessDenied: no " in block[2]

    @pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (200, 50)])
    def test_the_block_fits_however_much_is_under_way_or_has_failed(self, columns: int, rows: int) -> None:
        names = [f"dev-aws-us-east-1-{'image-classifier-' * 6}{number}" for number in range(200)]
        kind = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
        events = [began(name, "create-replacement", kind) for name in names]
        lost = [each(f"b{number}") for number in range(60) for each in (began, failed)]
        block, screen = on_terminal(*events, *lost, columns=columns, rows=rows)
        assert len(screen.lines) <= rows
        assert max(map(len, block)) <= columns
        assert block[0] == "said before"
        assert any("failed" in line for line in block[2:])
        assert any(line.lstrip().startswith("++") and ("-0" in line or columns < 80) for line in block)
        assert block[-1].strip().endswith("more resources")

    def test_nothing_of_it_is_left_also_after_ctrl_c(self) -> None:
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=80, height=24)

        def interrupted() -> None:
            with Progress(console, "Updating dev", Masker()) as progress:
                progress(began("a"))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        screen = Screen()
        screen.feed(out.getvalue())
        assert screen.frames
        assert not any(screen.seen)
        assert screen.cursor_shown

    def test_the_block_never_gets_lower(self) -> None:
        out = io.StringIO()
        with Progress(Console(file=out, force_terminal=True, width=80, height=24), "x", Masker()) as progress:
            for name in "abcdef":
                progress(began(name))
            first = len(_drawn(progress))
            for name in "abcdef":
                progress(ended(name, "create"))
            progress._ended.clear()  # pyright: ignore[reportPrivateUsage] - as if there were none to fill the room with
            assert len(_drawn(progress)) == first == 7


def _drawn(progress: Progress) -> list[str]:
    console = Console(file=io.StringIO(), width=80, height=24)
    console.print(progress._block())  # pyright: ignore[reportPrivateUsage] - what a refresh would draw
    text: io.StringIO = console.file  # pyright: ignore[reportAssignmentType]
    return text.getvalue().splitlines()


class TestCounts:
    def test_a_resource_counts_once_however_many_steps_and_events_it_has(self) -> None:
        replaced = [
            began("a", "replace"), ended("a", "replace"),
            *(each("a", op) for op in ("create-replacement", "delete-replaced") for each in (began, ended)),
        ]  # fmt: skip
        block, _ = on_terminal(*replaced, began("b"), ended("b"), expected_changes=2)
        assert "2 of 2 done" in block[1]

    def test_a_component_is_done_and_never_waited_for(self) -> None:
        block, _ = on_terminal(began("c", type_="x:y:Z", custom=False), began("a"), expected_changes=2)
        assert "0 of 2 done, 1 under way" in block[1]
        assert not any("x:y:Z" in line for line in block)
        block, _ = on_terminal(began("c", type_="x:y:Z", custom=False), ended("c", type_="x:y:Z", custom=False))
        assert "1 done" in block[1]

    def test_a_preview_counts_resources_not_events(self) -> None:
        planned = samples.step("create", new={})
        block, _ = on_terminal({"resourcePreEvent": planned["resOutputsEvent"]}, planned)
        assert "1 resource looked at" in block[1]


class TestPhases:
    PRELUDE: Event = {"preludeEvent": {"config": {}}}  # noqa: RUF012
    LOAD: Event = {"policyLoadEvent": {}}  # noqa: RUF012

    def test_of_either_engine_are_named_where_no_resource_is(self) -> None:
        stack = ended("p-dev", type_=STACK_TYPE, custom=False)
        events: list[tuple[Event, str]] = [
            (self.LOAD, "loading policies, running the program"),
            (stack, "running the program"),
            (ended("a"), "running the program"),
            (stack, "asking policies about the stack"),
            ({"policyAnalyzeStackSummaryEvent": {}}, "ending"),
        ]
        for first in ([self.PRELUDE], []):
            for number in range(len(events)):
                block, _ = on_terminal(*first, *(event for event, _ in events[: number + 1]))
                assert f"{events[number][1]}, 0 s" in block[1]

    def test_of_a_run_without_policies_or_program(self) -> None:
        assert "starting, 0 s" in on_terminal()[0][1]
        assert "running the program, 0 s" in on_terminal(self.PRELUDE)[0][1]
        assert "reading the state, 0 s" in on_terminal(self.PRELUDE, begins="reading the state")[0][1]


class TestLog:
    def test_a_line_is_due_though_nothing_happens_and_names_what_is_waited_for(self) -> None:
        title, *lines = in_log(began("a"), ended("a"), began("slow"), began("b"), expected_changes=9, lines=3)
        assert title == "Updating dev …"
        assert seconds_struck(lines)[-1] == (
            "Updating dev: 1 of 9 done, 2 under way, _ s; waiting _ s for aws:s3:Bucket slow and 1 more"
        )

    def test_has_what_is_waited_for_as_its_provider_last_told_it(self) -> None:
        event = began("slow")
        urn = event["resourcePreEvent"]["metadata"]["urn"]
        told = [
            {"diagnosticEvent": {"urn": urn, "severity": "info", "message": f"{count} of 2 replicas are available\n"}}
            for count in (0, 1)
        ]
        lines = in_log(event, *told, lines=3)
        assert lines[-1].endswith(" s for aws:s3:Bucket slow: 1 of 2 replicas are available")

    def test_has_no_control_character(self) -> None:
        assert "\x1b" not in "".join(in_log(began("a")))
