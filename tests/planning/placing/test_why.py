"""Each machine with accelerators is a candidate's or has something that stands against it, and what is told is what the planner does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from model_factory.facts.catalogue import Rejected
from model_factory.planning.placing.lock import Lock, LockedPool
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.place import place
from model_factory.planning.placing.plan import Plan, Site
from model_factory.planning.placing.why import Why, why
from model_factory.planning.planned import market
from model_factory.planning.settings.sections import Settings
from tests.planning.project import STACK, from_config

LLM = STACK["config"]["model-factory:models"]["llm"]
EAST = Site("aws", "us-east-1")


def told(settings: Settings, *, plan: Plan | None = None, offers: Market | None = None) -> Why:
    offers = offers or market()
    return why(settings, settings.models[0], plan or place(settings, offers), offers)


def settings_of(**model: Any) -> Settings:
    kept = {key: value for key, value in LLM.items() if key != "spot" or "capacity" not in model}
    return from_config({**STACK["config"], "model-factory:models": {"llm": {**kept, **model}}})


class TestCandidates:
    def test_the_first_is_what_a_plan_without_a_lock_chooses(self) -> None:
        settings = settings_of()
        found = told(settings).candidates
        assert [each.chosen for each in found] == [True] + [False] * (len(found) - 1)
        assert found[0].placement == place(settings, market()).placements[0]

    def test_all_sites_of_a_model_are_marked_whatever_their_replicas(self) -> None:
        settings = settings_of(spread={"clouds": 2}, replicas={"min": 3, "max": 5})
        chosen = [each.placement for each in told(settings).candidates if each.chosen]
        assert sorted(each.site for each in chosen) == sorted(
            each.site for each in place(settings, market()).placements
        )
        assert len({each.site for each in chosen}) == 2

    def test_a_kept_machine_is_among_them_though_a_cheaper_one_is_there(self) -> None:
        settings = settings_of(clouds=["aws"], capacity=["on-demand"])
        pools = {EAST: {"kept": LockedPool(capacity="on-demand", machine_type="g6.4xlarge")}}
        plan = place(settings, market(), Lock({"llm": {EAST: ("kept",)}}, pools))
        found = told(settings, plan=plan).candidates
        (kept,) = (each for each in found if each.chosen)
        assert kept.placement.first.offer.machine_type == "g6.4xlarge"
        assert kept != found[0]

    @pytest.mark.parametrize(("gpus", "idle"), [(1, 3), (2, 2), (3, 1), (4, 0)])
    def test_count_the_gpus_that_no_replica_uses(self, gpus: int, idle: int) -> None:
        settings = settings_of(
            gpusPerReplica=gpus, gpuMemoryGib=20, machineTypes=["g6.12xlarge"], replicas={"min": 1, "max": 1}
        )
        (found,) = told(settings).candidates
        assert (found.at_rest.nodes, found.at_rest.gpus, found.at_rest.idle_gpus) == (1, 4, idle)


class TestAgainst:
    def test_with_the_candidates_it_has_every_machine_once_at_each_site(self) -> None:
        found = told(settings_of())
        taken = {
            (each.placement.site, leg.offer.machine_type) for each in found.candidates for leg in each.placement.legs
        }
        against = Counter((site, each.machine_type) for each in found.against for site in each.sites)
        assert set(against.values()) == {1}
        every = {
            (Site(offer.cloud, offer.region), offer.machine_type)
            for offer in (*market().offers, *market().rejected)
            if offer.accelerator_count
        }
        assert taken | against.keys() == every
        assert taken.isdisjoint(against)

    def test_names_what_is_short_and_not_the_place_of_what_fits_nowhere(self) -> None:
        found = told(settings_of(cpu=6))
        (small,) = (each for each in found.against if each.machine_type == "g6.xlarge")
        assert EAST in small.sites
        assert len(small.sites) > 3
        assert len(small.reasons) == 1
        assert small.reasons[0].startswith("leaves 3.")

    def test_names_the_place_of_what_would_fit(self) -> None:
        found = told(settings_of(regions=["us-central1"]))
        (away,) = (each for each in found.against if each.machine_type == "g6.xlarge")
        assert away.reasons == ("fits, and is in none of the regions that the model may use",)

    def test_names_the_sites_of_a_model_that_names_them(self) -> None:
        settings = settings_of(sites={"gcp/us-central1": {"min": 1, "max": 3}})
        found = told(settings)
        assert {each.placement.site for each in found.candidates} == {Site("gcp", "us-central1")}
        reasons = [each.reasons for each in found.against if each.machine_type == "g6.xlarge" and EAST in each.sites]
        assert reasons == [("fits, and is not at one of the model's sites",)]

    def test_names_how_it_cannot_be_bought(self) -> None:
        bare = Market.of(
            replace(each, spot_usd_per_hour=None) if each.machine_type == "g6.xlarge" else each
            for each in market().offers
        )
        found = told(settings_of(capacity=["spot"]), offers=bare)
        reasons = [each.reasons for each in found.against if each.machine_type == "g6.xlarge" and EAST in each.sites]
        assert reasons == [("fits, and cannot be had as spot",)]

    def test_names_a_price_that_was_rejected(self) -> None:
        odd = market().find("aws", "us-east-1", "g6.xlarge")
        assert odd is not None
        rest = [each for each in market().offers if each != odd]
        found = told(settings_of(), offers=Market.of(rest, [Rejected(odd, "odd")]))
        (told_of,) = (each for each in found.against if each.machine_type == "g6.xlarge" and EAST in each.sites)
        assert "its price was rejected" in told_of.reasons[0]

    def test_what_misses_by_least_comes_first(self) -> None:
        counts = [len(each.reasons) for each in told(settings_of(cpu=6)).against]
        assert counts == sorted(counts)
