"""What can be bought, as planning asks for it: offers in one order, whatever order they came in, and found by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from model_factory.facts.catalogue import Rejected
from model_factory.facts.offer import Offer

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Market:
    """Offers sorted by cloud, region and machine type. `rejected` are machines that exist and whose price cannot be right: no new model
    is placed there, and none is taken away."""

    offers: tuple[Offer, ...]
    rejected: tuple[Offer, ...]
    reasons: Mapping[Key, str]
    """Why a row was rejected, by cloud, region and machine type."""
    _found: Mapping[Key, Offer] = field(repr=False, compare=False)
    _there: Mapping[tuple[str, str, bool], Sequence[Offer]] = field(repr=False, compare=False)

    @classmethod
    def of(cls, offers: Iterable[Offer], rejected: Iterable[Rejected] = ()) -> Market:
        """The market of these rows."""
        rejected = list(rejected)
        good = sorted(offers, key=_key)
        bad = sorted((each.offer for each in rejected), key=_key)
        there: defaultdict[tuple[str, str, bool], list[Offer]] = defaultdict(list)
        for each in good:
            there[each.cloud, each.region, each.accelerator_count > 0].append(each)
        return cls(
            tuple(good),
            tuple(bad),
            {_key(each.offer): each.reason for each in rejected},
            {_key(each): each for each in (*bad, *good)},
            dict(there),
        )

    def at(self, cloud: str, region: str, *, with_gpus: bool) -> Sequence[Offer]:
        """The offers with accelerators in a region, or those without, by machine type."""
        return self._there.get((cloud, region, with_gpus), ())

    def find(self, cloud: str, region: str, machine_type: str) -> Offer | None:
        """A machine in a region, whatever its price is worth."""
        return self._found.get((cloud, region, machine_type))

    def why_unpriced(self, offer: Offer) -> str:
        """Why its price is not used; empty where it is."""
        return self.reasons.get(_key(offer), "")


def _key(offer: Offer) -> Key:
    return (offer.cloud, offer.region, offer.machine_type)
