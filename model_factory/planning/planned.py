"""A stack's settings and its plan, with every problem of both at once.

settings, plan = planned(read_files(file, project, SERVING), market(), read_lock(lock_file(root, stack), stack))
"""

from __future__ import annotations

from functools import cache

from model_factory.facts.catalogue import catalogue
from model_factory.planning.placing.lock import Lock
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.place import Method, place
from model_factory.planning.placing.plan import Plan
from model_factory.planning.settings.load import Reading
from model_factory.planning.settings.problems import PlanError, Problem, SettingsError
from model_factory.planning.settings.sections import Settings


@cache
def market() -> Market:
    """The market of the tables that come with this package."""
    tables = catalogue()
    return Market.of(tables.offers, tables.rejected)


def planned(
    reading: Reading, offers: Market, lock: Lock | None = None, *, method: Method | None = None
) -> tuple[Settings, Plan]:
    """The settings, and where its models run; what `lock` places stays while it fits. SettingsError has what is wrong with the settings
    and what fits on no offer."""
    problems: list[Problem] = list(reading.problems)
    try:
        plan = place(reading.draft, offers, lock, method=method, undecided=reading.undecided)
    except PlanError as refused:
        problems += (each for each in refused.problems if each.key not in reading.credentials)
        raise SettingsError(problems) from refused
    return reading.settings(), plan
