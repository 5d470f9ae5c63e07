"""When facts are too old to go by, and what of them is near that day.

Prices have a limit of age; Kubernetes versions have the day on which a cloud stops taking them. What a machine or an accelerator is does
not change with time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from model_factory.facts.catalogue import catalogue
from model_factory.facts.clouds import CLOUDS
from model_factory.facts.prices import price_table

MAX_PRICE_AGE: Final = timedelta(days=180)
"""A bill warns of prices that are older."""
NOTICE: Final = timedelta(days=30)
"""How long before its limit a fact is told of."""
_REFRESH: Final = "run `make prices`"


class AgingFactsWarning(UserWarning):
    """Facts are near the day after which they are not to be gone by."""


@dataclass(frozen=True, slots=True)
class Aging:
    """One fact that is near its limit or past it."""

    table: str
    """As aws/offers.csv."""
    fact: str
    limit: date
    """The last day on which it is to be gone by."""
    remedy: str


def aging(today: date, notice: timedelta = NOTICE) -> list[Aging]:
    """Every fact whose limit is no further than `notice` from `today`, those past it among them; the nearest limit first."""
    offers = (*catalogue().offers, *(each.offer for each in catalogue().rejected))
    prices = price_table().prices.values()
    facts = [
        *(
            Aging(
                f"{each.cloud}/offers.csv",
                f"{each.machine_type} in {each.region}",
                each.as_of + MAX_PRICE_AGE,
                _REFRESH,
            )
            for each in offers
        ),
        *(
            Aging(f"{each.cloud}/prices.csv", f"{each.item} in {each.region}", each.as_of + MAX_PRICE_AGE, _REFRESH)
            for each in prices
        ),
        *(
            Aging(f"{cloud}/kubernetes.py", each.what, each.limit, each.remedy)
            for cloud, facts in CLOUDS.items()
            for each in facts.endings
        ),
    ]
    near = (each for each in facts if each.limit - today <= notice)
    return sorted(near, key=lambda each: (each.limit, each.table, each.fact))


def told(found: Iterable[Aging]) -> list[str]:
    """A line for the facts of one table with one limit, such as can be shown."""
    found = list(found)
    counts = Counter((each.limit, each.table, each.remedy) for each in found)
    first = {(each.limit, each.table, each.remedy): each.fact for each in reversed(found)}
    return [
        f"facts/{table}: {first[limit, table, remedy]}{f' and {count - 1} more' if count > 1 else ''}: good until {limit}; {remedy}"
        for (limit, table, remedy), count in sorted(counts.items())
    ]
