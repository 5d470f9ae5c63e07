from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from model_factory.cli import steps as module
from model_factory.cli.steps import Steps, duration


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def said(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


class TestSteps:
    def test_the_sum_has_each_step_and_what_lies_between_them_in_all(self, clock: list[float]) -> None:
        console = Console(file=StringIO(), width=80)
        steps = Steps(console)
        with steps.step("programs", "building"):
            clock[0] += 61
        clock[0] += 3
        with steps.step("stack", "bringing up"):
            clock[0] += 20
        console.print(steps.sum())
        assert said(console) == [
            "programs: building",
            "stack: bringing up",
            "programs   1 min 1 s",
            "stack           20 s",
            "in all    1 min 24 s",
        ]

    def test_a_step_that_failed_took_no_time(self, clock: list[float]) -> None:
        steps = Steps(Console(file=StringIO()))
        with pytest.raises(OSError), steps.step("stack", "bringing up"):  # noqa: PT011
            raise OSError
        assert steps.seconds == {}

    def test_quiet_ones_say_nothing(self, clock: list[float]) -> None:
        console = Console(file=StringIO())
        with Steps(console, quiet=True).step("stack", "bringing up"):
            pass
        assert said(console) == []


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.04, "0.0 s"), (0.4, "0.4 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (364, "6 min 4 s")]
)
def test_durations_are_told_in_minutes_and_seconds(seconds: float, told: str) -> None:
    assert duration(seconds) == told
