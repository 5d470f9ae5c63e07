"""Jobs: run to their end, or suspended."""

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
from model_factory.local.providers.kubernetes.readiness.workloads import own_pods_troubles


def judge(obj: Object, _look: Look) -> Verdict:
    if holds(obj, "Failed"):
        return Verdict(failed=told(condition(obj, "Failed")))
    if holds(obj, "Complete") or at(obj, "spec.suspend") is True:
        return READY
    done, wanted = at(obj, "status.succeeded", 0), at(obj, "spec.completions", 1)
    return Verdict(waits_for=f"{done} of {wanted} completions are done")


JOB: Final = Readiness(judge, own_pods_troubles)
