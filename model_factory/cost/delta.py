"""Two bills side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from model_factory.cost.values import Bill, Change, Delta, Line, LineChange, Sums

Key = TypeVar("Key")


def delta_of(before: Bill, after: Bill) -> Delta:
    """What changes from one bill to the other."""
    return Delta(
        before=before,
        after=after,
        total=Change(before.total, after.total),
        sites=_changes(before.by_site, after.by_site),
        legs=_changes(before.by_leg, after.by_leg),
        clouds=_changes(before.by_cloud, after.by_cloud),
        lines=_lines(before, after),
        missing=after.missing,
        warnings=after.warnings,
    )


def _changes(before: Mapping[Key, Sums], after: Mapping[Key, Sums]) -> dict[Key, Change]:
    keys = [*after, *(key for key in before if key not in after)]
    rows = {key: Change(before.get(key, Sums()), after.get(key, Sums())) for key in keys}
    return {key: row for key, row in rows.items() if row.before != row.after}


def _lines(before: Bill, after: Bill) -> tuple[LineChange, ...]:
    old = {(line.urn, line.kind): line for line in before.lines}
    new = {(line.urn, line.kind): line for line in after.lines}
    pairs = [(old.get(key), new.get(key)) for key in [*new, *(key for key in old if key not in new)]]
    return tuple(LineChange(a, b) for a, b in pairs if a is None or b is None or _bare(a) != _bare(b))


def _bare(line: Line) -> Line:
    return replace(line, estimated="")
