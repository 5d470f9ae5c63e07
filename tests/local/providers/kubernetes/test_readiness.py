from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from model_factory.local.providers.kubernetes.readiness import readiness_of
from model_factory.local.providers.kubernetes.readiness.verdict import selector_text

Object = Mapping[str, Any]


@dataclass
class Around:
    """The objects beside the one that is judged."""

    objects: dict[str, list[Object]] = field(default_factory=dict)
    line: str = ""

    def list(
        self, api_version: str, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Iterable[Object]:
        return self.objects.get(kind, [])

    def get(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> Object | None:
        return next((each for each in self.objects.get(kind, []) if each["metadata"]["name"] == name), None)

    def last_line(self, pod: str, container: str, *, namespace: str) -> str:
        return self.line


def deployment(replicas: int = 2, *, generation: int = 1, conditions: Iterable[Object] = (), **status: int) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"uid": "d", "generation": generation, "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": 1, "conditions": list(conditions), **status},
    }


def replica_set(uid: str, revision: str) -> Object:
    return {
        "metadata": {
            "uid": uid,
            "ownerReferences": [{"uid": "d"}],
            "annotations": {"deployment.kubernetes.io/revision": revision},
        }
    }


def pod(name: str, owner: str, **status: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner}]},
        "status": status,
    }


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"name": "server", "state": {"waiting": {"reason": reason, "message": message}}, **more}


def is_ready(obj: Object, around: Around | None = None) -> bool:
    return readiness_of(obj).judge(obj, around or Around()).is_ready


def troubles(obj: Object, around: Around) -> list[str]:
    return list(readiness_of(obj).troubles(obj, around))


DONE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


class TestRollouts:
    def test_a_rollout_is_over_when_only_new_replicas_are_there_and_available(self) -> None:
        assert is_ready(deployment(**DONE))
        for key in DONE:
            assert not is_ready(deployment(**{**DONE, key: DONE[key] + (1 if key == "replicas" else -1)})), key

    def test_a_status_of_an_earlier_generation_does_not_count(self) -> None:
        assert not is_ready(deployment(generation=2, **DONE))

    def test_no_replicas_wanted_is_ready_and_paused_too(self) -> None:
        assert is_ready(deployment(0))
        paused = deployment(2)
        assert is_ready({**paused, "spec": {**paused["spec"], "paused": True}})

    def test_a_rollout_past_its_deadline_has_failed(self) -> None:
        late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}
        verdict = readiness_of(deployment()).judge(deployment(conditions=[late]), Around())
        assert verdict.failed == "ProgressDeadlineExceeded: too late"

    def test_only_the_new_revisions_pods_are_told_of(self) -> None:
        full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}
        around = Around({
            "ReplicaSet": [replica_set("old", "1"), replica_set("new", "2")],
            "Pod": [pod("was", "old", conditions=[full]), pod("is", "new", conditions=[full])],
        })  # fmt: skip
        assert troubles(deployment(), around) == ["Pod is: Unschedulable: 0/2 nodes"]

    def test_a_quota_that_keeps_pods_from_being_made_is_told(self) -> None:
        failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: q"}
        assert troubles(deployment(conditions=[failure]), Around()) == ["FailedCreate: exceeded quota: q"]

    def test_a_stateful_set_is_over_when_its_revisions_agree(self) -> None:
        obj = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {}, "spec": {"replicas": 1}}
        status = {"readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
        assert not is_ready({**obj, "status": status})
        assert is_ready({**obj, "status": {**status, "currentRevision": "b"}})

    def test_a_daemon_set_waits_for_every_node_it_wants(self) -> None:
        obj = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {}, "spec": {}}
        status = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}
        assert not is_ready({**obj, "status": status})
        assert is_ready({**obj, "status": {**status, "numberAvailable": 2}})


