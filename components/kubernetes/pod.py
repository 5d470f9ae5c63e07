"""The Pod of a model: restricted, on the planned pools, with the GPUs it was given, if any. Pure."""

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
    VolumeProjectionArgsDict,
)

from components.kubernetes.nodes import pool_labels, pools_by_rank, tolerated
from components.kubernetes.runtimes.runtime import CONFIG_ROOT, SCRATCH_ROOT, Runtime, filled
from components.kubernetes.weights.route import VOLUME, Fetch, PodWeights, mount_path
from model_factory.graph import quantity
from model_factory.graph.accelerators import Share
from model_factory.graph.pods import SERVER_CONTAINER
from model_factory.planning.placing.plan import Placement
from model_factory.planning.settings.sections import ModelSettings

# Any number but 0: the images' own users differ, and none needs to be a particular one.
SERVER_USER = 1000
# Images have no name for that number, and what asks for one fails: torch does when it is imported (github.com/vllm-project/vllm/issues/44548).
SERVER_NAME = "model-server"
# Endpoints take some seconds to leave every load balancer after a Pod is told to stop.
PRE_STOP_SECONDS = 10
_TOKEN = "pod-identity"  # noqa: S105 (a volume's name)
_TOKEN_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class PodParts:
    """What a Pod refers to. `fetcher` is the image that copies the weights first, None where nothing does; `config_map` is None where the server needs no files, `volume` (of the weights) where it fetches them."""

    image: pulumi.Input[str]
    fetcher: pulumi.Input[str] | None
    service_account: pulumi.Input[str]
    config_map: pulumi.Input[str] | None
    volume: VolumeArgsDict | None


def pod_spec(
    placement: Placement,
    runtime: Runtime,
    weights: PodWeights,
    parts: PodParts,
    selector: Mapping[str, str],
) -> PodSpecArgsDict:
    """The Pod of one replica. It meets Pod Security's `restricted` standard."""
    model = placement.model
    spec: PodSpecArgsDict = {
        "service_account_name": parts.service_account,
        # Clouds' identities come by volumes of their own; nothing here talks to the Kubernetes API.
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": _pod_security(),
        "topology_spread_constraints": [
            _spread("topology.kubernetes.io/zone", selector),
            _spread("kubernetes.io/hostname", selector),
        ],
        "termination_grace_period_seconds": PRE_STOP_SECONDS + runtime.drain_seconds,
        "containers": [_container(model, placement.first.share, runtime, weights, parts)],
        "volumes": [*_volumes(model, runtime, parts), *_token_volumes(weights)],
    }
    if weights.fetch is not None and parts.fetcher is not None:
        spec["init_containers"] = [_fetcher(model, weights.fetch, parts.fetcher, runtime)]
    if taints := tolerated(placement.first.offer):
        spec["tolerations"] = [
            {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect} for taint in taints
        ]
    match placement.pools:
        case (pool,):
            spec["node_selector"] = pool_labels(pool)
        case pools:
            spec["affinity"] = {"node_affinity": pools_by_rank(pools)}
    return spec


def server_values(model: ModelSettings, weights: PodWeights) -> dict[str, str]:
    """What the places in a runtime's data stand for with this model."""
    return {
        "name": model.name,
        "weights": weights.argument,
        "revision": model.weights.revision or "",
        "gpus": str(model.gpus_per_replica),
        "cpus": str(max(int(quantity.amount(model.cpu)), 1)),
    }


def memory_quantity(gib: Decimal) -> str:
    """GiB as Kubernetes writes them: 8 → 8Gi, 7.5 → 7680Mi."""
    return f"{int(gib)}Gi" if gib == int(gib) else f"{int(gib * 1024)}Mi"


