"""Services: an address where one comes from outside, and no Pod behind them that is not ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from model_factory.local.providers.kubernetes.readiness import pods
from model_factory.local.providers.kubernetes.readiness.verdict import (
    READY,
    Look,
    Object,
    Readiness,
    Verdict,
    at,
    holds,
    warnings,
)


def judge(obj: Object, look: Look) -> Verdict:
    if at(obj, "spec.type") == "LoadBalancer" and not at(obj, "status.loadBalancer.ingress"):
        return Verdict(waits_for="an address of a load balancer")
    if not _is_followed(obj):
        return READY
    slices = _slices(obj, look)
    if not slices:
        return Verdict(waits_for="the controller to list its endpoints")
    endpoints: list[Any] = [each for found in slices for each in found.get("endpoints") or ()]
    late = sum(1 for each in endpoints if at(each, "conditions.ready", True) is False)
    return Verdict(waits_for=f"{late} of {len(endpoints)} endpoints to be ready") if late else READY


def troubles(obj: Object, look: Look) -> Iterator[str]:
    yield from warnings(obj, look)
    if not _is_followed(obj):
        return
    labels = ",".join(f"{key}={value}" for key, value in at(obj, "spec.selector", {}).items())
    for pod in look.list("v1", "Pod", namespace=at(obj, "metadata.namespace", ""), labels=labels):
        if not holds(pod, "Ready"):
            yield from pods.troubles(pod, look)


def _is_followed(obj: Object) -> bool:
    """Headless and external Services, and those without a selector, are what they are at once."""
    spec = at(obj, "spec", {})
    return bool(spec.get("selector")) and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName"


def _slices(obj: Object, look: Look) -> list[Object]:
    name, namespace = at(obj, "metadata.name", ""), at(obj, "metadata.namespace", "")
    labels = f"kubernetes.io/service-name={name}"
    return list(look.list("discovery.k8s.io/v1", "EndpointSlice", namespace=namespace, labels=labels))


SERVICE: Final = Readiness(judge, troubles)
