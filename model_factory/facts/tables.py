"""How the price tables of the clouds' folders are read, and which prices cannot be right."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from typing import Final, TypeVar

Row = TypeVar("Row")

HOURS_A_MONTH: Final = 730
LEAST_SHARE_OF_DEAREST: Final = Decimal("0.7")
"""Regions of one cloud differ by less than this for the same item; cheaper rows are another kind of offer in the wrong column."""


def table(*path: str) -> str:
    """The text of a table that comes with this package: a cloud's folder and the file, or a file for all clouds."""
    return resources.files("model_factory.facts").joinpath(*path).read_text(encoding="utf-8")


def read_rows(name: str, text: str, columns: Sequence[str], make: Callable[[Mapping[str, str]], Row]) -> list[Row]:
    """The rows of one table, as `make` makes them of their cells. ValueError names the line that is not as `columns` say."""
    lines = csv.DictReader(text.splitlines())
    if tuple(lines.fieldnames or ()) != tuple(columns):
        raise ValueError(f"{name}.csv: the columns are {lines.fieldnames}; they must be {', '.join(columns)}")
    rows: list[Row] = []
    for number, cells in enumerate(lines, start=2):
        try:
            rows.append(make(cells))
        except (ValueError, ArithmeticError, TypeError) as broken:
            raise ValueError(f"{name}.csv:{number}: {broken!r} in {cells}") from broken
    return rows


def mispriced(rows: Iterable[tuple[Hashable, Decimal, Decimal | None]]) -> list[str]:
    """What is wrong with each row's price, empty for a row that can be right. A row is its item (the same in all regions), its price
    on demand and its spot price.

    Price tables mix on-demand prices with reservations, calendar and flex offers in one column. Two signs give that away: spot at or
    above on-demand, and a price under `LEAST_SHARE_OF_DEAREST` of the same item's dearest region.
    """
    rows = list(rows)
    dearest: defaultdict[Hashable, Decimal] = defaultdict(Decimal)
    for item, usd, _ in rows:
        dearest[item] = max(dearest[item], usd)
    return [_mispriced(usd, spot, dearest[item]) for item, usd, spot in rows]


def _mispriced(usd: Decimal, spot: Decimal | None, dearest: Decimal) -> str:
    if usd <= 0 or (spot is not None and spot <= 0):
        return "a price is not above 0"
    if spot is not None and spot >= usd:
        return f"spot {spot} is not below on-demand {usd}"
    if usd < dearest * LEAST_SHARE_OF_DEAREST:
        return f"{usd} is under {LEAST_SHARE_OF_DEAREST} of the dearest region's {dearest}"
    return ""
