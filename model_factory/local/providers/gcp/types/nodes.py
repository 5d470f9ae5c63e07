"""GKE node pools, and the node configuration that clusters share with them."""

# ruff: noqa: ARG001 - what completes properties has one signature
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from model_factory.facts.gcp.accelerators import ATTACHABLE, ATTACHABLE_COUNTS, gke_accelerator_type
from model_factory.facts.gcp.disks import boot_disk, boots_from
from model_factory.facts.machines import machines
from model_factory.graph.accelerators import NVIDIA
from model_factory.local.discovery import Json
from model_factory.local.providers.base import Call, ResourceType, Update
from model_factory.local.providers.errors import Failure, NotFoundError
from model_factory.local.providers.gcp import checks
from model_factory.local.providers.gcp.declare import Api, changed, declare, differs
from model_factory.local.providers.gcp.session import Body, Gcp, finish, patiently
from model_factory.local.providers.gcp.shapes import Field, Shape, outputs, same, to_api
from model_factory.local.providers.naming import AutoName
from model_factory.local.providers.values import flag, items, mapping, objects, text, texts
from model_factory.local.wire import Properties

GPU_TAINT_KEY: Final = NVIDIA.resource
_DRIVER: Final = Field("gpuDriverInstallationConfig", fields=same("gpuDriverVersion"))
_SHARING: Final = Field(
    "gpuSharingConfig", fields=(*same("gpuSharingStrategy"), Field("maxSharedClientsPerGpu", back=int))
)
_TAINT: Final = same("key", "value", "effect")


def _kubelet_port(value: Any) -> Json:
    return value == "TRUE"


NODE_CONFIG: Final[Shape] = (
    *same(
        "machineType", "diskSizeGb", "diskType", "imageType", "oauthScopes", "serviceAccount", "labels", "resourceLabels", "tags",
        "metadata", "spot", "preemptible", "minCpuPlatform", "bootDiskKmsKey", "localSsdCount", "localSsdEncryptionMode", "nodeGroup",
        "enableConfidentialStorage", "flexStart", "maxRunDuration", "storagePools",
    ),
    Field(
        "guestAccelerators",
        "accelerators",
        fields=(Field("type", "acceleratorType"), Field("count", "acceleratorCount", back=int), *same("gpuPartitionSize"), _DRIVER, _SHARING),
    ),
    Field("taints", fields=_TAINT),
    Field("shieldedInstanceConfig", fields=same("enableSecureBoot", "enableIntegrityMonitoring")),
    Field("workloadMetadataConfig", fields=same("mode")),
    Field("gcfsConfig", fields=same("enabled")),
    Field("gvnic", fields=same("enabled")),
    Field("fastSocket", fields=same("enabled")),
    Field("confidentialNodes", fields=same("enabled", "confidentialInstanceType")),
    Field("sandboxConfig", fields=(Field("sandboxType", "type"),)),
    Field("windowsNodeConfig", fields=(Field("osversion", "osVersion"),)),
    Field("reservationAffinity", fields=same("consumeReservationType", "key", "values")),
    Field("advancedMachineFeatures", fields=(Field("threadsPerCore", back=int), *same("enableNestedVirtualization", "performanceMonitoringUnit"))),
    Field("ephemeralStorageLocalSsdConfig", fields=same("localSsdCount", "dataCacheCount")),
    Field("localNvmeSsdBlockConfig", fields=same("localSsdCount")),
    Field("secondaryBootDisks", fields=same("diskImage", "mode")),
    Field("loggingVariant", "loggingConfig.variantConfig.variant"),
    Field("resourceManagerTags", "resourceManagerTags.tags"),
    Field(
        "kubeletConfig",
        fields=(
            *same(
                "cpuManagerPolicy", "cpuCfsQuota", "cpuCfsQuotaPeriod", "containerLogMaxSize", "containerLogMaxFiles",
                "imageGcLowThresholdPercent", "imageGcHighThresholdPercent", "imageMinimumGcAge", "imageMaximumGcAge",
                "allowedUnsafeSysctls", "maxParallelImagePulls", "singleProcessOomKill",
            ),
            Field("podPidsLimit", back=int),
            Field("insecureKubeletReadonlyPortEnabled", to=_kubelet_port, back=lambda on: "TRUE" if on else "FALSE"),
        ),
    ),
    Field("linuxNodeConfig", fields=same("sysctls", "cgroupMode", "transparentHugepageEnabled", "transparentHugepageDefrag")),
)  # fmt: skip
UNORDERED_NODE_CONFIG: Final = ("oauthScopes", "tags")
_AT_ONCE: Final[Mapping[str, str]] = {
    "machineType": "machineType",
    "diskType": "diskType",
    "diskSizeGb": "diskSizeGb",
}
"""Node configuration that one nodePools.update may change together; a machine type may need another disk."""
_ONE_BY_ONE: Final[Mapping[str, Callable[[Json], Body]]] = {
    "imageType": lambda value: {"imageType": value},
    "labels": lambda value: {"labels": {"labels": value or {}}},
    "resourceLabels": lambda value: {"resourceLabels": {"labels": value or {}}},
    "tags": lambda value: {"tags": {"tags": value or []}},
    "taints": lambda value: {"taints": {"taints": value or []}},
    "workloadMetadataConfig": lambda value: {"workloadMetadataConfig": value or {"mode": "MODE_UNSPECIFIED"}},
    "gcfsConfig": lambda value: {"gcfsConfig": value or {"enabled": False}},
    "gvnic": lambda value: {"gvnic": value or {"enabled": False}},
    "fastSocket": lambda value: {"fastSocket": value or {"enabled": False}},
    "confidentialNodes": lambda value: {"confidentialNodes": value or {"enabled": False}},
    "kubeletConfig": lambda value: {"kubeletConfig": value or {}},
    "linuxNodeConfig": lambda value: {"linuxNodeConfig": value or {}},
    "windowsNodeConfig": lambda value: {"windowsNodeConfig": value or {}},
    "loggingConfig": lambda value: {"loggingConfig": value or {"variantConfig": {"variant": "DEFAULT"}}},
    "resourceManagerTags": lambda value: {"resourceManagerTags": value or {"tags": {}}},
    "storagePools": lambda value: {"storagePools": value or []},
}
"""Message fields of the node configuration that change in place, and the update that each takes."""

