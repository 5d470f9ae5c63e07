"""What a change does to nodes: those that are replaced though their pool stays are told, with the property that does it."""

from __future__ import annotations

import json
from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from model_factory.graph.values import UNKNOWN_SENTINEL
from model_factory.preview.changes import changes_of
from model_factory.preview.comment import markdown
from model_factory.preview.digest import digest
from model_factory.preview.events import Report
from model_factory.preview.html import page
from model_factory.preview.nodes import NodesChange, nodes_changes
from model_factory.preview.review import Heading, Review, review_of
from model_factory.preview.terminal import print_review
from tests.preview.estate import Event, States, estate, events, with_input

NETWORK = ("kubernetesNetworkConfig",)


def changed(before: States, after: States) -> dict[str, NodesChange]:
    report = Report.of(events(before, after))
    return {each.name: each for each in nodes_changes(report, changes_of(report))}


def reviewed(told: list[Event]) -> Review:
    return review_of(Report.of(told), Heading("p", "dev"))


def with_template(version: str, **inputs: Any) -> States:
    """A pool of EKS whose nodes are made from a launch template."""
    states = deepcopy(estate())
    (pool,) = [urn for urn in states if urn.endswith("NodeGroup::dev-aws-l4")]
    states[pool]["inputs"]["launchTemplate"] = {"id": "lt-7", "version": version}
    type_ = "aws:ec2/launchTemplate:LaunchTemplate"
    urn = pool.replace("aws:eks/nodeGroup:NodeGroup", type_)
    states[urn] = {**states[pool], "urn": urn, "type": type_, "id": "lt-7", "inputs": inputs, "outputs": inputs}
    return states


