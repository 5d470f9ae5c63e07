"""Ten changes, told as comments and pages: what a reviewer needs stands where it is looked for.

Two of them are kept under __snapshots__/ as Markdown files that a code host renders, to be looked at. `--snapshot-update` writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex

from model_factory.cost import Delta, Missing, before_and_after, bill_of, delta_of
from model_factory.preview import costs
from model_factory.preview.comment import MAX_BYTES, markdown, marker
from model_factory.preview.events import Report
from model_factory.preview.html import page
from model_factory.preview.review import Heading, Review, review_of
from model_factory.preview.terminal import print_review
from tests.preview.estate import MODELS, Event, Model, drift, estate, events
from tests.preview.samples import error, policy

HEADING = Heading(
    "model-factory",
    "dev",
    commit="0f5be1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8",
    time=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
    run_url="https://ci.example.com/runs/42",
    artifact="preview.html",
    engine="local",
)


class MarkdownFile(SingleFileSnapshotExtension):
    """One file a snapshot, so that it can be looked at rendered."""

    _write_mode = WriteMode.TEXT
    file_extension = "md"

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        return str(index)


def five_thousand() -> list[Event]:
    """4,000 objects get one label, 500 each something else, 300 are new, 150 go and 50 are replaced."""
    told: list[Event] = [{"preludeEvent": {"config": {}}}]
    for at in range(5_000):
        name = f"settings-{at:04}"
        urn = f"urn:pulumi:dev::model-factory::kubernetes:core/v1:ConfigMap::{name}"
        old: dict[str, Any] = {
            "metadata": {"name": name, "labels": {"team": "platform"}},
            "data": {"key": "value"},
        }
        new: dict[str, Any] = {
            "metadata": {"name": name, "labels": {"team": "models"}},
            "data": {"key": "value"},
        }
        op, keys, diff = "update", [], {"metadata.labels.team": {"diffKind": "update", "inputDiff": True}}
        if 4_000 <= at < 4_500:
            new = {**old, "data": {"key": f"value-{at}"}}
            diff = {"data.key": {"diffKind": "update", "inputDiff": True}}
        elif 4_500 <= at < 4_800:
            op = "create"
        elif 4_800 <= at < 4_950:
            op = "delete"
        elif at >= 4_950:
            new = {**old, "metadata": {**old["metadata"], "namespace": f"team-{at}"}}
            op, keys = "replace", ["metadata.namespace"]
            diff = {"metadata.namespace": {"diffKind": "add-replace", "inputDiff": True}}
        state = {
            "urn": urn,
            "type": "kubernetes:core/v1:ConfigMap",
            "custom": True,
            "parent": "",
            "outputs": {},
        }
        event = {
            "op": op,
            "urn": urn,
            "type": "kubernetes:core/v1:ConfigMap",
            "old": None if op == "create" else {**state, "id": f"default/{name}", "inputs": old},
            "new": None if op == "delete" else {**state, "id": "", "inputs": new},
            "keys": keys,
            "detailedDiff": diff if op in {"update", "replace"} else None,
        }
        told.append({"resOutputsEvent": {"metadata": event, "planning": True}})
    changes = {"update": 4_500, "create": 300, "delete": 150, "replace": 50}
    told.append(
        {
            "summaryEvent": {
                "resourceChanges": changes,
                "durationSeconds": 21,
                "isPreview": True,
                "maybeCorrupt": False,
            }
        }
    )
    return told


def policy_broken() -> list[Event]:
    """More replicas than there is money for, and a pool that nobody tainted."""
    return [
        *events(estate(), estate({**MODELS, "detector": Model("aws", 1, 9)})),
        policy("mandatory", "max-hourly-cost", "Costs more than $10 an hour.\nAsk for less.", severity="high"),
        policy("advisory", "gpu-pool-is-tainted", "A CPU Pod may take a GPU's place.", POOL),
        policy("advisory", "spot-has-fallback", "can't run policy 'spot-has-fallback' during preview: no"),
        error("preview failed"),
    ]


POOL = next(urn for urn in estate() if urn.endswith("::dev-aws-l4"))
CHANGES: dict[str, Callable[[], list[Event]]] = {
    "create-all": lambda: events({}, estate()),
    "no-change": lambda: events(estate(), estate()),
    "one-replica": lambda: events(estate(), estate({**MODELS, "classifier": Model("gcp", 2, 3)})),
    "machine-replaced": lambda: events(estate(), estate(machine="g6.2xlarge")),
    "model-added": lambda: events(estate(), estate({**MODELS, "ranker": Model("gcp")})),
    "model-moved": lambda: events(estate(), estate({**MODELS, "classifier": Model("aws")})),
    "second-site": lambda: events(estate(), estate({**MODELS, "detector": (Model("aws", 2, 3), Model("gcp", 1, 2))})),
    "spot-added": lambda: events(estate(), estate({**MODELS, "detector": Model("aws", spot=True)}, spot_nodes=2)),
    "cluster-destroyed": lambda: events(estate(), estate({"detector": Model("aws")}, gcp=False)),
    "provider-upgraded": lambda: [
        *drift(estate(), (f"bucket-{at}" for at in range(60))),
        *events(estate(), estate()),
    ],
    "policy-broken": policy_broken,
    "five-thousand": five_thousand,
}


@cache
def review(name: str) -> Review:
    report = Report.of(CHANGES[name]())
    before, after = before_and_after((step.op, step.old, step.new) for step in report.steps.values())
    return review_of(report, HEADING, cost=delta_of(bill_of(before), bill_of(after)))


def changed(found: Review) -> Delta:
    assert found.cost is not None
    return found.cost


@pytest.mark.parametrize("name", ["machine-replaced", "policy-broken"])
# The files are named after the changes alone: they are there to be looked at.
@pytest.mark.filterwarnings("ignore:(?s).*Consider adding")
def test_reads_as_it_was_approved(name: str, snapshot: SnapshotAssertion) -> None:
    assert markdown(review(name)) == snapshot(name=name, extension_class=MarkdownFile)


@pytest.mark.parametrize("name", CHANGES)
class TestComments:
    def test_fits_and_tells_the_verdict_first(self, name: str) -> None:
        text = markdown(review(name))
        assert len(text.encode()) <= MAX_BYTES
        lines = text.splitlines()
        assert lines[0] == marker("model-factory", "dev")
        title = next(line for line in lines if not line.startswith("<!--"))
        assert title.startswith("### ")
        assert "model-factory/dev" in title

    def test_names_every_replaced_and_deleted_object_in_the_page(self, name: str) -> None:
        text = page(review(name))
        for change in review(name).dangers:
            assert change.id in text

    def test_holds_no_unknown_marks(self, name: str) -> None:
        assert "04da6b54" not in markdown(review(name)) + page(review(name))


class TestWhatTheyTell:
    def test_no_change_says_so_and_what_it_costs(self) -> None:
        text = markdown(review("no-change"))
        assert "nothing changes" in text
        assert "**Cost** unchanged" in text
        assert len(text) < 2_500

    def test_one_replica_touches_one_autoscaler_and_raises_the_cost_at_rest_only(self) -> None:
        found = review("one-replica")
        assert [change.type for group in found.groups for change in group.changes] == [
            "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
        ]
        assert found.cost is not None
        assert found.cost.total.difference.usd_per_hour.idle > 0
        assert found.cost.total.difference.usd_per_hour.peak == 0

    def test_a_replaced_machine_is_named_with_its_cause_and_its_id_above_every_fold(self) -> None:
        text = markdown(review("machine-replaced"))
        above = text.partition("<details>")[0]
        assert "instanceTypes" in above
        assert '`"g6.xlarge"` → `"g6.2xlarge"`' in above
        assert review("machine-replaced").dangers[0].id in above

    def test_a_changed_pool_is_drawn_with_its_models(self) -> None:
        found = review("machine-replaced")
        assert found.dependents is not None
        drawn = {node.key: node.name for node in found.dependents.nodes}
        assert [(drawn[a], drawn[b]) for a, b in found.dependents.edges] == [("dev-aws-l4", "dev-aws-detector")]
        for text in (markdown(found), page(found)):
            assert "dev-aws-detector" in text.partition("what changes, and what depends on it")[2]

    def test_a_new_model_is_created_and_nothing_else_changes(self) -> None:
        found = review("model-added")
        assert {change.op for group in found.groups for change in group.changes} == {"create"}
        assert found.verdict.level == "change"
        assert found.cost is not None
        assert ("ranker", "gcp", "us-central1") in found.cost.sites
        assert ("detector", "aws", "us-east-1") not in found.cost.sites

    def test_a_moved_model_costs_less_in_the_one_cloud_and_more_in_the_other(self) -> None:
        cost = review("model-moved").cost
        assert cost is not None
        assert cost.clouds["aws"].difference.usd_per_hour.idle > 0 > cost.clouds["gcp"].difference.usd_per_hour.idle
        assert set(cost.sites) >= {("classifier", "aws", "us-east-1"), ("classifier", "gcp", "us-central1")}

    def test_a_model_at_a_second_site_has_a_row_a_site_under_their_sum(self) -> None:
        found = [row for row in costs.rows(changed(review("second-site"))) if row.label == "detector"]
        labels = [(row.label, row.note) for row in found]
        assert labels == [
            ("detector", "all sites"),
            ("detector", "aws/us-east-1 · on-demand"),
            ("detector", "gcp/us-central1 · on-demand"),
        ]
        for text in (markdown(review("second-site")), page(review("second-site"))):
            assert "all sites" in text
            assert "gcp/us-central1" in text

    def test_a_model_with_a_fallback_has_a_row_for_each_way_in_which_its_machines_are_bought(self) -> None:
        found = costs.rows(changed(review("spot-added")))
        start = next(number for number, row in enumerate(found) if row.part == "owner")
        model, spot, on_demand = found[start:]
        assert (model.label, model.note) == ("detector", "aws/us-east-1 · on-demand → spot and on-demand")
        assert [(row.part, row.label) for row in (spot, on_demand)] == [
            ("kind", "spot machines"),
            ("kind", "on-demand machines"),
        ]
        # Two of its three replicas have room on spot; at rest it has one, and that is there.
        assert spot.amounts[-2:] == (costs.Amount("+730", "", more=True), costs.Amount("+1,460", "", more=True))
        assert on_demand.amounts[-2:] == (costs.Amount("0", "−730"), costs.Amount("730", "−1,460"))

    def test_a_cost_that_leaves_something_out_says_so_where_it_is_told(self) -> None:
        delta = changed(review("no-change"))
        named = [Missing(f"urn:pulumi:s::p::t::{name}", "control plane", "no price of it") for name in "ab"]
        assert costs.headline(replace(delta, missing=tuple(named))).endswith("; without 1 thing that has no price")
        assert "price" not in costs.headline(delta)
        out = StringIO()
        print_review(
            Console(file=out, width=200),
            replace(review("no-change"), cost=replace(delta, missing=tuple(named))),
            show_models=True,
        )
        assert "not in the cost: control plane (a, b): no price of it" in out.getvalue()

    def test_a_destroyed_cluster_stands_before_what_ran_in_it(self) -> None:
        types = [change.short_type for change in review("cluster-destroyed").dangers]
        assert types.index("gcp:container:Cluster") < types.index("kubernetes:core:Namespace")
        assert review("cluster-destroyed").verdict.level == "destructive"

    def test_drift_of_an_upgraded_provider_is_one_group_and_apart_from_changes(self) -> None:
        found = review("provider-upgraded")
        assert not found.groups
        assert sum(len(group.changes) for group in found.drift) > 50
        assert len(found.drift) <= 5

    def test_a_broken_policy_stops_the_change_in_the_title(self) -> None:
        found = review("policy-broken")
        assert found.verdict.level == "blocked"
        assert "mandatory policy violation" in markdown(found).splitlines()[2]
        assert found.policy_sentence == "1 violated (mandatory), 1 violated (advisory), 1 not evaluated"

    def test_five_thousand_changes_are_grouped_and_the_whole_is_pointed_to(self) -> None:
        found = review("five-thousand")
        assert max(len(group.changes) for group in found.groups) == 4_000
        text = markdown(found)
        assert "Shortened to fit" in text
        assert "preview.html" in text
        assert "4,500 updated in place" in text
