"""What runs is told as a real API server, its controllers and its scheduler have it. No kubelet is there: tests say what one would."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from model_factory.access.client import ClusterClient
from model_factory.graph.pods import KIND, MODEL, MODEL_SERVER, POOL, REVISION
from model_factory.live.logs import Wanted, lines, sources
from model_factory.live.models import Serving, read

pytestmark = pytest.mark.lab
SITE = "aws/us-east-1"
IMAGE = "registry.example/llm:v1@sha256:" + "0123456789abcdef" * 4
DEADLINE_SECONDS = 60


def create(cluster: ClusterClient, obj: dict[str, Any]) -> dict[str, Any]:
    return cluster.apply(obj, manager="test").object


def model(cluster: ClusterClient, name: str, *, replicas: int, pool: str, cpu: str = "1") -> None:
    labels = {KIND: MODEL_SERVER, MODEL: name}
    space = f"model-{name}"
    create(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    container = {
        "name": "server", "image": IMAGE, "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": cpu}},
    }  # fmt: skip
    spec = {"nodeSelector": {POOL: pool}, "containers": [container]}
    create(cluster, {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": space, "labels": labels, "annotations": {REVISION: "3"}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    })  # fmt: skip


def node(cluster: ClusterClient, name: str, pool: str, *, cpu: str = "4") -> None:
    create(cluster, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {POOL: pool}}})
    amounts = {"cpu": cpu, "memory": "8Gi", "pods": "20"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    status = {"capacity": amounts, "allocatable": amounts, "conditions": [ready]}
    cluster.patch("v1", "Node", name, {"status": status}, subresource="status", type="strategic")
    # The taint that a node has until its controller has seen that it is ready.
    cluster.patch("v1", "Node", name, {"spec": {"taints": []}})


def until(cluster: ClusterClient, name: str, holds: Callable[[Serving], bool]) -> Serving:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        (found,) = read(cluster, SITE, {name: 1}, name)
        if holds(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def say(cluster: ClusterClient, name: str, pod: str, status: dict[str, Any]) -> None:
    """What a kubelet says of a Pod."""
    cluster.patch(
        "v1", "Pod", pod, {"status": status}, namespace=f"model-{name}", subresource="status", type="strategic"
    )


def is_ready(ready: bool) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": str(ready)}], "phase": "Running"}


class TestStatus:
    def test_a_model_is_followed_from_nothing_to_served(self, cluster: ClusterClient) -> None:
        (before,) = read(cluster, SITE, {"followed": 2}, "followed")
        assert before.pending == (("not deployed", 2),)
        node(cluster, "a-stranger", "another-pool")
        model(cluster, "followed", replicas=2, pool="followed-pool")
        reason = "unschedulable: no node of its pools is there that takes it"
        waits = until(cluster, "followed", lambda found: found.pending == ((reason, 2),))
        assert (waits.revision, waits.image, waits.where) == ("3", IMAGE, ())
        node(cluster, "followed-node", "followed-pool")
        placed = until(cluster, "followed", lambda found: len(found.where) == 1 and found.where[0][1] == 2)
        assert placed.where == (("followed-pool", 2),)
        assert placed.pending == (("starting", 2),)
        one, two = (each.pod for each in placed.replicas)
        say(cluster, "followed", one, is_ready(True))
        crash = {
            "name": "server", "image": IMAGE, "imageID": "", "ready": False, "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
        }  # fmt: skip
        say(cluster, "followed", two, {**is_ready(False), "containerStatuses": [crash]})
        half = until(cluster, "followed", lambda found: found.ready == 1)
        assert half.pending == (("CrashLoopBackOff, last exit 1", 1),)
        say(
            cluster,
            "followed",
            two,
            {**is_ready(True), "containerStatuses": [{**crash, "ready": True, "state": {"running": {}}}]},
        )
        served = until(cluster, "followed", lambda found: found.is_served)
        assert served.notes == ("restarted 2 times, last exit 1",)

    def test_a_node_that_is_full_says_of_what(self, cluster: ClusterClient) -> None:
        node(cluster, "full-node", "full-pool", cpu="2")
        model(cluster, "full", replicas=1, pool="full-pool", cpu="3")
        found = until(cluster, "full", lambda found: "unschedulable" in found.pending[0][0])
        assert found.pending == (("unschedulable: Insufficient cpu on 1 node", 1),)

    def test_a_quota_that_keeps_pods_away_is_said(self, cluster: ClusterClient) -> None:
        create(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "model-bounded"}})
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": "model-bounded"},
        }
        create(cluster, {**quota, "spec": {"hard": {"pods": "0"}}})
        model(cluster, "bounded", replicas=1, pool="bounded-pool")
        found = until(cluster, "bounded", lambda found: "admitted" in found.pending[0][0])
        assert "exceeded quota: none" in found.pending[0][0]

    def test_what_an_event_warns_of_is_what_a_start_waits_for(self, cluster: ClusterClient) -> None:
        node(cluster, "warned-node", "warned-pool")
        model(cluster, "warned", replicas=1, pool="warned-pool")
        placed = until(cluster, "warned", lambda found: bool(found.where))
        (pod,) = cluster.list("v1", "Pod", namespace="model-warned")
        create(cluster, {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "mount", "namespace": "model-warned"}, "type": "Warning",
            "reason": "FailedMount", "message": "MountVolume.SetUp failed: no driver",
            "involvedObject": {"kind": "Pod", "name": placed.replicas[0].pod, "namespace": "model-warned", "uid": pod["metadata"]["uid"]},
        })  # fmt: skip
        found = until(cluster, "warned", lambda found: "MountVolume" in found.pending[0][0])
        assert found.pending == (("starting: MountVolume.SetUp failed: no driver", 1),)

    def test_a_rollout_at_full_strength_is_no_lack(self, cluster: ClusterClient) -> None:
        node(cluster, "rolled-node", "rolled-pool")
        model(cluster, "rolled", replicas=1, pool="rolled-pool")
        placed = until(cluster, "rolled", lambda found: bool(found.where))
        say(cluster, "rolled", placed.replicas[0].pod, is_ready(True))
        until(cluster, "rolled", lambda found: found.is_served)
        change = {"spec": {"template": {"metadata": {"annotations": {REVISION: "4"}}}}}
        cluster.patch("apps/v1", "Deployment", "rolled", change, namespace="model-rolled")
        rolling = until(cluster, "rolled", lambda found: len(found.replicas) == 2)
        assert rolling.is_served
        (note,) = rolling.notes
        assert note.startswith("rolling out: 1 of 1 are new, 1 not ready: ")


class TestLogs:
    def test_of_a_replica_without_a_kubelet_say_why_there_are_none(self, cluster: ClusterClient) -> None:
        model(cluster, "silent", replicas=1, pool="silent-pool")
        until(cluster, "silent", lambda found: bool(found.replicas))
        (source,) = sources([(SITE, cluster)], "silent")
        (line,) = lines(source, Wanted())
        assert line.problem
        assert "nothing is written yet" in line.text
