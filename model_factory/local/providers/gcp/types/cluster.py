"""GKE clusters."""

# ruff: noqa: ARG001 - what completes properties has one signature
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, get_args

from model_factory.facts.gcp.kubernetes import GkeVersion
from model_factory.local.discovery import Json
from model_factory.local.providers.base import Call, ResourceType, Update
from model_factory.local.providers.diff import is_same
from model_factory.local.providers.errors import Failure, ProviderError
from model_factory.local.providers.gcp import checks
from model_factory.local.providers.gcp.declare import Api, changed, declare, id_of, labels_to_write, message
from model_factory.local.providers.gcp.session import Body, Gcp, creating, finish, patiently
from model_factory.local.providers.gcp.shapes import Field, outputs, same, to_api
from model_factory.local.providers.gcp.types.compute import same_link
from model_factory.local.providers.gcp.types.nodes import (
    NODE_CONFIG,
    check_nodes,
    container_call,
    node_config_outputs,
    wait_running,
)
from model_factory.local.providers.naming import AutoName
from model_factory.local.providers.values import flag, mapping, text
from model_factory.local.wire import Properties, Value, is_unknown

_METHODS: Final = "container.projects.locations.clusters"
DEFAULT_POOL: Final = "default-pool"


def _networking(mode: Any) -> Json:
    return mode == "VPC_NATIVE"


def _maintenance(value: Any) -> Json:
    window: Body = {}
    if "dailyMaintenanceWindow" in value:
        window["dailyMaintenanceWindow"] = {"startTime": value["dailyMaintenanceWindow"]["startTime"]}
    if "recurringWindow" in value:
        recurring = value["recurringWindow"]
        times = {key: recurring[key] for key in ("startTime", "endTime")}
        window["recurringWindow"] = {"window": times, "recurrence": recurring.get("recurrence", "")}
    return {"window": window}


def _from_maintenance(value: Any) -> Value:
    window = value.get("window", {})
    result: Properties = {}
    if "dailyMaintenanceWindow" in window:
        result["dailyMaintenanceWindow"] = dict(window["dailyMaintenanceWindow"])
    if "recurringWindow" in window:
        recurring = window["recurringWindow"]
        result["recurringWindow"] = {**recurring["window"], "recurrence": recurring["recurrence"]}
    return result or None


