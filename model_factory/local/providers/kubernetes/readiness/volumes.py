"""Claims and volumes: bound, except a claim whose class waits for its first Pod."""

from __future__ import annotations

from typing import Final

from model_factory.local.providers.kubernetes.readiness.verdict import (
    READY,
    Look,
    Object,
    Readiness,
    Verdict,
    at,
    warnings,
)


def claim(obj: Object, look: Look) -> Verdict:
    phase = at(obj, "status.phase", "Pending")
    if phase == "Bound":
        return READY
    if phase == "Lost":
        return Verdict(failed="the volume that it was bound to is gone")
    name = at(obj, "spec.storageClassName", "")
    found = look.get("storage.k8s.io/v1", "StorageClass", name) if name else None
    if found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer":
        return READY
    missing = f"; there is no StorageClass {name}" if name and found is None else ""
    return Verdict(waits_for=f"a volume to be bound{missing}")


def volume(obj: Object, _look: Look) -> Verdict:
    phase = at(obj, "status.phase", "Pending")
    return READY if phase in ("Available", "Bound") else Verdict(waits_for=f"the volume, {phase}, to be available")


CLAIM: Final = Readiness(claim, warnings)
VOLUME: Final = Readiness(volume)
