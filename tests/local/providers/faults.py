"""One life of a resource over a connection that spoils its calls: each that changes something, and each kind of read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final, TypeVar

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.local import wire
from model_factory.local.providers import base, retries
from model_factory.local.wire import Properties
from tests.local.fault_proxy import FAULTS, Fault, FaultProxy
from tests.local.providers.protocol import Made, ProviderEngine

T = TypeVar("T")

UNSEEN_TIMES: Final = 2
"""How many reads in a row do not show what was just made."""
EVERYWHERE: Final[tuple[Fault, ...]] = ("reset before", "reset after")
SLOW_SECONDS: Final = 2.0
_CLEAR: Final = re.compile(r"(aws|gcp) (refused|gave no clear answer to) [\w.]+[.:]\w+: [\w.]+: \S[^\n]*")
_TOLD: Final = ("asked again", "looking for what it made", "found ")


def hurry(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Let retries pause for moments, and what is not there be given up soon, but where a test is of just that."""
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.005)
    if fault != "not found":
        monkeypatch.setattr(base, "VISIBLE_SECONDS", 0.2)


Cell = tuple[str, str, int]
"""(phase, operation, which of its calls in this phase)."""


@dataclass(frozen=True, slots=True)
class Clean:
    """An undisturbed life: the calls of each phase, which of them are reads, and how many objects it makes."""

    seen: dict[str, list[Cell]] = field(default_factory=dict[str, list[Cell]])
    reads: set[str] = field(default_factory=set[str])
    made: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True)
class Shown:
    """What the tests before this one found out, by name of a life, and what they spoiled."""

    clean: dict[str, Clean] = field(default_factory=dict[str, Clean])
    spoiled: set[tuple[Fault, str]] = field(default_factory=set[tuple[Fault, str]])


@dataclass
class Life:
    """A type from its birth to its end. `inputs_of` gives checked inputs for a name: each round has one of its own, as clouds
    remember some. `change` gives the inputs of an update."""

    name: str
    token: str
    engine: ProviderEngine
    proxy: FaultProxy
    fault: Fault
    log: pytest.LogCaptureFixture
    shown: Shown
    inputs_of: Callable[[str], Properties]
    change: Callable[[Made], Properties] | None = None
    lingers: bool = False
    figures: Counter[str] = field(default_factory=Counter[str])

    def through_every_call(self) -> Counter[str]:
        """One call of each phase is spoiled in each round, until all were."""
        prefix = f"fault-{FAULTS.index(self.fault)}"
        if self.name not in self.shown.clean:
            self.clean = Clean()
            self._round(f"{prefix}-0", {})
            self.shown.clean[self.name] = self.clean
        self.clean = self.shown.clean[self.name]
        wanted = [[cell for cell in cells if self._matters(cell)] for cells in self.clean.seen.values()]
        for number, cells in enumerate(zip_longest(*wanted), 1):
            self._round(f"{prefix}-{number}", {cell[0]: cell for cell in cells if cell})
        return self.figures

    def _matters(self, cell: Cell) -> bool:
        """How a lost answer is dealt with is each type's own; how it is known to be lost is the same for all: once an operation."""
        phase, name, occurrence = cell
        is_read = name in self.clean.reads
        if self.fault == "not found" and not (phase == "create" and is_read):
            return False
        if ":Head" in name and self.fault in (
            "cut after",
            "chunk cut after",
            "page before",
            "page after",
            "nonsense after",
        ):
            return False  # its answer has no body
        if self.fault == "nonsense after" and name.startswith("s3:"):
            return (
                False  # S3 answers with nothing at all, or with a document of the user's, of which any text may be one
            )
        if self.fault in EVERYWHERE and not is_read:
            return True
        fresh = (self.fault, name) not in self.shown.spoiled
        self.shown.spoiled.add((self.fault, name))
        return fresh and occurrence == 1

    def _round(self, name: str, cells: dict[str, Cell]) -> None:
        engine = self.engine
        inputs = self.inputs_of(name)
        before = engine.held()
        made, whole = self._phase("create", cells, lambda: engine.brought_up(self.token, inputs, name=name))
        if not cells:
            self.clean.made.append(sum(engine.held().values()) - sum(before.values()))
        orphans = sum(engine.held().values()) - sum(before.values()) - self.clean.made[0]
        self.figures["orphans"] += orphans
        assert orphans == 0, (cells, whole)
        read, _ = self._phase("read", cells, lambda: engine.persisted(lambda: engine.read(made)))
        assert wire.decode(read.inputs) == inputs, cells
        assert engine.diff(made, inputs).changes == pb.DiffResponse.DIFF_NONE, cells
        if self.change:
            changed = self.change(made)
            old = made
            made, _ = self._phase("update", cells, lambda: engine.persisted(lambda: engine.update(old, changed)))
            drift = engine.diff(made, changed, wire.decode(engine.read(made).inputs))
            assert drift.changes == pb.DiffResponse.DIFF_NONE, (cells, drift)
        last = made
        self._phase("delete", cells, lambda: engine.persisted(lambda: engine.delete(last)))
        left = 0 if self.lingers else sum(engine.held().values()) - sum(before.values())
        self.figures["orphans"] += left
        assert left == 0, cells

    def _phase(self, phase: str, cells: dict[str, Cell], step: Callable[[], tuple[T, int]]) -> tuple[T, int]:
        """What the step comes to; its calls are noted, or one of them is spoiled."""
        proxy, said = self.proxy, self.engine.said
        cell = cells.get(phase)
        proxy.pass_all()
        if cell:
            proxy.only(cell[1], cell[2], self.fault, UNSEEN_TIMES if self.fault == "not found" else 1)
        said.clear()
        self.log.clear()
        result, runs = step()
        if not cells:
            names = [each.name for each in proxy.asked]
            numbered = [(phase, name, names[: at + 1].count(name)) for at, name in enumerate(names)]
            self.clean.reads.update(each.name for each in proxy.asked if not each.changes)
            self.clean.seen[phase] = [cell for cell in numbered if cell[1] not in self.clean.reads or cell[2] == 1]
        if cell:
            told = [line for line in self.log.messages if any(part in line for part in _TOLD)]
            assert proxy.spoiled, f"{cell} was not called this time"
            assert runs <= 2, (cell, said)
            assert said or told or self.fault == "not found", f"nothing tells of {cell}"
            for line in said:
                assert _CLEAR.match(line), f"{cell}: {line}"
            self.figures += Counter(
                {"calls": 1, "at once": runs == 1, "at the next run": runs == 2, "asked again": len(told)}
            )
        proxy.pass_all()
        return result, runs