_ENABLED: Final = same("enabled")
_CLUSTER: Final = Api(
    methods=_METHODS,
    schema="Cluster",
    body_field="cluster",
    labels_field="resourceLabels",
    shape=(
        *same("name", "description", "network", "subnetwork", "initialNodeCount", "resourceLabels", "loggingService", "monitoringService",
              "clusterIpv4Cidr", "enableKubernetesAlpha", "enableTpu"),
        Field("nodeLocations", "locations"),
        Field("minMasterVersion", "initialClusterVersion", back=lambda _version: None),
        Field("releaseChannel", fields=same("channel")),
        Field("networkingMode", "ipAllocationPolicy.useIpAliases", to=_networking, back=lambda on: "VPC_NATIVE" if on else "ROUTES"),
        Field("ipAllocationPolicy", fields=same("clusterSecondaryRangeName", "servicesSecondaryRangeName", "clusterIpv4CidrBlock",
                                                "servicesIpv4CidrBlock", "stackType")),
        Field("privateClusterConfig", fields=(
            *same("enablePrivateNodes", "enablePrivateEndpoint", "masterIpv4CidrBlock", "privateEndpointSubnetwork", "privateEndpoint", "publicEndpoint"),
            Field("masterGlobalAccessConfig", fields=_ENABLED), *outputs("peeringName"))),
        Field("masterAuthorizedNetworksConfig", extra=(("enabled", True),), fields=(
            Field("cidrBlocks", fields=same("cidrBlock", "displayName")),
            *same("gcpPublicCidrsAccessEnabled", "privateEndpointEnforcementEnabled"))),
        Field("masterAuth", fields=(
            Field("clientCertificateConfig", fields=same("issueClientCertificate")),
            *outputs("clusterCaCertificate", "clientCertificate", "clientKey"))),
        Field("workloadIdentityConfig", fields=same("workloadPool")),
        Field("enableShieldedNodes", "shieldedNodes.enabled"),
        Field("enableLegacyAbac", "legacyAbac.enabled"),
        Field("enableAutopilot", "autopilot.enabled"),
        Field("enableIntranodeVisibility", "networkConfig.enableIntraNodeVisibility"),
        Field("datapathProvider", "networkConfig.datapathProvider"),
        Field("enableL4IlbSubsetting", "networkConfig.enableL4ilbSubsetting"),
        Field("enableMultiNetworking", "networkConfig.enableMultiNetworking"),
        Field("enableFqdnNetworkPolicy", "networkConfig.enableFqdnNetworkPolicy"),
        Field("enableCiliumClusterwideNetworkPolicy", "networkConfig.enableCiliumClusterwideNetworkPolicy"),
        Field("disableL4LbFirewallReconciliation", "networkConfig.disableL4LbFirewallReconciliation"),
        Field("defaultSnatStatus", "networkConfig.defaultSnatStatus", fields=same("disabled")),
        Field("dnsConfig", "networkConfig.dnsConfig", fields=same("clusterDns", "clusterDnsScope", "clusterDnsDomain", "additiveVpcScopeDnsDomain")),
        Field("gatewayApiConfig", "networkConfig.gatewayApiConfig", fields=same("channel")),
        Field("serviceExternalIpsConfig", "networkConfig.serviceExternalIpsConfig", fields=_ENABLED),
        Field("privateIpv6GoogleAccess", "networkConfig.privateIpv6GoogleAccess"),
        Field("defaultMaxPodsPerNode", "defaultMaxPodsConstraint.maxPodsPerNode", back=int),
        Field("addonsConfig", fields=(
            Field("httpLoadBalancing", fields=same("disabled")), Field("horizontalPodAutoscaling", fields=same("disabled")),
            Field("networkPolicyConfig", fields=same("disabled")), Field("dnsCacheConfig", fields=_ENABLED),
            Field("gcePersistentDiskCsiDriverConfig", fields=_ENABLED), Field("gcpFilestoreCsiDriverConfig", fields=_ENABLED),
            Field("gcsFuseCsiDriverConfig", fields=_ENABLED), Field("configConnectorConfig", fields=_ENABLED),
            Field("gkeBackupAgentConfig", fields=_ENABLED), Field("parallelstoreCsiDriverConfig", fields=_ENABLED))),
        Field("loggingConfig", fields=(Field("enableComponents", "componentConfig.enableComponents"),)),
        Field("monitoringConfig", fields=(
            Field("enableComponents", "componentConfig.enableComponents"),
            Field("managedPrometheus", "managedPrometheusConfig", fields=_ENABLED))),
        Field("securityPostureConfig", fields=same("mode", "vulnerabilityMode")),
        Field("verticalPodAutoscaling", fields=_ENABLED),
        Field("binaryAuthorization", fields=(*_ENABLED, *same("evaluationMode"))),
        Field("databaseEncryption", fields=same("state", "keyName")),
        Field("costManagementConfig", fields=_ENABLED),
        Field("identityServiceConfig", fields=_ENABLED),
        Field("secretManagerConfig", fields=_ENABLED),
        Field("confidentialNodes", fields=same("enabled", "confidentialInstanceType")),
        Field("meshCertificates", fields=same("enableCertificates")),
        Field("authenticatorGroupsConfig", fields=same("securityGroup"), extra=(("enabled", True),)),
        Field("notificationConfig", fields=(Field("pubsub", fields=(*same("enabled", "topic"), Field("filter", fields=(Field("eventTypes", "eventType"),)))),)),
        Field("networkPolicy", fields=same("enabled", "provider")),
        Field("maintenancePolicy", to=_maintenance, back=_from_maintenance),
        Field("nodeConfig", fields=NODE_CONFIG),
        Field("masterVersion", "currentMasterVersion", output=True),
        Field("nodeVersion", "currentNodeVersion", output=True),
        *outputs("endpoint", "selfLink", "servicesIpv4Cidr", "labelFingerprint", "location", "tpuIpv4CidrBlock"),
    ),
    id_template="projects/{project}/locations/{location}/clusters/{name}",
    parameters=lambda object_id: {"name": object_id},
    parent=lambda parts: {"parent": f"projects/{parts['project']}/locations/{parts['location']}"},
    ours=frozenset({"deletionProtection", "removeDefaultNodePool", "allowNetAdmin", "ignoreNodeCountChanges", "skipNodePoolRefresh"}),
)  # fmt: skip
_DESIRED: Final[Mapping[str, Callable[[Body], Body]]] = {
    "releaseChannel": lambda m: {"desiredReleaseChannel": m.get("releaseChannel", {"channel": "UNSPECIFIED"})},
    "nodeLocations": lambda m: {"desiredLocations": m.get("locations", [])},
    "masterAuthorizedNetworksConfig": lambda m: {
        "desiredMasterAuthorizedNetworksConfig": m.get("masterAuthorizedNetworksConfig", {"enabled": False})
    },
    "privateClusterConfig": lambda m: {
        "desiredEnablePrivateEndpoint": m.get("privateClusterConfig", {}).get("enablePrivateEndpoint", False)
    },
    "workloadIdentityConfig": lambda m: {
        "desiredWorkloadIdentityConfig": m.get("workloadIdentityConfig", {"workloadPool": ""})
    },
    "enableShieldedNodes": lambda m: {"desiredShieldedNodes": m.get("shieldedNodes", {"enabled": False})},
    "enableIntranodeVisibility": lambda m: {
        "desiredIntraNodeVisibilityConfig": {
            "enabled": m.get("networkConfig", {}).get("enableIntraNodeVisibility", False)
        }
    },
    "enableL4IlbSubsetting": lambda m: {
        "desiredL4ilbSubsettingConfig": {"enabled": m.get("networkConfig", {}).get("enableL4ilbSubsetting", False)}
    },
    "enableFqdnNetworkPolicy": lambda m: {
        "desiredEnableFqdnNetworkPolicy": m.get("networkConfig", {}).get("enableFqdnNetworkPolicy", False)
    },
    "enableCiliumClusterwideNetworkPolicy": lambda m: {
        "desiredEnableCiliumClusterwideNetworkPolicy": m.get("networkConfig", {}).get(
            "enableCiliumClusterwideNetworkPolicy", False
        )
    },
    "disableL4LbFirewallReconciliation": lambda m: {
        "desiredDisableL4LbFirewallReconciliation": m.get("networkConfig", {}).get(
            "disableL4LbFirewallReconciliation", False
        )
    },
    "defaultSnatStatus": lambda m: {
        "desiredDefaultSnatStatus": m.get("networkConfig", {}).get("defaultSnatStatus", {"disabled": False})
    },
    "dnsConfig": lambda m: {"desiredDnsConfig": m.get("networkConfig", {}).get("dnsConfig", {})},
    "gatewayApiConfig": lambda m: {"desiredGatewayApiConfig": m.get("networkConfig", {}).get("gatewayApiConfig", {})},
    "serviceExternalIpsConfig": lambda m: {
        "desiredServiceExternalIpsConfig": m.get("networkConfig", {}).get(
            "serviceExternalIpsConfig", {"enabled": False}
        )
    },
    "addonsConfig": lambda m: {"desiredAddonsConfig": m.get("addonsConfig", {})},
    "loggingConfig": lambda m: {"desiredLoggingConfig": m.get("loggingConfig", {})},
    "monitoringConfig": lambda m: {"desiredMonitoringConfig": m.get("monitoringConfig", {})},
    "loggingService": lambda m: {"desiredLoggingService": m.get("loggingService", "none")},
    "monitoringService": lambda m: {"desiredMonitoringService": m.get("monitoringService", "none")},
    "securityPostureConfig": lambda m: {
        "desiredSecurityPostureConfig": m.get("securityPostureConfig", {"mode": "DISABLED"})
    },
    "verticalPodAutoscaling": lambda m: {
        "desiredVerticalPodAutoscaling": m.get("verticalPodAutoscaling", {"enabled": False})
    },
    "binaryAuthorization": lambda m: {
        "desiredBinaryAuthorization": m.get("binaryAuthorization", {"evaluationMode": "DISABLED"})
    },
    "databaseEncryption": lambda m: {"desiredDatabaseEncryption": m.get("databaseEncryption", {"state": "DECRYPTED"})},
    "costManagementConfig": lambda m: {
        "desiredCostManagementConfig": m.get("costManagementConfig", {"enabled": False})
    },
    "identityServiceConfig": lambda m: {
        "desiredIdentityServiceConfig": m.get("identityServiceConfig", {"enabled": False})
    },
    "secretManagerConfig": lambda m: {"desiredSecretManagerConfig": m.get("secretManagerConfig", {"enabled": False})},
    "meshCertificates": lambda m: {"desiredMeshCertificates": m.get("meshCertificates", {"enableCertificates": False})},
    "authenticatorGroupsConfig": lambda m: {
        "desiredAuthenticatorGroupsConfig": m.get("authenticatorGroupsConfig", {"enabled": False})
    },
    "notificationConfig": lambda m: {"desiredNotificationConfig": m.get("notificationConfig", {})},
}
"""Inputs that clusters.update changes, one a call: the update's field, from the message of all inputs."""
_ELSEWHERE: Final = frozenset({"resourceLabels", "maintenancePolicy", "minMasterVersion"})