class TestPools:
    @pytest.mark.parametrize(
        ("path", "value", "why"),
        [
            (
                ("nodeConfig", "machineType"),
                "g2-standard-8",
                'nodeConfig.machineType: "g2-standard-4" → "g2-standard-8"',
            ),
            (("nodeConfig", "diskSizeGb"), 200, "nodeConfig.diskSizeGb: 100 → 200"),
            (("version",), "1.36", 'version: nothing → "1.36"'),
        ],
    )
    def test_nodes_that_a_changed_property_replaces_are_told_with_it(
        self, path: tuple[str, ...], value: object, why: str
    ) -> None:
        (found,) = changed(estate(), with_input(estate(), "dev-gcp-l4", path, value)).values()
        assert (found.kind, found.recycles, found.why) == ("update", True, why)
        assert (found.site, found.nodes) == ("gcp/us-central1", "0–9")

    def test_a_pool_that_no_model_uses_is_told_too(self) -> None:
        before = estate(spot_nodes=2)
        found = reviewed(events(before, with_input(before, "dev-aws-l4-spot", ("version",), "1.36")))
        assert [each.name for each in found.nodes] == ["dev-aws-l4-spot"]
        assert found.models == ()
        assert found.verdict.level == "caution"
        assert "the nodes of 1 pool are replaced one after another" in found.verdict.reasons

    def test_a_changed_launch_template_is_the_cause_and_not_its_version(self) -> None:
        before = with_template("3", tags={"team": "a"}, tagSpecifications=[{"tags": {"team": "a"}}])
        after = with_template(UNKNOWN_SENTINEL, tags={"team": "b"}, tagSpecifications=[{"tags": {"team": "b"}}])
        found = changed(before, after)["dev-aws-l4"]
        assert found.recycles
        assert found.why == 'launchTemplate.tagSpecifications[0].tags.team: "a" → "b"'

    @pytest.mark.parametrize("key", ["team", "cost-center", "kubernetes.io/cluster"])
    @pytest.mark.parametrize(("old", "new"), [("a", "b"), (None, "b"), ("a", None)], ids=["edited", "added", "gone"])
    def test_a_launch_template_s_own_tags_make_no_version(self, key: str, old: str | None, new: str | None) -> None:
        before, after = ({key: value} if value else {} for value in (old, new))
        was = with_template("3", tags=before, tagsAll=before, imageId="ami-1")
        will = with_template(UNKNOWN_SENTINEL, tags=after, tagsAll=after, imageId="ami-1")
        assert changed(was, will) == {}

    def test_a_launch_template_that_the_stack_does_not_hold_is_told_by_its_version(self) -> None:
        before = with_input(estate(), "dev-aws-l4", ("launchTemplate",), {"id": "lt-x", "version": "3"})
        after = with_input(before, "dev-aws-l4", ("launchTemplate",), {"id": "lt-x", "version": "4"})
        assert changed(before, after)["dev-aws-l4"].why == 'launchTemplate.version: "3" → "4"'

    def test_an_input_that_says_what_the_cloud_had_chosen_replaces_nothing(self) -> None:
        before = deepcopy(estate())
        (pool,) = [urn for urn in before if urn.endswith("NodeGroup::dev-aws-l4")]
        before[pool]["outputs"] = {**before[pool]["inputs"], "version": "1.35"}
        assert changed(before, with_input(before, "dev-aws-l4", ("version",), "1.35")) == {}
        assert changed(before, with_input(before, "dev-aws-l4", ("version",), "1.36"))["dev-aws-l4"].recycles

    def test_labels_taints_and_sizes_leave_nodes_where_they_are(self) -> None:
        labels = with_input(estate(), "dev-aws-l4", ("labels", "team"), "a")
        taints = with_input(estate(), "dev-aws-l4", ("taints",), [{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}])
        sizes = with_input(estate(), "dev-aws-l4", ("scalingConfig", "maxSize"), 12)
        for after in (labels, taints, sizes):
            (found,) = changed(estate(), after).values()
            assert (found.told, found.recycles) == ("stay", False)
        assert changed(estate(), sizes)["dev-aws-l4"].nodes == "0–9 → 0–12"

    @pytest.mark.parametrize(
        ("size", "told"), [(3, "stay; the pool is set to 3 nodes"), (1, "the pool is set to 1 node")]
    )
    def test_a_size_that_is_set_is_told_though_the_bounds_stay(self, size: int, told: str) -> None:
        before = with_input(estate(), "dev-aws-l4", ("scalingConfig", "desiredSize"), 2)
        (found,) = changed(before, with_input(before, "dev-aws-l4", ("scalingConfig", "desiredSize"), size)).values()
        assert (found.told, found.why) == (told, "it was set to 2")

    def test_tags_of_a_pool_alone_are_not_worth_a_line(self) -> None:
        assert changed(estate(), with_input(estate(), "dev-aws-l4", ("tags",), {"a": "b"})) == {}

    def test_a_replaced_pool_says_what_forces_it(self) -> None:
        (found,) = changed(estate(), estate(machine="g6.2xlarge")).values()
        assert (found.kind, found.recycles) == ("replace", True)
        assert found.why == 'instanceTypes[0]: "g6.xlarge" → "g6.2xlarge"'

    def test_new_pools_and_deleted_ones_are_told(self) -> None:
        more = estate(spot_nodes=2)
        (new,) = changed(estate(), more).values()
        (gone,) = changed(more, estate()).values()
        assert (new.kind, new.recycles) == ("create", False)
        assert (gone.kind, gone.recycles) == ("delete", True)


