"""Resources of Google Cloud: clusters, nodes and images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

from model_factory.graph.clusters import GKE_CLUSTER
from model_factory.graph.pools import GkePool
from model_factory.graph.values import at
from policies.authoring.addresses import is_wide
from policies.authoring.checks import CRITICAL, HIGH, MEDIUM, Policy, number, resource_check, texts
from policies.authoring.clouds import GKE_GUIDE
from policies.authoring.drafts import Draft
from policies.authoring.references import cis_gke
from policies.authoring.resources import Report, Resource, shown

TAGS = ("gcp",)
EVERYBODY = ("allUsers", "allAuthenticatedUsers")
DEFAULT_ACCOUNT = "-compute@developer.gserviceaccount.com"
ENFORCING = (
    "PROJECT_SINGLETON_POLICY_ENFORCE",
    "POLICY_BINDINGS",
    "POLICY_BINDINGS_AND_PROJECT_SINGLETON_POLICY_ENFORCE",
)


def has_own_nodes(resource: Resource) -> bool:
    """Whether a cluster's `nodeConfig` makes nodes that stay. Autopilot hardens its nodes itself, and pools come as resources of
    their own where the default one is removed."""
    props = resource.props
    return at(props, "enableAutopilot") is not True and at(props, "removeDefaultNodePool") is not True


def _private_nodes(resource: Resource, report: Report) -> None:
    if resource.type == GkePool.type:
        if at(resource.props, "networkConfig", "enablePrivateNodes") is False:
            report("nodes of this pool get public addresses: networkConfig.enablePrivateNodes is off")
    elif at(resource.props, "privateClusterConfig", "enablePrivateNodes") is not True:
        report("nodes get public addresses: privateClusterConfig.enablePrivateNodes is off")


def _authorized_networks(resource: Resource, report: Report) -> None:
    props, key, least = resource.props, "masterAuthorizedNetworksConfig", resource.config["leastPrefix"]
    with report.guard():
        if at(props, key) is None and at(props, "privateClusterConfig", "enablePrivateEndpoint") is not True:
            report(f"the API answers the whole internet: {key} is missing")
    with report.guard():
        if at(props, key, "gcpPublicCidrsAccessEnabled") is True:
            report("the API answers every machine in Google Cloud, other customers' too")
    for block in report.items(props, key, "cidrBlocks"):
        with report.guard():
            cidr = at(block, "cidrBlock")
            if is_wide(cidr, least):
                report(f"the API answers {cidr}, which is wider than /{shown(least)}")


def _metadata_server(resource: Resource, report: Report) -> None:
    props = resource.props
    if resource.type == GKE_CLUSTER:
        with report.guard():
            pool = at(props, "workloadIdentityConfig", "workloadPool")
            if not pool and at(props, "enableAutopilot") is not True:
                report("Pods have no identity of their own: workloadIdentityConfig.workloadPool is missing")
        if not has_own_nodes(resource) and at(props, "nodeConfig") is None:
            return
    mode = at(props, "nodeConfig", "workloadMetadataConfig", "mode")
    if mode != "GKE_METADATA":
        report(
            f"Pods reach the node's account: workloadMetadataConfig.mode is {mode or 'missing'}, not GKE_METADATA"
        )


def _shielded(resource: Resource, report: Report) -> None:
    props, config = resource.props, "shieldedInstanceConfig"
    if resource.type == GKE_CLUSTER:
        with report.guard():
            if at(props, "enableShieldedNodes") is False:
                report("nodes cannot prove what they are: enableShieldedNodes is off")
        if not has_own_nodes(resource) and at(props, "nodeConfig") is None:
            return
    with report.guard():
        if at(props, "nodeConfig", config, "enableSecureBoot") is not True:
            report("nodes boot unsigned code: enableSecureBoot is off")
    with report.guard():
        if at(props, "nodeConfig", config, "enableIntegrityMonitoring") is False:
            report("changes to how nodes boot go unseen: enableIntegrityMonitoring is off")


def _shield(draft: Draft) -> None:
    own_nodes = draft.type == GkePool.type
    if draft.type == GKE_CLUSTER:
        if "enableShieldedNodes" in draft.props:
            draft.put(draft.props, "enableShieldedNodes", value=True)
        flags = ("enableAutopilot", "removeDefaultNodePool")
        own_nodes = "nodeConfig" in draft.props or not any(draft.props.get(each) is True for each in flags)
    config = draft.below("nodeConfig", "shieldedInstanceConfig", create=True) if own_nodes else None
    if config is not None:
        draft.put(config, "enableSecureBoot", value=True)
        if "enableIntegrityMonitoring" in config:
            draft.put(config, "enableIntegrityMonitoring", value=True)


def _release_channel(resource: Resource, report: Report) -> None:
    channel, known = at(resource.props, "releaseChannel", "channel"), resource.config["channels"]
    if channel not in known:
        report(f"the release channel is {channel or 'missing'}, not one of {', '.join(known)}")


def _management(resource: Resource, report: Report) -> None:
    for key, what in (("autoRepair", "broken nodes stay"), ("autoUpgrade", "nodes keep old versions")):
        with report.guard():
            if at(resource.props, "management", key) is not True:
                report(f"{what}: management.{key} is off")


def _binary_authorization(resource: Resource, report: Report) -> None:
    mode = at(resource.props, "binaryAuthorization", "evaluationMode")
    if mode not in ENFORCING:
        report(f"any image may run: binaryAuthorization.evaluationMode is {mode or 'missing'}")


def _registry_not_public(resource: Resource, report: Report) -> None:
    with report.guard():
        if (member := at(resource.props, "member")) in EVERYBODY:
            report(f"{member} may {at(resource.props, 'role')}")
    for member in report.items(resource.props, "members"):
        if member in EVERYBODY:
            report(f"{member} may {at(resource.props, 'role')}")
    for role, member in _bindings(at(resource.props, "policyData")):
        if member in EVERYBODY:
            report(f"{member} may {role}")


def _bindings(policy: object) -> Iterator[tuple[str, str]]:
    """The roles and members of a policy in JSON. What is no JSON is refused by the provider."""
    document: Any = None
    with suppress(ValueError):
        document = json.loads(policy) if isinstance(policy, str) else None
    if isinstance(document, dict):
        for binding in cast("dict[str, Any]", document).get("bindings", []):
            for member in binding.get("members", []):
                yield str(binding.get("role", "")), str(member)


def _no_abac(resource: Resource, report: Report) -> None:
    if at(resource.props, "enableLegacyAbac") is True:
        report("old, wide permissions are on beside RBAC: enableLegacyAbac")


def _node_account(resource: Resource, report: Report) -> None:
    if (
        resource.type == GKE_CLUSTER
        and not has_own_nodes(resource)
        and at(resource.props, "nodeConfig") is None
    ):
        return
    account = at(resource.props, "nodeConfig", "serviceAccount")
    if not account or account == "default" or str(account).endswith(DEFAULT_ACCOUNT):
        report(f"nodes run as the project's default account ({account or 'none is given'})")


POLICIES: tuple[Policy, ...] = (
    resource_check(
        "private-nodes",
        "GKE nodes have no public addresses.",
        types=[GKE_CLUSTER, GkePool.type],
        severity=CRITICAL,
        check=_private_nodes,
        steps="Set privateClusterConfig.enablePrivateNodes to true, and give the network a Cloud NAT.",
        reference=cis_gke(
            "5.6.5",
            "Clusters are created with private nodes",
            f"{GKE_GUIDE}/concepts/network-isolation",
            "CKV_GCP_25",
            "CKV_GCP_64",
        ),
        tags=TAGS,
    ),
    resource_check(
        "authorized-networks",
        "The API of a GKE cluster is reached from named ranges only.",
        types=[GKE_CLUSTER],
        severity=CRITICAL,
        check=_authorized_networks,
        steps="List the ranges of your offices and runners in masterAuthorizedNetworksConfig (authorizedCidrs in the stack file).",
        reference=cis_gke(
            "5.6.3",
            "Control plane authorized networks are enabled",
            f"{GKE_GUIDE}/how-to/authorized-networks",
            "CKV_GCP_20",
        ),
        config={
            "leastPrefix": number(
                16, "Ranges may not be wider than this prefix; in IPv6, than twice as many bits."
            )
        },
        tags=TAGS,
    ),
    resource_check(
        "metadata-server",
        "Pods on GKE act as themselves: the metadata server of the node is not theirs.",
        types=[GKE_CLUSTER, GkePool.type],
        severity=HIGH,
        check=_metadata_server,
        steps="Set workloadIdentityConfig.workloadPool on the cluster, and nodeConfig.workloadMetadataConfig.mode to GKE_METADATA on each pool.",
        reference=cis_gke(
            "5.4.2",
            "The GKE metadata server is enabled",
            f"{GKE_GUIDE}/how-to/workload-identity",
            "CKV_GCP_69",
        ),
        tags=TAGS,
    ),
    resource_check(
        "shielded",
        "GKE nodes are shielded, boot signed code only, and tell when that changes.",
        types=[GKE_CLUSTER, GkePool.type],
        severity=MEDIUM,
        check=_shielded,
        remedy=_shield,
        steps="Set enableShieldedNodes, and enableSecureBoot and enableIntegrityMonitoring in nodeConfig.shieldedInstanceConfig. Pools are replaced by it.",
        reference=cis_gke(
            "5.5.7",
            "Secure boot for shielded GKE nodes is enabled",
            f"{GKE_GUIDE}/how-to/shielded-gke-nodes",
            "CKV_GCP_68",
            "CKV_GCP_71",
            "CKV_GCP_72",
        ),
        tags=TAGS,
    ),
    resource_check(
        "release-channel",
        "GKE clusters follow a release channel.",
        types=[GKE_CLUSTER],
        severity=MEDIUM,
        check=_release_channel,
        steps="Set releaseChannel.channel (releaseChannel in the stack file).",
        reference=cis_gke(
            "5.5.4",
            "GKE version management is automated using release channels",
            f"{GKE_GUIDE}/concepts/release-channels",
            "CKV_GCP_70",
        ),
        config={"channels": texts(("REGULAR", "STABLE", "EXTENDED"), "Channels that clusters may follow.")},
        tags=TAGS,
    ),
    resource_check(
        "auto-upgrade-repair",
        "GKE repairs and upgrades nodes by itself.",
        types=[GkePool.type],
        severity=MEDIUM,
        check=_management,
        steps="Set management.autoRepair and management.autoUpgrade to true.",
        reference=cis_gke(
            "5.5.3",
            "Node auto-upgrade is enabled for GKE nodes",
            f"{GKE_GUIDE}/how-to/node-auto-upgrades",
            "CKV_GCP_9",
            "CKV_GCP_10",
        ),
        tags=TAGS,
    ),
    resource_check(
        "binary-authorization",
        "GKE asks Binary Authorization before it runs an image.",
        types=[GKE_CLUSTER],
        severity=MEDIUM,
        check=_binary_authorization,
        steps="Set binaryAuthorization.evaluationMode to PROJECT_SINGLETON_POLICY_ENFORCE, and write the project's policy.",
        reference=cis_gke(
            "5.10.5",
            "Binary Authorization is used",
            "https://cloud.google.com/binary-authorization/docs/overview",
            "CKV_GCP_66",
        ),
        tags=TAGS,
    ),
    resource_check(
        "registry-not-public",
        "No repository of Artifact Registry is open to everybody.",
        types=[
            "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
            "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding",
            "gcp:artifactregistry/repositoryIamPolicy:RepositoryIamPolicy",
        ],
        severity=CRITICAL,
        check=_registry_not_public,
        steps="Name service accounts or groups in place of allUsers and allAuthenticatedUsers.",
        reference=cis_gke(
            "5.1.2",
            "Minimize user access to container image repositories",
            "https://cloud.google.com/artifact-registry/docs/access-control",
            "CKV_GCP_101",
        ),
        tags=TAGS,
    ),
    resource_check(
        "no-legacy-abac",
        "GKE clusters decide by RBAC alone.",
        types=[GKE_CLUSTER],
        severity=HIGH,
        check=_no_abac,
        steps="Set enableLegacyAbac to false, and bind roles in the cluster.",
        reference=cis_gke(
            "5.8.4",
            "Legacy authorization (ABAC) is disabled",
            f"{GKE_GUIDE}/how-to/role-based-access-control",
            "CKV_GCP_7",
        ),
        tags=TAGS,
    ),
    resource_check(
        "node-account",
        "GKE nodes run as an account of their own, not as the project's default one.",
        types=[GKE_CLUSTER, GkePool.type],
        severity=HIGH,
        check=_node_account,
        steps="Make a service account with roles/container.defaultNodeServiceAccount, and name it in nodeConfig.serviceAccount.",
        reference=cis_gke(
            "5.2.1",
            "Clusters do not run using the Compute Engine default service account",
            f"{GKE_GUIDE}/how-to/hardening-your-cluster#use_least_privilege_sa",
        ),
        tags=TAGS,
    ),
)
