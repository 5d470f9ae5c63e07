"""The tree shows each change under its parent with its cause, and nothing that does not change."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from model_factory.preview.events import Report
from model_factory.preview.review import Heading, review_of
from model_factory.preview.terminal import print_review
from model_factory.preview.wording import short_type
from tests.preview.samples import warning

STACK = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
CLUSTER = "urn:pulumi:dev::p::model-factory:cluster:EksCluster::eks"
POOL = "urn:pulumi:dev::p::model-factory:cluster:EksCluster$aws:eks/nodeGroup:NodeGroup::l4"
POOL_TYPE = "aws:eks/nodeGroup:NodeGroup"
BUCKET = "urn:pulumi:dev::p::aws:s3/bucket:Bucket::weights"


def event(op: str, urn: str, parent: str, **metadata: Any) -> dict[str, Any]:
    type_ = urn.split("::")[2].rsplit("$", 1)[-1]
    state = {"urn": urn, "type": type_, "parent": parent, "id": "id-1", "inputs": {}, "outputs": {}}
    filled = {
        "op": op,
        "urn": urn,
        "type": type_,
        "old": state,
        "new": state,
        **metadata,
    }
    return {"resourcePreEvent": {"metadata": filled, "planning": True}}


def shown(events: list[dict[str, Any]], **options: Any) -> str:
    out = io.StringIO()
    review = review_of(Report.of(events), Heading("p", "dev"))
    print_review(Console(file=out, width=200, no_color=True), review, **options)
    return out.getvalue()


REPLACED = event(
    "replace",
    POOL,
    CLUSTER,
    keys=["instanceTypes"],
    detailedDiff={"instanceTypes[0]": {"diffKind": "update-replace", "inputDiff": True}},
    old={
        "urn": POOL,
        "type": POOL_TYPE,
        "parent": CLUSTER,
        "id": "c:p",
        "inputs": {"instanceTypes": ["g6.xlarge"]},
    },
    new={"urn": POOL, "type": POOL_TYPE, "parent": CLUSTER, "inputs": {"instanceTypes": ["g6.2xlarge"]}},
)
EVENTS = [event("same", STACK, ""), event("same", CLUSTER, STACK), REPLACED, event("same", BUCKET, STACK)]


class TestChangeTree:
    def test_a_change_stands_under_its_unchanged_parents(self) -> None:
        text = shown(EVENTS)
        assert text.index("EksCluster eks") < text.index("aws:eks:NodeGroup l4")

    def test_unchanged_resources_are_left_out(self) -> None:
        assert "weights" not in shown(EVENTS)
        assert "weights" in shown(EVENTS, show_same=True)

    def test_the_property_that_forces_a_replacement_is_named(self) -> None:
        assert "[forced by: instanceTypes]" in shown(EVENTS)

    def test_the_diff_shows_old_and_new_values(self) -> None:
        assert 'instanceTypes[0]: "g6.xlarge" → "g6.2xlarge"  (forces replacement)' in shown(EVENTS, show_diff=True)

    def test_no_colours_in_a_pipe(self) -> None:
        out = io.StringIO()
        print_review(Console(file=out, width=200), review_of(Report.of(EVENTS), Heading("p", "dev")))
        assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize(
    ("token", "short"),
    [
        ("aws:eks/cluster:Cluster", "aws:eks:Cluster"),
        ("kubernetes:apps/v1:Deployment", "kubernetes:apps:Deployment"),
        ("pulumi:providers:aws", "pulumi:providers:aws"),
    ],
)
def test_types_are_short_as_in_pulumis_display(token: str, short: str) -> None:
    assert short_type(token) == short


class TestWarnings:
    def test_are_told_once_and_not_again_to_who_was_told(self) -> None:
        events = [warning("plan says"), warning("plan says"), warning("new"), *EVENTS]
        assert shown(events).count("plan says") == 1
        told = Report.of(events[:1]).diagnostics
        again = shown(events, told=told)
        assert "plan says" not in again
        assert "warning: new" in again

    def test_of_the_stack_stand_without_its_name(self) -> None:
        assert "warning: plan says" in shown([warning("plan says", STACK), *EVENTS])
