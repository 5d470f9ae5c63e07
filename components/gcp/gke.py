"""A regional GKE cluster, ready for workloads: control plane, node identity, system nodes."""

import json
from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.network import PODS_RANGE, SERVICES_RANGE
from components.gcp.node_pool import GkeNodePool
from components.kubernetes.nodes import SYSTEM_POOL, system_pool_shape
from components.names import fit_auto_named
from model_factory.graph.names import fit
from model_factory.planning.settings.gcp import GcpSettings

CLUSTER_NAME_LIMIT = 40
ACCOUNT_ID_LIMIT = 30
DISPLAY_NAME_LIMIT = 100
# Logs, metrics and nothing else (cloud.google.com/kubernetes-engine/docs/how-to/hardening-your-cluster).
NODE_ROLE = "roles/container.defaultNodeServiceAccount"


class GkeClusterArgs(TypedDict):
    region: str
    settings: GcpSettings
    network_id: pulumi.Input[str]
    subnetwork_id: pulumi.Input[str]
    protect: bool
    labels: Mapping[str, str]
    tokens_are_local: bool


class GkeCluster(pulumi.ComponentResource):
    """A private regional cluster on Dataplane V2 (which enforces NetworkPolicy), with workload identity and shielded nodes.

    Its API is open to the given blocks only, and to the network alone where there are none. Nodes run as an account of
    their own, never as the project's default one.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    node_service_account: pulumi.Output[str]

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:cluster:GkeCluster", name, {}, opts)
        region, settings, labels = args["region"], args["settings"], args["labels"]
        project = settings.project
        child = pulumi.ResourceOptions(parent=self)
        nodes = gcp.serviceaccount.Account(
            f"{name}-nodes",
            project=project,
            account_id=fit(f"{name}-nodes", ACCOUNT_ID_LIMIT),
            display_name=fit(f"Nodes of {name}", DISPLAY_NAME_LIMIT),
            opts=child,
        )
        node_role = gcp.projects.IAMMember(
            f"{name}-nodes",
            project=project,
            role=NODE_ROLE,
            member=nodes.email.apply(lambda email: f"serviceAccount:{email}"),
            opts=child,
        )
        cluster = gcp.container.Cluster(
            fit_auto_named(name, CLUSTER_NAME_LIMIT),
            project=project,
            location=region,
            network=args["network_id"],
            subnetwork=args["subnetwork_id"],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy={
                "cluster_secondary_range_name": PODS_RANGE,
                "services_secondary_range_name": SERVICES_RANGE,
            },
            datapath_provider="ADVANCED_DATAPATH",
            private_cluster_config={
                "enable_private_nodes": True,
                "enable_private_endpoint": not settings.authorized_cidrs,
                "master_ipv4_cidr_block": settings.control_plane_cidr_of(region),
            },
            master_authorized_networks_config={
                "gcp_public_cidrs_access_enabled": False,
                "cidr_blocks": [
                    {"cidr_block": cidr, "display_name": f"allowed-{number}"}
                    for number, cidr in enumerate(settings.authorized_cidrs, start=1)
                ],
            },
            master_auth={"client_certificate_config": {"issue_client_certificate": False}},
            workload_identity_config={"workload_pool": workload_pool(project)},
            release_channel={"channel": settings.release_channel},
            min_master_version=settings.kubernetes_version,
            enable_shielded_nodes=True,
            enable_legacy_abac=False,
            # The project's policy decides which images may run; until one is written, it lets all in.
            binary_authorization={"evaluation_mode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
            enable_intranode_visibility=True,
            # Weights are mounted by this driver.
            addons_config={"gcs_fuse_csi_driver_config": {"enabled": True}},
            logging_config={"enable_components": ["SYSTEM_COMPONENTS", "WORKLOADS"]},
            monitoring_config={
                "enable_components": ["SYSTEM_COMPONENTS"],
                "managed_prometheus": {"enabled": True},
            },
            security_posture_config={"mode": "BASIC", "vulnerability_mode": "VULNERABILITY_DISABLED"},
            # GKE cannot make a cluster without a pool; this one goes at once, and ours come beside it.
            remove_default_node_pool=True,
            initial_node_count=1,
            node_config={
                "service_account": nodes.email,
                "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
                "workload_metadata_config": {"mode": "GKE_METADATA"},
                "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
            },
            deletion_protection=args["protect"],
            resource_labels=labels,
            # The default pool is gone after creation, so what it was made with cannot be compared. Nodes need their role
            # to report that they are ready.
            opts=pulumi.ResourceOptions(
                parent=self, protect=args["protect"], ignore_changes=["nodeConfig"], depends_on=[node_role]
            ),
        )
        GkeNodePool(
            f"{name}-{SYSTEM_POOL}",
            {
                "project": project,
                "region": region,
                "zones": [],
                "cluster_name": cluster.name,
                "service_account": nodes.email,
                "shape": system_pool_shape(settings.system_machine_type, settings.system_nodes),
                "labels": labels,
            },
            child,
        )
        self.cluster_name = cluster.name
        self.endpoint = cluster.endpoint
        self.node_service_account = nodes.email
        self.kubeconfig = pulumi.Output.all(
            cluster.name, cluster.endpoint, cluster.master_auth.cluster_ca_certificate
        ).apply(
            lambda values: gke_kubeconfig(values[0], values[1], values[2], tokens_are_local=args["tokens_are_local"])
        )
        self.register_outputs({"cluster_name": self.cluster_name, "endpoint": self.endpoint})


def workload_pool(project: str) -> str:
    """The pool in which the project's Kubernetes service accounts have their identities."""
    return f"{project}.svc.id.goog"


def gke_kubeconfig(cluster_name: str, endpoint: str, ca_data: str, *, tokens_are_local: bool = False) -> str:
    """A kubeconfig that asks GKE's plugin for a token at each use, or `factory` for one of the local Google Cloud: it holds no secret."""
    local = {"command": "factory", "args": ["cluster-token", "gcp"]}
    plugin = local if tokens_are_local else {"command": "gke-gcloud-auth-plugin"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster_name,
            "clusters": [
                {
                    "name": cluster_name,
                    "cluster": {"server": f"https://{endpoint}", "certificate-authority-data": ca_data},
                }
            ],
            "contexts": [{"name": cluster_name, "context": {"cluster": cluster_name, "user": cluster_name}}],
            "users": [
                {
                    "name": cluster_name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            **plugin,
                            "interactiveMode": "Never",
                            "provideClusterInfo": True,
                        }
                    },
                }
            ],
        }
    )