_MOST_AT_ONCE: Final = 20
_POOL: Final = Api(
    methods="container.projects.locations.clusters.nodePools",
    schema="NodePool",
    body_field="nodePool",
    shape=(
        *same("name", "initialNodeCount", "version"),
        Field("nodeLocations", "locations"),
        Field("nodeConfig", "config", fields=NODE_CONFIG),
        Field(
            "autoscaling",
            fields=same("minNodeCount", "maxNodeCount", "totalMinNodeCount", "totalMaxNodeCount", "locationPolicy"),
            extra=(("enabled", True),),
        ),
        Field("management", fields=same("autoRepair", "autoUpgrade")),
        Field(
            "upgradeSettings",
            fields=(
                *same("maxSurge", "maxUnavailable", "strategy"),
                Field("blueGreenSettings", fields=(*same("nodePoolSoakDuration"), Field("standardRolloutPolicy", fields=same("batchNodeCount", "batchPercentage", "batchSoakDuration")))),
            ),
        ),
        Field("maxPodsPerNode", "maxPodsConstraint.maxPodsPerNode", back=int),
        Field("networkConfig", fields=same("enablePrivateNodes", "podRange", "podIpv4CidrBlock", "createPodRange", "subnetwork")),
        Field("placementPolicy", fields=same("type", "policyName", "tpuTopology")),
        Field("queuedProvisioning", fields=same("enabled")),
        *outputs("instanceGroupUrls"),
    ),
    id_template="projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{name}",
    parameters=lambda object_id: {"name": object_id},
    parent=lambda parts: {"parent": f"projects/{parts['project']}/locations/{parts['location']}/clusters/{parts['cluster']}"},
    ours=frozenset({"nodeCount", "ignoreNodeCountChanges"}),
)  # fmt: skip


def node_config_outputs(found: Properties, asked: Properties) -> Properties:
    """The node configuration as Pulumi has it: taints that GKE adds for GPUs are apart, as effectiveTaints."""
    config = mapping(found, "nodeConfig")
    taints = objects(config, "taints")
    wanted = {text(taint, "key") for taint in objects(mapping(asked, "nodeConfig"), "taints")}
    own = [taint for taint in taints if taint.get("key") != GPU_TAINT_KEY or GPU_TAINT_KEY in wanted]
    asked_taints = objects(mapping(asked, "nodeConfig"), "taints")
    if sorted(map(repr, own)) == sorted(map(repr, asked_taints)):
        own = asked_taints
    result: Properties = {**config, "effectiveTaints": list(taints)}
    if own or "taints" in mapping(asked, "nodeConfig"):
        result["taints"] = list(own)
    else:
        result.pop("taints", None)
    return result


