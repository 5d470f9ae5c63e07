"""What clouds hold single values to and their published models do not say: lengths, characters, sizes, counts, ranges.

The tables named `limits.csv` are data: a line a rule, with the page that it comes from beside it. Rules that join several values are functions,
in the types' own files. How many objects an account may have is no rule here: accounts differ, and no resource's inputs show it.
"""

from __future__ import annotations

import base64
import binascii
import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from model_factory.graph import paths, quantity
from model_factory.local.wire import Unknown, Value

COLUMNS: Final = ("type", "path", "measure", "least", "most", "form", "rule", "source")
_SHOWN: Final = 60


def _letters(value: Value) -> int:
    """Of a document, without the white space, which IAM does not count."""
    text = value if isinstance(value, str) else json.dumps(value)
    return len(re.sub(r"\s", "", text))


def _decoded_bytes(value: Value) -> int:
    try:
        return len(base64.b64decode(str(value), validate=True))
    except (binascii.Error, ValueError):
        return -1


MEASURES: Final[Mapping[str, Callable[[Value], float]]] = {
    "characters": lambda value: len(str(value)),
    "bytes": lambda value: len((value if isinstance(value, str) else json.dumps(value)).encode()),
    "letters": _letters,
    "decoded bytes": _decoded_bytes,
    "items": lambda value: len(value) if isinstance(value, list | dict) else 0,
    "quantity": lambda value: float(quantity.amount(value)),
    "number": lambda value: float(value) if isinstance(value, int | float) else 0,
}
"""How much of something a value is; `-1` for one that cannot be measured, which is below every limit."""
RANGES: Final[Mapping[str, Callable[[IPv4Network, list[IPv4Network]], bool]]] = {
    "within": lambda given, named: any(given.subnet_of(each) for each in named),
    "outside": lambda given, named: not any(given.subnet_of(each) for each in named),
    "apart": lambda given, named: not any(given.overlaps(each) for each in named),
}
"""How a range must lie to the networks in `form`: in one of them, in none (it may hold them), touching none."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule for the value at a path: how much of `measure` it has at least and at most, and what it looks like.

    path: `[*]` stands for each item of a list or each value of a map, a last `[keys]` for each key of a map; empty is the whole.
    measure: one of `MEASURES`, with `form` what the whole text matches; one of `RANGES`, with networks as `form`; or `fields`: how many of
    those named in `form` an object has.
    rule: what is right, in words that can follow "use".
    source: the vendor's page.
    """

    path: str
    measure: str
    least: float
    most: float
    form: str
    rule: str
    source: str

    def faults(self, who: str, whole: Value) -> Iterable[tuple[paths.Path, str]]:
        """Where and why `who` would refuse it; what is not known yet breaks no rule."""
        path, keys, _ = self.path.partition("[keys]")
        for where, value in at(whole, paths.parse(path)):
            each = [((*where, key), key) for key in value] if keys and isinstance(value, dict) else [(where, value)]
            for place, item in each:
                if fault := self._fault(who, item):
                    yield place, fault

    def _fault(self, who: str, value: Value) -> str:
        if self.measure == "fields":
            given = [name for name in self.form.split() if isinstance(value, dict) and value.get(name) is not None]
            said = f"has {' and '.join(given)}" if given else f"has none of {', '.join(self.form.split())}"
            return "" if self.least <= len(given) <= self.most else f"{said}; use {self.rule}"
        shown = _shown(value)
        if self.measure in RANGES:
            fits = _ranged(str(value), self.form, RANGES[self.measure])
        else:
            fits = not self.form or re.fullmatch(self.form, str(value)) is not None
        if not fits:
            return f"{shown} is refused by {who}; use {self.rule}"
        measure = MEASURES.get(self.measure)
        if measure is None or (self.measure == "number" and not isinstance(value, int | float)):
            return ""
        if self.least <= (have := measure(value)) <= self.most:
            return ""
        told = shown if self.measure in ("number", "quantity") else f"{shown} has {have:.0f} {self.measure}"
        return f"{'is not base64' if have < 0 and self.measure == 'decoded bytes' else told}; {who} takes {self._bounds()}: use {self.rule}"

    def _bounds(self) -> str:
        if self.most == float("inf"):
            return f"at least {self.least:.0f}"
        return (
            f"{self.least:.0f} to {self.most:.0f}"
            if self.least > 0 or self.measure == "number"
            else f"at most {self.most:.0f}"
        )


@cache
def load_limits(table: Path) -> Mapping[str, tuple[Limit, ...]]:
    """The limits of each type, by token. ValueError names a line that is not as `COLUMNS` say."""
    found: dict[str, list[Limit]] = defaultdict(list)
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{table.name}: the columns are {rows.fieldnames}; they must be {', '.join(COLUMNS)}")
        for row in rows:
            least, most = float(row["least"] or 0), float(row["most"] or "inf")
            limit = Limit(row["path"], row["measure"], least, most, row["form"], row["rule"], row["source"])
            for token in row["type"].split():
                found[token].append(limit)
    return {token: tuple(limits) for token, limits in found.items()}


def at(value: Value, path: paths.Path, where: paths.Path = ()) -> Iterable[tuple[paths.Path, Value]]:
    """The known values at a path in which a wildcard stands for each item of a list and each value of a map."""
    if not path:
        if value is not None and not isinstance(value, Unknown):
            yield where, value
    elif path[0] == paths.WILDCARD and isinstance(value, list):
        for index, item in enumerate(value):
            yield from at(item, path[1:], (*where, index))
    elif path[0] == paths.WILDCARD and isinstance(value, dict):
        for key, item in value.items():
            yield from at(item, path[1:], (*where, key))
    elif isinstance(value, dict):
        yield from at(value.get(str(path[0])), path[1:], (*where, path[0]))


def _ranged(text: str, networks: str, right: Callable[[IPv4Network, list[IPv4Network]], bool]) -> bool:
    """Whether a range lies right to these networks. What is no IPv4 range is left to the check of its form."""
    try:
        given = IPv4Network(text)
    except ValueError:
        return True
    return right(given, [IPv4Network(each) for each in networks.split()])


def _shown(value: Value) -> str:
    if isinstance(value, list | dict):
        return "the list" if isinstance(value, list) else "the map"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
