"""A program of real resources that both local clouds make, written by somebody in a hurry: it breaks every check that it can.

Run as a stack's `__main__.py`. What a cloud or the API of Kubernetes would refuse is not here: policies would never see it.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s


def _document(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def _aws() -> None:
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
    subnets = [
        aws.ec2.Subnet(
            f"subnet-{zone}",
            vpc_id=vpc.id,
            cidr_block=f"10.0.{number}.0/24",
            availability_zone=f"us-east-1{zone}",
            map_public_ip_on_launch=True,
        )
        for number, zone in enumerate("ab")
    ]
    group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id)
    aws.vpc.SecurityGroupIngressRule(
        "ssh", security_group_id=group.id, ip_protocol="tcp", from_port=22, to_port=22, cidr_ipv4="0.0.0.0/0"
    )
    role = aws.iam.Role(
        "role",
        assume_role_policy=_document(
            Principal={"Service": ["ec2.amazonaws.com", "eks.amazonaws.com"]}, Action="sts:AssumeRole"
        ),
    )
    aws.iam.RolePolicy("everything", role=role.name, policy=_document(Action="*", Resource="*"))
    aws.kms.Key("key")
    aws.s3.Bucket("bucket", force_destroy=True)
    aws.ecr.Repository("images", force_delete=True)
    cluster = aws.eks.Cluster(
        "eks", role_arn=role.arn, version="1.32", vpc_config={"subnet_ids": [each.id for each in subnets]}
    )
    template = aws.ec2.LaunchTemplate("nodes", key_name="ops")
    aws.ec2.LaunchTemplate("toys", instance_type="t3.nano")
    aws.eks.NodeGroup(
        "gpus",
        cluster_name=cluster.name,
        node_role_arn=role.arn,
        subnet_ids=[each.id for each in subnets],
        instance_types=["p4d.24xlarge"],
        capacity_type="SPOT",
        launch_template={"id": template.id, "version": "1"},
        scaling_config={"min_size": 1, "max_size": 9, "desired_size": 1},
    )


def _gcp() -> None:
    network = gcp.compute.Network("network", auto_create_subnetworks=False)
    subnet = gcp.compute.Subnetwork("subnet", network=network.id, region="asia-southeast1", ip_cidr_range="10.1.0.0/20")
    cluster = gcp.container.Cluster(
        "gke",
        location="asia-southeast1",
        network=network.id,
        subnetwork=subnet.id,
        min_master_version="1.35",
        enable_legacy_abac=True,
        initial_node_count=1,
    )
    gcp.container.NodePool(
        "pool",
        cluster=cluster.name,
        location="asia-southeast1",
        node_config={"machine_type": "e2-standard-4"},
    )
    images = gcp.artifactregistry.Repository("images", location="us-central1", repository_id="images", format="DOCKER")
    gcp.artifactregistry.RepositoryIamMember(
        "everybody",
        location="us-central1",
        repository=images.repository_id,
        role="roles/artifactregistry.reader",
        member="allUsers",
    )


def _kubernetes() -> None:
    cluster = k8s.Provider("cluster", render_yaml_to_directory=".factory/clouds/kubernetes/cluster")
    there = pulumi.ResourceOptions(provider=cluster)
    app = {"app": "llama"}
    k8s.core.v1.Namespace("models", metadata={"name": "models"}, opts=there)
    k8s.apps.v1.Deployment(
        "llama",
        metadata={"name": "llama", "namespace": "default"},
        spec={
            "replicas": 2,
            "selector": {"match_labels": app},
            "template": {
                "metadata": {"labels": app},
                "spec": {
                    "host_network": True,
                    "containers": [
                        {
                            "name": "server",
                            "image": "pytorch/torchserve",
                            "command": ["torchserve", "serve"],
                            "args": ["--model", "meta/llama"],
                            "env": [{"name": "HF_TOKEN", "value": "hf_planted"}],
                            "resources": {"limits": {"nvidia.com/gpu": "2"}},
                            "security_context": {"privileged": True, "run_as_user": 0},
                        }
                    ],
                    "volumes": [{"name": "node", "host_path": {"path": "/"}}],
                },
            },
        },
        opts=there,
    )
    k8s.core.v1.Service(
        "llama",
        metadata={"name": "llama", "namespace": "default"},
        spec={"type": "LoadBalancer", "selector": {"app": "lama"}, "ports": [{"port": 80}]},
        opts=there,
    )
    for name, target in (("llama", "llama"), ("llama-again", "llama"), ("old", "old")):
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            name,
            metadata={"name": name, "namespace": "default"},
            spec={
                "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": target},
                "min_replicas": 1,
                "max_replicas": 100,
                "behavior": {"scale_down": {"stabilization_window_seconds": 0}},
            },
            opts=there,
        )
    k8s.policy.v1.PodDisruptionBudget(
        "other",
        metadata={"name": "other", "namespace": "default"},
        spec={"max_unavailable": 0, "selector": {"match_labels": {"app": "x"}}},
        opts=there,
    )
    k8s.rbac.v1.ClusterRole(
        "all",
        metadata={"name": "all"},
        rules=[{"api_groups": ["*"], "resources": ["*"], "verbs": ["*"]}],
        opts=there,
    )
    k8s.rbac.v1.ClusterRoleBinding(
        "us",
        metadata={"name": "us"},
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        subjects=[{"api_group": "rbac.authorization.k8s.io", "kind": "User", "name": "us"}],
        opts=there,
    )


_aws()
_gcp()
_kubernetes()
pulumi.export("usd_per_month", {"least": "40000", "most": "90000"})
