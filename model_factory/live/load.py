"""Many requests to a model, one after another or as they would arrive, and the figures of their latencies."""

from __future__ import annotations

import itertools
import math
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from model_factory.live.asking import FAILURES, Asker, Connect
from model_factory.live.protocols.protocol import Call, Reply

AT_ONCE_MOST: Final = 256
"""Requests under way: beyond it they wait, and their latencies say so."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: its answer or why there was none, and the seconds from when it was due until its answer was there."""

    seconds: float
    reply: Reply | None
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


@dataclass(frozen=True, slots=True)
class Figures:
    """What many samples come to; latencies are of those that were answered, NaN where none was."""

    requests: int
    failures: int
    problems: tuple[tuple[str, int], ...]
    """What went wrong, the most frequent first, and how often."""
    wall_seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float

    @property
    def answers_per_second(self) -> float:
        return (self.requests - self.failures) / self.wall_seconds if self.wall_seconds else math.nan


def one(asker: Asker, call: Call, due: float | None = None) -> Sample:
    """One request now; its latency counts from `due` (of `time.perf_counter`)."""
    began = time.perf_counter() if due is None else due
    try:
        reply = asker.ask(call)
    except FAILURES as error:
        return Sample(time.perf_counter() - began, None, str(error) or type(error).__name__)
    seconds = time.perf_counter() - began
    return Sample(seconds, reply, "" if reply.ok else reply.problem)


def one_after_another(connect: Connect, call: Call, count: int) -> Iterator[Sample]:
    """Each begins when the one before has ended, on one connection."""
    with Asker(connect) as asker:
        for _ in range(count):
            yield one(asker, call)


def arriving(
    connects: Sequence[Connect], call: Call, count: int, per_second: float, *, seed: int = 0
) -> Iterator[Sample]:
    """Requests arrive at random (a Poisson process, the same for the same seed) whether or not earlier ones are answered, as from many
    users; each on a connection that is free, or a new one, spread over `connects`.

    Samples come in the order in which they ended. A latency counts from the arrival: what waits for a connection has waited.
    """
    due_ones: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Sample] = queue.SimpleQueue()
    free = threading.Semaphore(0)
    ways = itertools.cycle(connects)
    workers: list[threading.Thread] = []

    def work(connect: Connect) -> None:
        with Asker(connect) as asker:
            while (due := due_ones.get()) is not None:
                ended.put(one(asker, call, due))
                free.release()

    def arrive() -> None:
        arrivals = random.Random(seed)  # noqa: S311 (times, no secrets)
        due = time.perf_counter()
        for _ in range(count):
            time.sleep(max(due - time.perf_counter(), 0))
            if not free.acquire(blocking=False) and len(workers) < AT_ONCE_MOST:
                workers.append(threading.Thread(target=work, args=(next(ways),), daemon=True))
                workers[-1].start()
            due_ones.put(due)
            due += arrivals.expovariate(per_second)
        for _ in workers:
            due_ones.put(None)

    threading.Thread(target=arrive, daemon=True).start()
    for _ in range(count):
        yield ended.get()


def figures(samples: Sequence[Sample], wall_seconds: float) -> Figures:
    """The figures of samples; percentiles are those of the nearest rank."""
    latencies = sorted(each.seconds * 1000 for each in samples if each.ok)
    problems = Counter(each.problem for each in samples if not each.ok)

    def percentile(part: float) -> float:
        return latencies[max(math.ceil(part * len(latencies)) - 1, 0)] if latencies else math.nan

    return Figures(
        requests=len(samples),
        failures=len(samples) - len(latencies),
        problems=tuple(problems.most_common()),
        wall_seconds=wall_seconds,
        p50_ms=percentile(0.50),
        p95_ms=percentile(0.95),
        p99_ms=percentile(0.99),
        most_ms=latencies[-1] if latencies else math.nan,
    )