_FIXED: Final = tuple(
    each.name
    for each in _CLUSTER.shape
    if not each.output and each.name not in _DESIRED and each.name not in _ELSEWHERE and each.name != "nodeConfig"
)
"""What needs calls that the local provider does not know, or is replaced."""
_NOT_IN_PLACE: Final = (
    "of a GKE cluster cannot be changed in place by the local provider; keep it, or use the Pulumi CLI"
)


def _create(call: Call[Gcp], inputs: Properties) -> str:
    object_id = id_of(_CLUSTER, call.cloud, inputs)
    parent = object_id.partition("/clusters/")[0]
    body = message(_CLUSTER, call.cloud, inputs)
    cluster: Body = body["cluster"]
    cluster.setdefault("initialNodeCount", 0 if flag(inputs, "enableAutopilot") else 1)
    if not cluster["initialNodeCount"]:
        del cluster["initialNodeCount"]
    operation = creating(call, object_id, lambda: patiently(call, f"{_METHODS}.create", parent=parent, body=body))
    finish(call, "container", operation, location=parent, method=f"{_METHODS}.create")
    return object_id


def _ready(call: Call[Gcp], object_id: str, inputs: Properties) -> None:
    wait_running(call, f"{_METHODS}.get", object_id)
    if not flag(inputs, "removeDefaultNodePool"):
        return
    pools: list[Body] = call.cloud.call(f"{_METHODS}.get", name=object_id).get("nodePools", [])
    if any(pool["name"] == DEFAULT_POOL for pool in pools):
        method = f"{_METHODS}.nodePools.delete"
        operation = patiently(call, method, name=f"{object_id}/nodePools/{DEFAULT_POOL}")
        finish(call, "container", operation, location=object_id.partition("/clusters/")[0], method=method)