class TestClusters:
    def test_a_new_version_says_what_becomes_of_nodes(self) -> None:
        version = with_input(estate(), "Cluster::dev-aws", ("version",), "1.36")
        both = with_input(version, "dev-aws-l4", ("version",), "1.36")
        assert changed(estate(), version)["dev-aws"].told.endswith("its nodes keep their version")
        assert changed(estate(), version)["dev-aws"].why == 'version: "1.35" → "1.36"'
        assert changed(estate(), both)["dev-aws"].told.endswith("its nodes follow")
        assert list(changed(estate(), both)) == ["dev-aws", "dev-aws-l4"]

    def test_nodes_that_gke_upgrades_itself_are_replaced_later(self) -> None:
        before = with_input(estate(), "dev-gcp-l4", ("management",), {"autoUpgrade": True})
        after = with_input(before, "Cluster::dev-gcp", ("minMasterVersion",), "1.36")
        assert changed(before, after)["dev-gcp"].told.endswith("the cloud replaces its nodes by itself, later")

    def test_pools_that_a_replaced_cluster_takes_with_it_name_it(self) -> None:
        after = with_input(
            estate(machine="g6.2xlarge"), "Cluster::dev-aws", NETWORK, {"serviceIpv4Cidr": "10.9.0.0/16"}
        )
        found = changed(estate(), after)
        assert found["dev-aws"].kind == "replace"
        assert found["dev-aws-l4"].why == "its cluster dev-aws is replaced"

    def test_what_does_not_change_its_version_is_not_told(self) -> None:
        assert changed(estate(), with_input(estate(), "Cluster::dev-aws", ("tags",), {"a": "b"})) == {}


class TestEveryOutput:
    def test_says_which_nodes_go_and_why(self) -> None:
        found = reviewed(events(estate(), with_input(estate(), "dev-gcp-l4", ("nodeConfig", "diskSizeGb"), 200)))
        terminal = StringIO()
        print_review(Console(file=terminal, width=200), found, show_models=True)
        for text in (
            terminal.getvalue(), markdown(found), page(found), json.dumps(digest(found.report, review=found)),
        ):  # fmt: skip
            for words in ("dev-gcp-l4", "replaced one after another", "nodeConfig.diskSizeGb: 100"):
                assert words in text
        assert found.effects == (
            "1 model restarts, requests may be lost", "the nodes of 1 pool are replaced one after another",
        )  # fmt: skip
        assert "; ".join(found.effects) in terminal.getvalue()

    def test_pools_of_which_the_same_is_said_stand_together(self) -> None:
        before = estate(spot_nodes=2)
        after = with_input(with_input(before, "dev-aws-l4", ("version",), "2"), "dev-aws-l4-spot", ("version",), "2")
        text = markdown(reviewed(events(before, after)))
        assert "`dev-aws-l4` 0–9&nbsp;nodes<br>\\~ `dev-aws-l4-spot` 0–2&nbsp;nodes<br>aws/us-east-1" in text

    def test_each_pool_on_a_terminal_says_what_becomes_of_it(self) -> None:
        before = estate(spot_nodes=2)
        after = with_input(with_input(before, "dev-aws-l4", ("version",), "2"), "dev-aws-l4-spot", ("version",), "2")
        terminal = StringIO()
        print_review(Console(file=terminal, width=200), reviewed(events(before, after)), show_models=True)
        shown = terminal.getvalue().splitlines()
        first = next(number for number, line in enumerate(shown) if "dev-aws-l4 aws" in line)
        assert shown[first].endswith("0–9 nodes: replaced one after another")
        assert shown[first + 1].endswith("0–2 nodes: replaced one after another")
        assert shown[first + 2].split(maxsplit=2)[:2] == ["all", "because"]

    def test_a_pool_whose_nodes_go_is_not_counted_as_changed_in_place(self) -> None:
        title = reviewed(events(estate(), with_input(estate(), "dev-gcp-l4", ("nodeConfig", "diskSizeGb"), 200)))
        stays = reviewed(events(estate(), with_input(estate(), "dev-aws-l4", ("scalingConfig", "maxSize"), 12)))
        assert (title.verdict.title, stays.verdict.title) == ("1 updated", "1 updated in place")

    def test_a_preview_that_failed_in_the_middle_tells_of_none(self) -> None:
        told = events(estate(), estate(machine="g6.2xlarge"))
        failed = {"diagnosticEvent": {"severity": "error", "message": "boom", "urn": "", "color": "never"}}
        assert reviewed([*told, failed]).nodes == ()
