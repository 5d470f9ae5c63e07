"""A kept plan: what is placed stays while it fits, and only what no longer fits moves, with its cause told."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from components.kubernetes.serving import SERVING
from model_factory.facts.catalogue import Rejected, catalogue
from model_factory.facts.offer import Offer
from model_factory.planning.placing.lock import Lock, LockedPool
from model_factory.planning.placing.market import Market
from model_factory.planning.placing.moves import moves
from model_factory.planning.placing.plan import Plan, Site
from model_factory.planning.planned import planned
from model_factory.planning.settings.load import read_config

OFFERS = catalogue().offers
MODELS = "model-factory:models"
Config = dict[str, Any]


def stack(models: dict[str, dict[str, Any]], **sections: Any) -> Config:
    return {
        "aws:region": "us-east-1",
        "gcp:region": "us-central1",
        "gcp:project": "model-factory-dev",
        "model-factory:environment": "dev",
        "model-factory:aws": {"regions": ["us-east-1"]},
        "model-factory:gcp": {"regions": ["us-central1"]},
        **{f"model-factory:{key}": value for key, value in sections.items()},
        MODELS: {
            name: {
                "runtime": "triton",
                "image": f"registry.example/server@sha256:{'0' * 64}",
                "weights": {"uri": f"bucket://{name}"},
                "gpuMemoryGib": 10,
                "requestsPerSecond": 10,
                "replicas": {"min": 1, "max": 2},
                **model,
            }
            for name, model in models.items()
        },
    }


def plan(
    config: Config, lock: Lock | None = None, offers: Iterable[Offer] = OFFERS, thrown_out: Iterable[Rejected] = ()
) -> Plan:
    return planned(read_config(config, SERVING, stack="dev"), Market.of(offers, thrown_out), lock)[1]


def sites(made: Plan, model: str) -> list[str]:
    return [str(each.site) for each in made.of_model(model)]


def notes(made: Plan) -> list[str]:
    return [f"{each.key}: {each.message}" for each in made.notes]


TWO = stack({"a": {"spot": True}, "b": {"gpuMemoryGib": 40, "accelerators": ["l40s"]}})


class TestWhatIsPlacedStays:
    @pytest.mark.parametrize(
        "change",
        [
            lambda c: c["model-factory:aws"].update(regions=["us-east-1", "us-east-2"]),
            lambda c: c["model-factory:gcp"].update(regions=["us-central1", "us-east4", "us-west4"]),
            lambda c: c.update({MODELS: dict(reversed(c[MODELS].items()))}),
            lambda c: c.update({"model-factory:labels": {"team": "other"}}),
            lambda c: c[MODELS]["a"].update(labels={"owner": "other"}),
            lambda c: c[MODELS]["a"].update(replicas={"min": 3, "max": 9}),
            lambda c: c["model-factory:aws"].update(systemNodes=4),
            lambda c: c.update({"model-factory:rules": {"preferredCloud": "gcp"}}),
        ],
        ids=["region", "regions of the other cloud", "order", "label", "model's label", "replicas", "system nodes", "preference"],
    )  # fmt: skip
    def test_whatever_else_changes(self, change: Callable[[Config], Any]) -> None:
        before = plan(TWO)
        changed = copy.deepcopy(TWO)
        change(changed)
        after = plan(changed, Lock.of(before))
        assert moves(before, after) == ()
        assert Lock.of(after) == Lock.of(before)

    def test_at_any_price(self) -> None:
        before = plan(TWO)
        here = {each.first.offer.machine_type for each in before.placements}
        dearer = [
            replace(each, usd_per_hour=each.usd_per_hour * 9, spot_usd_per_hour=each.usd_per_hour * 8)
            if each.machine_type in here
            else each
            for each in OFFERS
        ]
        assert moves(before, plan(TWO, Lock.of(before), dearer)) == ()
        assert {move.model for move in moves(before, plan(TWO, offers=dearer))} == {"a", "b"}

    def test_where_its_price_was_thrown_out_too_unpriced(self) -> None:
        """A row that cannot be right says nothing of whether the machine is there."""
        before = plan(TWO)
        bad = before.of_model("b")[0].first.offer
        offers = [each for each in OFFERS if each != bad]
        after = plan(TWO, Lock.of(before), offers, [Rejected(bad, "spot 9 is not below on-demand 1")])
        assert moves(before, after) == ()
        assert after.of_model("b")[0].usd_per_hour is None

    def test_without_its_spot_price(self) -> None:
        before = plan(TWO)
        kept = [replace(each, spot_usd_per_hour=None) for each in OFFERS]
        after = plan(TWO, Lock.of(before), kept)
        assert moves(before, after) == ()
        assert after.of_model("a")[0].usd_per_hour is None

    def test_a_new_model_renames_no_pool(self) -> None:
        before = plan(stack({"b": {"machineTypes": ["g6.2xlarge"]}}))
        more = stack({"a": {"machineTypes": ["g6.xlarge"]}, "b": {"machineTypes": ["g6.2xlarge"]}})
        after = plan(more, Lock.of(before))
        assert {each.name: each.machine_type for each in after.pools} == {
            "l4x1-on-demand": "g6.2xlarge",
            "l4x1-on-demand-g6-xlarge": "g6.xlarge",
        }

    def test_as_written_by_hand(self) -> None:
        """A dearer machine that fits is the reader's choice."""
        site = Site("aws", "us-east-1")
        pools = {site: {"l4x1-on-demand": LockedPool(capacity="on-demand", machine_type="g6.8xlarge")}}
        lock = Lock({"b": {site: ("l4x1-on-demand",)}}, pools)
        (placed,) = plan(stack({"b": {}}), lock).placements
        assert placed.first.offer.machine_type == "g6.8xlarge"


