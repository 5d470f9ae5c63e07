"""EKS managed node groups: create, describe, update, delete. Where clusters are real, `nodes` says what nodes they have."""

from __future__ import annotations

import json
import re
from typing import Final

from model_factory.facts.aws import AWS
from model_factory.facts.aws.images import image_needs
from model_factory.local.clouds.aws import moto_state
from model_factory.local.clouds.aws.clock import uuid4
from model_factory.local.clouds.aws.eks import access, catalogue, nodes, references
from model_factory.local.clouds.aws.eks.state import (
    Cluster,
    Context,
    Document,
    Resource,
    check_tags,
    in_use,
    invalid_parameter,
    invalid_request,
    not_found,
    paged,
    repeated,
    short_id,
)
from model_factory.local.clouds.aws.errors import NotImplementedHereError
from model_factory.local.clouds.aws.moto_state import LaunchTemplate
from model_factory.local.lab.nodes.pools import PoolState

DEFAULT_INSTANCE_TYPE: Final = AWS.default_machine
DEFAULT_AMI_TYPE: Final = "AL2023_x86_64_STANDARD"
LAST_AL2_MINOR: Final = 32
"""EKS publishes no Amazon Linux 2 images for Kubernetes 1.33 and later. Source: AWS, "EKS AL2 AMI deprecation"."""
_LAUNCHES: Final = "AsgInstanceLaunchFailures"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def create_nodegroup(context: Context, parameters: Document) -> Document:
    cluster = context.active_cluster(parameters["clusterName"])
    name = parameters["nodegroupName"]
    existing = cluster.nodegroups.get(name)
    taken = f"NodeGroup already exists with name {name} and cluster name {cluster.name}"
    if existing and repeated(existing.document, parameters, taken):
        return {"nodegroup": existing.document}
    if parameters.get("warmPoolConfig"):
        raise NotImplementedHereError("eks warmPoolConfig")
    if not _NAME.fullmatch(name):
        raise invalid_parameter(f"nodegroupName {name!r} is not 1 to 63 letters, digits, - and _")
    check_tags(parameters.get("tags", {}))
    _check_taints(parameters.get("taints", []))
    scaling = _scaling(parameters.get("scalingConfig", {}))
    references.role(parameters["nodeRole"], "ec2.amazonaws.com")
    subnets = references.subnets(context, parameters["subnets"])
    if not subnets or subnets[0].vpc_id != cluster.document["resourcesVpcConfig"]["vpcId"]:
        raise invalid_parameter("Subnets must be in the VPC of the cluster, at least one of them")
    template = _launch_template(context, parameters.get("launchTemplate"))
    ami_type, instance_types = _machines(context, parameters, template)
    version = _version(cluster, parameters.get("version"))
    if ami_type.startswith("AL2_") and version.minor > LAST_AL2_MINOR:
        raise invalid_parameter(f"Requested AMI for this version {version.name} is not supported")
    document: Document = {
        "nodegroupName": name,
        "nodegroupArn": context.arn("nodegroup", cluster.name, name, short_id()),
        "clusterName": cluster.name,
        "version": version.name,
        "releaseVersion": parameters.get("releaseVersion") or catalogue.release_version(version),
        "createdAt": context.now(),
        "modifiedAt": context.now(),
        "status": "CREATING",
        "capacityType": parameters.get("capacityType", "ON_DEMAND"),
        "scalingConfig": scaling,
        "subnets": parameters["subnets"],
        "amiType": ami_type,
        "nodeRole": parameters["nodeRole"],
        "labels": parameters.get("labels", {}),
        "taints": parameters.get("taints", []),
        "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{uuid4()}"}]},
        "health": {"issues": []},
        "updateConfig": _update_config(parameters.get("updateConfig")),
        "nodeRepairConfig": {"enabled": False} | parameters.get("nodeRepairConfig", {}),
        "tags": parameters.get("tags", {}),
        "clientRequestToken": parameters.get("clientRequestToken"),
    }
    if instance_types:
        document["instanceTypes"] = instance_types
    if template is None:
        document["diskSize"] = parameters.get("diskSize", nodes.DEFAULT_DISK_GIB)
    else:
        document["launchTemplate"] = {"id": template.id, "name": template.name, "version": template.version}
    if parameters.get("remoteAccess"):
        document["remoteAccess"] = parameters["remoteAccess"]
    nodegroup = Resource(document)
    cluster.nodegroups[name] = nodegroup
    access.add_nodes(context, cluster, document["nodeRole"])
    machine_types = instance_types or ([template.data["InstanceType"]] if template else [])

    def ready() -> None:
        if nodegroup.status == "CREATING":
            nodegroup.document["modifiedAt"] = context.now()
            _finish_create(context, nodegroup, machine_types)

    context.later(ready, once=lambda: _has_ended(context, cluster, nodegroup))
    return {"nodegroup": document}


