"""The Pod of a model: restricted, on the planned pool, with the GPUs it was given. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import pulumi
from pulumi_kubernetes.core.v1 import (
    ContainerArgsDict,
    EnvVarArgsDict,
    PodSecurityContextArgsDict,
    PodSpecArgsDict,
    ProbeArgsDict,
    SecurityContextArgsDict,
    TopologySpreadConstraintArgsDict,
    VolumeArgsDict,
    VolumeMountArgsDict,
)

from components.kubernetes.nodes import GPU_RESOURCE, GPU_TAINT, pool_labels
from components.kubernetes.runtimes.table import CONFIG_ROOT, SCRATCH_ROOT, WEIGHTS_ROOT, ModelServer, filled
from components.kubernetes.weights.routes import GcsWeights, HubWeights, S3Weights, Weights
from model_factory.planning.settings.sections import ModelSettings

# Any number but 0: the images' own users differ, and none needs to be a particular one.
SERVER_USER = 1000
# Endpoints take some seconds to leave every load balancer after a Pod is told to stop.
PRE_STOP_SECONDS = 10
SCRATCH_GIB = 20
# Weights from a hub land on the node's disk.
HUB_SCRATCH_GIB = 150


@dataclass(frozen=True, slots=True)
class PodParts:
    """What a Pod refers to by name. `config_map` is None where the server needs no files, `claim` where weights are not
    mounted from S3."""

    image: pulumi.Input[str]
    service_account: pulumi.Input[str]
    config_map: pulumi.Input[str] | None
    claim: pulumi.Input[str] | None


def pod_spec(
    model: ModelSettings,
    server: ModelServer,
    weights: Weights,
    parts: PodParts,
    pool: str,
    selector: Mapping[str, str],
) -> PodSpecArgsDict:
    """The Pod of one replica. It meets Pod Security's `restricted` standard."""
    return {
        "service_account_name": parts.service_account,
        # Clouds' identities come by volumes of their own; nothing here talks to the Kubernetes API.
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": _pod_security(),
        "node_selector": pool_labels(pool),
        "tolerations": [
            {
                "key": GPU_TAINT.key,
                "operator": "Equal",
                "value": GPU_TAINT.value,
                "effect": GPU_TAINT.effect,
            }
        ],
        "topology_spread_constraints": [
            _spread("topology.kubernetes.io/zone", selector),
            _spread("kubernetes.io/hostname", selector),
        ],
        "termination_grace_period_seconds": PRE_STOP_SECONDS + server.drain_seconds,
        "containers": [_container(model, server, weights, parts.image)],
        "volumes": _volumes(server, weights, parts),
    }


def weights_argument(model: ModelSettings, weights: Weights) -> str:
    """What the server is told to load: a folder, or a repository on the hub."""
    return weights.repository if isinstance(weights, HubWeights) else f"{WEIGHTS_ROOT}/{model.name}"


def memory_quantity(gib: Decimal) -> str:
    """GiB as Kubernetes writes them: 8 → 8Gi, 7.5 → 7680Mi."""
    return f"{int(gib)}Gi" if gib == int(gib) else f"{int(gib * 1024)}Mi"


