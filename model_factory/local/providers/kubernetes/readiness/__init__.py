"""When an object counts as ready, a file for kinds that are alike; kinds that are not listed are ready once they are written.

What is waited for, and for how long, is what pulumi-kubernetes waits for (provider/pkg/await, 4.34). Other than there, a Deployment past
its progress deadline fails at once, and a kind that is defined is waited for until the server has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from model_factory.local.providers.kubernetes.readiness import jobs, pods, services, system, volumes, workloads
from model_factory.local.providers.kubernetes.readiness.verdict import READY, Look, Object, Readiness, Verdict

__all__ = ["ALWAYS", "Look", "Object", "Readiness", "Verdict", "readiness_of"]

ALWAYS: Final = Readiness(lambda _obj, _look: READY)
_KINDS: Final[Mapping[str, Readiness]] = {
    "apiextensions.k8s.io/v1/CustomResourceDefinition": system.DEFINITION,
    "apiregistration.k8s.io/v1/APIService": system.API_SERVICE,
    "apps/v1/DaemonSet": workloads.DAEMON_SET,
    "apps/v1/Deployment": workloads.DEPLOYMENT,
    "apps/v1/StatefulSet": workloads.STATEFUL_SET,
    "batch/v1/Job": jobs.JOB,
    "v1/Namespace": system.NAMESPACE,
    "v1/PersistentVolume": volumes.VOLUME,
    "v1/PersistentVolumeClaim": volumes.CLAIM,
    "v1/Pod": pods.POD,
    "v1/ReplicationController": workloads.REPLICATION_CONTROLLER,
    "v1/ResourceQuota": system.QUOTA,
    "v1/Secret": system.SECRET,
    "v1/Service": services.SERVICE,
}


def readiness_of(obj: Object) -> Readiness:
    return _KINDS.get(f"{obj.get('apiVersion')}/{obj.get('kind')}", ALWAYS)