def describe_nodegroup(context: Context, parameters: Document) -> Document:
    return {"nodegroup": _find(context, parameters)[1].document}


def list_nodegroups(context: Context, parameters: Document) -> Document:
    return paged("nodegroups", sorted(context.cluster(parameters["clusterName"]).nodegroups), parameters)


def delete_nodegroup(context: Context, parameters: Document) -> Document:
    cluster, nodegroup = _find(context, parameters)
    if nodegroup.status != "DELETING":
        nodegroup.status = "DELETING"

        def gone() -> None:
            cluster.nodegroups.pop(nodegroup.document["nodegroupName"], None)
            access.remove_nodes(cluster, nodegroup.document["nodeRole"])

        context.later(gone, once=lambda: _has_ended(context, cluster, nodegroup))
    return {"nodegroup": nodegroup.document}


def update_nodegroup_config(context: Context, parameters: Document) -> Document:
    cluster, nodegroup = _updatable(context, parameters)
    current = nodegroup.document
    wanted: Document = {}
    params: list[tuple[str, str]] = []
    if parameters.get("warmPoolConfig"):
        raise NotImplementedHereError("eks warmPoolConfig")
    if labels := parameters.get("labels"):
        added, removed = labels.get("addOrUpdateLabels", {}), labels.get("removeLabels", [])
        kept = {key: value for key, value in current["labels"].items() if key not in removed}
        wanted["labels"] = kept | added
        params += [("LabelsToAdd", json.dumps(added)), ("LabelsToRemove", json.dumps(removed))]
    if taints := parameters.get("taints"):
        added, removed = taints.get("addOrUpdateTaints", []), taints.get("removeTaints", [])
        dropped = {(taint["key"], taint["effect"]) for taint in [*removed, *added]}
        kept = [taint for taint in current["taints"] if (taint["key"], taint["effect"]) not in dropped]
        wanted["taints"] = [*kept, *added]
        _check_taints(wanted["taints"])
        params += [("TaintsToAdd", json.dumps(added)), ("TaintsToRemove", json.dumps(removed))]
    if scaling := parameters.get("scalingConfig"):
        wanted["scalingConfig"] = _scaling(current["scalingConfig"] | scaling)
        names = {"minSize": "MinSize", "maxSize": "MaxSize", "desiredSize": "DesiredSize"}
        params += [(names[key], str(value)) for key, value in scaling.items()]
    if update_config := parameters.get("updateConfig"):
        wanted["updateConfig"] = _update_config(update_config)
        params += [("MaxUnavailable", json.dumps(update_config))]
    if repair := parameters.get("nodeRepairConfig"):
        wanted["nodeRepairConfig"] = current["nodeRepairConfig"] | repair
        params += [("NodeRepairEnabled", json.dumps(repair.get("enabled", False)))]
    if not wanted:
        raise invalid_parameter(
            "Nothing to update: give labels, taints, scalingConfig, updateConfig or nodeRepairConfig"
        )
    return {"update": _start_update(context, cluster, nodegroup, "ConfigUpdate", params, wanted)}


def update_nodegroup_version(context: Context, parameters: Document) -> Document:
    cluster, nodegroup = _updatable(context, parameters)
    current = nodegroup.document
    asked, template = parameters.get("version"), parameters.get("launchTemplate")
    wanted: Document = {}
    params: list[tuple[str, str]] = []
    if template is not None:
        before = current.get("launchTemplate")
        if before is None:
            raise invalid_request("A node group made without a launch template cannot be given one")
        found = _launch_template(context, {"id": before["id"], **template} if "name" not in template else template)
        if found is None or found.id != before["id"]:
            raise invalid_request("A node group's launch template cannot be another one, only another version of it")
        wanted["launchTemplate"] = before | {"version": found.version}
        params += [("LaunchTemplateVersion", found.version)]
    if asked or template is None:
        version = _version(cluster, asked)
        held = catalogue.version(current["version"])
        if held is not None and version.minor < held.minor:
            raise invalid_parameter(f"Nodegroup Kubernetes version cannot go from {held.name} down to {version.name}")
        wanted["version"] = version.name
        wanted["releaseVersion"] = parameters.get("releaseVersion") or catalogue.release_version(version)
        params += [("Version", version.name), ("ReleaseVersion", wanted["releaseVersion"])]
    nodegroup.forced = bool(parameters.get("force"))
    return {"update": _start_update(context, cluster, nodegroup, "VersionUpdate", params, wanted)}


