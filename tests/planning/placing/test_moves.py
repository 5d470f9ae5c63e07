"""A move is another place or other machines; prices and replicas are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from model_factory.facts.offer import Offer
from model_factory.planning.placing.lock import Lock
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.moves import Move, moves
from model_factory.planning.placing.place import place
from model_factory.planning.placing.plan import Plan, Site
from model_factory.planning.planned import market
from model_factory.planning.settings.sections import Settings
from tests.planning.project import STACK, from_config

RESNET = STACK["config"]["model-factory:models"]["resnet"]


def settings_of(**models: dict[str, object]) -> Settings:
    config = {**STACK["config"], "model-factory:aws": {"regions": ["us-east-1", "us-east-2"]}}
    return from_config({**config, "model-factory:models": {name: {**RESNET, **it} for name, it in models.items()}})


def plan_of(settings: Settings, priced: Callable[[Offer], Offer] = lambda offer: offer) -> Plan:
    return place(settings, Market.of(map(priced, market().offers)))


def only(*found: Move) -> Move:
    (move,) = found
    return move


class TestMoves:
    def test_prices_and_replicas_are_none(self) -> None:
        before = plan_of(settings_of(a={}))
        more = plan_of(settings_of(a={"replicas": {"min": 2, "max": 9}}))
        dearer = plan_of(settings_of(a={}), lambda offer: replace(offer, usd_per_hour=2 * offer.usd_per_hour))
        assert moves(before, more) == moves(before, dearer) == ()

    def test_name_one_model_each_and_leave_out_the_others(self) -> None:
        one, two = ({"regions": [region]} for region in ("us-east-1", "us-east-2"))
        before, after = plan_of(settings_of(a=one, b=one)), plan_of(settings_of(a=one, b=two))
        move = only(*moves(before, after))
        assert (move.model, list(move.before), list(move.after)) == (
            "b",
            [Site("aws", "us-east-1")],
            [Site("aws", "us-east-2")],
        )

    def test_save_the_difference_at_rest_and_at_peak(self) -> None:
        before = plan_of(settings_of(a={"machineTypes": ["g6.2xlarge"], "regions": ["us-east-1"]}))
        after = plan_of(settings_of(a={"machineTypes": ["g6.xlarge"], "regions": ["us-east-1"]}))
        there = market()
        large, small = (there.find("aws", "us-east-1", name) for name in ("g6.2xlarge", "g6.xlarge"))
        assert large is not None
        assert small is not None
        move, back = only(*moves(before, after)), only(*moves(after, before))
        assert move.saves_at_rest == large.usd_per_hour - small.usd_per_hour
        assert move.saves_at_peak == 4 * (large.usd_per_hour - small.usd_per_hour)
        assert back.saves_at_rest == -(move.saves_at_rest or Decimal(0))

    def test_from_what_no_longer_holds_must_be_and_save_nothing(self) -> None:
        settings = settings_of(a={"regions": ["us-east-1"]})
        kept = Lock.of(plan_of(settings_of(a={"regions": ["us-east-2"]})))
        before = place(settings, market(), kept)
        move = only(*moves(before, plan_of(settings), kept))
        assert (move.must, move.saves_at_rest, list(move.before)) == (True, None, [Site("aws", "us-east-2")])

    def test_of_a_new_model_come_from_nowhere_and_of_one_that_is_gone_lead_nowhere(self) -> None:
        kept = Lock.of(plan_of(settings_of(a={})))
        settings = settings_of(b={})
        found = moves(place(settings, market(), kept), plan_of(settings), kept)
        assert [(each.model, bool(each.before), bool(each.after), each.must) for each in found] == [
            ("a", True, False, False),
            ("b", False, True, False),
        ]
        assert not any(each.interrupts for each in found)


class TestInterrupts:
    def test_another_site_needs_the_weights_and_has_another_address(self) -> None:
        one, two = (plan_of(settings_of(a={"regions": [region]})) for region in ("us-east-1", "us-east-2"))
        told = only(*moves(one, two)).interrupts
        assert told == (
            "its weights must be in aws/us-east-2's bucket first; it has an address of its own there",
            "its address in aws/us-east-1 goes",
        )

    def test_a_further_site_leaves_the_first_one_alone(self) -> None:
        one = plan_of(settings_of(a={"regions": ["us-east-1"]}))
        two = plan_of(
            settings_of(
                a={"regions": ["us-east-1", "us-east-2"], "spread": {"regions": 2}, "replicas": {"min": 2, "max": 4}}
            )
        )
        assert [told.partition("'")[0] for told in only(*moves(one, two)).interrupts] == [
            "its weights must be in aws/us-east-2"
        ]

    def test_other_machines_for_the_preferred_leg_restart_it_and_for_a_further_one_do_not(self) -> None:
        spot, both, other = (
            plan_of(settings_of(a={"machineTypes": ["g6.xlarge"], "regions": ["us-east-1"], "capacity": ladder}))
            for ladder in (["spot"], ["spot", "on-demand"], ["on-demand", "spot"])
        )
        assert only(*moves(spot, both)).interrupts == ()
        assert only(*moves(both, other)).interrupts == ("its replicas in aws/us-east-1 restart on new nodes",)
