"""Pods, and why one is not ready: nowhere to go, no image, no volume, a crash, a probe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from model_factory.local.providers.kubernetes.readiness.verdict import (
    READY,
    Look,
    Object,
    Readiness,
    Verdict,
    at,
    condition,
    holds,
    told,
    warnings,
)

_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})
_CRASHES: Final = "CrashLoopBackOff"


def judge(pod: Object, _look: Look) -> Verdict:
    """Ready, or run to its end."""
    phase = at(pod, "status.phase", "Pending")
    if phase == "Failed":
        return Verdict(failed=told(at(pod, "status", {})) or "it failed")
    if phase == "Succeeded" or holds(pod, "Ready"):
        return READY
    return Verdict(waits_for=f"a Pod in phase {phase} to be ready")


def troubles(pod: Object, look: Look) -> Iterator[str]:
    """Why the Pod is not ready, as far as the cluster says."""
    name = at(pod, "metadata.name", "")
    if condition(pod, "PodScheduled").get("status") == "False":
        yield f"Pod {name}: {told(condition(pod, 'PodScheduled'))}"
        return
    found = False
    for status in (*at(pod, "status.initContainerStatuses", ()), *at(pod, "status.containerStatuses", ())):
        reason = _container_trouble(pod, status, look)
        if reason:
            found = True
            yield f"Pod {name}: container {status.get('name')}: {reason}"
    if not found and not holds(pod, "Ready"):
        for reason in warnings(pod, look):
            yield f"Pod {name}: {reason}"


def _container_trouble(pod: Object, status: Mapping[str, Any], look: Look) -> str:
    state: Mapping[str, Any] = status.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    if waiting.get("reason") == _CRASHES:
        last: Mapping[str, Any] = (status.get("lastState") or {}).get("terminated") or {}
        return f"{_CRASHES}: {_end(last)}{_last_words(pod, status, look)}"
    if waiting and waiting.get("reason") not in _STARTING:
        return told(waiting)
    if ended.get("exitCode"):
        return f"{_end(ended)}{_last_words(pod, status, look)}"
    return ""


def _end(ended: Mapping[str, Any]) -> str:
    reason = ended.get("reason")
    return f"it ended with exit code {ended.get('exitCode', 'unknown')}" + (
        f" ({reason})" if reason and reason != "Error" else ""
    )


def _last_words(pod: Object, status: Mapping[str, Any], look: Look) -> str:
    line = look.last_line(
        at(pod, "metadata.name", ""), str(status.get("name")), namespace=at(pod, "metadata.namespace", "")
    )
    return f"; its last line: {line}" if line else ""


POD: Final = Readiness(judge, troubles)
