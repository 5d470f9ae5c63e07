"""What a preview assumes of the plan: what no lock says yet, and the next `up` will keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model_factory.planning.placing.lock import Lock, lock_file
from model_factory.planning.placing.notes import machines_of
from model_factory.planning.placing.plan import Plan
from model_factory.planning.settings.problems import Problem
from model_factory.planning.settings.sections import MODELS, Settings


def unkept(settings: Settings, plan: Plan, lock: Lock | None) -> Iterator[Problem]:
    """Without a lock one note for all; else one for each site that a model takes anew. Moves are told by the plan itself."""
    name = lock_file(Path(), settings.stack).name
    if lock is None:
        newest = max((leg.offer.as_of for each in plan.placements for leg in each.legs), default=None)
        prices = f" at the prices of {newest}" if newest else ""
        message = f"is not there: every model is placed anew{prices}. `up` keeps that, as does `factory plan --keep --apply`; if the stack runs, restore the file first"
        yield Problem(name, 0, "", message)
        return
    for model in settings.models:
        before, now = lock.models.get(model.name, {}), plan.of_model(model.name)
        if all(any(each.site == site for each in now) for site in before):
            for each in now:
                if each.site not in before:
                    message = (
                        f"is placed in {each.site} ({machines_of(each)}), which {name} does not have yet; `up` keeps it"
                    )
                    yield settings.where.problem((MODELS, model.name), message)
