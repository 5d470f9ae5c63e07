"""What another plan would change: who moves where, what that saves, and what it interrupts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from model_factory.planning.placing.plan import Placement, Plan, added


@dataclass(frozen=True, slots=True)
class Move:
    """One model under two plans. `before` is empty for a model that was not placed, `after` for one that is gone."""

    model: str
    before: tuple[Placement, ...]
    after: tuple[Placement, ...]

    @property
    def saves_at_rest(self) -> Decimal | None:
        """USD an hour at rest; negative where it costs more, None where a price is not known."""
        return _saved([each.usd_per_hour for each in self.before], [each.usd_per_hour for each in self.after])

    @property
    def saves_at_peak(self) -> Decimal | None:
        """USD an hour at peak."""
        return _saved([each.usd_per_hour_max for each in self.before], [each.usd_per_hour_max for each in self.after])

    @property
    def interrupts(self) -> tuple[str, ...]:
        """What callers and operators notice."""
        before, after = {each.site: each for each in self.before}, {each.site: each for each in self.after}
        come, go = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
        roll = [
            site for site in sorted(before.keys() & after.keys()) if _ways(before[site])[0] != _ways(after[site])[0]
        ]
        return (
            *(
                f"its weights must be in {site}'s bucket first; it has an address of its own there"
                for site in come
                if before
            ),
            *(f"its address in {site} goes" for site in go),
            *(f"its replicas in {site} restart on new nodes" for site in roll),
        )


def moves(before: Plan, after: Plan) -> tuple[Move, ...]:
    """The models that two plans place differently, by name. Replicas and prices alone are no move."""
    names = sorted({each.model.name for plan in (before, after) for each in plan.placements})
    found = (Move(name, before.of_model(name), after.of_model(name)) for name in names)
    return tuple(each for each in found if _where(each.before) != _where(each.after))


def _where(placements: Sequence[Placement]) -> list[object]:
    return [(each.site, _ways(each)) for each in placements]


def _ways(placement: Placement) -> list[tuple[str, str, str]]:
    return [
        (leg.offer.machine_type, leg.capacity_type, leg.reservation.name if leg.reservation else "")
        for leg in placement.legs
    ]


def _saved(before: Sequence[Decimal | None], after: Sequence[Decimal | None]) -> Decimal | None:
    costs, would = added(before), added(after)
    return None if costs is None or would is None else costs - would