def _container(
    model: ModelSettings, share: Share, runtime: Runtime, weights: PodWeights, parts: PodParts
) -> ContainerArgsDict:
    values = server_values(model, weights)
    arguments = (*runtime.args, *runtime.fetches.get(model.weights.scheme, ()))
    ready = _http_probe(runtime, filled(runtime.ready_path, values))
    live = _http_probe(runtime, filled(runtime.live_path, values))
    gpus = {share.resource: str(share.count)} if share.count else {}
    memory = memory_quantity(model.memory_gib)
    offline = {} if model.weights.scheme in runtime.fetches else runtime.offline
    threads = {} if share.count else runtime.env_without_gpus
    variables = {"HOME": SCRATCH_ROOT, "USER": SERVER_NAME, **runtime.env, **threads, **offline}
    env: list[EnvVarArgsDict] = [{"name": key, "value": filled(value, values)} for key, value in variables.items()]
    return {
        "name": SERVER_CONTAINER,
        "image": parts.image,
        "image_pull_policy": "IfNotPresent",
        "command": list(runtime.command),
        "args": [*(filled(each, values) for each in arguments), *model.args],
        "env": env,
        "ports": [{"name": name, "container_port": port} for name, port in runtime.ports.items()],
        # No CPU limit: a server that waits for its turn misses its latency. GPUs cannot be shared, so both are equal.
        "resources": {
            "requests": {
                "cpu": model.cpu,
                "memory": memory,
                # What it will write: a node without the room would take the Pod, and evict it when its disk is full.
                "ephemeral-storage": f"{model.footprint.scratch_gib}Gi",
                **gpus,
            },
            "limits": {"memory": memory, **gpus},
        },
        "security_context": _container_security(),
        "startup_probe": {
            **ready,
            "period_seconds": 10,
            "failure_threshold": -(-runtime.startup_seconds // 10),
        },
        "readiness_probe": {**ready, "period_seconds": 5, "failure_threshold": 3},
        # Patient: a server under full load must not be killed for it.
        "liveness_probe": {**live, "period_seconds": 10, "failure_threshold": 6},
        "lifecycle": {"pre_stop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "volume_mounts": _mounts(model, runtime, parts),
    }


def _fetcher(model: ModelSettings, fetch: Fetch, image: pulumi.Input[str], runtime: Runtime) -> ContainerArgsDict:
    at = runtime.mounted_at(mount_path(model), model.weights.revision)
    return {
        "name": "fetch",
        "image": image,
        "image_pull_policy": "IfNotPresent",
        "args": [*fetch.args, at],
        "env": [{"name": key, "value": value} for key, value in fetch.env.items()],
        # The Pod asks for the most of its containers, which this one never is but for the disk.
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": f"{fetch.size_gib}Gi"},
            "limits": {"memory": "256Mi"},
        },
        "security_context": _container_security(),
        "volume_mounts": [
            {"name": VOLUME, "mount_path": at},
            *([{"name": _TOKEN, "mount_path": fetch.token.folder, "read_only": True}] if fetch.token else []),
        ],
    }


def _token_volumes(weights: PodWeights) -> list[VolumeArgsDict]:
    if weights.fetch is None or (token := weights.fetch.token) is None:
        return []
    source: VolumeProjectionArgsDict = {
        "service_account_token": {"audience": token.audience, "path": token.file, "expiration_seconds": _TOKEN_SECONDS}
    }
    return [{"name": _TOKEN, "projected": {"sources": [source]}}]


def _http_probe(runtime: Runtime, path: str) -> ProbeArgsDict:
    return {"http_get": {"path": path, "port": runtime.health_port}, "timeout_seconds": 5}


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


def _mounts(model: ModelSettings, runtime: Runtime, parts: PodParts) -> list[VolumeMountArgsDict]:
    mounts: list[VolumeMountArgsDict] = [{"name": "scratch", "mount_path": SCRATCH_ROOT}]
    if parts.volume is not None:
        at = runtime.mounted_at(mount_path(model), model.weights.revision)
        mounts.append({"name": parts.volume["name"], "mount_path": at, "read_only": True})
    if runtime.files:
        mounts.append({"name": "config", "mount_path": CONFIG_ROOT, "read_only": True})
    if runtime.shared_memory_gib:
        mounts.append({"name": "shared-memory", "mount_path": "/dev/shm"})  # noqa: S108 (inside the container)
    return mounts


def _volumes(model: ModelSettings, runtime: Runtime, parts: PodParts) -> list[VolumeArgsDict]:
    volumes: list[VolumeArgsDict] = [
        {"name": "scratch", "empty_dir": {"size_limit": f"{model.footprint.scratch_gib}Gi"}}
    ]
    if parts.volume is not None:
        volumes.append(parts.volume)
    if parts.config_map is not None:
        volumes.append({"name": "config", "config_map": {"name": parts.config_map}})
    if runtime.shared_memory_gib:
        volumes.append(
            {
                "name": "shared-memory",
                "empty_dir": {"medium": "Memory", "size_limit": f"{runtime.shared_memory_gib}Gi"},
            }
        )
    return volumes