class TestWhatNoLongerFits:
    def test_a_machine_withdrawn_moves_its_model_alone_and_says_why(self) -> None:
        before = plan(TWO)
        gone = before.of_model("b")[0].first.offer.machine_type
        after = plan(TWO, Lock.of(before), [each for each in OFFERS if each.machine_type != gone])
        assert [move.model for move in moves(before, after)] == ["b"]
        (told,) = [each for each in notes(after) if f"{MODELS}.b:" in each]
        assert f"changes its machines in aws/us-east-1 to {after.of_model('b')[0].first.offer.machine_type}" in told
        assert told.endswith(f"{gone} is no longer sold in us-east-1")

    def test_a_region_closed_moves_what_was_there(self) -> None:
        both = stack({"a": {"clouds": ["aws"]}, "b": {"clouds": ["gcp"]}}, aws={"regions": ["us-east-1", "us-east-2"]})
        before = plan(both)
        closed = before.of_model("a")[0].region
        left = ({"us-east-1", "us-east-2"} - {closed}).pop()
        after_config = copy.deepcopy(both)
        after_config["model-factory:aws"]["regions"] = [left]
        after_config["aws:region"] = left
        after = plan(after_config, Lock.of(before))
        assert [move.model for move in moves(before, after)] == ["a"]
        assert any(
            f"a: moves from aws/{closed} to aws/{left}" in each and "no cluster" in each for each in notes(after)
        )

    def test_a_need_grown_stays_in_its_site_where_it_can(self) -> None:
        before = plan(TWO)
        (placed,) = before.of_model("a")
        grown = copy.deepcopy(TWO)
        grown[MODELS]["a"]["cpu"] = 6
        after = plan(grown, Lock.of(before))
        assert [move.model for move in moves(before, after)] == ["a"]
        assert sites(after, "a") == [str(placed.site)]
        assert any("a: changes its machines" in each and "CPU of the 6 needed" in each for each in notes(after))

    def test_only_the_site_that_does_not_hold_it_is_left(self) -> None:
        config = stack({"a": {"spread": {"clouds": 2}, "replicas": {"min": 3, "max": 6}}})
        before = plan(config)
        gone = next(each for each in before.placements if each.cloud == "gcp").first.offer.machine_type
        after = plan(config, Lock.of(before), [each for each in OFFERS if each.machine_type != gone])
        mine = {each.site: each.first.offer for each in before.placements}
        now = {each.site: each.first.offer for each in after.placements}
        aws = Site("aws", "us-east-1")
        assert now[aws] == mine[aws]
        assert now.keys() == mine.keys()
        assert {each.site: each.replicas for each in before.placements} == {
            each.site: each.replicas for each in after.placements
        }

    def test_residency_moves_a_model_whose_labels_fall_under_it(self) -> None:
        config = stack({"a": {"labels": {"data": "eu"}}}, aws={"regions": ["us-east-1", "eu-west-1"]})
        before = plan(config)
        assert sites(before, "a") != ["aws/eu-west-1"]
        after = plan({**config, "model-factory:rules": {"residency": {"data": {"eu": ["eu-west-1"]}}}}, Lock.of(before))
        assert sites(after, "a") == ["aws/eu-west-1"]
        assert any("its labels keep it out of" in each for each in notes(after))

    def test_sites_that_the_file_no_longer_names_are_left_and_that_is_told(self) -> None:
        aws = {"regions": ["us-east-1", "us-east-2"]}
        before = plan(
            stack(
                {
                    "a": {
                        "spread": {"clouds": 2},
                        "replicas": {"min": 2, "max": 2},
                        "regions": ["us-east-1", "us-central1"],
                    }
                },
                aws=aws,
            )
        )
        named = {"sites": {"aws/us-east-2": {"min": 2, "max": 2}}, "replicas": {"min": 2, "max": 2}}
        after = plan(stack({"a": named}, aws=aws), Lock.of(before))
        told = [each.partition(" (")[0] for each in notes(after) if "none of its sites" in each]
        assert told == [
            f"{MODELS}.a: moves from {site} to aws/us-east-2" for site in ("aws/us-east-1", "gcp/us-central1")
        ]

    def test_a_spread_that_narrows_tells_what_it_leaves(self) -> None:
        before = plan(stack({"a": {"spread": {"clouds": 2}, "replicas": {"min": 2, "max": 2}}}))
        after = plan(stack({"a": {"replicas": {"min": 2, "max": 2}}}), Lock.of(before))
        (stays,) = after.placements
        (left,) = {each.site for each in before.placements} - {stays.site}
        assert f"{MODELS}.a: leaves {left}: 1 place is all that it asks for" in notes(after)

    def test_a_site_lost_beside_one_that_stays_is_told_with_the_new_one_alone(self) -> None:
        config = stack(
            {"a": {"spread": {"regions": 2}, "clouds": ["aws"], "replicas": {"min": 2, "max": 2}}},
            aws={"regions": ["us-east-1", "us-east-2", "us-west-2"]},
        )
        before = plan(config)
        lost = before.placements[1].region
        after_config = copy.deepcopy(config)
        after_config[MODELS]["a"]["regions"] = [each for each in config["model-factory:aws"]["regions"] if each != lost]
        after = plan(after_config, Lock.of(before))
        (new,) = {str(each.site) for each in after.placements} - {str(each.site) for each in before.placements}
        (told,) = [each for each in notes(after) if "moves from" in each]
        assert told.startswith(f"{MODELS}.a: moves from aws/{lost} to {new} (")
        assert "us-east" not in told.replace(lost, "").replace(new, "")

    def test_a_model_that_outgrows_its_reservation_takes_one_that_holds_it(self) -> None:
        rows = [
            {
                "name": f"cr-0123456789abcdef{number}",
                "zone": "us-east-1a",
                "machineType": "g6.xlarge",
                "machines": machines,
            }
            for number, machines in enumerate((2, 5))
        ]

        def made(most: int, lock: Lock | None = None) -> Plan:
            model = {"capacity": ["reserved"], "replicas": {"min": 1, "max": most}}
            return plan(stack({"a": model}, aws={"regions": ["us-east-1"], "reservations": rows}), lock)

        after = made(3, Lock.of(made(2)))
        held = after.placements[0].first.reservation
        assert held is not None
        assert held.machines == 5
        assert any(
            "reservation cr-0123456789abcdef0 has 2 of the 3 machines that it may need" in each for each in notes(after)
        )


