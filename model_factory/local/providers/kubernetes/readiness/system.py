"""Namespaces, quotas, tokens, and what adds kinds to the API: what others of the same run need at once."""

from __future__ import annotations

from typing import Final

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
)

_TOKEN: Final = "kubernetes.io/service-account-token"  # noqa: S105 - a Secret's type


def namespace(obj: Object, _look: Look) -> Verdict:
    phase = at(obj, "status.phase", "")
    if phase == "Terminating":
        return Verdict(failed="it is being deleted; wait until it is gone, and run again")
    return READY if phase == "Active" else Verdict(waits_for="the namespace to be active")


def quota(obj: Object, _look: Look) -> Verdict:
    known = at(obj, "status.hard", {}) == at(obj, "spec.hard", {})
    return READY if known else Verdict(waits_for="the quota to be taken over")


def secret(obj: Object, _look: Look) -> Verdict:
    if obj.get("type") != _TOKEN or obj.get("data"):
        return READY
    return Verdict(waits_for="the token to be issued")


def definition(obj: Object, _look: Look) -> Verdict:
    names = condition(obj, "NamesAccepted")
    if names.get("status") == "False":
        return Verdict(failed=told(names))
    return READY if holds(obj, "Established") else Verdict(waits_for="the kind to be served")


def api_service(obj: Object, _look: Look) -> Verdict:
    available = condition(obj, "Available")
    if available.get("status") == "True":
        return READY
    return Verdict(waits_for=f"the API to be available ({told(available) or 'not asked yet'})")


NAMESPACE: Final = Readiness(namespace)
QUOTA: Final = Readiness(quota)
SECRET: Final = Readiness(secret)
DEFINITION: Final = Readiness(definition)
API_SERVICE: Final = Readiness(api_service)
