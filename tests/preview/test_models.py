"""What a change does to models: one row a model and site, with what its callers will feel of it."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from model_factory.cost import before_and_after, bill_of, delta_of
from model_factory.preview.changes import changes_of
from model_factory.preview.comment import markdown
from model_factory.preview.digest import digest
from model_factory.preview.events import Report
from model_factory.preview.html import page
from model_factory.preview.models import ModelChange, model_changes
from model_factory.preview.nodes import nodes_changes
from model_factory.preview.review import Heading, Review, review_of
from model_factory.preview.terminal import print_review
from tests.preview.estate import MODELS, Event, Model, States, estate, events, with_input


def reviewed(told: list[Event]) -> Review:
    report = Report.of(told)
    before, after = before_and_after((step.op, step.old, step.new) for step in report.steps.values())
    return review_of(report, Heading("p", "dev"), cost=delta_of(bill_of(before), bill_of(after)))


def changed(before: States, after: States) -> dict[str, ModelChange]:
    report = Report.of(events(before, after))
    found = model_changes(report, nodes_changes(report, changes_of(report)))
    return {f"{each.model} {each.site}": each for each in found}


def model_changes_of(told_: list[Event]) -> tuple[ModelChange, ...]:
    report = Report.of(told_)
    return model_changes(report, nodes_changes(report, changes_of(report)))


def replacing(
    name: str, keys: list[str], after: States, order: Sequence[int], told_: list[Event] | None = None
) -> list[Event]:
    """The events of a change, in which one resource is replaced by three steps in this order: 0 the whole, 1 the new, 2 the old."""
    found: list[Event] = []
    for event in told_ or events(estate(), after):
        metadata = event.get("resOutputsEvent", {}).get("metadata")
        if metadata is None or not metadata["urn"].endswith(f":{name}"):
            found.append(event)
            continue
        for at in order:
            op, new = (("replace", True), ("create-replacement", True), ("delete-replaced", False))[at]
            step = {**metadata, "op": op, "keys": keys, "new": metadata["new"] if new else None}
            found.append({"resOutputsEvent": {"metadata": step}})
    return found


def detector(**settings: Any) -> States:
    return estate({**MODELS, "detector": Model("aws", **settings)})


def told(change: ModelChange) -> dict[str, tuple[str, ...]]:
    return {aspect.what: aspect.sides for aspect in change.aspects}


class TestRows:
    def test_what_does_not_touch_a_model_has_none(self) -> None:
        assert changed(estate(), with_input(estate(), "dev-aws-weights", ("region",), "elsewhere")) == {}

    def test_a_new_model_tells_what_it_is_and_one_that_goes_what_it_was(self) -> None:
        more = estate({**MODELS, "ranker": Model("gcp", 2, 5)})
        new = changed(estate(), more)["ranker gcp/us-central1"]
        gone = changed(more, estate())["ranker gcp/us-central1"]
        assert (new.kind, gone.kind) == ("create", "delete")
        assert told(new) == told(gone)
        assert told(new)["machine"] == ("g2-standard-4 (1 × l4), on-demand",)
        assert told(new)["replicas"] == ("2–5",)
        assert (new.requests.lost, gone.requests.lost) == (False, True)

    def test_a_model_that_leaves_one_site_for_another_is_one_row_that_says_that_its_callers_must_follow(self) -> None:
        moved = changed(estate(), estate({**MODELS, "classifier": Model("aws")}))
        change = moved["classifier gcp/us-central1 → aws/us-east-1"]
        assert len(moved) == 1
        assert change.requests.lost
        assert "another cluster" in change.requests.told

    def test_a_second_site_is_a_row_of_its_own(self) -> None:
        twice = estate({**MODELS, "detector": (Model("aws"), Model("gcp", 1, 2))})
        assert list(changed(estate(), twice)) == ["detector gcp/us-central1"]

    def test_replicas_alone_restart_nothing(self) -> None:
        change = changed(estate(), detector(most=9))["detector aws/us-east-1"]
        assert told(change) == {"replicas": ("1–3", "1–9")}
        assert change.restarts == "no"

    def test_of_an_image_the_name_the_tag_and_the_start_of_the_digest_are_told(self) -> None:
        digest_ = "sha256:" + "ab" * 32
        change = changed(estate(), detector(tag=f"2@{digest_}"))["detector aws/us-east-1"]
        assert told(change) == {"image": ("detector:1", "detector:2@abababa")}

    def test_the_cost_is_the_model_s_own_at_that_site(self) -> None:
        (change,) = reviewed(events(estate(), detector(least=2))).models
        before, after = change.cost.before.usd_per_hour, change.cost.after.usd_per_hour
        assert after.idle == pytest.approx(before.idle * 2)
        assert after.peak == before.peak


class TestRestarts:
    def test_changed_pods_restart_and_a_surge_loses_nothing(self) -> None:
        change = changed(estate(), detector(tag="2"))["detector aws/us-east-1"]
        assert change.restarts == "yes: a new image"
        assert change.requests.told == "none"

    def test_another_revision_is_told_as_the_reason(self) -> None:
        def of(revision: str) -> States:
            note = {"annotations": {"model-factory/revision": revision}}
            volumes = [{"name": "weights", "persistentVolumeClaim": {"claimName": f"weights-{revision}"}}]
            found = detector()
            (urn,) = [each for each in found if each.endswith("Deployment::dev-aws-detector")]
            inputs = found[urn]["inputs"]
            inputs["metadata"] |= note
            inputs["spec"]["template"]["metadata"] |= note
            inputs["spec"]["template"]["spec"]["volumes"] = volumes
            return found

        change = changed(of("1"), of("2"))["detector aws/us-east-1"]
        assert change.restarts == "yes: a new revision"
        assert told(change)["revision"] == ("1", "2")

    @pytest.mark.parametrize(
        ("path", "value", "words"),
        [
            (("metadata", "labels", "team"), "a", "other labels of its Pods"),
            (("metadata", "annotations", "note"), "2", "other annotations of its Pods"),
            (("spec", "serviceAccountName"), "other", "spec.serviceAccountName"),
            (("spec", "volumes"), [{"name": "weights"}], "other volumes"),
            (("spec", "tolerations"), [], "spec.tolerations"),
        ],
    )
    def test_what_makes_pods_anew_is_said_in_words_or_by_its_path(
        self, path: tuple[str, ...], value: object, words: str
    ) -> None:
        after = with_input(estate(), "Deployment::dev-aws-detector", ("spec", "template", *path), value)
        assert changed(estate(), after)["detector aws/us-east-1"].restarts == f"yes: {words}"

    def test_arguments_and_environment_are_told_with_their_values(self) -> None:
        after = detector(tag="2")
        (urn,) = [urn for urn in after if urn.endswith("Deployment::dev-aws-detector")]
        after[urn]["inputs"]["spec"]["template"]["spec"]["containers"][0] |= {
            "args": ["--max=2"], "env": [{"name": "A", "value": "b"}],
        }  # fmt: skip
        change = changed(estate(), after)["detector aws/us-east-1"]
        assert change.restarts == "yes: a new image, other arguments, another environment"
        sides = [aspect.sides for aspect in change.aspects]
        assert sides[1:] == [("args: none", '["--max=2"]'), ("env[0].name: none", '"A"'), ("env[0].value: none", '"b"')]

    @pytest.mark.parametrize(("order", "lost"), [((1, 0, 2), False), ((2, 1, 0), True)])
    def test_a_replaced_deployment_names_what_forces_it_and_loses_requests_where_the_old_one_goes_first(
        self, order: tuple[int, ...], lost: bool
    ) -> None:
        after = with_input(estate(), "Deployment::dev-aws-detector", ("spec", "selector"), {"matchLabels": {"a": "b"}})
        (change,) = model_changes_of(replacing("Deployment::dev-aws-detector", ["spec.selector"], after, order))
        assert change.restarts == "yes: its Deployment is replaced for spec.selector"
        assert change.requests.lost is lost

    def test_what_a_replaced_provider_makes_elsewhere_loses_callers(self) -> None:
        replaced = replacing("kubernetes::dev-aws", ["kubeconfig"], estate(), (1, 0, 2))
        told_ = replacing("Deployment::dev-aws-detector", ["provider"], estate(), (1, 0, 2), replaced)
        (change,) = model_changes_of(told_)
        assert change.restarts == "yes: its Deployment goes with its provider dev-aws"
        assert change.requests.lost

    def test_a_replaced_cluster_takes_its_models_with_it_though_their_objects_are_shown_unchanged(self) -> None:
        after = with_input(
            estate(), "Cluster::dev-aws", ("kubernetesNetworkConfig",), {"serviceIpv4Cidr": "10.9.0.0/16"}
        )
        found = changed(estate(), after)
        assert list(found) == ["detector aws/us-east-1"]
        assert found["detector aws/us-east-1"].restarts == "yes: its cluster dev-aws is replaced"
        assert found["detector aws/us-east-1"].requests.lost

    def test_pods_that_all_go_before_new_ones_come_lose_requests(self) -> None:
        change = changed(detector(strategy="Recreate"), detector(strategy="Recreate", tag="2"))[
            "detector aws/us-east-1"
        ]
        assert change.requests.lost

    @pytest.mark.parametrize(
        ("replicas", "away", "lost", "words"),
        [
            (1, None, True, "no disruption budget"),
            (1, 1, True, "only replica"),
            (3, 1, False, "1 replica of 3 move at a time"),
            (3, 3, True, "at once"),
            (3, 0, True, "lets no replica go"),
        ],
    )
    def test_a_replaced_pool_in_use_is_told_by_what_the_drain_may_take(
        self, replicas: int, away: int | None, lost: bool, words: str
    ) -> None:
        models = {**MODELS, "detector": Model("aws", replicas, 4, may_be_away=away)}
        change = changed(estate(models), estate(models, machine="g6.2xlarge"))["detector aws/us-east-1"]
        assert change.restarts == "yes: its pool dev-aws-l4 is replaced"
        assert told(change)["machine"] == ("g6.xlarge (1 × l4), on-demand", "g6.2xlarge (1 × l4), on-demand")
        assert change.requests.lost is lost
        assert words in change.requests.told

    @pytest.mark.parametrize(
        ("path", "value", "rolls"),
        [
            (("nodeConfig", "machineType"), "g2-standard-8", True),
            (("version",), "1.35.2-gke.1", True),
            (("autoscaling", "totalMaxNodeCount"), 12, False),
        ],
    )
    def test_a_pool_whose_nodes_are_replaced_in_place_restarts_its_models(
        self, path: tuple[str, ...], value: object, rolls: bool
    ) -> None:
        found = changed(estate(), with_input(estate(), "dev-gcp-l4", path, value))
        assert [each.restarts for each in found.values()] == (
            ["yes: the nodes of its pool dev-gcp-l4 are replaced one after another"] if rolls else []
        )


class TestEveryOutput:
    def test_says_the_same_of_each_model(self) -> None:
        found = reviewed(events(estate(), detector(least=2, tag="2")))
        document = digest(found.report, review=found)
        assert [each["model"] for each in document["modelChanges"]] == ["detector"]
        for text in (markdown(found), page(found)):
            for words in ("detector:2", "2–3", "yes: a new image"):
                assert words in text

    @pytest.mark.parametrize("is_preview", [True, False])
    def test_counts_what_the_engine_counts(self, is_preview: bool) -> None:
        """One headline count: components among them, a replacement once; also after an up, and as progress counts up to."""
        *told_, summary = events(estate(MODELS), estate({"detector": Model("aws", tag="2")}, machine="g6.2xlarge"))
        summary["summaryEvent"]["isPreview"] = is_preview
        found = reviewed([*told_, summary])
        counts = digest(found.report)["changeSummary"]
        assert {op: counts[op] for op in ("delete", "replace", "update")} == {"delete": 5, "replace": 1, "update": 1}
        assert len(found.report.changed) == 7
        terminal = StringIO()
        print_review(Console(file=terminal, width=80), found)
        to = "to delete" if is_preview else "deleted"
        assert found.verdict.title == "5 deleted, 1 replaced, 1 updated in place"
        assert f"− 5 {to}" in terminal.getvalue()
        assert f"− 5 {to}" in markdown(found)
        assert f"<b>− 5</b> {to}" in page(found)
        for text in (markdown(found), page(found)):
            assert found.verdict.title in text

    def test_a_name_cannot_leave_its_cell(self) -> None:
        found = reviewed(events({}, estate({"a|b`c<i>": Model("aws")})))
        models = markdown(found).partition("dev: models")[2].partition("####")[0]
        (line,) = [line for line in models.splitlines() if "a\\|b`c<i>" in line]
        assert line.count(" | ") == 5
        assert "<i>" not in page(found)


class TestEngines:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (estate(), estate(machine="g6.2xlarge")),
            (estate(), estate({**MODELS, "classifier": Model("aws")})),
            (estate(), estate({**MODELS, "detector": (Model("aws", 2, 3, tag="2"), Model("gcp", 1, 2))})),
            (estate(), with_input(estate(), "dev-gcp-l4", ("version",), "1.36")),
            (estate(), with_input(estate(), "Cluster::dev-aws", ("kubernetesNetworkConfig",), {})),
            (estate(), estate({"detector": Model("aws")}, gcp=False)),
        ],
    )
    def test_an_engine_that_tells_no_dependencies_tells_the_same(self, before: States, after: States) -> None:
        """The Pulumi CLI's events have none."""

        def bare(states: States) -> States:
            return {urn: {**state, "dependencies": []} for urn, state in states.items()}

        full, poor = reviewed(events(before, after)), reviewed(events(bare(before), bare(after)))
        assert full.models
        assert (poor.models, poor.nodes, poor.verdict) == (full.models, full.nodes, full.verdict)

    def test_what_the_cli_marks_as_to_be_deleted_is_what_runs_until_then(self) -> None:
        """It tells first of the creation, and marks the old state in every step of a replacement."""
        larger = estate(machine="g6.2xlarge")
        split = replacing("dev-aws-l4", ["instanceTypes"], larger, (1, 0, 2))
        for event in split:
            metadata = event.get("resOutputsEvent", {}).get("metadata", {"op": ""})
            if metadata["op"] in {"replace", "create-replacement", "delete-replaced"}:
                metadata["old"] = {**metadata["old"], "delete": True}
        whole, cli = reviewed(events(estate(), larger)), reviewed(split)
        assert whole.models
        assert (cli.models, cli.nodes, cli.cost) == (whole.models, whole.nodes, whole.cost)


class TestData:
    def test_a_bucket_that_goes_with_its_objects_stands_first_and_says_so(self) -> None:
        full = with_input(estate(), "dev-gcp-weights", ("forceDestroy",), True)
        found = reviewed(events(full, estate({"detector": Model("aws")}, gcp=False)))
        assert found.dangers[0].data == "all its objects"
        assert "data is lost with 1 resource" in found.verdict.reasons
        for text in (markdown(found), page(found)):
            assert "Data is lost: all its objects" in text

    def test_what_a_cloud_refuses_to_delete_while_it_is_full_is_told_as_that(self) -> None:
        found = reviewed(events(estate(), estate({"detector": Model("aws")}, gcp=False)))
        assert "the cloud refuses" in found.dangers[0].data
