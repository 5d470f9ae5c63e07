"""Which calls are made again, and what is told of it."""

from __future__ import annotations

import logging

import pytest

from model_factory.local.providers import retries
from model_factory.local.providers.errors import AnswerLostError, BusyError, CloudError, kind_of
from model_factory.local.providers.retries import ATTEMPTS, persistently


def refusal(kind: type[CloudError]) -> CloudError:
    return kind(cloud="toy", operation="CreateBox", code="Slow", message="later")


class Cloud:
    """Fails `times` times with errors of `kind`, then answers."""

    def __init__(self, kind: type[CloudError], times: int) -> None:
        self.kind, self.times, self.asked = kind, times, 0

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self.times:
            raise refusal(self.kind)
        return "done"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", slept.append)  # type: ignore[attr-defined]
    return slept


class TestRepetition:
    @pytest.mark.parametrize("repeatable", [True, False])
    def test_a_call_that_was_not_done_is_made_again(self, repeatable: bool) -> None:
        cloud = Cloud(BusyError, ATTEMPTS - 1)
        assert persistently(cloud, repeatable=repeatable) == "done"

    def test_a_call_that_may_have_been_done_is_made_again_only_where_that_does_no_harm(self) -> None:
        assert persistently(Cloud(AnswerLostError, 1), repeatable=True) == "done"
        once = Cloud(AnswerLostError, 1)
        with pytest.raises(AnswerLostError):
            persistently(once, repeatable=False)
        assert once.asked == 1

    def test_a_refusal_is_final(self) -> None:
        cloud = Cloud(CloudError, 1)
        with pytest.raises(CloudError):
            persistently(cloud, repeatable=True)
        assert cloud.asked == 1

    def test_pauses_grow_and_there_is_an_end_that_says_how_often(self, pauses: list[float]) -> None:
        cloud = Cloud(BusyError, ATTEMPTS)
        with pytest.raises(BusyError, match=rf"refused CreateBox: Slow: later \(asked {ATTEMPTS} times\)"):
            persistently(cloud, repeatable=True)
        assert cloud.asked == ATTEMPTS
        assert len(pauses) == ATTEMPTS - 1
        for tries, pause in enumerate(pauses):
            longest = retries.FIRST_PAUSE_SECONDS * 2**tries
            assert longest / 2 <= pause <= longest <= retries.LONGEST_PAUSE_SECONDS

    def test_each_repetition_is_a_line_of_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, retries.log.name):
            persistently(Cloud(BusyError, 2), repeatable=True)
        assert [line.partition("; ")[0] for line in caplog.messages] == ["toy refused CreateBox: Slow: later"] * 2
        assert caplog.messages[1].endswith(f"3 of {ATTEMPTS}")


class TestKind:
    @pytest.mark.parametrize(
        ("cause", "status", "kind"),
        [
            ("throttling", 400, BusyError),
            ("throttling", 503, BusyError),
            (None, 500, AnswerLostError),
            (None, 503, AnswerLostError),
            ("quota", 429, CloudError),
            ("permission", 403, CloudError),
        ],
    )
    def test_follows_cause_and_status(self, cause: str | None, status: int, kind: type[CloudError]) -> None:
        assert kind_of(cause, status, gone=False) is kind
