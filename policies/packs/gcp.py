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
from policies.authoring.checks import CRITICAL, HIGH, MEDIUM, number, texts
from policies.authoring.clouds import GKE_GUIDE
from policies.authoring.drafts import Draft
from policies.authoring.references import cis_gke
from policies.authoring.resources import Report, Resource, shown
from policies.authoring.theme import Theme

theme = Theme("gcp")

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


@theme.resource(
    types=[GKE_CLUSTER, GkePool.type],
    severity=CRITICAL,
    steps="Set privateClusterConfig.enablePrivateNodes to true, and give the network a Cloud NAT.",
    reference=cis_gke(
        "5.6.5",
        "Clusters are created with private nodes",
        f"{GKE_GUIDE}/concepts/network-isolation",
        "CKV_GCP_25",
        "CKV_GCP_64",
    ),
)
def private_nodes(resource: Resource, report: Report) -> None:
    """GKE nodes have no public addresses."""
    if resource.type == GkePool.type:
        if at(resource.props, "networkConfig", "enablePrivateNodes") is False:
            report("nodes of this pool get public addresses: networkConfig.enablePrivateNodes is off")
    elif at(resource.props, "privateClusterConfig", "enablePrivateNodes") is not True:
        report("nodes get public addresses: privateClusterConfig.enablePrivateNodes is off")


@theme.resource(
    types=[GKE_CLUSTER],
    severity=CRITICAL,
    steps="List the ranges of your offices and runners in masterAuthorizedNetworksConfig (authorizedCidrs in the stack file).",
    reference=cis_gke(
        "5.6.3",
        "Control plane authorized networks are enabled",
        f"{GKE_GUIDE}/how-to/authorized-networks",
        "CKV_GCP_20",
    ),
    config={"leastPrefix": number(16, "Ranges may not be wider than this prefix; in IPv6, than twice as many bits.")},
)
def authorized_networks(resource: Resource, report: Report) -> None:
    """The API of a GKE cluster is reached from named ranges only."""
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


@theme.resource(
    types=[GKE_CLUSTER, GkePool.type],
    severity=HIGH,
    steps="Set workloadIdentityConfig.workloadPool on the cluster, and nodeConfig.workloadMetadataConfig.mode to GKE_METADATA on each pool.",
    reference=cis_gke(
        "5.4.2",
        "The GKE metadata server is enabled",
        f"{GKE_GUIDE}/how-to/workload-identity",
        "CKV_GCP_69",
    ),
)
def metadata_server(resource: Resource, report: Report) -> None:
    """Pods on GKE act as themselves: the metadata server of the node is not theirs."""
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
        report(f"Pods reach the node's account: workloadMetadataConfig.mode is {mode or 'missing'}, not GKE_METADATA")


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


@theme.resource(
    types=[GKE_CLUSTER, GkePool.type],
    severity=MEDIUM,
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
)
def shielded(resource: Resource, report: Report) -> None:
    """GKE nodes are shielded, boot signed code only, and tell when that changes."""
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


@theme.resource(
    types=[GKE_CLUSTER],
    severity=MEDIUM,
    steps="Set releaseChannel.channel (releaseChannel in the stack file).",
    reference=cis_gke(
        "5.5.4",
        "GKE version management is automated using release channels",
        f"{GKE_GUIDE}/concepts/release-channels",
        "CKV_GCP_70",
    ),
    config={"channels": texts(("REGULAR", "STABLE", "EXTENDED"), "Channels that clusters may follow.")},
)
def release_channel(resource: Resource, report: Report) -> None:
    """GKE clusters follow a release channel."""
    channel, known = at(resource.props, "releaseChannel", "channel"), resource.config["channels"]
    if channel not in known:
        report(f"the release channel is {channel or 'missing'}, not one of {', '.join(known)}")


@theme.resource(
    types=[GkePool.type],
    severity=MEDIUM,
    steps="Set management.autoRepair and management.autoUpgrade to true.",
    reference=cis_gke(
        "5.5.3",
        "Node auto-upgrade is enabled for GKE nodes",
        f"{GKE_GUIDE}/how-to/node-auto-upgrades",
        "CKV_GCP_9",
        "CKV_GCP_10",
    ),
)
def auto_upgrade_repair(resource: Resource, report: Report) -> None:
    """GKE repairs and upgrades nodes by itself."""
    for key, what in (("autoRepair", "broken nodes stay"), ("autoUpgrade", "nodes keep old versions")):
        with report.guard():
            if at(resource.props, "management", key) is not True:
                report(f"{what}: management.{key} is off")


@theme.resource(
    types=[GKE_CLUSTER],
    severity=MEDIUM,
    steps="Set binaryAuthorization.evaluationMode to PROJECT_SINGLETON_POLICY_ENFORCE, and write the project's policy.",
    reference=cis_gke(
        "5.10.5",
        "Binary Authorization is used",
        "https://cloud.google.com/binary-authorization/docs/overview",
        "CKV_GCP_66",
    ),
)
def binary_authorization(resource: Resource, report: Report) -> None:
    """GKE asks Binary Authorization before it runs an image."""
    mode = at(resource.props, "binaryAuthorization", "evaluationMode")
    if mode not in ENFORCING:
        report(f"any image may run: binaryAuthorization.evaluationMode is {mode or 'missing'}")


@theme.resource(
    types=[
        "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
        "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding",
        "gcp:artifactregistry/repositoryIamPolicy:RepositoryIamPolicy",
    ],
    severity=CRITICAL,
    steps="Name service accounts or groups in place of allUsers and allAuthenticatedUsers.",
    reference=cis_gke(
        "5.1.2",
        "Minimize user access to container image repositories",
        "https://cloud.google.com/artifact-registry/docs/access-control",
        "CKV_GCP_101",
    ),
)
def registry_not_public(resource: Resource, report: Report) -> None:
    """No repository of Artifact Registry is open to everybody."""
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


@theme.resource(
    types=[GKE_CLUSTER],
    severity=HIGH,
    steps="Set enableLegacyAbac to false, and bind roles in the cluster.",
    reference=cis_gke(
        "5.8.4",
        "Legacy authorization (ABAC) is disabled",
        f"{GKE_GUIDE}/how-to/role-based-access-control",
        "CKV_GCP_7",
    ),
)
def no_legacy_abac(resource: Resource, report: Report) -> None:
    """GKE clusters decide by RBAC alone."""
    if at(resource.props, "enableLegacyAbac") is True:
        report("old, wide permissions are on beside RBAC: enableLegacyAbac")


@theme.resource(
    types=[GKE_CLUSTER, GkePool.type],
    severity=HIGH,
    steps="Make a service account with roles/container.defaultNodeServiceAccount, and name it in nodeConfig.serviceAccount.",
    reference=cis_gke(
        "5.2.1",
        "Clusters do not run using the Compute Engine default service account",
        f"{GKE_GUIDE}/how-to/hardening-your-cluster#use_least_privilege_sa",
    ),
)
def node_account(resource: Resource, report: Report) -> None:
    """GKE nodes run as an account of their own, not as the project's default one."""
    if resource.type == GKE_CLUSTER and not has_own_nodes(resource) and at(resource.props, "nodeConfig") is None:
        return
    account = at(resource.props, "nodeConfig", "serviceAccount")
    if not account or account == "default" or str(account).endswith(DEFAULT_ACCOUNT):
        report(f"nodes run as the project's default account ({account or 'none is given'})")