def degrade(cluster: Cluster, name: str, code: str, message: str) -> None:
    """A node group loses a node: DEGRADED with this issue, until an update or its end."""
    nodegroup = cluster.nodegroups[name]
    nodegroup.status = "DEGRADED"
    nodegroup.document["health"] = {"issues": [{"code": code, "message": message, "resourceIds": []}]}


def tell_health(nodegroup: Resource, state: PoolState | None) -> None:
    """What a look at its nodes says of a node group that runs: DEGRADED for want of machines, until they are there."""
    document = nodegroup.document
    others = [each for each in document["health"]["issues"] if each["code"] != _LAUNCHES]
    was_short = others != document["health"]["issues"]
    changes = state is not None and (state.settled if was_short else bool(state.short))
    if not changes or nodegroup.status not in {"ACTIVE", "DEGRADED"}:
        return
    types = document.get("instanceTypes") or ["requested"]
    document["health"] = {"issues": others if was_short else [*others, nodes.launch_failure(document, types)]}
    nodegroup.status = "DEGRADED" if document["health"]["issues"] else "ACTIVE"


def _start_update(
    context: Context,
    cluster: Cluster,
    nodegroup: Resource,
    kind: str,
    params: list[tuple[str, str]],
    wanted: Document,
) -> Document:
    """An update that is over when the nodes are as it wants them. One that fails leaves the group as it was."""
    nodegroup.target = wanted

    def outcome() -> list[Document] | None:
        if not _has_ended(context, cluster, nodegroup):
            return None
        pool = nodes.pool_of(context.region, nodegroup, context.capacities)
        state = context.fleets.state(nodes.cluster_key(context.region, cluster.name), pool)
        nodegroup.target, nodegroup.forced = {}, False
        return [] if state is None else _failures(nodegroup, state)

    return context.start_update(nodegroup, kind, params, lambda: nodegroup.document.update(wanted), outcome=outcome)


def _failures(nodegroup: Resource, state: PoolState) -> list[Document]:
    if state.stuck:
        message = f"Reached max retries while trying to evict pods from nodes in node group {nodegroup.document['nodegroupName']}"
        return [{"errorCode": "PodEvictionFailure", "errorMessage": message, "resourceIds": list(state.stuck)}]
    if state.blocked:
        issue = nodes.launch_failure(nodegroup.document, nodegroup.document.get("instanceTypes") or ["requested"])
        return [
            {"errorCode": "NodeCreationFailure", "errorMessage": issue["message"], "resourceIds": issue["resourceIds"]}
        ]
    return []


def _has_ended(context: Context, cluster: Cluster, nodegroup: Resource) -> bool:
    """Whether its nodes are as wanted, or as far as they get."""
    key = nodes.cluster_key(context.region, cluster.name)
    if not context.fleets.has(key):
        return True
    return context.fleets.has_ended(key, nodes.pool_of(context.region, nodegroup, context.capacities))


def _find(context: Context, parameters: Document) -> tuple[Cluster, Resource]:
    cluster = context.cluster(parameters["clusterName"])
    found = cluster.nodegroups.get(parameters["nodegroupName"])
    if found is None:
        raise not_found(f"No node group found for name: {parameters['nodegroupName']}.")
    return cluster, found


def _updatable(context: Context, parameters: Document) -> tuple[Cluster, Resource]:
    cluster, nodegroup = _find(context, parameters)
    if nodegroup.status not in {"ACTIVE", "DEGRADED"}:
        raise in_use(f"Nodegroup cannot be updated as it is currently not in Active State, but {nodegroup.status}")
    return cluster, nodegroup


def _finish_create(context: Context, nodegroup: Resource, machine_types: list[str]) -> None:
    document = nodegroup.document
    wanted = document["scalingConfig"]["desiredSize"]
    limits = [
        nodes.available(context.capacities, context.region, machine_type, document["capacityType"])
        for machine_type in machine_types
    ]
    available = sum(limit for limit in limits if limit is not None)
    if None in limits or available >= wanted:
        nodegroup.status = "ACTIVE"
        return
    issue = nodes.launch_failure(document, machine_types)
    nodegroup.status = "CREATE_FAILED"
    document["health"] = {"issues": [issue]}


