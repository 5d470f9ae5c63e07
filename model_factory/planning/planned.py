"""A stack's settings and its plan, with every problem of both at once.

settings, placed = planned(read_files(file, project, SERVING), catalogue().offers)
"""

from __future__ import annotations

from collections.abc import Iterable

from model_factory.facts.offer import Offer
from model_factory.planning.placing.plan import Method, Plan, plan
from model_factory.planning.settings.load import Reading
from model_factory.planning.settings.problems import PlanError, Problem, SettingsError
from model_factory.planning.settings.sections import Settings


def planned(reading: Reading, offers: Iterable[Offer], *, method: Method | None = None) -> tuple[Settings, Plan]:
    """The settings, and where its models run. SettingsError has what is wrong with the settings and what fits on no offer."""
    problems: list[Problem] = list(reading.problems)
    try:
        placed = plan(reading.draft, offers, method=method, undecided=reading.undecided)
    except PlanError as refused:
        problems += (each for each in refused.problems if each.key not in reading.credentials)
        raise SettingsError(problems) from refused
    return reading.settings(), placed
