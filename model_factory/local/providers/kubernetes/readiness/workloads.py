"""Deployments, StatefulSets, DaemonSets, ReplicationControllers: a rollout is over as `kubectl rollout status` has it.

Source: https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from model_factory.local.providers.kubernetes.readiness import pods
from model_factory.local.providers.kubernetes.readiness.verdict import (
    READY,
    Look,
    Object,
    Readiness,
    Verdict,
    at,
    condition,
    holds,
    owned_by,
    selector_text,
    told,
    warnings,
)

_REVISION: Final = "deployment.kubernetes.io/revision"
_MOST_TOLD: Final = 5


def deployment(obj: Object, _look: Look) -> Verdict:
    if at(obj, "spec.paused") is True:
        return READY
    if not _observed(obj):
        return Verdict(waits_for="the controller to see the change")
    progressing = condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Verdict(failed=told(progressing), waits_for=told(progressing), may_recover=True)
    wanted = at(obj, "spec.replicas", 1)
    total, updated, available = (_count(obj, key) for key in ("replicas", "updatedReplicas", "availableReplicas"))
    if updated < wanted:
        return Verdict(waits_for=f"{updated} of {wanted} replicas are of the new revision")
    if total > updated:
        return Verdict(waits_for=f"{total - updated} replicas of the old revision are still there")
    if available < wanted:
        return Verdict(waits_for=f"{available} of {wanted} replicas are available")
    return READY


def deployment_troubles(obj: Object, look: Look) -> Iterator[str]:
    """Of the new ReplicaSet: why it makes no Pods, or why these are not ready."""
    failure = condition(obj, "ReplicaFailure")
    if failure.get("status") == "True":
        yield told(failure)
    namespace, labels = at(obj, "metadata.namespace", ""), selector_text(at(obj, "spec.selector", {}))
    revision = _annotation(obj, _REVISION)
    newest = [
        each
        for each in look.list("apps/v1", "ReplicaSet", namespace=namespace, labels=labels)
        if owned_by(each, obj) and _annotation(each, _REVISION) == revision
    ]
    yield from _of_pods(newest, namespace, labels, look)


def stateful_set(obj: Object, _look: Look) -> Verdict:
    if at(obj, "spec.updateStrategy.type", "RollingUpdate") == "OnDelete":
        return READY
    if not _observed(obj):
        return Verdict(waits_for="the controller to see the change")
    wanted = at(obj, "spec.replicas", 1)
    ready, updated = _count(obj, "readyReplicas"), _count(obj, "updatedReplicas")
    if ready < wanted:
        return Verdict(waits_for=f"{ready} of {wanted} replicas are ready")
    kept = at(obj, "spec.updateStrategy.rollingUpdate.partition", 0)
    if kept and updated < wanted - kept:
        return Verdict(waits_for=f"{updated} of {wanted - kept} replicas are of the new revision")
    if not kept and wanted and at(obj, "status.updateRevision") != at(obj, "status.currentRevision"):
        return Verdict(waits_for=f"{updated} of {wanted} replicas are of the new revision")
    return READY


def daemon_set(obj: Object, _look: Look) -> Verdict:
    if at(obj, "spec.updateStrategy.type", "RollingUpdate") == "OnDelete":
        return READY
    if not _observed(obj):
        return Verdict(waits_for="the controller to see the change")
    wanted = _count(obj, "desiredNumberScheduled")
    updated, available = _count(obj, "updatedNumberScheduled"), _count(obj, "numberAvailable")
    if updated < wanted:
        return Verdict(waits_for=f"{updated} of {wanted} Pods are of the new revision")
    if available < wanted:
        return Verdict(waits_for=f"{available} of {wanted} Pods are available")
    return READY


def replication_controller(obj: Object, _look: Look) -> Verdict:
    wanted, available = at(obj, "spec.replicas", 1), _count(obj, "availableReplicas")
    return READY if available == wanted else Verdict(waits_for=f"{available} of {wanted} replicas are available")


def own_pods_troubles(obj: Object, look: Look) -> Iterator[str]:
    """Of a kind that makes its Pods itself: why it makes none, or why these are not ready."""
    yield from warnings(obj, look, "FailedCreate")
    labels = selector_text(at(obj, "spec.selector", {}))
    yield from _of_pods([obj], at(obj, "metadata.namespace", ""), labels, look)


def _of_pods(owners: list[Object], namespace: str, labels: str, look: Look) -> Iterator[str]:
    found = [
        pod
        for pod in look.list("v1", "Pod", namespace=namespace, labels=labels)
        if any(owned_by(pod, owner) for owner in owners)
        and not holds(pod, "Ready")
        and not at(pod, "metadata.deletionTimestamp")
    ]
    told_ = list(chain.from_iterable(pods.troubles(pod, look) for pod in found[:_MOST_TOLD]))
    yield from told_
    if len(found) > _MOST_TOLD:
        yield f"and {len(found) - _MOST_TOLD} more Pods"


def _observed(obj: Object) -> bool:
    return at(obj, "status.observedGeneration", 0) >= at(obj, "metadata.generation", 0)


def _count(obj: Object, key: str) -> int:
    return int(at(obj, f"status.{key}", 0))


def _annotation(obj: Object, key: str) -> str:
    return str((at(obj, "metadata.annotations", {})).get(key, ""))


DEPLOYMENT: Final = Readiness(deployment, deployment_troubles)
STATEFUL_SET: Final = Readiness(stateful_set, own_pods_troubles)
DAEMON_SET: Final = Readiness(daemon_set, own_pods_troubles)
REPLICATION_CONTROLLER: Final = Readiness(replication_controller)