FOUR = stack(
    {
        "a": {"capacity": ["reserved", "on-demand"]},
        "b": {"spread": {"regions": 2}, "replicas": {"min": 3, "max": 5}, "spot": True},
        "c": {"spread": {"clouds": 2}, "replicas": {"min": 2, "max": 4}, "labels": {"data": "us"}},
        "d": {"gpuMemoryGib": 30, "labels": {"data": "eu"}},
    },
    aws={
        "regions": ["us-east-1", "us-east-2", "us-west-2"],
        "reservations": [
            {"name": "cr-0123456789abcdef0", "zone": "us-east-1a", "machineType": "g6.xlarge", "machines": 4}
        ],
    },
    gcp={"regions": ["us-central1", "us-east4", "us-west4"]},
)
CHANGES: dict[str, Callable[[Config], object]] = {
    "no reservation": lambda c: c["model-factory:aws"].pop("reservations"),
    "one region of a cloud": lambda c: c["model-factory:gcp"].update(regions=["us-central1"]),
    "other regions of a cloud": lambda c: (
        c["model-factory:aws"].update(regions=["us-west-2"], reservations=[]),
        c.update({"aws:region": "us-west-2"}),
    ),
    "more memory": lambda c: [model.update(gpuMemoryGib=40) for model in c[MODELS].values()],
    "more processors": lambda c: [model.update(cpu=6) for model in c[MODELS].values()],
    "other accelerators": lambda c: [model.update(accelerators=["a10g", "a100"]) for model in c[MODELS].values()],
    "one cloud": lambda c: [c[MODELS][name].update(clouds=["gcp"]) for name in "ab"],
    "more GPUs a replica": lambda c: [model.update(gpusPerReplica=2) for model in c[MODELS].values()],
    "wider": lambda c: c[MODELS]["b"].update(spread={"regions": 3}),
    "by cloud": lambda c: c[MODELS]["b"].update(spread={"clouds": 2}),
    "no spread": lambda c: [c[MODELS][name].pop("spread") for name in "bc"],
    "residency": lambda c: c.update(
        {"model-factory:rules": {"residency": {"data": {"eu": ["us-west-2"], "us": ["us-west-2", "us-west4"]}}}}
    ),
    "never spot": lambda c: c.update({"model-factory:rules": {"spot": "never"}}),
    "only spot": lambda c: [(model.pop("spot", 0), model.update(capacity=["spot"])) for model in c[MODELS].values()],
}