def _scaling(asked: Document) -> Document:
    least = asked.get("minSize", 1)
    scaling = {"minSize": least, "maxSize": asked.get("maxSize", max(2, least))}
    scaling["desiredSize"] = asked.get("desiredSize", max(least, 1))
    if scaling["minSize"] > scaling["desiredSize"]:
        raise invalid_parameter(
            f"Minimum capacity {scaling['minSize']} can't be greater than desired size {scaling['desiredSize']}"
        )
    if scaling["desiredSize"] > scaling["maxSize"]:
        raise invalid_parameter(
            f"desired capacity {scaling['desiredSize']} can't be greater than max size {scaling['maxSize']}"
        )
    return scaling


def _update_config(asked: Document | None) -> Document:
    if not asked:
        return {"maxUnavailable": 1}
    if ("maxUnavailable" in asked) == ("maxUnavailablePercentage" in asked):
        raise invalid_parameter("updateConfig takes exactly one of maxUnavailable and maxUnavailablePercentage")
    return asked


def _check_taints(taints: list[Document]) -> None:
    seen = [(taint.get("key"), taint.get("effect")) for taint in taints]
    if len(set(seen)) != len(seen):
        raise invalid_parameter("Taints with the same key and effect are given more than once")
    if any(None in pair for pair in seen):
        raise invalid_parameter("A taint needs a key and an effect")


def _version(cluster: Cluster, asked: str | None) -> catalogue.Version:
    name = asked or cluster.document["version"]
    found, control_plane = catalogue.version(name), catalogue.version(cluster.document["version"])
    if found is None or control_plane is None:
        raise invalid_parameter(f"unsupported Kubernetes version {name}")
    behind = control_plane.minor - found.minor
    if not 0 <= behind <= catalogue.KUBELET_SKEW:
        raise invalid_parameter(
            f"Nodegroup Kubernetes version {name} must be at most that of the cluster, {control_plane.name}, and no more "
            f"than {catalogue.KUBELET_SKEW} minor versions behind"
        )
    return found


def _launch_template(context: Context, asked: Document | None) -> LaunchTemplate | None:
    if not asked:
        return None
    id_, name = asked.get("id"), asked.get("name")
    if (id_ is None) == (name is None):
        raise invalid_parameter("Launch template must be given by exactly one of id and name")
    found = moto_state.launch_template(context.region, id_=id_, name=name, version=asked.get("version"))
    if found is None:
        raise invalid_parameter(
            f"Launch template {id_ or name} with version {asked.get('version', 'default')} not found"
        )
    if found.data.get("InstanceMarketOptions") or found.data.get("IamInstanceProfile"):
        raise invalid_parameter("The launch template may set neither instance market options nor an instance profile")
    return found


def _machines(context: Context, parameters: Document, template: LaunchTemplate | None) -> tuple[str, list[str]]:
    """The image type and the instance types of the request; the latter are empty where the launch template names one."""
    asked = parameters.get("instanceTypes", [])
    in_template = "" if template is None else template.data.get("InstanceType", "")
    if template is not None:
        if asked and in_template:
            raise invalid_parameter("Instance types cannot be set both on the node group and in the launch template")
        for key in ("diskSize", "remoteAccess"):
            if parameters.get(key):
                raise invalid_parameter(f"{key} must be set in the launch template, where there is one")
        if template.data.get("ImageId") and parameters.get("amiType", "CUSTOM") != "CUSTOM":
            raise invalid_parameter("amiType cannot be set where the launch template names an image")
    types = asked or ([] if in_template else [DEFAULT_INSTANCE_TYPE])
    names = types or [in_template]
    unknown = [name for name in names if name not in moto_state.offered_instance_types(context.region)]
    if unknown:
        raise invalid_parameter(f"The following supplied instance types do not exist: [{', '.join(unknown)}]")
    custom = template is not None and template.data.get("ImageId")
    ami_type = "CUSTOM" if custom else parameters.get("amiType", _default_ami_type(names[0]))
    if ami_type == "CUSTOM" and not custom:
        raise invalid_parameter("amiType CUSTOM needs a launch template that names an image")
    for name in names:
        if not _fits(name, ami_type):
            raise invalid_parameter(f"[{name}] is not a valid instance type for requested amiType {ami_type}")
    return ami_type, types


def _default_ami_type(name: str) -> str:
    machine = moto_state.instance_type(name)
    arm = machine is not None and "arm64" in machine.architectures
    return "AL2023_ARM_64_STANDARD" if arm else DEFAULT_AMI_TYPE


def _fits(name: str, ami_type: str) -> bool:
    machine, needs = moto_state.instance_type(name), image_needs(ami_type)
    if machine is None or needs is None:
        return True
    return needs.architecture in machine.architectures and (machine.gpus > 0 or not needs.gpu)
