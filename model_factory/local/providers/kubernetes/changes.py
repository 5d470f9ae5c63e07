"""What a change of an object does: the detailed difference, and which fields force a replacement. Pure.

The rules are pulumi-kubernetes' own (provider/pkg/provider/diff.go, 4.34): they are wider than what the API server holds
immutable, so that pods and jobs roll instead of failing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from model_factory.graph.paths import Path, parse
from model_factory.local.clouds.kubernetes.kinds import group_of
from model_factory.local.providers.diff import Change
from model_factory.local.wire import Unknown, Value

_SELECTOR: Final = ("spec.selector",)
_POD_FIELDS: Final = (
    "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases", "hostIPC",
    "hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead", "preemptionPolicy",
    "priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName", "schedulerName",
    "securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace", "subdomain",
    "terminationGracePeriodSeconds", "volumes",
)  # fmt: skip
_CONTAINER_FIELDS: Final = (
    "args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe",
    "resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
    "volumeDevices", "volumeMounts", "workingDir",
)  # fmt: skip
_VOLUME_SOURCES: Final = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume",
    "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
)  # fmt: skip
_REPLACING: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "StatefulSet"): (
        "spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
    ("", "PersistentVolume"): tuple(f"spec.{source}" for source in _VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    ("", "Pod"): (
        *(f"spec.{field}" for field in _POD_FIELDS),
        *(f"spec.{group}[*].{field}" for group in ("containers", "initContainers") for field in _CONTAINER_FIELDS),
    ),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
}  # fmt: skip
_MISSING: Final = object()


def replacing_paths(obj: Mapping[str, Any], *, mutable_config_maps: bool, mutable_secrets: bool) -> tuple[str, ...]:
    """The paths whose change replaces this object. By default the data of ConfigMaps and Secrets is among them."""
    kind, group = str(obj.get("kind", "")), group_of(str(obj.get("apiVersion", "")))
    paths = ("metadata.name", "metadata.namespace", *_REPLACING.get((group, kind), ()))
    sealed = obj.get("immutable") is True
    if group == "" and kind == "ConfigMap" and (sealed or not mutable_config_maps):
        return (*paths, "binaryData", "data")
    if group == "" and kind == "Secret" and (sealed or not mutable_secrets):
        return (*paths, "stringData", "data")
    return paths


def differences(old: Mapping[str, Any], new: Mapping[str, Any], replacing: tuple[str, ...]) -> list[Change]:
    """Every changed path from old to new. An unknown new value counts as a change."""
    patterns = [parse(path) for path in replacing]
    return list(_differences((), old, new, patterns))


def _differences(path: Path, old: Any, new: Any, patterns: list[Path]) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences((*path, key), old.get(key, _MISSING), new.get(key, _MISSING), patterns)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _MISSING
            after = new[index] if index < len(new) else _MISSING
            yield from _differences((*path, index), before, after, patterns)
    elif new is _MISSING:
        yield Change(path, "delete", _touches(path, old, patterns), cast("Value", old), None)
    elif old is _MISSING:
        yield Change(path, "add", _touches(path, new, patterns), None, cast("Value", new))
    elif isinstance(new, Unknown) or old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield Change(path, "update", _touches(path, new, patterns), cast("Value", old), cast("Value", new))


def _touches(path: Path, value: Any, patterns: list[Path]) -> bool:
    """Whether a change of the whole value at a path reaches one of the patterns: above, at or below it."""
    return any(_reaches(path, value, pattern) for pattern in patterns)


def _reaches(path: Path, value: Any, pattern: Path) -> bool:
    if any(want not in ("*", have) for have, want in zip(path, pattern, strict=False)):
        return False
    rest = pattern[len(path) :]
    return not rest or _holds(value, rest)


def _holds(value: Any, rest: Path) -> bool:
    if not rest or isinstance(value, Unknown):
        return True
    if rest[0] == "*":
        return isinstance(value, list) and any(_holds(item, rest[1:]) for item in value)
    return isinstance(value, Mapping) and rest[0] in value and _holds(value[rest[0]], rest[1:])
