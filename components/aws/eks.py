"""An EKS cluster, ready for workloads: control plane, system nodes, add-ons."""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.aws.iam import ROLE_NAME_LIMIT, policy_json, trust
from components.aws.node_pool import EksNodePool
from components.kubernetes.nodes import SYSTEM_POOL, system_pool_shape
from components.names import fit_auto_named
from model_factory.graph.names import fit
from model_factory.planning.settings.aws import AwsSettings

CLUSTER_NAME_LIMIT = 100
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")

# Nodes become ready with these, so they come before the first node, and follow a new version of the control plane before nodes do.
NODE_ADDONS: Mapping[str, Mapping[str, object]] = {
    # NetworkPolicy objects do nothing on EKS unless the CNI is told to enforce them.
    "vpc-cni": {"enableNetworkPolicy": "true"},
    "kube-proxy": {},
    "eks-pod-identity-agent": {},
}
# These run as pods, and are active only once there are nodes. The autoscalers read metrics-server; weights are mounted
# by the S3 driver; the monitoring agent tells of broken GPUs, without which node repair sees nodes that are gone alone
# (docs.aws.amazon.com/eks/latest/userguide/node-health.html).
POD_ADDONS: Mapping[str, Mapping[str, object]] = {
    "coredns": {},
    "metrics-server": {},
    "aws-mountpoint-s3-csi-driver": {},
    "eks-node-monitoring-agent": {},
}


class EksClusterArgs(TypedDict):
    region: str
    settings: AwsSettings
    vpc_subnet_ids: Sequence[pulumi.Input[str]]
    control_plane_security_group_id: pulumi.Input[str]
    protect: bool
    tags: Mapping[str, str]
    machine_tags: Mapping[str, str]
    tokens_are_local: bool


