"""Every way in which a Pod does not serve is told in a few words, as the API server's objects have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from model_factory.live import reasons

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/model-factory-dev-aws-us-east-1-assistant@sha256:{'0' * 64}"


def pod(*, conditions: Mapping[str, tuple[str, str]] | None = None, node: str = "n1", **status: Any) -> dict[str, Any]:
    """A Pod whose conditions are type → (status, message)."""
    told = [{"type": kind, "status": is_so, "message": said} for kind, (is_so, said) in (conditions or {}).items()]
    return {"metadata": {"name": "p"}, "spec": {"nodeName": node}, "status": {"conditions": told, **status}}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return pod(
        containerStatuses=[{"name": "server", "state": {"waiting": {"reason": reason, "message": message}}, **more}]
    )


EXIT_137 = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "restartCount": 4}


class TestPods:
    def test_one_that_is_ready_has_none(self) -> None:
        assert reasons.of_pod(pod(conditions={"Ready": ("True", "")})) == ""

    def test_one_that_ends_says_so_whatever_else(self) -> None:
        found = pod(conditions={"Ready": ("True", "")})
        found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        assert reasons.of_pod(found) == reasons.ENDING

    @pytest.mark.parametrize(
        ("found", "told"),
        [
            (waiting("CrashLoopBackOff", "back-off 5m0s", **EXIT_137), "CrashLoopBackOff, last exit 137 (OOMKilled)"),
            (
                waiting("ImagePullBackOff", 'Back-off pulling image "r/x@sha256:0": ErrImagePull: not found'),
                "ImagePullBackOff: not found",
            ),
            (
                waiting(
                    "ImagePullBackOff",
                    f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image '
                    f'"{IMAGE}": failed to resolve image: {IMAGE}: not found',
                ),
                f"ImagePullBackOff: {IMAGE[:-52]}: not found",
            ),
            (waiting("CreateContainerConfigError", 'configmap "c" not found'), 'CreateContainerConfigError: configmap "c" not found'),
            (waiting("ContainerCreating"), "starting"),
            (pod(containerStatuses=[{"name": "server", "state": {"running": {}}, "started": False}]), "loading"),
            (pod(containerStatuses=[{"name": "server", "state": {"running": {}}, "started": True}]), "not ready"),
            (
                pod(containerStatuses=[{"name": "server", "state": {"running": {}}, "started": False, **EXIT_137}]),
                "loading, after 4 restarts, last exit 137 (OOMKilled)",
            ),
            (
                pod(containerStatuses=[{"name": "server", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}]),
                "exit 2",
            ),
            (pod(phase="Failed", reason="Evicted", message="The node was low on memory."), "Evicted: The node was low on memory."),
            (pod(phase="Failed"), "failed: it does not say why"),
            (pod(node=""), "not scheduled yet"),
            (pod(), "starting"),
        ],
    )  # fmt: skip
    def test_says_what_keeps_it(self, found: Mapping[str, Any], told: str) -> None:
        assert reasons.of_pod(found) == told

    def test_the_server_comes_before_what_runs_beside_it(self) -> None:
        beside = {"name": "a-sidecar", "state": {"waiting": {"reason": "ContainerCreating"}}}
        server = {"name": "server", "state": {"waiting": {"reason": "ErrImagePull"}}}
        assert reasons.of_pod(pod(containerStatuses=[beside, server])) == "ErrImagePull"

    @pytest.mark.parametrize(
        ("state", "told"),
        [
            ({"waiting": {"reason": "CrashLoopBackOff"}}, "init container fetch: CrashLoopBackOff, last exit 137 (OOMKilled)"),
            ({"running": {}}, "init container fetch: running"),
            ({"terminated": {"exitCode": 3, "reason": "Error"}}, "init container fetch: exit 3"),
        ],
    )  # fmt: skip
    def test_an_init_container_that_is_not_done_is_named(self, state: Mapping[str, Any], told: str) -> None:
        fetch = {"name": "fetch", "state": state, **EXIT_137}
        server = {"name": "server", "state": {"waiting": {"reason": "PodInitializing"}}}
        assert reasons.of_pod(pod(initContainerStatuses=[fetch], containerStatuses=[server])) == told

    def test_init_containers_that_are_done_or_stay_are_passed_over(self) -> None:
        done = {"name": "fetch", "state": {"terminated": {"exitCode": 0}}}
        sidecar = {"name": "stays", "state": {"running": {}}, "started": True, "ready": True}
        server = {"name": "server", "state": {"running": {}}, "started": True}
        assert reasons.of_pod(pod(initContainerStatuses=[done, sidecar], containerStatuses=[server])) == "not ready"

    def test_an_event_tells_what_a_start_waits_for(self) -> None:
        warned = ["older", 'MountVolume.SetUp failed for volume "weights"']
        assert reasons.of_pod(waiting("ContainerCreating"), warned) == f"starting: {warned[1]}"
        assert "MountVolume" not in reasons.of_pod(waiting("CrashLoopBackOff", **EXIT_137), warned)

    def test_a_long_one_is_cut_to_a_line(self) -> None:
        told = reasons.of_pod(waiting("ErrImagePull", "x\n" * 400))
        assert len(told) <= 160
        assert "\n" not in told


class TestUnscheduled:
    @pytest.mark.parametrize(
        ("message", "told"),
        [
            (
                (
                    "0/5 nodes are available: 2 Insufficient nvidia.com/gpu, 3 node(s) didn't match Pod's node affinity/selector. "
                    "no new claims to deallocate, preemption: 0/5 nodes are available: 2 No preemption victims found for incoming pod."
                ),
                "unschedulable: Insufficient nvidia.com/gpu on 2 nodes",
            ),
            (
                (
                    "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) didn't match Pod's node affinity/selector. "
                    "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
                ),
                "unschedulable: no node of its pools is there that takes it",
            ),
            (
                "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) had untolerated taint {a: b}.",
                "unschedulable: Insufficient cpu on 1 node, Insufficient memory on 1 node",
            ),
            ("no nodes available to schedule pods", "unschedulable: no nodes available to schedule pods"),
            ("", "unschedulable"),
        ],
    )
    def test_only_what_matters_is_left(self, message: str, told: str) -> None:
        assert reasons.unscheduled(message) == told
        assert reasons.of_pod(pod(conditions={"PodScheduled": ("False", message)}, node="")) == told


class TestDeployments:
    def test_a_refused_pod_says_by_what(self) -> None:
        refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: compute"}
        assert (
            reasons.of_deployment({"status": {"conditions": [refused]}})
            == "no Pod is admitted: exceeded quota: compute"
        )

    def test_one_that_gave_up_or_is_paused_says_so(self) -> None:
        late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        assert reasons.of_deployment({"status": {"conditions": [late]}}) == "the rollout went over its time"
        assert reasons.of_deployment({"spec": {"paused": True}}) == "the rollout is paused"
        assert reasons.of_deployment({}) == ""

    def test_a_pod_that_serves_tells_its_restarts(self) -> None:
        served = pod(conditions={"Ready": ("True", "")}, containerStatuses=[{"name": "server", **EXIT_137}])
        assert reasons.of_restarts(served) == "restarted 4 times, last exit 137 (OOMKilled)"
        assert reasons.of_restarts(pod()) == ""
