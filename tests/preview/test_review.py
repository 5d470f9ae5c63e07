"""The verdict is the gravest thing that is true."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from model_factory.preview.comment import markdown
from model_factory.preview.dependents import dependents_of
from model_factory.preview.digest import digest
from model_factory.preview.events import Report
from model_factory.preview.html import page, svg
from model_factory.preview.terminal import print_review
from tests.preview.samples import Event, error, policy, reviewed, step, urn

LOST = step("delete", old={})
MADE = step("create", name="c", new={})
DRIFTED = step("refresh", name="d", old={"v": 1}, new={"v": 2}, detailedDiff={"v": {"diffKind": "update"}})


class TestVerdict:
    @pytest.mark.parametrize(
        ("events", "level"),
        [
            ([], "same"),
            ([MADE], "change"),
            ([DRIFTED], "caution"),
            ([MADE, policy("advisory", "x")], "caution"),
            ([MADE, LOST, policy("advisory", "x")], "destructive"),
            ([LOST, error("boom")], "failed"),
            ([LOST, error("boom"), policy("mandatory", "x")], "blocked"),
        ],
    )
    def test_the_gravest_counts(self, events: list[Event], level: str) -> None:
        assert reviewed(*events).verdict.level == level

    def test_says_that_nothing_is_lost_where_nothing_is(self) -> None:
        assert "nothing is replaced or deleted" in reviewed(MADE).verdict.reasons
        assert "nothing is replaced or deleted" not in reviewed(MADE, LOST).verdict.reasons

    def test_a_closing_word_of_the_engine_is_no_error_of_its_own(self) -> None:
        assert reviewed(error("preview failed"), policy("mandatory", "x")).errors == ()
        assert [note.message for note in reviewed(error("preview failed")).errors] == ["preview failed"]


class TestJudgements:
    def test_one_policy_says_the_same_of_many_once(self) -> None:
        found = reviewed(*[policy("mandatory", "x", "why", urn("a:b:C", f"n{at}"), "high") for at in range(3)])
        assert [(each.policy, each.resources) for each in found.judgements] == [("x", ("n0", "n1", "n2"))]

    def test_what_it_says_of_each_stands_with_its_name_and_what_is_the_same_once(self) -> None:
        found = reviewed(
            *[policy("advisory", "x", f"Same rule.\nit is {at}", urn("a:b:C", f"n{at}")) for at in range(2)]
        )
        (each,) = found.judgements
        assert each.message == "Same rule.\nn0: it is 0\nn1: it is 1"
        assert each.number == 2

    def test_a_remedy_that_is_the_same_for_all_is_said_once_and_last(self) -> None:
        messages = [f"Rule.\nit is {at}\nMend it. See docs/policies.md#x." for at in range(2)]
        found = reviewed(*[policy("advisory", "x", each, urn("a:b:C", f"n{at}")) for at, each in enumerate(messages)])
        (each,) = found.judgements
        assert each.message == "Rule.\nn0: it is 0\nn1: it is 1\nMend it. See docs/policies.md#x."
        assert each.remedy == "Mend it. See docs/policies.md#x."

    @pytest.mark.parametrize("level", ["mandatory", "advisory"])
    def test_a_remedy_stands_in_every_output(self, level: str) -> None:
        remedy = "Mend it. See docs/policies.md#x."
        found = reviewed(
            policy(level, "x", f"Rule.\nit is so\n{remedy}", urn("a:b:C", "n")),
            run_url="https://github.com/acme/models/actions/runs/42",
            commit="0f5be1c",
        )
        terminal = Console(file=StringIO(), width=80)
        print_review(terminal, found)
        assert isinstance(terminal.file, StringIO)
        link = "https://github.com/acme/models/blob/0f5be1c/docs/policies.md#x"
        for text in (
            terminal.file.getvalue(),
            json.dumps(digest(found.report, review=found)),
            markdown(found),
            page(found),
        ):
            assert remedy in text
        assert f"[how to mend it]({link})" in markdown(found)
        assert f'href="{link}"' in page(found)

    @pytest.mark.parametrize(
        "run_url", ["", "https://ci.example.com/runs/42", "https://github.com/a/b/actions/runs/1)"]
    )
    def test_there_is_no_link_where_the_repository_is_not_known(self, run_url: str) -> None:
        found = reviewed(policy("mandatory", "x", "R\nSee docs/policies.md#x."), run_url=run_url, commit="0f5be1c")
        assert "how to mend it" not in markdown(found) + page(found)

    def test_the_most_severe_first(self) -> None:
        levels = ("low", "critical", "", "medium", "high")
        found = reviewed(*[policy("mandatory", f"p{level}", severity=level) for level in levels])
        assert [each.severity for each in found.judged("mandatory")] == [
            "critical",
            "high",
            "medium",
            "low",
            "",
        ]

    def test_a_remediation_tells_what_it_changed(self) -> None:
        event = {
            "policyRemediationEvent": {
                "policyName": "r",
                "policyPackName": "p",
                "resourceUrn": urn("a:b:C", "n"),
                "before": {"x": 1},
                "after": {"x": 2},
            }
        }
        (each,) = reviewed(event).judged("remediated")
        assert [(item.path, item.before, item.after) for item in each.changes] == [("x", "1", "2")]

    def test_counts_of_policies_add_up_and_say_of_what_they_are(self) -> None:
        pods = [urn("kubernetes:apps/v1:Deployment", name) for name in ("a", "b")]
        watched = [policy("advisory", "watched", said, pod) for said in ("no monitor", "no objective") for pod in pods]
        unknown = [
            policy(
                "advisory",
                "pinned",
                "can't run policy 'pinned' during preview: string value at .image can't be known during preview",
                pod,
            )
            for pod in pods
        ]
        found = reviewed(*watched, policy("advisory", "small", "no", pods[0]), *unknown)
        assert found.policy_sentence == "5 violated (advisory) at 2 resources, 2 not evaluated"
        assert [each.times for each in found.judged("advisory")] == ["", " (4 times)"]
        out = StringIO()
        print_review(Console(file=out, width=200), found)
        told = out.getvalue()
        assert "watched kubernetes:apps:Deployment a, b (4 times)" in told
        assert "string value at .image can't be known during preview" in told
        for text in (markdown(found), page(found)):
            assert text.count("(4 times)") == 1

    def test_passed_checks_are_counted(self) -> None:
        event = {
            "policyAnalyzeSummaryEvent": {
                "resourceUrn": "",
                "policyPackName": "p",
                "passed": ["a", "b"],
                "failed": [],
            }
        }
        assert reviewed(event, event).policy_sentence == "4 passed"


CLUSTER = step("replace", "aws:eks/cluster:Cluster", "cluster", {"n": 1}, {"n": 2}, keys=["n"], id="cluster-77ab")
POOL = step(
    "same",
    "aws:eks/nodeGroup:NodeGroup",
    "pool",
    {"clusterName": "cluster-77ab"},
    {"clusterName": "cluster-77ab"},
    dependencies=[urn("aws:eks/cluster:Cluster", "cluster")],
)
OTHER = step("same", "aws:s3/bucket:Bucket", "other", {"v": "elsewhere"}, {"v": "elsewhere"})


CLUSTER_URN = urn("aws:eks/cluster:Cluster", "cluster")


class TestDependents:
    def test_shows_what_changes_and_its_dependents_only(self) -> None:
        graph = dependents_of(Report.of([CLUSTER, POOL, OTHER]))
        assert graph is not None
        assert [(node.name, node.tone) for node in graph.nodes] == [("cluster", "replace"), ("pool", "same")]
        assert graph.edges == ((urn("aws:eks/cluster:Cluster", "cluster"), urn("aws:eks/nodeGroup:NodeGroup", "pool")),)

    def test_dependencies_that_an_engine_tells_are_taken(self) -> None:
        told = step("same", "a:b:C", "told", {}, {}, dependencies=[urn("aws:eks/cluster:Cluster", "cluster")])
        graph = dependents_of(Report.of([CLUSTER, told]))
        assert graph is not None
        assert [node.name for node in graph.nodes] == ["told", "cluster"]

    def test_a_pool_is_followed_by_the_models_that_choose_it(self) -> None:
        labels = {"model-factory/pool": "l4"}
        pools = [
            step(
                "update",
                "aws:eks/nodeGroup:NodeGroup",
                name,
                {"labels": kept, "n": 1},
                {"labels": kept, "n": 2},
            )
            for name, kept in (("l4", labels), ("system", {}))
        ]
        spec = {"spec": {"template": {"spec": {"nodeSelector": labels}}}}
        models = [
            step("same", "kubernetes:apps/v1:Deployment", name, inputs, inputs)
            for name, inputs in (("model", spec), ("anywhere", {"spec": {"template": {"spec": {}}}}))
        ]
        graph = dependents_of(Report.of([*pools, *models]))
        assert graph is not None
        assert graph.edges == (
            (urn("aws:eks/nodeGroup:NodeGroup", "l4"), urn("kubernetes:apps/v1:Deployment", "model")),
        )

    def test_objects_depend_on_what_their_provider_talks_to(self) -> None:
        made = step("same", "pulumi:providers:kubernetes", "k", {}, {}, dependencies=[CLUSTER_URN])
        object_ = step(
            "same", "kubernetes:core/v1:Namespace", "n", {}, {},
            provider=f"{urn('pulumi:providers:kubernetes', 'k')}::id",
        )  # fmt: skip
        graph = dependents_of(Report.of([CLUSTER, made, object_]))
        assert graph is not None
        assert graph.edges == ((CLUSTER_URN, urn("kubernetes:core/v1:Namespace", "n")),)

    def test_what_nothing_depends_on_needs_no_picture(self) -> None:
        assert dependents_of(Report.of([CLUSTER, OTHER])) is None

    def test_many_resources_are_drawn_by_component(self) -> None:
        events: list[Event] = []
        for part in range(3):
            component = urn("model-factory:x:Part", f"part{part}")
            events.append(step("create", "model-factory:x:Part", f"part{part}", new={}, custom=False))
            before = [urn("aws:s3/bucket:Bucket", f"b{part - 1}-0")] if part else []
            events.extend(
                step("create", name=f"b{part}-{at}", new={}, parent=component, dependencies=before) for at in range(30)
            )
        graph = dependents_of(Report.of(events))
        assert graph is not None
        assert [(node.name, node.members) for node in graph.nodes] == [(f"Part part{at}", 30) for at in range(3)]
        assert len(graph.edges) == 2

    def test_labels_cannot_leave_their_quotes(self) -> None:
        first = step("create", name='x"]; click', new={})
        second = step("create", name="b<script>", new={}, dependencies=[urn("aws:s3/bucket:Bucket", 'x"]; click')])
        events = [first, second]
        graph = dependents_of(Report.of(events))
        assert graph is not None
        source = graph.chart().text()
        assert "x#quot;]; click" in source
        assert "<script>" not in source
        assert "<script>" not in svg(graph)

    def test_a_cycle_is_drawn(self) -> None:
        one, two = (urn("a:b:C", name) for name in ("one", "two"))
        events = [
            step("update", "a:b:C", name, {}, {"v": 1}, dependencies=[other])
            for name, other in (("one", two), ("two", one))
        ]
        graph = dependents_of(Report.of(events))
        assert graph is not None
        assert svg(graph).count('class="edge"') == 2


class TestPage:
    def test_text_from_elsewhere_is_escaped(self) -> None:
        bad = "<img src=x onerror=alert(1)>"
        text = page(
            reviewed(
                step("delete", name=bad, old={}, id=bad),
                step("update", name="u", old={"k": bad}, new={bad: bad}),
                policy("mandatory", bad, bad, urn("a:b:C", bad)),
                error(bad),
                commit=bad,
                run_url=f'https://x"{bad}',
            )
        )
        assert "<img" not in text

    def test_asks_nothing_of_the_network_and_runs_no_script(self) -> None:
        text = page(reviewed(CLUSTER, POOL))
        assert "default-src 'none'" in text
        assert "<script" not in text
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text

    def test_has_both_colour_schemes(self) -> None:
        assert "prefers-color-scheme: dark" in page(reviewed())
