from __future__ import annotations

import math
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from itertools import pairwise

import pytest

from model_factory.live.asking import at_address
from model_factory.live.load import Sample, arriving, figures, one_after_another
from model_factory.live.protocols.protocol import Call, Reply
from tests.live.server import Answer, Server

CALL = Call("GET", "/")


def sample(milliseconds: float, problem: str = "") -> Sample:
    return Sample(milliseconds / 1000, None if problem else Reply(200, b""), problem)


class TestFigures:
    def test_percentiles_are_those_of_the_nearest_rank(self) -> None:
        told = figures([sample(float(number)) for number in range(100, 0, -1)], 2.0)
        assert (told.p50_ms, told.p95_ms, told.p99_ms, told.most_ms) == pytest.approx((50, 95, 99, 100))
        assert told.answers_per_second == 50

    def test_failures_are_counted_by_what_they_say_and_are_in_no_latency(self) -> None:
        told = figures([sample(1), sample(9000, "status 503"), sample(9000, "status 503"), sample(9000, "reset")], 1.0)
        assert (told.requests, told.failures, told.most_ms) == (4, 3, pytest.approx(1))
        assert told.problems == (("status 503", 2), ("reset", 1))

    def test_none_answered_has_no_latency(self) -> None:
        assert math.isnan(figures([sample(1, "no")], 1.0).p50_ms)


class TestOneAfterAnother:
    def test_use_one_connection(self, server: Callable[[Answer], Server]) -> None:
        serving = server(lambda _: Reply(200, b"{}"))
        assert [each.ok for each in one_after_another(at_address(serving.url), CALL, 5)] == [True] * 5
        assert serving.connections == 1

    def test_a_status_is_a_failure_that_says_what_the_server_said(self, server: Callable[[Answer], Server]) -> None:
        serving = server(lambda _: Reply(503, b"warming\nup"))
        (found,) = one_after_another(at_address(serving.url), CALL, 1)
        assert found.problem == "status 503: warming / up"

    def test_a_connection_that_the_server_has_closed_is_made_anew(self, server: Callable[[Answer], Server]) -> None:
        serving = server(lambda _: Reply(200, b"{}"), closing=True)
        assert all(each.ok for each in one_after_another(at_address(serving.url), CALL, 3))
        assert serving.connections == 3

    def test_nobody_there_is_a_failure(self) -> None:
        (found,) = one_after_another(lambda: HTTPConnection("127.0.0.1", 9), CALL, 1)
        assert "refused" in found.problem.lower()


class TestArriving:
    def test_do_not_wait_for_earlier_answers(self, server: Callable[[Answer], Server]) -> None:
        together = threading.Barrier(4)

        def answer(_: Call) -> Reply:
            # Nobody is answered before all have come.
            together.wait(30)
            return Reply(200, b"{}")

        serving = server(answer)
        found = list(arriving([at_address(serving.url)], CALL, 4, 1000.0))
        assert [each.ok for each in found] == [True] * 4
        assert serving.connections == 4

    def test_are_spread_over_all_ways(self, server: Callable[[Answer], Server]) -> None:
        together = threading.Barrier(4)

        def answer(_: Call) -> Reply:
            together.wait(30)
            return Reply(200, b"{}")

        servers = [server(answer), server(answer)]
        list(arriving([at_address(each.url) for each in servers], CALL, 4, 1000.0))
        assert [each.connections for each in servers] == [2, 2]

    def test_a_connection_that_is_free_is_used_again(self, server: Callable[[Answer], Server]) -> None:
        serving = server(lambda _: Reply(200, b"{}"))
        assert len(list(arriving([at_address(serving.url)], CALL, 20, 50.0))) == 20
        assert serving.connections < 20

    def test_failures_are_samples(self, server: Callable[[Answer], Server]) -> None:
        serving = server(lambda _: Reply(500, b""))
        assert [each.ok for each in arriving([at_address(serving.url)], CALL, 3, 1000.0)] == [False] * 3


class TestRate:
    def test_the_gaps_are_random_with_the_mean_that_was_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # A clock of its own: no machine is too slow for it.
        dues: list[float] = []
        monkeypatch.setattr("model_factory.live.load.one", lambda _asker, _call, due: dues.append(due) or sample(1))
        list(arriving([at_address("http://127.0.0.1:9")], CALL, 2000, 10_000.0))
        gaps = [after - before for before, after in pairwise(sorted(dues))]
        mean = sum(gaps) / len(gaps)
        assert mean == pytest.approx(1 / 10_000, rel=0.1)
        # Of an exponential distribution the deviation is the mean.
        deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
        assert deviation == pytest.approx(mean, rel=0.15)
