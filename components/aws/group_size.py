"""How large a node group is to be, next to how large it is. The size belongs to what scales it; its bounds, and the nodes
that replicas at rest need, belong to the stack."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_aws.eks import NodeGroupScalingConfigArgsDict

from components.kubernetes.nodes import NodePoolShape


@dataclass(frozen=True, slots=True)
class GroupSize:
    """A group that runs: its bounds, how many nodes it is to have now, and of which machine."""

    least: int
    most: int
    desired: int
    machine_type: str


Running = Callable[[str], GroupSize | None]
"""The group that a logical name stands for; None where none runs."""


def running_groups(cluster_name: str, region: str, parent: pulumi.Resource) -> Running:
    """Asks AWS for a cluster's groups: two calls, and one for each group that is asked for. None of a cluster that is not there yet."""
    opts = pulumi.InvokeOptions(parent=parent)
    names: Sequence[str] = ()
    if cluster_name in aws.eks.get_clusters(region=region, opts=opts).names:
        names = aws.eks.get_node_groups(cluster_name=cluster_name, region=region, opts=opts).names

    def running(logical_name: str) -> GroupSize | None:
        own = [name for name in names if re.fullmatch(rf"{re.escape(logical_name)}-[0-9a-f]{{7}}", name)]
        # Two are there only where the old one of a replacement was left; the larger one carries the Pods.
        sizes = [_size(aws.eks.get_node_group(cluster_name, name, region, opts=opts)) for name in own]
        return max(sizes, key=lambda each: each.desired, default=None)

    return running


def scaling(shape: NodePoolShape, present: GroupSize | None) -> tuple[NodeGroupScalingConfigArgsDict, list[str]]:
    """What to declare, and which changes of it to ignore.

    EKS takes bounds and size together and refuses a size outside of new bounds
    (docs.aws.amazon.com/eks/latest/APIReference/API_NodegroupScalingConfig.html), and what a state says of a size that others move is old.
    So the size is ignored while the bounds stay and it is enough for the replicas that always run. Otherwise it is the larger of the two within
    the bounds: whatever adds nodes may not be there, and no node that has been added is taken away. So does a group with another machine
    begin, which replaces the present one.
    """
    least, most = shape.min_nodes, shape.max_nodes
    as_before = present is None or (
        (present.least, present.most, present.machine_type) == (least, most, shape.machine_type)
        and present.desired >= shape.initial_nodes
    )
    wanted = max(present.desired, shape.initial_nodes) if present else shape.initial_nodes
    desired = min(max(wanted, least), most)
    ignored = ["scalingConfig.desiredSize"] if as_before else []
    return {"min_size": least, "max_size": most, "desired_size": desired}, ignored


def fixed(shape: NodePoolShape) -> tuple[NodeGroupScalingConfigArgsDict, list[str]]:
    """The same for a group that nothing but the stack scales: it has the size that the stack says."""
    return {"min_size": shape.min_nodes, "max_size": shape.max_nodes, "desired_size": shape.initial_nodes}, []


def _size(group: aws.eks.GetNodeGroupResult) -> GroupSize:
    (config,) = group.scaling_configs
    (machine_type,) = group.instance_types
    return GroupSize(config.min_size, config.max_size, config.desired_size, machine_type)