class TestPods:
    @pytest.mark.parametrize(
        "reason", ["ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"]
    )
    def test_a_container_that_cannot_start_says_why(self, reason: str) -> None:
        obj = pod("p", "o", containerStatuses=[waiting(reason, "no such image")])
        assert troubles(obj, Around()) == [f"Pod p: container server: {reason}: no such image"]

    def test_a_crash_comes_with_its_exit_code_and_last_line(self) -> None:
        last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        obj = pod("p", "o", containerStatuses=[waiting("CrashLoopBackOff", "back-off", lastState=last)])
        (told,) = troubles(obj, Around(line="out of memory"))
        assert told == (
            "Pod p: container server: CrashLoopBackOff: it ended with exit code 137 (OOMKilled); "
            "its last line: out of memory"
        )

    def test_a_container_that_is_only_starting_tells_the_latest_warning(self) -> None:
        obj = pod("p", "o", initContainerStatuses=[waiting("PodInitializing")])
        events = [
            {"reason": "Old", "message": "1", "lastTimestamp": "2026-01-01T00:00:00Z"},
            {"reason": "FailedMount", "message": "no volume", "lastTimestamp": "2026-01-02T00:00:00Z"},
        ]
        assert troubles(obj, Around({"Event": events})) == ["Pod p: FailedMount: no volume"]

    def test_a_pod_is_ready_by_its_condition_or_its_end(self) -> None:
        assert is_ready(pod("p", "o", phase="Running", conditions=[{"type": "Ready", "status": "True"}]))
        assert is_ready(pod("p", "o", phase="Succeeded"))
        assert not is_ready(pod("p", "o", phase="Running"))


class TestJobs:
    def job(self, type_: str = "", **spec: Any) -> Object:
        conditions = [{"type": type_, "status": "True", "reason": "R", "message": "m"}] if type_ else []
        return {"apiVersion": "batch/v1", "kind": "Job", "spec": spec, "status": {"conditions": conditions}}

    def test_a_job_is_ready_when_it_is_complete_or_suspended(self) -> None:
        assert is_ready(self.job("Complete"))
        assert is_ready(self.job(suspend=True))
        assert not is_ready(self.job())

    def test_a_failed_job_has_failed(self) -> None:
        assert readiness_of(self.job()).judge(self.job("Failed"), Around()).failed == "R: m"


class TestServices:
    def service(self, **spec: Any) -> Object:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec, "status": {}}

    def endpoints(self, *ready: bool) -> Around:
        return Around({"EndpointSlice": [{"endpoints": [{"conditions": {"ready": each}} for each in ready]}]})

    def test_a_service_waits_for_the_pods_behind_it(self) -> None:
        obj = self.service(selector={"a": "b"})
        assert not is_ready(obj), "not listed yet"
        assert not is_ready(obj, self.endpoints(True, False))
        assert is_ready(obj, self.endpoints(True, True))
        assert is_ready(obj, self.endpoints()), "nobody to wait for"

    def test_headless_and_external_services_are_ready_at_once(self) -> None:
        assert is_ready(self.service(selector={"a": "b"}, clusterIP="None"))
        assert is_ready(self.service(type="ExternalName", externalName="x"))
        assert is_ready(self.service())

    def test_a_load_balancer_needs_an_address(self) -> None:
        assert not is_ready(self.service(type="LoadBalancer"))


class TestClaims:
    def claim(self, phase: str = "Pending") -> Object:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "spec": {"storageClassName": "c"},
            "status": {"phase": phase},
        }

    def classes(self, mode: str) -> Around:
        return Around({"StorageClass": [{"metadata": {"name": "c"}, "volumeBindingMode": mode}]})

    def test_a_claim_waits_to_be_bound_unless_its_class_waits_for_a_pod(self) -> None:
        assert is_ready(self.claim("Bound"))
        assert not is_ready(self.claim(), self.classes("Immediate"))
        assert is_ready(self.claim(), self.classes("WaitForFirstConsumer"))

    def test_a_class_that_is_not_there_is_named(self) -> None:
        verdict = readiness_of(self.claim()).judge(self.claim(), Around())
        assert "there is no StorageClass c" in verdict.waits_for


def test_a_kind_that_is_not_followed_is_ready_once_it_is_written() -> None:
    assert is_ready({"apiVersion": "v1", "kind": "ConfigMap"})
    assert is_ready({"apiVersion": "example.com/v1", "kind": "Deployment"})


def test_a_selector_reads_as_a_query() -> None:
    terms = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "x", "operator": "Exists"},
        {"key": "y", "operator": "DoesNotExist"},
    ]
    text = selector_text({"matchLabels": {"app": "web"}, "matchExpressions": terms})
    assert text == "app=web,tier in (a,b),x,!y"
