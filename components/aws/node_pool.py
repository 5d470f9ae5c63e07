"""One EKS managed node group, from the launch template up."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from pulumi_aws.eks import NodeGroupUpdateConfigArgsDict

from components.aws.group_size import Running, fixed, scaling
from components.kubernetes.nodes import NodePoolShape
from components.names import fit_auto_named
from model_factory.facts.machines import machines
from model_factory.facts.offer import CapacityType

GROUP_NAME_LIMIT = 63
TEMPLATE_NAME_LIMIT = 128
# Bottlerocket keeps images and container layers on its second volume.
DATA_DEVICE = "/dev/xvdb"
# EKS has no type of its own for a Capacity Reservation: the launch template names it.
CAPACITY_TYPES: Mapping[CapacityType, str] = {"spot": "SPOT", "on-demand": "ON_DEMAND", "reserved": "ON_DEMAND"}


class EksNodePoolArgs(TypedDict):
    region: str
    cluster_name: pulumi.Input[str]
    kubernetes_version: str
    node_role_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    shape: NodePoolShape
    running: Running | None
    tags: Mapping[str, str]
    machine_tags: Mapping[str, str]


class EksNodePool(pulumi.ComponentResource):
    """A node group whose size belongs to the cluster's autoscaler once it exists, within the bounds of its shape and never below what its
    replicas at rest need. Its arguments bring the groups that are `running`; without them, the stack alone decides how large it is.

    Instance metadata asks for a token and stops at the node (hop limit 1): pods cannot take the node's role.
    A changed machine type replaces the group, the new one first; its physical name is therefore Pulumi's. A group of reserved machines
    starts none that are not: its subnets must be in the reservation's zone.

    `tags` are on group and template. Machines and their disks carry `machine_tags` alone: these are part of the template's version, so that
    one that changes replaces every node (docs.aws.amazon.com/eks/latest/userguide/launch-templates.html). Nor do they get the group's
    tags; by them, and by those that EKS adds (`eks:cluster-name`, `eks:nodegroup-name`), their cost is told apart.
    """

    node_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: EksNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:cluster:EksNodePool", name, {}, opts)
        region, shape, tags = args["region"], args["shape"], args["tags"]
        machine_tags = {**args["machine_tags"], "Name": name}
        template = aws.ec2.LaunchTemplate(
            fit_auto_named(name, TEMPLATE_NAME_LIMIT),
            region=region,
            description=f"Nodes of {name}",
            update_default_version=True,
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            block_device_mappings=[
                {
                    "device_name": DATA_DEVICE,
                    "ebs": {
                        "volume_size": shape.disk_gib,
                        "volume_type": "gp3",
                        # These two are nullable booleans, which the provider takes as text.
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            capacity_reservation_specification={
                "capacity_reservation_preference": "capacity-reservations-only",
                "capacity_reservation_target": {"capacity_reservation_id": shape.reservation.name},
            }
            if shape.reservation
            else None,
            tag_specifications=[
                {"resource_type": "instance", "tags": machine_tags},
                {"resource_type": "volume", "tags": machine_tags},
            ],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        group_name = fit_auto_named(name, GROUP_NAME_LIMIT)
        running = args["running"]
        scaling_config, ignored = scaling(shape, running(group_name)) if running else fixed(shape)
        group = aws.eks.NodeGroup(
            group_name,
            region=region,
            cluster_name=args["cluster_name"],
            version=args["kubernetes_version"],
            node_role_arn=args["node_role_arn"],
            subnet_ids=args["subnet_ids"],
            ami_type=ami_type(shape),
            capacity_type=CAPACITY_TYPES[shape.capacity_type],
            instance_types=[shape.machine_type],
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config=scaling_config,
            update_config=update_config(shape),
            node_repair_config={"enabled": True},
            labels=shape.labels,
            taints=[{"key": t.key, "value": t.value, "effect": t.cloud_effect} for t in shape.taints],
            tags={**tags, "Name": name},
            # The autoscaler moves the size between our runs; taking it back would stop serving nodes.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=ignored),
        )
        self.node_group_name = group.node_group_name
        self.register_outputs({"node_group_name": self.node_group_name})


def update_config(shape: NodePoolShape) -> NodeGroupUpdateConfigArgsDict:
    """One node at a time. A reservation that is in use has no machine for a new one before an old one goes."""
    return {"max_unavailable": 1, "update_strategy": "MINIMAL"} if shape.reservation else {"max_unavailable": 1}


def ami_type(shape: NodePoolShape) -> str:
    """The image of a pool's nodes, for the processors of its machine; a machine that no table has is taken for x86.

    Bottlerocket: read-only root, SELinux, no shell. Its NVIDIA variant brings the driver and the device plugin, so that no privileged
    DaemonSet has to.
    """
    machine = machines().get(shape.machine_type)
    processors = "ARM_64" if machine and machine.architecture == "arm64" else "x86_64"
    return f"BOTTLEROCKET_{processors}{'_NVIDIA' if shape.accelerator else ''}"
