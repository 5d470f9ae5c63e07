from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.cost import IDLE, SHARED, Bill, Resource, Span, Sums, bill_of, delta_of
from model_factory.facts.catalogue import Catalogue, Rejected
from model_factory.facts.prices import PriceTable
from tests.cost.graphs import AWS, GCP, component, eks, flat, gke, model, node_group, node_pool, region_urn, resource
from tests.cost.tables import AS_OF, offer, price, table


def bill(resources: Iterable[Resource], **options: Any) -> Bill:
    return bill_of(resources, prices=table(), **options)


def steps(work: Callable[[], object]) -> int:
    """How many instructions the interpreter carries out: as good as a time, and the same on every machine."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def span(idle: str, peak: str | None = None) -> Span:
    return Span(Decimal(idle), Decimal(idle if peak is None else peak))


def whole() -> list[Resource]:
    """Two clusters in two clouds with three models; one pool is shared by two of them."""
    return flat(
        eks(enabledClusterLogTypes=["api", "audit", "authenticator", "controllerManager", "scheduler"]),
        gke(loggingConfig={"enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"]}),
        resource(
            "aws:cloudwatch/logGroup:LogGroup",
            "logs",
            AWS,
            region="us-east-1",
            name="/aws/eks/x",
            retentionInDays=30,
        ),
        resource("aws:ec2/natGateway:NatGateway", "nat", AWS, region="us-east-1"),
        resource("aws:ec2/eip:Eip", "nat", AWS, region="us-east-1"),
        resource("aws:ec2/vpc:Vpc", "vpc", AWS, region="us-east-1"),
        resource("aws:kms/key:Key", "key", AWS, region="us-east-1"),
        resource("aws:ecr/repository:Repository", "chat", AWS, region="us-east-1", tags={"model": "chat"}),
        resource("aws:s3/bucket:Bucket", "weights", AWS, region="us-east-1"),
        resource("gcp:artifactregistry/repository:Repository", "images", GCP, location="us-central1"),
        resource("gcp:storage/bucket:Bucket", "weights", GCP, location="US-CENTRAL1", storageClass="STANDARD"),
        resource(
            "gcp:compute/routerNat:RouterNat",
            "nat",
            GCP,
            region="us-central1",
            natIpAllocateOption="AUTO_ONLY",
        ),
        node_group("system", "small", least=2, most=4),
        node_group("quad", "four", most=3),
        node_pool("single", "g-one", autoscaling={"totalMinNodeCount": 0, "totalMaxNodeCount": 5}, spot=True),
        model("chat", "quad", 1, 4, gpus=2),
        model("rank", "quad", 1, 3),
        model("vision", "single", 2, 5, parent=GCP),
    )


class TestGolden:
    """Every line of a graph of two clouds, worked out by hand.

    Prices as tests/planning/cost/tables.py has them. A month has 730 hours, so 0.073 a GB-month is 0.0001 a GB-hour.

    aws: 3 models want GPUs. Pool quad, machines of 4 GPUs at 3.60:
      at rest: chat 1 x 2 + rank 1 x 1 = 3 GPUs fit on 1 node; 1 x 3.60 = 3.60; chat 2/4 = 1.80, rank 1/4 = 0.90, idle 1/4 = 0.90
      at peak: chat 4 x 2 + rank 3 x 1 = 11 GPUs: chat fills two nodes, rank a third one; 3 x 3.60 = 10.80 over 12 GPUs:
               chat 8/12 = 7.20, rank 3/12 = 2.70, idle 1/12 = 0.90
      volumes: 1 and 3 nodes x 200 GB x 0.073 / 730 = 0.02 and 0.06
    system: 2 and 4 nodes x 0.10 = 0.20 and 0.40; volumes: 2 x 200 x 0.0001 = 0.04 and 0.08
    control plane 0.10; NAT gateway 0.05, 100 GB x 0.0438 / 730 = 0.006; address 0.005; key 0.73 / 730 = 0.001
    logs: 10 GB x 0.73 / 730 = 0.01; kept 30 days: 10 x 30/30 x 15 % = 1.5 GB x 0.0292 / 730 = 0.00006
    images of chat: 30 GB x 0.0001 = 0.003; weights: 2 models x 60 GB x 0.0365 / 730 = 0.006
    gcp: vision on spot at 0.30: 2 and 5 nodes = 0.60 and 1.50; volumes 2 and 5 x 100 GB x 0.146 / 730 = 0.04 and 0.10;
      Cloud NAT 2 and 5 x 0.001 = 0.002 and 0.005
    control plane 0.10; logs 30 GB x 0.001 = 0.03; NAT data 0.006; its address 0.005; images 30 GB x 0.0001 = 0.003;
      weights 60 GB x 0.00003 = 0.0018
    """

    LINES = (
        ("aws", "control plane", "0.10", "0.10"),
        ("chat", "images", "0.003", "0.003"),
        ("key", "key", "0.001", "0.001"),
        ("logs", "logs kept", "0.00006", "0.00006"),
        ("logs", "logs taken in", "0.01", "0.01"),
        ("nat", "NAT gateway", "0.05", "0.05"),
        ("nat", "data through the gateway", "0.006", "0.006"),
        ("nat", "public address", "0.005", "0.005"),
        ("quad", "four nodes", "3.60", "10.80"),
        ("quad", "gp3 volumes of its nodes", "0.02", "0.06"),
        ("system", "gp3 volumes of its nodes", "0.04", "0.08"),
        ("system", "small nodes", "0.20", "0.40"),
        ("weights", "weights", "0.006", "0.006"),
        ("gcp", "control plane", "0.10", "0.10"),
        ("gcp", "logs", "0.03", "0.03"),
        ("images", "images", "0.003", "0.003"),
        ("nat", "addresses", "0.005", "0.005"),
        ("nat", "data through the gateway", "0.006", "0.006"),
        ("single", "Cloud NAT of its nodes", "0.002", "0.005"),
        ("single", "g-one nodes", "0.60", "1.50"),
        ("single", "pd-balanced volumes of its nodes", "0.04", "0.10"),
        ("weights", "weights", "0.0018", "0.0018"),
    )

    def test_lines(self) -> None:
        made = [(line.name, line.what, line.usd_per_hour) for line in bill(whole()).lines]
        assert made == [(name, what, span(idle, peak)) for name, what, idle, peak in self.LINES]

    def test_totals(self) -> None:
        # At rest 3.60 + 0.20 + 0.24106 (the rest of aws) + 0.60 + 0.1878 (the rest of gcp); at peak 10.80 + 0.40 + 0.32106 + 1.50 + 0.2508.
        total = bill(whole()).total
        assert total.usd_per_hour == span("4.82886", "13.27186")
        assert total.on_demand == span("3.80", "11.20")
        assert total.spot == span("0.60", "1.50")
        assert total.usd_per_month == span("3525.0678", "9688.4578")

    def test_gpu_hours(self) -> None:
        # 4 and 12 GPUs of quad, 2 and 5 of single.
        total = bill(whole()).total
        assert total.gpus == span("6", "17")
        assert total.gpu_hours_per_month == span("4380", "12410")

    def test_owners(self) -> None:
        # Volumes of quad go with its nodes: 2/4 of 0.02 to chat; at peak 8/12 of 0.06. chat's images are its own.
        owners = bill(whole()).by_owner
        assert {key: sums.usd_per_hour for key, sums in owners.items()} == {
            ("chat", "aws"): span("1.813", "7.243"),
            ("rank", "aws"): span("0.905", "2.715"),
            ("vision", "gcp"): span("0.642", "1.605"),
            (IDLE, "aws"): span("0.905", "0.905"),
            (SHARED, "aws"): span("0.41806", "0.65806"),
            (SHARED, "gcp"): span("0.1458", "0.1458"),
        }
        assert {key: sums.gpus for key, sums in owners.items() if sums.gpus} == {
            ("chat", "aws"): span("2", "8"),
            ("rank", "aws"): span("1", "3"),
            ("vision", "gcp"): span("2", "5"),
            (IDLE, "aws"): span("1", "1"),
        }

    def test_parts_add_up(self) -> None:
        made = bill(whole())
        for line in made.lines:
            assert sum((share.usd_per_hour for share in line.shares), Span()) == line.usd_per_hour
        for parts in (made.by_cloud, made.by_owner, made.by_model, made.by_site, made.by_leg):
            assert sum((sums.usd_per_hour for sums in parts.values()), Span()) == made.total.usd_per_hour

    def test_estimates_are_told_apart(self) -> None:
        # 0.003 + 0.00006 + 0.01 + 0.006 + 0.006 of aws, 0.03 + 0.003 + 0.005 + 0.006 + 0.0018 of gcp.
        made = bill(whole())
        assert made.estimated.usd_per_hour == span("0.07086")
        assert {line.what for line in made.lines if line.estimated} == {
            *(
                "images",
                "logs",
                "logs kept",
                "logs taken in",
                "weights",
                "addresses",
                "data through the gateway",
            ),
        }

    def test_order_of_records_changes_nothing(self) -> None:
        made, other = bill(whole()), bill(reversed(whole()))
        assert made.lines == other.lines
        assert made.missing == other.missing == ()


class TestChanges:
    def test_one_gpu_pool_changes_exactly_its_lines(self) -> None:
        after = [
            replace(each, inputs=each.inputs | {"instanceTypes": ["one"], "capacityType": "SPOT"})
            if each.name == "quad" and each.type.endswith("NodeGroup")
            else each
            for each in flat(eks(), node_group("quad", "four"), node_group("other", "one"), model("chat", "quad", 1, 2))
        ]
        before = flat(eks(), node_group("quad", "four"), node_group("other", "one"), model("chat", "quad", 1, 2))
        delta = delta_of(bill(before), bill(after))
        # At rest one node either way, 3.60 → 0.40; at peak 1 of four GPUs → 2 of one, 3.60 → 0.80, and a second volume.
        changed = [(change.before and change.before.what, change.after and change.after.what) for change in delta.lines]
        assert changed == [
            ("gp3 volumes of its nodes", "gp3 volumes of its nodes"),
            ("four nodes", "one nodes"),
        ]
        assert {change.after.name for change in delta.lines if change.after} == {"quad"}
        assert delta.total.difference.on_demand == span("-3.60", "-3.60")
        assert delta.total.difference.spot == span("0.40", "0.80")
        assert delta.total.difference.usd_per_hour == span("-3.20", "-2.78")
        assert set(delta.sites) == {("chat", "aws", "us-east-1"), (IDLE, "aws", "us-east-1")}
        assert set(delta.clouds) == {"aws"}

    def test_replicas_change_only_their_model_where_it_has_a_pool_alone(self) -> None:
        def graph(most: int) -> list[Resource]:
            return flat(
                eks(),
                node_group("one", "one"),
                node_group("two", "one"),
                model("a", "one", 1, most),
                model("b", "two", 1, 1),
            )

        delta = delta_of(bill(graph(1)), bill(graph(3)))
        assert set(delta.sites) == {("a", "aws", "us-east-1")}
        assert delta.total.difference.usd_per_hour == span("0", "2.04")
        assert delta.total.difference.gpus == span("0", "2")

    def test_a_model_that_moves_is_gone_here_and_new_there(self) -> None:
        pools = (
            node_group("quad", "one"),
            node_pool("single", "g-one", autoscaling={"totalMaxNodeCount": 4}),
        )
        before = flat(eks(), gke(), *pools, model("chat", "quad", 1, 1))
        after = flat(eks(), gke(), *pools, model("chat", "single", 1, 1, parent=GCP))
        sites = delta_of(bill(before), bill(after)).sites
        assert sites["chat", "aws", "us-east-1"].difference.usd_per_hour == span("-1.02")
        assert sites["chat", "gcp", "us-central1"].difference.usd_per_hour == span("0.82")

    def test_nothing_changes(self) -> None:
        delta = delta_of(bill(whole()), bill(whole()))
        assert not delta
        assert not delta.sites
        assert not delta.legs
        assert not delta.clouds

    def test_from_nothing_and_to_nothing(self) -> None:
        empty, full = bill([]), bill(whole())
        assert delta_of(empty, full).total.difference == full.total
        assert delta_of(full, empty).total.difference.usd_per_hour == full.total.usd_per_hour * -1


class TestNodes:
    def test_a_pool_stops_at_its_most(self) -> None:
        made = bill(flat(eks(), node_group("one", "one", most=2), model("a", "one", 1, 4), model("b", "one", 0, 4)))
        nodes = next(line for line in made.lines if line.kind == "nodes")
        assert nodes.quantity == span("1", "2")
        # Eight replicas want eight GPUs of the two: four of eight each.
        assert {share.owner: share.gpus for share in nodes.shares} == {
            "a": span("1", "1"),
            "b": span("0", "1"),
        }
        assert made.warnings == ("one: its models need 8 nodes at peak, and it stops at 2; the figures stop there too",)

    def test_a_pool_that_nobody_uses_costs_its_least_nodes(self) -> None:
        made = bill(flat(eks(), node_group("one", "one", least=1, most=9)))
        assert next(line for line in made.lines if line.kind == "nodes").usd_per_hour == span("1")
        assert set(made.by_owner) == {(IDLE, "aws"), (SHARED, "aws")}

    def test_cpu_and_memory_fill_nodes_too(self) -> None:
        # `four` leaves 63.5 cores of 64 or less: two replicas of 30 cores a node, though four GPUs are there.
        made = bill(flat(eks(), node_group("quad", "four"), model("a", "quad", 2, 6, cpu="30")))
        nodes = next(line for line in made.lines if line.kind == "nodes")
        assert nodes.quantity == span("1", "3")
        assert {share.owner: share.gpus for share in nodes.shares} == {
            "a": span("2", "6"),
            IDLE: span("2", "6"),
        }

    @pytest.mark.parametrize(
        ("inputs", "idle", "peak"),
        [
            ({"autoscaling": {"totalMinNodeCount": 1, "totalMaxNodeCount": 4}}, "1", "4"),
            ({"autoscaling": {"minNodeCount": 1, "maxNodeCount": 2}}, "3", "6"),
            ({"autoscaling": {"minNodeCount": 1, "maxNodeCount": 2}, "nodeLocations": ["a", "b"]}, "2", "4"),
            ({"autoscaling": {"minNodeCount": 1, "maxNodeCount": 2}, "location": "us-central1-a"}, "1", "2"),
            ({"autoscaling": None, "nodeCount": 2}, "6", "6"),
            ({"autoscaling": None, "initialNodeCount": 1}, "3", "3"),
        ],
    )
    def test_gke_counts_by_zone(self, inputs: dict[str, Any], idle: str, peak: str) -> None:
        made = bill(flat(gke(), node_pool("system", "g-small", **({"autoscaling": {}} | inputs))))
        assert next(line for line in made.lines if line.kind == "nodes").quantity == span(idle, peak)

    def test_a_create_preview_knows_as_much_as_a_state(self) -> None:
        # Ids and names that the cloud makes up are not known yet; the place in the tree is.
        unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
        pool = "urn:pulumi:dev::factory::model-factory:cluster:EksNodePool::one"
        group = [
            replace(each, id="", parent=pool, inputs=each.inputs | {"launchTemplate": {"id": unknown}})
            for each in node_group("one", "one")
        ]
        above = Resource(pool, "model-factory:cluster:EksNodePool", {}, {}, "", AWS)
        planned = bill(flat(eks(), above, group, model("a", "one", 1, 3, scaler_names_it=False)))
        there = bill(flat(eks(), node_group("one", "one"), model("a", "one", 1, 3)))
        assert planned.total == there.total
        assert planned.missing == ()

    def test_equal_pool_names_in_two_clusters_are_told_apart_by_place(self) -> None:
        made = bill(
            flat(
                eks(),
                gke(),
                node_group("l4", "one"),
                node_pool("l4", "g-one", autoscaling={"totalMaxNodeCount": 4}),
                model("a", "l4", 1, 1),
                model("b", "l4", 1, 1, parent=GCP),
            )
        )
        gpus = {key: sums.gpus for key, sums in made.by_owner.items() if sums.gpus}
        assert gpus == {("a", "aws"): span("1"), ("b", "gcp"): span("1")}

    def test_without_a_tree_such_a_model_is_named(self) -> None:
        resources = flat(
            eks(),
            gke(),
            node_group("l4", "one"),
            node_pool("l4", "g-one", autoscaling={"totalMaxNodeCount": 4}),
            model("a", "l4", 1, 1),
        )
        made = bill(replace(each, parent="") for each in resources)
        assert [(each.name, each.reason) for each in made.missing] == [
            ("aws-a", "several node pools of several clusters fit")
        ]


def nodes_of(made: Bill) -> dict[str, Span]:
    """Nodes by pool."""
    return {line.name: line.quantity for line in made.lines if line.kind == "nodes"}


class TestPoolsWithoutGpus:
    """`small` has 16 cores and 128 GiB, of which Pods get 15.63 and 117.62: three replicas of 5 cores, or of 35 GiB."""

    def test_their_models_pay_them_by_cpu_and_memory(self) -> None:
        models = (
            model("a", "cpu", 1, 6, gpus=0, cpu="5", memory="4Gi"),
            model("b", "cpu", 1, 1, gpus=0, cpu="500m", memory="50Gi"),
        )
        made = bill(flat(eks(), node_group("cpu", "small"), *models))
        (nodes,) = (line for line in made.lines if line.kind == "nodes")
        assert nodes.quantity == span("1", "2")
        # a: (5 / 15.63 + 4 / 117.62) / 2 = 0.177 of a node each; b: (0.5 / 15.63 + 50 / 117.62) / 2 = 0.229.
        assert {share.owner: share.gpus for share in nodes.shares} == {"a": span("0"), "b": span("0")}
        parts = {share.owner: round(share.usd_per_hour.idle, 3) for share in nodes.shares}
        assert parts == {"a": Decimal("0.044"), "b": Decimal("0.056")}
        assert made.by_owner.keys() == {("a", "aws"), ("b", "aws"), (SHARED, "aws")}

    def test_a_model_alone_pays_whole_nodes(self) -> None:
        made = bill(flat(eks(), node_group("cpu", "small"), model("a", "cpu", 2, 6, gpus=0, cpu="5")))
        assert made.by_model["a"].on_demand == span("0.10", "0.20")

    def test_one_that_a_model_may_fall_back_on_is_empty(self) -> None:
        pools = (node_group("cpu-od", "small"), node_group("cpu-spot", "small", spot=True))
        made = bill(flat(eks(), *pools, model("a", ("cpu-spot", "cpu-od"), 1, 4, gpus=0)))
        assert nodes_of(made) == {"cpu-od": span("0"), "cpu-spot": span("1")}
        assert made.by_model["a"].spot == span("0.04")

    def test_models_with_gpus_take_none_of_them(self) -> None:
        pools = (node_group("cpu", "small"), node_group("one", "one"))
        made = bill(flat(eks(), *pools, model("a", "one", 1, 2), model("b", "cpu", 1, 2, gpus=0)))
        assert nodes_of(made) == {"cpu": span("1"), "one": span("1", "2")}

    def test_one_that_no_model_names_has_its_own_bounds(self) -> None:
        pools = (node_group("system", "small", least=2, most=4), node_group("cpu", "small"))
        made = bill(flat(eks(), *pools, model("a", "cpu", 1, 2, gpus=0)))
        assert nodes_of(made) == {"cpu": span("1"), "system": span("2", "4")}

    def test_what_nobody_runs_at_rest_is_shared(self) -> None:
        made = bill(flat(eks(), node_group("cpu", "small", least=1), model("a", "cpu", 0, 1, gpus=0)))
        (nodes,) = (line for line in made.lines if line.kind == "nodes")
        assert {share.owner: share.usd_per_hour for share in nodes.shares} == {
            "a": span("0", "0.10"),
            SHARED: span("0.10", "0"),
        }

    def test_a_model_that_no_pool_takes_is_named(self) -> None:
        made = bill(flat(eks(), node_group("cpu", "small"), model("a", "other", 1, 1, gpus=0)))
        told = [(each.what, each.reason) for each in made.missing]
        assert told == [("nodes of its pods", "no node pool has the labels it selects")]


class TestLegs:
    """A model that several pools take is on them by what it likes best. `one` is 1 on demand and 0.40 on spot, with one GPU."""

    def test_all_replicas_are_on_the_pool_that_is_liked_best_and_the_others_stay_empty(self) -> None:
        pools = (node_group("od", "one"), node_group("a-spot", "one", spot=True))
        for ranked, expected in (
            (("a-spot", "od"), {"a-spot": span("1", "4"), "od": span("0")}),
            (("od", "a-spot"), {"a-spot": span("0"), "od": span("1", "4")}),
        ):
            made = bill(flat(eks(), *pools, model("chat", ranked, 1, 4)))
            assert nodes_of(made) == expected
            assert made.missing == made.warnings == ()

    def test_counts_that_a_stranger_wrote_are_billed_as_fast_as_others(self) -> None:
        many = 10**14
        pools = (node_group("cheap", "one", spot=True, most=many), node_group("od", "one", most=many))
        made = bill(flat(eks(), *pools, model("chat", ("cheap", "od"), 1, many + 2)))
        assert nodes_of(made) == {"cheap": span("1", str(many)), "od": span("0", "2")}

    def test_what_a_reservation_has_no_room_for_goes_on_to_the_next_and_the_one_after(self) -> None:
        made = bill(
            flat(
                eks(),
                node_group("held", "one", most=2, reservation="cr-1"),
                node_group("cheap", "one", spot=True, most=3),
                node_group("od", "one"),
                model("chat", ("held", "cheap", "od"), 1, 7),
            )
        )
        assert nodes_of(made) == {"held": span("1", "2"), "cheap": span("0", "3"), "od": span("0", "2")}
        assert made.warnings == ()
        # At peak 2 reserved at what they cost on demand, 3 on spot and 2 on demand, each with 0.02 for its volume.
        total = made.by_site["chat", "aws", "us-east-1"]
        assert (total.reserved, total.spot, total.on_demand) == (span("1", "2"), span("0", "1.20"), span("0", "2"))
        assert total.usd_per_hour == span("1.02", "5.34")
        assert total.gpus == span("1", "7")

    def test_models_that_can_go_nowhere_else_have_the_reserved_machines_first(self) -> None:
        made = bill(
            flat(
                eks(),
                node_group("held", "one", most=3, reservation="cr-1"),
                node_group("od", "one"),
                model("able", ("held", "od"), 1, 4),
                model("pinned", "held", 2, 2),
            )
        )
        assert nodes_of(made) == {"held": span("3"), "od": span("0", "3")}
        legs = {key[0::3]: sums.gpus for key, sums in made.by_leg.items() if sums.gpus}
        assert legs == {
            ("able", "reserved"): span("1"),
            ("able", "on-demand"): span("0", "3"),
            ("pinned", "reserved"): span("2"),
        }

    def test_reserved_machines_without_a_price_of_their_own_say_what_was_assumed(self) -> None:
        made = bill(flat(eks(), node_group("held", "one", reservation="cr-1"), model("chat", "held", 1, 1)))
        (nodes,) = (line for line in made.lines if line.kind == "nodes")
        assert (nodes.capacity_type, nodes.usd_per_unit) == ("reserved", Decimal(1))
        assert "on demand" in nodes.estimated

    def test_reserved_machines_that_do_not_run_are_named_since_their_reservation_bills_them(self) -> None:
        made = bill(flat(eks(), node_group("held", "one", reservation="cr-1"), model("chat", "held", 1, 1)))
        assert [(each.name, each.what) for each in made.missing] == [("held", "reserved machines that no node runs on")]

    def test_reserved_machines_cost_what_the_offers_ask_for_reserved_ones(self) -> None:
        prices = table()
        asked = {
            key: replace(each, reserved_usd_per_hour=each.usd_per_hour * Decimal("0.6"))
            for key, each in prices.machines.items()
        }
        graph = flat(eks(), node_group("held", "one", reservation="cr-1"), model("chat", "held", 1, 2))
        (nodes,) = (
            line for line in bill_of(graph, prices=replace(prices, machines=asked)).lines if line.kind == "nodes"
        )
        assert (nodes.usd_per_hour, nodes.estimated) == (span("0.60", "1.20"), "")

    def test_a_pool_of_gke_that_names_a_reservation_is_reserved(self) -> None:
        pool = node_pool("held", "g-one", autoscaling={"totalMaxNodeCount": 2})
        affinity = {"consumeReservationType": "SPECIFIC_RESERVATION", "values": ["mine"]}
        config = {**pool.inputs["nodeConfig"], "reservationAffinity": affinity}
        pool = replace(pool, inputs={**pool.inputs, "nodeConfig": config})
        made = bill(flat(gke(), pool, model("chat", "held", 1, 2, parent=GCP)))
        assert made.by_site["chat", "gcp", "us-central1"].reserved == span("0.80", "1.60")

    def test_a_model_in_two_sites_has_a_row_each_and_their_sum(self) -> None:
        made = bill(
            flat(
                eks(),
                gke(),
                node_group("l4", "one"),
                node_pool("l4", "g-one", autoscaling={"totalMaxNodeCount": 4}),
                model("chat", "l4", 2, 3),
                model("chat", "l4", 1, 1, parent=GCP),
            )
        )
        assert made.missing == ()
        sites = {key[1:]: sums.usd_per_hour for key, sums in made.by_site.items() if key[0] == "chat"}
        assert sites == {("aws", "us-east-1"): span("2.04", "3.06"), ("gcp", "us-central1"): span("0.82")}
        assert made.by_model["chat"].usd_per_hour == sum(sites.values(), Span()) == span("2.86", "3.88")

    def test_equal_pools_in_two_regions_of_a_cloud_are_told_apart_by_place_at_every_rank(self) -> None:
        other = region_urn("oregon")
        prices = table()
        west = {
            ("aws", "us-west-2", key[2]): replace(each, region="us-west-2") for key, each in prices.machines.items()
        }
        prices = replace(prices, machines=prices.machines | west)
        graph = [component(other)]
        for parent, place, least in ((AWS, "us-east-1", 1), (other, "us-west-2", 2)):
            pools = [
                node_group("od", "one", region=place, parent=parent),
                node_group("cheap", "one", spot=True, region=place, most=1, parent=parent),
            ]
            graph += [replace(each, urn=f"{each.urn}-{place}") for each in (eks(place, parent), *pools[0], *pools[1])]
            graph += model("chat", ("cheap", "od"), least, 3, parent=parent)
        legs = bill_of(flat(graph), prices=prices).by_leg
        assert {key[2:]: sums.gpus for key, sums in legs.items() if sums.gpus} == {
            ("us-east-1", "spot"): span("1", "1"),
            ("us-east-1", "on-demand"): span("0", "2"),
            ("us-west-2", "spot"): span("1", "1"),
            ("us-west-2", "on-demand"): span("1", "2"),
        }

    @given(data=st.data())
    def test_whatever_is_where_shares_add_up_to_lines_and_legs_to_sites(self, data: st.DataObject) -> None:
        with_gpus = st.permutations(("held", "cheap", "od", "quad"))
        sizes = st.integers(0, 4)
        pools = [
            node_group("held", "one", most=data.draw(sizes), reservation="cr-1"),
            node_group("cheap", "one", most=data.draw(sizes), spot=True),
            node_group("od", "one", most=data.draw(sizes)),
            node_group("quad", "four", most=data.draw(sizes)),
            node_group("cpu", "small", most=data.draw(sizes)),
            node_group("cpu-spot", "small", most=data.draw(sizes), spot=True),
        ]
        without = st.permutations(("cpu", "cpu-spot"))
        models = [
            model(
                f"m{number}",
                data.draw(with_gpus if gpus else without)[: data.draw(st.integers(1, 4))],
                least,
                least + data.draw(sizes),
                gpus=gpus,
            )
            for number in range(data.draw(st.integers(0, 3)))
            for gpus in (data.draw(st.integers(0, 2)),)
            for least in (data.draw(sizes),)
        ]
        made = bill(flat(eks(), *pools, *models))
        for line in made.lines:
            assert sum((share.usd_per_hour for share in line.shares), Span()) == line.usd_per_hour
            assert sum((share.gpus for share in line.shares), Span()) == line.gpus
        for owner, cloud, place in made.by_site:
            legs = [sums for key, sums in made.by_leg.items() if key[:3] == (owner, cloud, place)]
            assert sum(legs, Sums()) == made.by_site[owner, cloud, place]
        for pool in pools:
            most = pool[1].at("scalingConfig", "maxSize")
            assert nodes_of(made)[pool[1].name].peak <= most
        assert made.lines == bill(reversed(flat(eks(), *pools, *models))).lines


class TestReadings:
    """What of a cluster policies have always known, and cost has not."""

    def scaled(self, **spec: Any) -> list[Resource]:
        """A Deployment with KEDA's autoscaler in place of Kubernetes' own."""
        component, deployment, _ = model("a", "one", 9, 9)
        target = {"name": deployment.at("metadata", "name")}
        scaler = resource(
            "kubernetes:keda.sh/v1alpha1:ScaledObject",
            "aws-a",
            deployment.parent,
            metadata={"namespace": "model-a"},
            spec={"scaleTargetRef": target} | spec,
        )
        return [component, deployment, scaler]

    @pytest.mark.parametrize(
        ("spec", "idle", "peak"),
        [
            ({"minReplicaCount": 2, "maxReplicaCount": 5}, "2", "5"),
            ({"maxReplicaCount": 3}, "0", "3"),
            ({"minReplicaCount": 2, "idleReplicaCount": 0, "maxReplicaCount": 5}, "0", "5"),
        ],
    )
    def test_keda_scales_too(self, spec: dict[str, int], idle: str, peak: str) -> None:
        made = bill(flat(eks(), node_group("one", "one"), self.scaled(**spec)))
        assert made.by_owner["a", "aws"].gpus == span(idle, peak)

    def test_a_part_of_a_gpu_is_paid_for(self) -> None:
        slices = {"nvidia.com/mig-1g.10gb": "1", "cpu": "1", "memory": "4Gi"}
        component, deployment, scaler = model("a", "one", 1, 14)
        pod = {
            "nodeSelector": {"model-factory/pool": "one"},
            "containers": [{"name": "server", "resources": {"requests": slices, "limits": slices}}],
        }
        spec = {"template": {"metadata": {"labels": {"model": "a"}}, "spec": pod}}
        shared = replace(deployment, inputs=deployment.inputs | {"spec": spec})
        made = bill(flat(eks(), node_group("one", "one"), component, shared, scaler))
        nodes = next(line for line in made.lines if line.kind == "nodes")
        # One seventh of the GPU of one node at rest; at peak all of two.
        assert nodes.quantity == span("1", "2")
        parts = {share.owner: share for share in nodes.shares}
        assert parts["a"].gpus.idle == pytest.approx(Decimal(1) / 7)
        assert parts["a"].usd_per_hour.peak == pytest.approx(nodes.usd_per_hour.peak)
        assert sum((share.gpus for share in nodes.shares), Span()) == nodes.gpus == span("1", "2")

    def test_a_large_claim_is_not_free(self) -> None:
        claim = resource(
            "kubernetes:core/v1:PersistentVolumeClaim",
            "cache",
            AWS,
            spec={"storageClassName": "gp3", "resources": {"requests": {"storage": "1Pi"}}},
        )
        (line,) = (each for each in bill(flat(eks(), claim)).lines if each.name == "cache")
        assert line.quantity == span(str(2**20))

    @pytest.mark.parametrize(("attached", "known"), [(4, True), (0, False), (2, False)])
    def test_a_machine_has_the_gpus_that_its_pool_attaches(self, attached: int, known: bool) -> None:
        offers = [offer("gcp", "n1-standard-16", 4, "2.00", None)]
        prices = PriceTable.of([], Catalogue(tuple(offers), ()))
        pool = node_pool("t4", "n1-standard-16", autoscaling={"totalMinNodeCount": 1, "totalMaxNodeCount": 1})
        config = {**pool.inputs["nodeConfig"], "guestAccelerators": [{"type": "t4", "count": attached}]}
        made = bill_of([replace(pool, inputs=pool.inputs | {"nodeConfig": config})], prices=prices)
        assert [line.gpus for line in made.lines if line.kind == "nodes"] == ([span("4")] if known else [])
        reason = f"no price of machine:n1-standard-16 with {attached} GPUs in us-central1"
        assert (reason in {each.reason for each in made.missing}) is not known

    def test_a_pool_of_the_cluster_is_found_by_what_depends_on_it(self) -> None:
        # Two clusters side by side under the stack, each with a pool of one name: the tree does not tell them apart.
        graph: list[Resource] = []
        for name, region in (("first", "us-east-1"), ("second", "us-east-1")):
            cluster = replace(eks(region), urn=f"urn:pulumi:dev::factory::aws:eks/cluster:Cluster::{name}", parent="")
            provider = resource("pulumi:providers:kubernetes", name, "")
            pool = node_group(name, "one")[1]
            graph += [
                cluster,
                replace(provider, dependencies=(cluster.urn,)),
                replace(
                    pool,
                    parent="",
                    dependencies=(cluster.urn,),
                    inputs={**pool.inputs, "labels": {"p": "gpu"}},
                ),
            ]
        _, deployment, _ = model("a", "gpu", 1, 1)
        pod = {
            "nodeSelector": {"p": "gpu"},
            "containers": deployment.at("spec", "template", "spec", "containers"),
        }
        spec = {"template": {"metadata": {"labels": {"model": "a"}}, "spec": pod}}
        provider = next(each for each in graph if each.name == "second" and each.type.startswith("pulumi:"))
        graph.append(
            replace(
                deployment,
                parent="",
                provider=f"{provider.urn}::id",
                inputs={**deployment.inputs, "spec": spec},
            )
        )
        made = bill(graph)
        assert [line.name for line in made.lines if any(share.owner == "a" for share in line.shares)] == ["second"]

    def test_an_autoscaler_beside_scales_what_has_no_name_yet(self) -> None:
        # As programs declare it: the provider makes the name, and the autoscaler has it from there.
        component, deployment, scaler = model("a", "one", 1, 3)
        nameless = replace(deployment, inputs=deployment.inputs | {"metadata": {"namespace": "model-a"}})
        made = bill(flat(eks(), node_group("one", "one"), component, nameless, scaler, model("b", "one", 1, 2)))
        gpus = {owner: sums.gpus for (owner, _), sums in made.by_owner.items()}
        assert (gpus["a"], gpus["b"]) == (span("1", "3"), span("1", "2"))

    def test_a_stack_four_times_as_large_is_far_from_sixteen_times_the_work(self) -> None:
        def work(size: int) -> int:
            others = [resource("kubernetes:core/v1:ConfigMap", f"c{number}", AWS) for number in range(5 * size)]
            models = [model(f"m{number}", "one", 1, 2) for number in range(size)]
            graph = flat(eks(), node_group("one", "one", most=500), *models, *others)
            assert len(bill(graph).by_owner) >= size
            return steps(lambda: bill(graph))

        assert work(80) < 8 * work(20)


class TestMissing:
    def test_a_machine_without_price_is_named_and_its_models_too(self) -> None:
        made = bill(flat(eks(), node_group("odd", "strange"), model("a", "odd", 1, 2)))
        assert [(each.name, each.what, each.reason) for each in made.missing] == [
            ("odd", "strange nodes", "no price of machine:strange in us-east-1")
        ]
        assert made.warnings == ("odd: 1 models run on strange of unknown size and price; nothing is charged to them",)

    def test_a_machine_without_spot_price_is_not_charged_on_demand(self) -> None:
        made = bill(flat(eks(), node_group("quad", "four", spot=True), model("a", "quad", 1, 1)))
        assert [each.reason for each in made.missing] == ["no spot price of four in us-east-1"]
        assert not made.total.spot
        assert not made.total.on_demand

    def test_a_region_without_prices_is_named(self) -> None:
        made = bill([eks(region="eu-west-9")])
        assert not made.lines
        assert [each.reason for each in made.missing] == ["no price of eks-control-plane in eu-west-9"]

    def test_an_unknown_type_of_a_cloud_is_named_and_never_free(self) -> None:
        made = bill(
            [
                resource("aws:rds/instance:Instance", "db", region="us-east-1"),
                resource("aws:iam/role:Role", "role"),
            ]
        )
        assert [(each.name, each.reason) for each in made.missing] == [("db", "whether it bills is not known")]

    def test_a_model_that_no_pool_takes_is_named(self) -> None:
        made = bill(flat(eks(), node_group("one", "one"), model("a", "other", 1, 1)))
        assert [each.reason for each in made.missing] == ["no node pool has the labels it selects"]

    def test_what_cannot_be_counted_is_named(self) -> None:
        inputs: dict[str, Any] = {
            "removeDefaultNodePool": False,
            "monitoringConfig": {"managedPrometheus": {"enabled": True}},
        }
        balancer = resource("kubernetes:core/v1:Service", "front", AWS, spec={"type": "LoadBalancer"})
        made = bill(flat(gke(**inputs), balancer))
        assert {each.what for each in made.missing} == {
            *("default node pool", "metrics of managed Prometheus", "load balancer of a Service"),
        }

    def test_a_rejected_price_says_so(self) -> None:
        cheap = offer("aws", "one", 1, "0.30", None)
        prices = PriceTable.of(
            [price("aws", "eks-control-plane", "hour", "0.10")],
            Catalogue((), (Rejected(cheap, "0.30 is under 0.7"),)),
        )
        made = bill_of(flat(eks(), node_group("one", "one")), prices=prices)
        assert "its price was rejected: 0.30 is under 0.7" in {each.reason for each in made.missing}


class TestDates:
    def test_prices_older_than_allowed_warn(self) -> None:
        graph = flat(eks(), node_group("one", "one", least=1))
        edge = AS_OF + timedelta(days=180)
        assert bill(graph, today=edge).warnings == ()
        assert bill(graph, today=edge + timedelta(days=1)).warnings == (
            "prices of 2026-06-30 are 181 days old, above 180: one nodes, gp3 volumes of its nodes, control plane (test)",
        )
        assert bill(graph, today=AS_OF + timedelta(days=8), max_price_age=timedelta(days=7)).warnings

    def test_without_a_date_nothing_is_old(self) -> None:
        assert bill([eks()]).warnings == ()

    def test_a_cluster_past_its_standard_support_costs_more(self) -> None:
        ends = date(2026, 3, 23)
        assert bill([eks(version="1.32")], today=ends).total.usd_per_hour == span("0.10")
        assert bill([eks(version="1.32")], today=ends + timedelta(days=1)).total.usd_per_hour == span("0.60")


class TestServices:
    def test_volumes_of_claims_are_their_models(self) -> None:
        claim = resource(
            "kubernetes:core/v1:PersistentVolumeClaim",
            "cache",
            AWS,
            metadata={"labels": {"model": "chat"}},
            spec={"storageClassName": "gp3", "resources": {"requests": {"storage": "50Gi"}}},
        )
        mounted = resource(
            "kubernetes:core/v1:PersistentVolumeClaim",
            "mount",
            AWS,
            spec={"storageClassName": "", "volumeName": "v"},
        )
        owners = bill(flat(eks(), claim, mounted)).by_owner
        # 50 x 0.073 / 730
        assert owners["chat", "aws"].usd_per_hour == span("0.005")

    def test_a_network_load_balancer(self) -> None:
        notes = {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
        front = resource(
            "kubernetes:core/v1:Service",
            "front",
            AWS,
            metadata={"annotations": notes},
            spec={"type": "LoadBalancer"},
        )
        made = bill(flat(eks(), front))
        assert [line.usd_per_hour for line in made.lines if line.name == "front"] == [span("0.02")]
        assert [each.what for each in made.missing] == ["capacity units of the network load balancer"]

    def test_fewer_kinds_of_control_plane_logs_cost_less(self) -> None:
        logs = resource(
            "aws:cloudwatch/logGroup:LogGroup",
            "logs",
            AWS,
            name="/aws/eks/a/cluster",
            region="us-east-1",
            retentionInDays=1,
        )
        made = bill(flat(eks(enabledClusterLogTypes=["audit"]), logs))
        # One of five kinds: 2 of 10 GB x 0.73 / 730.
        assert [line.usd_per_hour for line in made.lines if line.what == "logs taken in"] == [span("0.002")]

    def test_logs_for_ever_grow_without_end(self) -> None:
        made = bill([resource("aws:cloudwatch/logGroup:LogGroup", "logs", AWS, region="us-east-1")])
        assert [each.what for each in made.missing] == ["logs kept"]

    def test_the_region_comes_from_the_provider_where_the_resource_has_none(self) -> None:
        provider = Resource(
            "urn:pulumi:dev::factory::pulumi:providers:aws::default",
            "pulumi:providers:aws",
            {"region": "us-east-1"},
        )
        key = replace(resource("aws:kms/key:Key", "key"), provider=f"{provider.urn}::1234")
        assert [line.region for line in bill([provider, key]).lines] == ["us-east-1"]