def _complete(call: Call[Gcp], object_id: str, inputs: Properties, found: Properties, body: Body) -> Properties:
    result = {
        **found,
        "deletionProtection": flag(inputs, "deletionProtection", default=True),
        "operation": "",
    }
    private = mapping(result, "privateClusterConfig")
    if private:
        result["privateClusterConfig"] = {"peeringName": "", **private}
    if "minMasterVersion" in inputs:
        result["minMasterVersion"] = inputs["minMasterVersion"]
    if "masterAuthorizedNetworksConfig" in result and not body["masterAuthorizedNetworksConfig"].get("enabled"):
        del result["masterAuthorizedNetworksConfig"]
    if not flag(inputs, "removeDefaultNodePool"):
        result["nodeConfig"] = node_config_outputs(found, inputs)
    elif "nodeConfig" in inputs:
        # The pool that it describes is gone; what it was made with cannot drift.
        result["nodeConfig"] = inputs["nodeConfig"]
    else:
        result.pop("nodeConfig", None)
    for name in ("network", "subnetwork"):
        # Google answers with the bare name; the full one is in the network configuration.
        full = body.get("networkConfig", {}).get(name)
        if full:
            result[name] = full
    return result


def _update(call: Call[Gcp], change: Update) -> None:
    send = partial(container_call, call, _METHODS, change.id)
    wanted = to_api(_CLUSTER.shape, change.new)
    for name, desired in _DESIRED.items():
        if changed(change, name):
            send("update", {"update": desired(wanted)})
    version = text(change.new, "minMasterVersion")
    if version and not runs(text(change.old, "masterVersion"), version):
        send("update", {"update": {"desiredMasterVersion": version}})
    if changed(change, "maintenancePolicy"):
        send("setMaintenancePolicy", {"maintenancePolicy": wanted.get("maintenancePolicy", {})})
    if changed(change, "resourceLabels"):
        fingerprint = call.cloud.call(f"{_METHODS}.get", name=change.id)["labelFingerprint"]
        labels = labels_to_write(call.cloud, change)
        send("setResourceLabels", {"resourceLabels": labels, "labelFingerprint": fingerprint})
    for name in _FIXED:
        if changed(change, name):  # as somebody else made it since
            raise ProviderError(f"{name} {_NOT_IN_PLACE}")