def _complete(call: Call[Gcp], object_id: str, inputs: Properties, found: Properties, body: Body) -> Properties:
    cluster = text(inputs, "cluster")
    result: Properties = {
        **found,
        "nodeConfig": node_config_outputs(found, inputs),
        "cluster": cluster or found["cluster"],
        "managedInstanceGroupUrls": [str(url).replace("/instanceGroupManagers/", "/instanceGroups/") for url in items(found, "instanceGroupUrls")],
        "operation": "",
    }  # fmt: skip
    if "/" in cluster:
        result["cluster"] = cluster
    if inputs.get("nodeCount") is not None:
        result["nodeCount"] = _node_count(call, found)
    return result


def _node_count(call: Call[Gcp], found: Properties) -> int:
    """Nodes in a zone, as the instance groups have them now."""
    sizes: list[int] = []
    for url in items(found, "instanceGroupUrls"):
        parts = str(url).partition("/projects/")[2].split("/")
        where = {"project": parts[0], "zone": parts[2], "instanceGroupManager": parts[4]}
        try:
            sizes.append(int(call.cloud.call("compute.instanceGroupManagers.get", **where).get("targetSize", 0)))
        except NotFoundError:
            continue
    return sum(sizes) // len(sizes) if sizes else 0


def _update(call: Call[Gcp], change: Update) -> None:
    send = partial(container_call, call, _POOL.methods, change.id)
    new, message = change.new, _message(change.new)
    _update_node_config(change, send)
    if changed(change, "nodeLocations") and new.get("nodeLocations"):
        send("update", {"locations": new["nodeLocations"]})
    if changed(change, "version") and new.get("version"):
        send("update", {"nodeVersion": new["version"]})
    if changed(change, "upgradeSettings"):
        send("update", {"upgradeSettings": message.get("upgradeSettings", {"strategy": "SURGE"})})
    if changed(change, "networkConfig"):
        private = mapping(new, "networkConfig").get("enablePrivateNodes", False)
        send("update", {"nodeNetworkConfig": {"enablePrivateNodes": private}})
    if changed(change, "queuedProvisioning"):
        send("update", {"queuedProvisioning": message.get("queuedProvisioning", {})})
    if changed(change, "autoscaling"):
        send("setAutoscaling", {"autoscaling": message.get("autoscaling", {"enabled": False})})
    if changed(change, "management"):
        send("setManagement", {"management": mapping(new, "management")})
    if new.get("nodeCount") is not None and changed(change, "nodeCount"):
        send("setSize", {"nodeCount": new["nodeCount"]})


def _message(properties: Properties) -> Body:
    return to_api(_POOL.shape, properties)


def _update_node_config(change: Update, send: Callable[[str, Body], None]) -> None:
    old, new = mapping(change.old, "nodeConfig"), mapping(change.new, "nodeConfig")
    before = mapping(change.old_inputs, "nodeConfig")
    wanted: list[str] = []
    for field in NODE_CONFIG:
        name = field.name
        if differs(("nodeConfig", name), new.get(name), old.get(name), before.get(name), change.rules):
            wanted.append(name)
    message = to_api(NODE_CONFIG, new)
    together = {_AT_ONCE[name]: message[name] for name in wanted if name in _AT_ONCE and name in message}
    if together:
        send("update", together)
    paths = {field.name: field.path[0] for field in NODE_CONFIG}
    for name in wanted:
        if paths[name] in _ONE_BY_ONE:
            send("update", _ONE_BY_ONE[paths[name]](message.get(paths[name])))


def container_call(call: Call[Gcp], methods: str, object_id: str, verb: str, body: Body | None = None) -> None:
    """Do a call on a cluster or a pool, once it is not busy, and wait until its operation has ended."""
    method = f"{methods}.{verb}"
    operation = patiently(call, method, name=object_id, **({} if body is None else {"body": body}))
    finish(call, "container", operation, location="/".join(object_id.split("/")[:4]), method=method)


def _ready(call: Call[Gcp], object_id: str, _inputs: Properties) -> None:
    wait_running(call, "container.projects.locations.clusters.nodePools.get", object_id)


def wait_running(call: Call[Gcp], method: str, object_id: str) -> None:
    """Until a cluster or pool runs; WaitError when it ended in an error."""
    call.wait_for_state(
        lambda: str(call.cloud.call(method, name=object_id).get("status")),
        what=object_id,
        ready=("RUNNING",),
        failed=("ERROR", "RUNNING_WITH_ERROR", "DEGRADED"),
    )


