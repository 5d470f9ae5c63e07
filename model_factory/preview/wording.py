"""The words and signs that terminal, comment, page and pictures share: operations, types, values, counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from model_factory.graph.masking import MASK, UNKNOWN_TEXT, name_unknowns

Tone = Literal["create", "update", "replace", "delete", "same"]

MAX_VALUE_CHARACTERS: Final = 120


@dataclass(frozen=True, slots=True)
class Op:
    """An operation on a resource: its sign, its colour, what it is called before it is done, after, and while it is."""

    symbol: str
    tone: Tone
    planned: str
    done: str
    doing: str

    @property
    def to_do(self) -> str:
        """As a tally before it says it."""
        return self.planned if self.planned == self.done else f"to {self.planned}"


_OPS: Final[Mapping[str, Op]] = {
    "create": Op("+", "create", "create", "created", "creating"),
    "update": Op("~", "update", "update", "updated", "updating"),
    "replace": Op("±", "replace", "replace", "replaced", "replacing"),
    "delete": Op("−", "delete", "delete", "deleted", "deleting"),
    "import": Op("=", "create", "import", "imported", "importing"),
    "discard": Op("○", "delete", "forget", "forgotten", "forgetting"),
    "same": Op("", "same", "unchanged", "unchanged", "unchanged"),
    "create-replacement": Op("++", "replace", "create replacement", "created replacement", "creating replacement"),
    "delete-replaced": Op("−−", "delete", "delete original", "deleted original", "deleting original"),
    "discard-replaced": Op("○○", "delete", "forget original", "forgot original", "forgetting original"),
    "read": Op(">", "same", "read", "read", "reading"),
    "refresh": Op("~", "same", "refresh", "refreshed", "reading back"),
}


def op_of(name: str) -> Op:
    """What an operation is called; one that a newer engine has invented stands under its own name."""
    return _OPS.get(name) or Op("?", "same", name, name, name)


def short_type(token: str) -> str:
    """`aws:eks/cluster:Cluster` as `aws:eks:Cluster`, as Pulumi's own display has it."""
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    return ":".join(part for part in (package, module.split("/", 1)[0], name) if part)


def show_value(value: Any, most: int = MAX_VALUE_CHARACTERS) -> str:
    """A masked value in one line of JSON of at most `most` characters; what is secret or not known is not quoted."""
    if isinstance(value, str) and name_unknowns(value) in {MASK, UNKNOWN_TEXT}:
        return name_unknowns(value)
    text = name_unknowns(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def count(number: int, noun: str) -> str:
    """`1 resource`, `2 resources`, `3 policies`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("cy") else f"{number:,} {noun}s"


def join_first(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def beginning_of(names: Sequence[str]) -> str:
    """What most of some names begin with, up to a hyphen, where that is worth folding; empty where at most one does."""
    counts = Counter(
        name[:end]
        for name in dict.fromkeys(names)
        for end in range(1, len(name) + 1)
        if name[end : end + 1] in {"-", ""}
    )
    best = max(counts, key=lambda each: (counts[each] - 1) * len(each), default="")
    return best if counts[best] > 1 else ""


def folded(names: Sequence[str]) -> dict[str, str]:
    """Names with a sign in place of what most of them begin with: `…-weights`. A name that is no more than that stays whole."""
    start = f"{beginning_of(names)}-"
    return {
        name: f"…-{name.removeprefix(start)}" if len(start) > 1 and name.startswith(start) else name for name in names
    }