class TestEveryMove:
    @pytest.mark.parametrize("change", CHANGES)
    def test_is_told_with_its_cause_and_nothing_else_is(self, change: str) -> None:
        before = Lock.of(plan(FOUR))
        changed = copy.deepcopy(FOUR)
        CHANGES[change](changed)
        made = plan(changed, before)
        after = Lock.of(made)
        for name in FOUR[MODELS]:
            was, now = before.machines(name), after.machines(name)
            told = [each for each in notes(made) if each.startswith(f"{MODELS}.{name}: ")]
            for site, pools in was.items():
                left = site not in now
                other = not left and list(pools) != list(now[site])
                assert any(str(site) in each for each in told) == (left or other), (site, was, now, told)


class TestLadders:
    def test_spot_is_preferred_and_on_demand_is_its_fall_back(self) -> None:
        (placed,) = plan(stack({"a": {"spot": True, "replicas": {"min": 2, "max": 5}}})).placements
        assert [(leg.rank, leg.capacity_type, leg.least, leg.most) for leg in placed.legs] == [
            (0, "spot", 2, 5),
            (1, "on-demand", 0, 5),
        ]
        assert len({leg.offer.accelerator for leg in placed.legs}) == 1

    def test_a_rung_that_is_added_joins_the_model_where_it_is(self) -> None:
        before = plan(stack({"a": {"clouds": ["aws"]}}))
        after = plan(stack({"a": {"clouds": ["aws"], "spot": True}}), Lock.of(before))
        (was,), (now,) = before.placements, after.placements
        assert now.site == was.site
        assert now.legs[1].offer == was.first.offer
        assert now.first.capacity_type == "spot"

    def test_a_stack_rule_takes_spot_from_all(self) -> None:
        (placed,) = plan(stack({"a": {"spot": True}}, rules={"spot": "never"})).placements
        assert [leg.capacity_type for leg in placed.legs] == ["on-demand"]

    def test_reserved_machines_are_filled_first_and_only_as_far_as_there_are(self) -> None:
        aws = {
            "regions": ["us-east-1"],
            "reservations": [
                {"name": "cr-0123456789abcdef0", "zone": "us-east-1a", "machineType": "g6.xlarge", "machines": 2}
            ],
        }
        ladder = {"capacity": ["reserved", "spot", "on-demand"], "replicas": {"min": 3, "max": 6}}
        made = plan(stack({"a": ladder}, aws=aws))
        (placed,) = made.placements
        assert [(leg.capacity_type, leg.least, leg.most) for leg in placed.legs] == [
            ("reserved", 2, 2),
            ("spot", 1, 6),
            ("on-demand", 0, 6),
        ]
        pool = next(each for each in made.pools if each.capacity_type == "reserved")
        assert (pool.max_nodes, pool.zones) == (2, ("us-east-1a",))

    def test_more_than_is_reserved_is_refused_where_nothing_else_is_allowed(self) -> None:
        aws = {
            "regions": ["us-east-1"],
            "reservations": [
                {"name": "cr-0123456789abcdef0", "zone": "us-east-1a", "machineType": "g6.xlarge", "machines": 2}
            ],
        }
        with pytest.raises(ValueError, match="has 2 machines, and its models may need 3; append on-demand"):
            plan(stack({"a": {"capacity": ["reserved"], "replicas": {"min": 1, "max": 3}}}, aws=aws))

    def test_of_several_reservations_the_one_that_holds_all_is_taken_in_any_order(self) -> None:
        rows = [
            {"name": f"cr-0123456789abcde{name}", "zone": "us-east-1a", "machineType": machine, "machines": machines}
            for name, machine, machines in (
                ("1", "g6.xlarge", 1),
                ("4", "g6.xlarge", 4),
                ("3", "g6.xlarge", 3),
                ("2", "g6.2xlarge", 9),
            )
        ]
        taken = set()
        for order in permutations(rows):
            aws = {"regions": ["us-east-1"], "reservations": list(order)}
            made = plan(stack({"a": {"capacity": ["reserved"], "replicas": {"min": 1, "max": 3}}}, aws=aws))
            taken.add(made.placements[0].first.reservation)
            left = [each for each in notes(made) if "are reserved" in each]
            assert len(left) == 3
            assert all("no model runs on them; name reserved in the capacity" in each for each in left)
        assert [each.name for each in taken if each] == ["cr-0123456789abcde3"]

    def test_pools_have_room_for_all_of_a_model_and_its_roll(self) -> None:
        made = plan(stack({"a": {"spot": True, "replicas": {"min": 1, "max": 3}}}))
        assert [each.max_nodes * made.placements[0].first.replicas_per_node >= 4 for each in made.pools] == [True, True]
        assert made.placements[0].surge == 1

    @pytest.mark.parametrize(
        ("machines", "capacity", "least", "surge", "told"),
        [
            (2, ["reserved"], 1, 0, "at rest nothing serves meanwhile"),
            (2, ["reserved"], 2, 0, "one fewer serves meanwhile"),
            (3, ["reserved"], 1, 1, ""),
            (2, ["reserved", "on-demand"], 1, 1, ""),
        ],
    )
    def test_where_all_reserved_machines_may_be_full_an_old_replica_goes_first_and_it_is_told(
        self, machines: int, capacity: list[str], least: int, surge: int, told: str
    ) -> None:
        held = {"zone": "us-east-1a", "machineType": "g6.xlarge", "machines": machines}
        aws = {"regions": ["us-east-1"], "reservations": [{"name": "cr-0123456789abcdef0", **held}]}
        made = plan(stack({"a": {"capacity": capacity, "replicas": {"min": least, "max": 2}}}, aws=aws))
        assert [each.surge for each in made.placements] == [surge]
        spare = [each for each in notes(made) if "no machine to spare" in each]
        assert [told in each and "reserve one more, or append on-demand" in each for each in spare] == (
            [True] if told else []
        )

    def test_models_that_share_reserved_machines_share_the_room_for_their_rolls(self) -> None:
        held = {"zone": "us-east-1a", "machineType": "g6.xlarge", "machines": 3}
        aws = {"regions": ["us-east-1"], "reservations": [{"name": "cr-0123456789abcdef0", **held}]}
        one = {"capacity": ["reserved"], "replicas": {"min": 1, "max": 1}}
        assert [each.surge for each in plan(stack({"a": one, "b": one}, aws=aws)).placements] == [0, 0]
        assert [each.surge for each in plan(stack({"a": one}, aws=aws)).placements] == [1]