def _counts(_cloud: Gcp, inputs: Properties) -> Any:
    scaling = mapping(inputs, "autoscaling")
    if (
        scaling
        and {"minNodeCount", "maxNodeCount"} & scaling.keys()
        and {"totalMinNodeCount", "totalMaxNodeCount"} & scaling.keys()
    ):
        yield Failure("autoscaling", "give counts per zone or in total, not both")


def check_nodes(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
    """Disk, accelerators and the way to buy go with the machine. Of machines that no table has, only their series is known."""
    config = mapping(inputs, "nodeConfig")
    name, disk = config.get("machineType"), config.get("diskType")
    if flag(config, "spot") and flag(config, "preemptible"):
        yield Failure("nodeConfig.spot", "given with preemptible; give one of the two")
    if (flag(config, "spot") or flag(config, "preemptible")) and mapping(config, "reservationAffinity").get(
        "consumeReservationType"
    ) == "SPECIFIC_RESERVATION":
        # https://cloud.google.com/compute/docs/instances/spot#limitations
        yield Failure("nodeConfig.spot", "true, but spot machines use no reservation; leave one of the two out")
    if not isinstance(name, str):
        return
    if isinstance(disk, str) and not boots_from(name, disk):
        yield Failure("nodeConfig.diskType", f"{disk} is no boot disk of {name}; use {boot_disk(name)}")
    machine = machines().get(name)
    built_in = (
        gke_accelerator_type(machine.accelerator) if machine and machine.accelerator and not machine.attached else ""
    )
    for index, each in enumerate(objects(config, "guestAccelerators")):
        kind, count, path = each.get("type"), each.get("count"), f"nodeConfig.guestAccelerators[{index}]"
        if not isinstance(kind, str) or not isinstance(count, int):
            continue
        attachable = ATTACHABLE.get(name.partition("-")[0], frozenset())
        if machine and built_in:
            if (kind, count) != (built_in, machine.accelerator_count):
                yield Failure(
                    path, f"{count} {kind}, but {name} has {machine.accelerator_count} {built_in}; give those"
                )
        elif kind in attachable:
            if count not in ATTACHABLE_COUNTS[kind]:
                yield Failure(
                    f"{path}.count", f"{count} {kind}; use {', '.join(map(str, sorted(ATTACHABLE_COUNTS[kind])))}"
                )
        elif machine or attachable:
            yield Failure(path, f"{kind} goes with no {name}; use a machine that has it built in")


def _check_pool(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
    location = inputs.get("location")
    for index, zone in enumerate(texts(inputs, "nodeLocations")):
        if isinstance(location, str) and not re.fullmatch(rf"{re.escape(region_of(location))}-[a-z]", zone):
            yield Failure(
                f"nodeLocations[{index}]",
                f"{zone!r} is no zone of {region_of(location)}; for example {region_of(location)}-a",
            )
    # https://cloud.google.com/kubernetes-engine/docs/concepts/node-pool-upgrade-strategies#surge
    settings = mapping(inputs, "upgradeSettings")
    surge, down = settings.get("maxSurge"), settings.get("maxUnavailable")
    both = surge + down if isinstance(surge, int) and isinstance(down, int) else 1
    if settings.get("strategy", "SURGE") == "SURGE" and not 1 <= both <= _MOST_AT_ONCE:
        yield Failure(
            "upgradeSettings.maxSurge", f"{surge} with maxUnavailable {down}; use 1 to {_MOST_AT_ONCE} together"
        )


def region_of(location: str) -> str:
    """The region of a zone's or a region's name."""
    return re.sub(r"-[a-z]$", "", location)


NODE_POOL: Final[ResourceType[Gcp]] = declare(
    "gcp:container/nodePool:NodePool",
    _POOL,
    name=AutoName("name", max_length=40, conflicts=("namePrefix",)),
    update=_update,
    ready=_ready,
    complete=_complete,
    unordered=(
        "nodeLocations",
        "nodeConfig.taints",
        *(f"nodeConfig.{name}" for name in UNORDERED_NODE_CONFIG),
    ),
    equivalent={"cluster": lambda old, new: str(old).rpartition("/")[2] == str(new).rpartition("/")[2]},
    computed_on_update=("operation",),
    check=(
        checks.pattern(
            "name",
            checks.GKE_NAME,
            "use lowercase letters, digits and hyphens, a letter first, at most 40 characters",
        ),
        checks.at_most("autoscaling.minNodeCount", "autoscaling.maxNodeCount"),
        checks.at_most("autoscaling.totalMinNodeCount", "autoscaling.totalMaxNodeCount"),
        _counts,
        check_nodes,
        _check_pool,
        checks.labels("nodeConfig.resourceLabels"),
    ),
)
TYPES: Final = (NODE_POOL,)