def _container(
    model: ModelSettings, server: ModelServer, weights: Weights, image: pulumi.Input[str]
) -> ContainerArgsDict:
    argument = weights_argument(model, weights)
    revision = [f"--revision={weights.revision}"] if isinstance(weights, HubWeights) else []
    gpus = {GPU_RESOURCE: str(model.gpus_per_replica)}
    memory = memory_quantity(model.memory_gib)
    env: list[EnvVarArgsDict] = [
        {"name": key, "value": value} for key, value in {"HOME": SCRATCH_ROOT, **server.env}.items()
    ]
    return {
        "name": "server",
        "image": image,
        "image_pull_policy": "IfNotPresent",
        "command": list(server.command),
        "args": [*(filled(arg, model, argument) for arg in server.args), *revision, *model.args],
        "env": env,
        "ports": [{"name": name, "container_port": port} for name, port in server.ports.items()],
        # No CPU limit: a server that waits for its turn misses its latency. GPUs cannot be shared, so both are equal.
        "resources": {
            "requests": {"cpu": model.cpu, "memory": memory, **gpus},
            "limits": {"memory": memory, **gpus},
        },
        "security_context": _container_security(),
        "startup_probe": {
            **_http_probe(model, server, server.ready_path, 10),
            "failure_threshold": -(-server.startup_seconds // 10),
        },
        "readiness_probe": {**_http_probe(model, server, server.ready_path, 5), "failure_threshold": 3},
        # Patient: a server under full load must not be killed for it.
        "liveness_probe": {**_http_probe(model, server, server.live_path, 10), "failure_threshold": 6},
        "lifecycle": {"pre_stop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "volume_mounts": _mounts(model, server, weights),
    }


def _http_probe(model: ModelSettings, server: ModelServer, path: str, period_seconds: int) -> ProbeArgsDict:
    return {
        "http_get": {"path": filled(path, model, ""), "port": server.health_port},
        "period_seconds": period_seconds,
        "timeout_seconds": 5,
    }


def _pod_security() -> PodSecurityContextArgsDict:
    return {
        "run_as_non_root": True,
        "run_as_user": SERVER_USER,
        "run_as_group": SERVER_USER,
        "fs_group": SERVER_USER,
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def _container_security() -> SecurityContextArgsDict:
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "run_as_non_root": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _spread(topology_key: str, selector: Mapping[str, str]) -> TopologySpreadConstraintArgsDict:
    """Even where it can be: GPU capacity is often in one zone only, and then serving comes first."""
    return {
        "max_skew": 1,
        "topology_key": topology_key,
        "when_unsatisfiable": "ScheduleAnyway",
        "label_selector": {"match_labels": selector},
        "match_label_keys": ["pod-template-hash"],
    }


def _mounts(model: ModelSettings, server: ModelServer, weights: Weights) -> list[VolumeMountArgsDict]:
    mounts: list[VolumeMountArgsDict] = [{"name": "scratch", "mount_path": SCRATCH_ROOT}]
    if not isinstance(weights, HubWeights):
        mounts.append({"name": "weights", "mount_path": f"{WEIGHTS_ROOT}/{model.name}", "read_only": True})
    if server.files:
        mounts.append({"name": "config", "mount_path": CONFIG_ROOT, "read_only": True})
    if server.shared_memory_gib:
        mounts.append({"name": "shared-memory", "mount_path": "/dev/shm"})  # noqa: S108 (inside the container)
    return mounts


def _volumes(server: ModelServer, weights: Weights, parts: PodParts) -> list[VolumeArgsDict]:
    scratch_gib = HUB_SCRATCH_GIB if isinstance(weights, HubWeights) else SCRATCH_GIB
    volumes: list[VolumeArgsDict] = [{"name": "scratch", "empty_dir": {"size_limit": f"{scratch_gib}Gi"}}]
    if isinstance(weights, S3Weights) and parts.claim is not None:
        volumes.append(
            {"name": "weights", "persistent_volume_claim": {"claim_name": parts.claim, "read_only": True}}
        )
    if isinstance(weights, GcsWeights):
        options = ["implicit-dirs", *([f"only-dir={weights.prefix.rstrip('/')}"] if weights.prefix else [])]
        volumes.append(
            {
                "name": "weights",
                "csi": {
                    "driver": "gcsfuse.csi.storage.gke.io",
                    "read_only": True,
                    "volume_attributes": {"bucketName": weights.bucket, "mountOptions": ",".join(options)},
                },
            }
        )
    if parts.config_map is not None:
        volumes.append({"name": "config", "config_map": {"name": parts.config_map}})
    if server.shared_memory_gib:
        volumes.append(
            {
                "name": "shared-memory",
                "empty_dir": {"medium": "Memory", "size_limit": f"{server.shared_memory_gib}Gi"},
            }
        )
    return volumes