class TestSites:
    def test_named_sites_have_the_replicas_that_are_named(self) -> None:
        named = {"aws/us-east-1": {"min": 2, "max": 4}, "gcp/us-central1": {"min": 1, "max": 2}}
        made = plan(stack({"a": {"sites": named, "replicas": {"min": 3, "max": 6}}}))
        assert {str(each.site): (each.replicas.min, each.replicas.max) for each in made.placements} == {
            "aws/us-east-1": (2, 4),
            "gcp/us-central1": (1, 2),
        }

    def test_a_spread_shares_replicas_out_the_larger_part_to_the_cheaper_place(self) -> None:
        made = plan(stack({"a": {"spread": {"clouds": 2}, "replicas": {"min": 3, "max": 5}}}))
        first = min(made.placements, key=lambda each: each.first.usd_per_node_hour or Decimal(0))
        assert sorted(each.cloud for each in made.placements) == ["aws", "gcp"]
        assert {each.cloud: each.replicas.min for each in made.placements}[first.cloud] == 2

    def test_two_regions_of_one_cloud(self) -> None:
        aws = {"regions": ["us-east-1", "us-east-2", "us-west-2"]}
        model = {"clouds": ["aws"], "spread": {"regions": 2}, "replicas": {"min": 2, "max": 4}}
        made = plan(stack({"a": model}, aws=aws))
        assert len({each.region for each in made.placements}) == 2
        assert {each.cloud for each in made.placements} == {"aws"}

    def test_a_wider_spread_keeps_the_place_it_has(self) -> None:
        before = plan(stack({"a": {"replicas": {"min": 2, "max": 2}}}))
        after = plan(stack({"a": {"spread": {"clouds": 2}, "replicas": {"min": 2, "max": 2}}}), Lock.of(before))
        assert before.placements[0].site in {each.site for each in after.placements}

    def test_the_preferred_cloud_is_taken_at_any_price(self) -> None:
        for cloud in ("aws", "gcp"):
            (placed,) = plan(stack({"a": {}}, rules={"preferredCloud": cloud})).placements
            assert placed.cloud == cloud


