"""What another plan would change: who moves where, what that saves, and what it interrupts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from model_factory.planning.placing.lock import Lock, LockedPool
from model_factory.planning.placing.plan import Placement, Plan, Site, added

Machines = Mapping[Site, Sequence[LockedPool]]


@dataclass(frozen=True, slots=True)
class Move:
    """One model under two plans. `before` is empty for a model that was not placed, `after` for one that is gone."""

    model: str
    before: Machines
    after: Machines
    saves_at_rest: Decimal | None
    """USD an hour; negative where it costs more, None for a model that is new, gone, or can no longer be where it was, and where a price
    is not known."""
    saves_at_peak: Decimal | None
    must: bool = False
    """Is it so in a plan that keeps all that fits, too? Then the next `up` does it, whatever is decided here."""

    @property
    def loses(self) -> bool:
        """Is there a place or a machine that it has no longer? A model that runs at a further site loses none."""
        return any(self.after.get(site) != pools for site, pools in self.before.items())

    @property
    def interrupts(self) -> tuple[str, ...]:
        """What callers and operators notice."""
        before, after = self.before, self.after
        if not (before and after):
            return ()
        come, go = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
        roll = [site for site in sorted(before.keys() & after.keys()) if before[site][0] != after[site][0]]
        return (
            *(f"its weights must be in {site}'s bucket first; it has an address of its own there" for site in come),
            *(f"its address in {site} goes" for site in go),
            *(f"its replicas in {site} restart on new nodes" for site in roll),
        )


def moves(before: Plan, after: Plan, kept: Lock | None = None) -> tuple[Move, ...]:
    """The models that two plans place differently, by name. Replicas and prices alone are no move.

    `kept` is the lock that `before` was made with, where some of it may no longer hold: models are told as moving from where it has them.
    """
    stays, will = Lock.of(before), Lock.of(after)
    was = stays if kept is None else kept
    must = stays.differing(was)
    found: list[Move] = []
    for name in sorted(will.differing(was)):
        told = name not in must
        found.append(
            Move(
                name,
                was.machines(name),
                will.machines(name),
                _saved(before.of_model(name), after.of_model(name), at_peak=False) if told else None,
                _saved(before.of_model(name), after.of_model(name), at_peak=True) if told else None,
                must=not told and name in was.models and name in will.models,
            )
        )
    return tuple(found)


def _saved(before: Iterable[Placement], after: Iterable[Placement], *, at_peak: bool) -> Decimal | None:
    costs, would = (
        added(each.usd_per_hour_max if at_peak else each.usd_per_hour for each in there) for there in (before, after)
    )
    return None if costs is None or would is None else costs - would
