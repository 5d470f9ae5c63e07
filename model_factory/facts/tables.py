"""How the price tables of the clouds' folders are read, and which prices cannot be right."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from statistics import median
from typing import Final, NamedTuple, TypeVar

Row = TypeVar("Row")

HOURS_A_MONTH: Final = 730
LEAST_SHARE: Final = Decimal("0.75")
"""Regions of one cloud differ by less than this for the same item, as it stands or their levels apart; cheaper rows are another kind of offer."""
ENOUGH: Final = 3
"""Items that tell how dear a place is."""


class Quoted(NamedTuple):
    """A price as it is judged: `item` is the same in all places, `place` a region of one cloud."""

    item: Hashable
    place: Hashable
    usd: Decimal
    spot_usd: Decimal | None = None
    reserved_usd: Decimal | None = None
    is_comparable: bool = True
    """Is it held against other regions' prices?"""


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


def mispriced(rows: Iterable[Quoted], levels: Mapping[Hashable, Decimal] | None = None) -> list[str]:
    """What is wrong with each row's price, empty for a row that can be right.

    Price tables mix on-demand prices with reservations, calendar and flex offers in one column, in some regions in most rows, so that no
    middle of a row's neighbours tells the right one. Two signs give that away: spot (or a reservation) at or above on-demand, and a price
    under `LEAST_SHARE` of the dearest region's both as it stands and once each is divided by its place's level of prices (`levels`, 1 where
    none is told). As it stands alone would throw out Virginia for Sao Paulo; levels alone would throw out machines whose price does not follow
    them, as Google's G4 in Dallas. Of the tables of 2026-08 honest rows are at 0.77 of the dearest and above in one of the two ways, those of
    other offers at 0.72 and below in both.
    """
    rows = list(rows)
    levels = levels or {}
    dearest: defaultdict[Hashable, Quoted | None] = defaultdict(lambda: None)
    highest: defaultdict[Hashable, Decimal] = defaultdict(Decimal)

    def share(row: Quoted) -> Decimal:
        return row.usd / levels.get(row.place, Decimal(1))

    # A place of unknown level may be a dear one: it is judged, and judges no other where a known one can.
    for row in sorted(rows, key=lambda row: (row.place in levels, share(row))):
        if row.is_comparable:
            dearest[row.item] = row
            highest[row.item] = max(highest[row.item], row.usd)
    return [_mispriced(row, share, dearest[row.item], highest[row.item]) for row in rows]


def _mispriced(row: Quoted, share: Callable[[Quoted], Decimal], dearest: Quoted | None, highest: Decimal) -> str:
    usd, spot, reserved = row.usd, row.spot_usd, row.reserved_usd
    if usd <= 0 or (spot is not None and spot <= 0) or (reserved is not None and reserved <= 0):
        return "a price is not above 0"
    if spot is not None and spot >= usd:
        return f"spot {spot} is not below on-demand {usd}"
    if reserved is not None and reserved >= usd:
        return f"reserved {reserved} is not below on-demand {usd}"
    is_cheap = row.usd < highest * LEAST_SHARE
    if row.is_comparable and is_cheap and dearest is not None and share(row) < share(dearest) * LEAST_SHARE:
        level = (
            "" if share(row) == usd and share(dearest) == dearest.usd else " (at one level of prices for both regions)"
        )
        return f"{usd} is under {LEAST_SHARE} of what it costs in the dearest region, {dearest.usd}{level}"
    return ""


def levels_of(rows: Iterable[Quoted]) -> dict[Hashable, Decimal]:
    """How dear each place is: the middle, over the items sold there, of an item's price to its own middle over all places. Only of places
    that sell at least `ENOUGH` of the items."""
    by_item: defaultdict[Hashable, dict[Hashable, Decimal]] = defaultdict(dict)
    for row in rows:
        by_item[row.item][row.place] = row.usd
    shares: defaultdict[Hashable, list[Decimal]] = defaultdict(list)
    for prices in by_item.values():
        middle = median(prices.values())
        for place, usd in prices.items():
            shares[place].append(usd / middle)
    return {place: median(found) for place, found in shares.items() if len(found) >= ENOUGH}