def runs(version: str, wanted: str) -> bool:
    """Whether a control plane of `version` is at least what `wanted` (a version or a prefix of one) asks for."""
    if version == wanted or version.startswith((f"{wanted}.", f"{wanted}-")):
        return True
    return _numbers(version) >= _numbers(wanted)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.replace("-gke.", ".").split(".") if part.isdigit())


def _delete(call: Call[Gcp], object_id: str, state: Properties) -> None:
    if flag(state, "deletionProtection", default=True):
        raise ProviderError(
            f"cluster {object_id} is protected by deletionProtection; set it to false and run `up`, then delete it"
        )
    container_call(call, _METHODS, object_id, "delete")


def _inline_pools(_cloud: Gcp, inputs: Properties) -> Any:
    if inputs.get("nodePools"):
        yield Failure(
            "nodePools",
            "the local provider knows pools as resources of their own only; use gcp.container.NodePool",
        )


def _check_ranges(_cloud: Gcp, inputs: Properties) -> Any:
    """https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters#ipallocationpolicy"""
    policy = mapping(inputs, "ipAllocationPolicy")
    for name, block in (
        ("clusterSecondaryRangeName", "clusterIpv4CidrBlock"),
        ("servicesSecondaryRangeName", "servicesIpv4CidrBlock"),
    ):
        if policy.get(name) and policy.get(block):
            yield Failure(
                f"ipAllocationPolicy.{block}",
                f"given with {name}, which names a range that is there; give one of the two",
            )


def _transition(olds: Properties, news: Properties) -> Any:
    for name in _FIXED:
        after = news.get(name)
        if not is_unknown(after) and not is_same((name,), olds.get(name), after, CLUSTER.rules):
            yield Failure(name, _NOT_IN_PLACE)


_VERSION_KEY: Final = "gcp.kubernetesVersion of the stack file"


def _onward(state: Properties, olds: Properties, news: Properties) -> Any:
    """Control planes go up, one minor version at a time, and a minor version never back; what is asked for is the least version, so that a lower
    one changes nothing: https://cloud.google.com/kubernetes-engine/docs/how-to/upgrading-a-cluster"""
    version = text(state, "masterVersion")
    before, has, wanted = (
        _minor(each) for each in (text(olds, "minMasterVersion"), version, text(news, "minMasterVersion"))
    )
    if not has or not wanted:
        return
    if before and wanted < before and wanted < has:
        yield Failure(
            "minMasterVersion",
            f"1.{wanted} is older than 1.{before}, and the cluster runs {version}: GKE takes no minor version back, and nothing would change; "
            f"keep 1.{before} ({_VERSION_KEY})",
        )
    elif wanted > has + 1:
        taken = f"1.{has + 1}" in get_args(GkeVersion)
        by = _VERSION_KEY if taken else "gcloud container clusters upgrade --master: stack files take newer ones alone"
        yield Failure(
            "minMasterVersion",
            f"1.{wanted} is {wanted - has} versions above the cluster's {version}, and GKE takes one at a time; use 1.{has + 1} first ({by})",
        )


def _minor(version: str) -> int:
    """0 for one that names none, as `latest`."""
    numbers = _numbers(version)
    return numbers[1] if len(numbers) > 1 else 0


CLUSTER: Final[ResourceType[Gcp]] = declare(
    "gcp:container/cluster:Cluster",
    _CLUSTER,
    name=AutoName("name", max_length=40),
    create=_create,
    update=_update,
    delete=_delete,
    ready=_ready,
    complete=_complete,
    transition=_transition,
    onward=_onward,
    equivalent={"network": same_link, "subnetwork": same_link},
    unordered=("nodeLocations", "masterAuthorizedNetworksConfig.cidrBlocks", "loggingConfig.enableComponents", "monitoringConfig.enableComponents",
               "nodeConfig.oauthScopes", "nodeConfig.tags", "nodeConfig.taints"),
    computed_on_update=("masterVersion", "operation", "labelFingerprint"),
    check=(
        checks.pattern("name", checks.GKE_NAME, "use lowercase letters, digits and hyphens, a letter first, at most 40 characters"),
        checks.pattern("location", checks.LOCATION, "use a region such as us-central1, or a zone of one"),
        checks.cidr("masterAuthorizedNetworksConfig.cidrBlocks[*].cidrBlock"),
        checks.cidr("privateClusterConfig.masterIpv4CidrBlock", shortest=28, longest=28),
        checks.labels("resourceLabels"),
        _inline_pools,
        _check_ranges,
        check_nodes,
    ),
)  # fmt: skip
TYPES: Final = (CLUSTER,)