class TestWaysToBuy:
    def test_that_nobody_sells_are_told_where_a_model_runs_without_them(self) -> None:
        """Rather than to pay on demand in silence."""
        without = [replace(each, spot_usd_per_hour=None) for each in OFFERS]
        made = plan(stack({"a": {"spot": True, "clouds": ["aws"]}}), offers=without)
        (told,) = [each for each in notes(made) if each.startswith(f"{MODELS}.a.capacity: ")]
        assert "no table has a spot price of" in told
        assert told.endswith("in us-east-1; it runs there as on-demand")

    def test_that_name_reservations_are_told_where_none_is_listed(self) -> None:
        made = plan(stack({"a": {"capacity": ["reserved", "on-demand"], "clouds": ["aws"]}}))
        (told,) = [each for each in notes(made) if each.startswith(f"{MODELS}.a.capacity: ")]
        assert "no machine that fits is listed in model-factory:aws.reservations for us-east-1" in told


class TestWaste:
    def test_gpus_that_no_replica_can_use_are_told_with_what_they_cost(self) -> None:
        made = plan(stack({"a": {"gpusPerReplica": 3, "gpuMemoryGib": 60, "clouds": ["aws"], "accelerators": ["l4"]}}))
        (told,) = [each for each in notes(made) if "idle" in each]
        assert told.startswith(
            f"{MODELS}.a.gpusPerReplica: 1 of 4 GPUs of its g6.12xlarge in us-east-1 stay idle and cost"
        )

    def test_a_large_model_on_one_gpu_of_eight_is_told_what_would_be_cheaper(self) -> None:
        made = plan(stack({"a": {"gpuMemoryGib": 160, "clouds": ["aws"]}}))
        (told,) = [each for each in notes(made) if "idle" in each]
        assert "7 of 8 GPUs" in told
        assert "gpusPerReplica: 2 would run on" in told or "gpusPerReplica: 4 would run on" in told

    def test_a_lull_is_no_waste(self) -> None:
        made = plan(stack({"a": {"machineTypes": ["g6.12xlarge"], "replicas": {"min": 1, "max": 4}}}))
        assert not [each for each in notes(made) if "idle" in each]

    def test_a_cluster_without_a_model_is_told(self) -> None:
        made = plan(stack({"a": {"clouds": ["aws"]}}))
        (told,) = [each for each in notes(made) if "us-central1" in each]
        assert told.startswith("model-factory:gcp.regions: us-central1 has a cluster and no model")

    def test_a_cluster_where_nothing_adds_nodes_is_told_once_with_the_models_that_wait(self) -> None:
        made = plan(
            stack(
                {
                    "a": {"clouds": ["aws"]},
                    "b": {"clouds": ["aws"], "replicas": {"min": 2, "max": 2}},
                    "c": {"clouds": ["gcp"]},
                }
            )
        )
        (told,) = [each for each in notes(made) if "adds nodes" in each]
        assert told.startswith(
            "model-factory:aws.regions: us-east-1: nothing in the cluster adds nodes: replicas of a beyond"
        )
        assert "Karpenter" in told

    def test_a_control_plane_that_only_its_network_reaches_is_told_on_accounts(self) -> None:
        models = {"a": {"clouds": ["aws"]}, "b": {"clouds": ["gcp"]}}
        told = [each.partition(": is not set")[0] for each in notes(plan(stack(models))) if "hosted runner" in each]
        assert told == ["model-factory:aws.endpointPublicAccessCidrs", "model-factory:gcp.authorizedCidrs"]
        opened = stack(
            models,
            aws={"regions": ["us-east-1"], "endpointPublicAccessCidrs": ["203.0.113.0/24"]},
            gcp={"regions": ["us-central1"], "authorizedCidrs": ["203.0.113.0/24"]},
        )
        assert not [each for each in notes(plan(opened)) if "hosted runner" in each]

    def test_zones_that_no_table_knows_to_sell_the_machine_are_told_on_accounts(self) -> None:
        models = {"a": {"clouds": ["aws"]}, "b": {"clouds": ["gcp"]}}
        (told,) = [each for each in notes(plan(stack(models))) if "three zones" in each]
        assert told.startswith("model-factory:aws.zones: us-east-1: ")
        assert plan(stack(models)).pools_of("aws", "us-east-1")[0].machine_type in told
        chosen = {"regions": ["us-east-1"], "zones": [f"us-east-1{letter}" for letter in "bcd"]}
        assert not [each for each in notes(plan(stack(models, aws=chosen))) if "three zones" in each]


