from __future__ import annotations

from typing import Any

from model_factory.graph.pods import POOL, REVISION, SIMULATED
from model_factory.live.models import Serving, replica, serving, short_image, unreached

DIGEST = "sha256:" + "0123456789abcdef" * 4


NODE = {"metadata": {"labels": {POOL: "g6-spot"}}}


def pod(name: str, *, ready: bool = True, reason: str = "", node: str = "n1", **metadata: Any) -> dict[str, Any]:
    state = {"state": {"waiting": {"reason": reason}}} if reason else {"state": {"running": {}}, "started": ready}
    return {
        "metadata": {"name": name, "namespace": "model-a", "creationTimestamp": f"2026-01-0{name[-1]}T00:00:00Z", **metadata},
        "spec": {"nodeName": node, "containers": [{"name": "server", "ports": [{"name": "http", "containerPort": 8000}]}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready and not reason)}],
            "containerStatuses": [{"name": "server", **state}],
        },
    }  # fmt: skip


def deployment(replicas: int, **status: Any) -> dict[str, Any]:
    server = {"name": "server", "image": f"registry.example/team/llm:1.2@{DIGEST}"}
    return {
        "metadata": {"name": "a", "annotations": {REVISION: "7"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "beside", "image": "x"}, server]}}},
        "status": {"updatedReplicas": replicas, **status},
    }  # fmt: skip


def told(planned: int | None, found: dict[str, Any] | None, *pods: dict[str, Any]) -> Serving:
    return serving("a", "aws/us-east-1", planned, found, [replica(each, {"n1": NODE}) for each in pods])


class TestServing:
    def test_all_ready_waits_for_nothing(self) -> None:
        row = told(1, deployment(2), pod("p1"), pod("p2"))
        assert (row.wanted, row.ready, row.pending, row.notes, row.is_served) == (2, 2, (), (), True)
        assert (row.revision, short_image(row.image), row.where) == ("7", f"1.2@{DIGEST[:19]}", (("g6-spot", 2),))
        assert row.since is not None
        assert row.since.day == 1

    def test_reasons_are_counted_and_come_to_what_is_lacking(self) -> None:
        crash = [pod(f"p{number}", reason="CrashLoopBackOff") for number in (2, 3)]
        row = told(1, deployment(5), pod("p1"), *crash, pod("p4", reason="ErrImagePull"))
        assert row.pending == (("CrashLoopBackOff", 2), ("ErrImagePull", 1), ("no Pod yet", 1))
        assert sum(amount for _, amount in row.pending) == row.wanted - row.ready
        assert not row.is_served

    def test_a_quota_is_why_pods_are_not_there(self) -> None:
        refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
        row = told(1, deployment(2, conditions=[refused]), pod("p1"))
        assert row.pending == (("no Pod is admitted: exceeded quota", 1),)

    def test_a_new_pod_that_waits_beside_enough_old_ones_is_a_rollout_and_no_lack(self) -> None:
        row = told(1, deployment(1, updatedReplicas=1), pod("p1"), pod("p2", reason="ContainerCreating"))
        assert row.is_served
        assert row.notes == ("rolling out: 1 of 1 are new, 1 not ready: starting",)

    def test_a_pod_that_ends_is_no_replica(self) -> None:
        row = told(1, deployment(1), pod("p1", deletionTimestamp="2026-01-01T00:00:00Z"))
        assert (row.ready, row.pending, row.where) == (0, (("no Pod yet", 1),), ())

    def test_what_is_planned_and_not_there_is_not_deployed(self) -> None:
        assert told(3, None).pending == (("not deployed", 3),)

    def test_what_is_there_and_not_planned_says_so(self) -> None:
        assert told(None, deployment(1), pod("p1")).notes == ("not in the plan of this stack",)

    def test_none_wanted_is_served(self) -> None:
        assert told(0, deployment(0)).is_served

    def test_a_model_that_is_out_of_reach_is_not(self) -> None:
        assert not unreached("a", "aws/us-east-1", 0, "no answer").is_served


class TestReplicas:
    def test_on_a_simulated_node_says_that_it_runs_nothing(self) -> None:
        node = {"metadata": {"annotations": {SIMULATED: "fake"}}}
        assert replica(pod("p1"), {"n1": node}).note == "on a simulated node, which runs nothing"

    def test_knows_the_ports_by_name(self) -> None:
        assert replica(pod("p1")).ports == {"http": 8000}

    def test_a_node_of_no_pool_stands_by_its_name(self) -> None:
        assert told(1, deployment(1), pod("p1", node="by-hand")).where == (("by-hand", 1),)


class TestImages:
    def test_are_tag_and_short_digest(self) -> None:
        assert short_image(f"host:5000/a/b:v1@{DIGEST}") == f"v1@{DIGEST[:19]}"
        assert short_image(f"host:5000/a/b@{DIGEST}") == f"b@{DIGEST[:19]}"
        assert short_image("a/b:v1") == "v1"
        assert short_image("") == ""