class EksCluster(pulumi.ComponentResource):
    """A control plane with encrypted secrets and full logs, two system nodes, and the add-ons that models need.

    Public access to the API is open to the given blocks only, and off where there are none. Access is by EKS access
    entries: whoever creates the cluster administers it, and adds others.
    The cluster's name is fixed, because its log group must exist, with its retention, before the cluster writes to it.

    A new Kubernetes version reaches the control plane first, then the add-ons that nodes start with, then the nodes, then the add-ons
    that run on them: no node is ever newer than its control plane (kubernetes.io/releases/version-skew-policy). An add-on has the
    version that EKS installs by default with the cluster's.
    """

    physical_name: str
    """Known before the cluster is."""
    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    node_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:cluster:EksCluster", name, {}, opts)
        region, settings, tags = args["region"], args["settings"], args["tags"]
        child = pulumi.ResourceOptions(parent=self)
        invoke = pulumi.InvokeOutputOptions(parent=self)
        partition = aws.get_partition_output(opts=invoke)
        account_id = aws.get_caller_identity_output(opts=invoke).account_id
        physical_name = fit(f"{pulumi.get_project()}-{name}", CLUSTER_NAME_LIMIT)

        def role(suffix: str, principal: str, policies: Sequence[str]) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
            made = aws.iam.Role(
                fit_auto_named(f"{name}-{suffix}", ROLE_NAME_LIMIT),
                assume_role_policy=policy_json([trust(principal)]),
                tags=tags,
                opts=child,
            )
            attached: list[pulumi.Resource] = [
                aws.iam.RolePolicyAttachment(
                    f"{name}-{suffix}-{policy}",
                    role=made.name,
                    policy_arn=partition.partition.apply(lambda p, policy=policy: f"arn:{p}:iam::aws:policy/{policy}"),
                    opts=child,
                )
                for policy in policies
            ]
            return made, attached

        key = aws.kms.Key(
            name,
            region=region,
            description=f"Kubernetes secrets and control plane logs of {physical_name}",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            policy=pulumi.Output.all(partition.partition, account_id).apply(
                lambda pair: policy_json(key_statements(pair[0], pair[1], region))
            ),
            tags=tags,
            # Without its key, what the cluster stored cannot be read.
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        aws.kms.Alias(name, region=region, name=f"alias/{physical_name}", target_key_id=key.key_id, opts=child)
        logs = aws.cloudwatch.LogGroup(
            name,
            region=region,
            name=f"/aws/eks/{physical_name}/cluster",
            retention_in_days=settings.log_retention_days,
            kms_key_id=key.arn,
            tags=tags,
            opts=child,
        )
        cluster_role, cluster_policies = role("cluster", "eks.amazonaws.com", CLUSTER_POLICIES)
        node_role, node_policies = role("node", "ec2.amazonaws.com", NODE_POLICIES)
        public_cidrs = list(settings.endpoint_public_access_cidrs)
        cluster = aws.eks.Cluster(
            name,
            region=region,
            name=physical_name,
            version=settings.kubernetes_version,
            role_arn=cluster_role.arn,
            bootstrap_self_managed_addons=False,
            deletion_protection=args["protect"],
            enabled_cluster_log_types=list(LOG_TYPES),
            encryption_config={"provider": {"key_arn": key.arn}, "resources": ["secrets"]},
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": True,
            },
            kubernetes_network_config={"service_ipv4_cidr": settings.service_cidr},
            vpc_config={
                "subnet_ids": args["vpc_subnet_ids"],
                "security_group_ids": [args["control_plane_security_group_id"]],
                "endpoint_private_access": True,
                "endpoint_public_access": bool(public_cidrs),
                "public_access_cidrs": public_cidrs or None,
            },
            tags={**tags, "Name": physical_name},
            # Without the policies the control plane cannot make or delete its network interfaces; without the group,
            # EKS makes one itself that never expires.
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"], depends_on=[*cluster_policies, logs]),
        )

        def addon(
            addon_name: str, configuration: Mapping[str, object], after: Sequence[pulumi.Resource]
        ) -> aws.eks.Addon:
            return aws.eks.Addon(
                f"{name}-{addon_name}",
                region=region,
                cluster_name=cluster.name,
                addon_name=addon_name,
                addon_version=aws.eks.get_addon_version_output(
                    addon_name=addon_name,
                    kubernetes_version=settings.kubernetes_version,
                    region=region,
                    opts=invoke,
                ).version,
                configuration_values=json.dumps(configuration) if configuration else None,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="OVERWRITE",
                tags=tags,
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )

        node_addons = [addon(addon_name, configuration, []) for addon_name, configuration in NODE_ADDONS.items()]
        system = EksNodePool(
            f"{name}-{SYSTEM_POOL}",
            {
                "region": region,
                "cluster_name": cluster.name,
                "kubernetes_version": settings.kubernetes_version,
                "node_role_arn": node_role.arn,
                "subnet_ids": args["vpc_subnet_ids"],
                "shape": system_pool_shape(settings.system_machine_type, settings.system_nodes),
                "running": None,
                "tags": tags,
                "machine_tags": args["machine_tags"],
            },
            # Nodes without these policies cannot join, and without the CNI they never become ready.
            pulumi.ResourceOptions(parent=self, depends_on=[*node_policies, *node_addons]),
        )
        for addon_name, configuration in POD_ADDONS.items():
            addon(addon_name, configuration, [system])

        self.physical_name = physical_name
        self.cluster_name = cluster.name
        self.endpoint = cluster.endpoint
        self.node_role_arn = node_role.arn
        self.kubeconfig = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.certificate_authority.data).apply(
            lambda values: eks_kubeconfig(
                values[0], values[1], values[2], region=region, tokens_are_local=args["tokens_are_local"]
            )
        )
        self.register_outputs({"cluster_name": self.cluster_name, "endpoint": self.endpoint})


def key_statements(partition: str, account_id: str, region: str) -> list[dict[str, object]]:
    """A key that the account administers and that CloudWatch Logs may use for the log groups of EKS.

    docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    return [
        {
            "Sid": "Account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{partition}:iam::{account_id}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "ControlPlaneLogs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": [
                "kms:Encrypt*",
                "kms:Decrypt*",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:Describe*",
            ],
            "Resource": "*",
            "Condition": {
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": f"arn:{partition}:logs:{region}:{account_id}:log-group:/aws/eks/*"
                }
            },
        },
    ]


def eks_kubeconfig(
    cluster_name: str, endpoint: str, ca_data: str, *, region: str, tokens_are_local: bool = False
) -> str:
    """A kubeconfig that asks the AWS CLI for a token at each use, or `factory` for one of the local AWS: it holds no secret."""
    named = ["--cluster-name", cluster_name, "--region", region]
    command = ["factory", "cluster-token", "aws", *named] if tokens_are_local else ["aws", "eks", "get-token", *named]
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster_name,
            "clusters": [
                {"name": cluster_name, "cluster": {"server": endpoint, "certificate-authority-data": ca_data}}
            ],
            "contexts": [{"name": cluster_name, "context": {"cluster": cluster_name, "user": cluster_name}}],
            "users": [
                {
                    "name": cluster_name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": command[0],
                            "args": command[1:],
                            "interactiveMode": "Never",
                        }
                    },
                }
            ],
        }
    )