class TestNamesOfPools:
    """A name says what a pool has, whatever a hand wrote; no two kinds of machines ever share one."""

    SITE = Site("aws", "us-east-1")

    def made(self, models: dict[str, dict[str, Any]], pools: dict[str, str], **of: str) -> Plan:
        """The plan of models on AWS with a lock of on-demand pools (name → machine type), and a pool for each model that has one."""
        kept = {name: LockedPool(capacity="on-demand", machine_type=machine) for name, machine in pools.items()}
        lock = Lock({model: {self.SITE: (pool,)} for model, pool in of.items()}, {self.SITE: kept})
        return plan(stack({name: {"clouds": ["aws"], **model} for name, model in models.items()}), lock)

    @pytest.mark.parametrize(
        "name", ["mine", "system", "l4x1-on-demand-UPPER", "l4x1-on-demand" + "-x" * 60, "l4x1-spot"]
    )
    def test_a_name_written_by_hand_becomes_the_plans_and_that_is_told(self, name: str) -> None:
        made = self.made({"a": {}}, {name: "g6.xlarge"}, a=name)
        (pool,) = made.pools
        assert (pool.name, pool.machine_type) == ("l4x1-on-demand", "g6.xlarge")
        (told,) = [each for each in notes(made) if "is called" in each]
        assert told.startswith(f"pools.aws/us-east-1.{name}: is called l4x1-on-demand from now on")

    def test_the_same_machines_under_two_names_become_one_pool_and_that_is_told(self) -> None:
        pools = {"l4x1-on-demand": "g6.xlarge", "l4x1-on-demand-g6-xlarge": "g6.xlarge"}
        made = self.made({"a": {}, "b": {}}, pools, a="l4x1-on-demand", b="l4x1-on-demand-g6-xlarge")
        assert [each.name for each in made.pools] == ["l4x1-on-demand"]
        (told,) = [each for each in notes(made) if "is called" in each]
        assert told.startswith("pools.aws/us-east-1.l4x1-on-demand-g6-xlarge: ")

    def test_the_name_of_another_machine_is_never_taken(self) -> None:
        pools = {"l4x1-on-demand": "g6.4xlarge", "l4x1-on-demand-g6-2xlarge": "g6.xlarge"}
        models = {"a": {"machineTypes": ["g6.xlarge"]}, "b": {"machineTypes": ["g6.2xlarge"]}, "c": {}}
        made = self.made(models, pools, a="l4x1-on-demand-g6-2xlarge", c="l4x1-on-demand")
        assert {each.name: each.machine_type for each in made.pools} == {
            "l4x1-on-demand": "g6.4xlarge",
            "l4x1-on-demand-g6-xlarge": "g6.xlarge",
            "l4x1-on-demand-g6-2xlarge": "g6.2xlarge",
        }

    def test_names_that_the_plan_gave_are_kept_in_silence(self) -> None:
        first = self.made({"a": {"machineTypes": ["g6.2xlarge"]}, "b": {"machineTypes": ["g6.xlarge"]}}, {})
        again = plan(stack({each.model.name: {"clouds": ["aws"]} for each in first.placements}), Lock.of(first))
        assert [(each.name, each.machine_type) for each in again.pools] == [
            (each.name, each.machine_type) for each in first.pools
        ]
        assert not [each for each in notes(again) if "is called" in each]

    def test_a_name_is_no_longer_than_a_label_may_be(self) -> None:
        names = ["r" + "-very-long" * 6, "s" + "-very-long" * 6]
        gcp = {
            "regions": ["us-central1"],
            "reservations": [
                {"name": name, "zone": "us-central1-a", "machineType": machine, "machines": 4}
                for name, machine in zip(names, ["g2-standard-4", "g2-standard-8"], strict=True)
            ],
        }
        models = {
            name: {"clouds": ["gcp"], "capacity": ["reserved"], "machineTypes": [machine]}
            for name, machine in (("a", "g2-standard-4"), ("b", "g2-standard-8"))
        }
        made = [each.name for each in plan(stack(models, gcp=gcp)).pools]
        assert len(set(made)) == 2
        assert max(map(len, made)) <= 63
