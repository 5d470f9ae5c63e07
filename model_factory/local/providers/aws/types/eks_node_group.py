"""EKS managed node groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from model_factory.facts.aws.images import image_needs
from model_factory.facts.machines import machines
from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import TAGS, declare, joined, tagger
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.aws.types.eks import wait_until_healthy, wait_until_updated
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.values import flag, mapping, objects, texts
from model_factory.local.wire import Properties

_EFFECTS: Final = ("NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE")
_API: Final = Api(
    "eks",
    "CreateNodegroup",
    names={
        "nodeGroupName": "nodegroupName",
        "nodeRoleArn": "nodeRole",
        "subnetIds": "subnets",
        "remoteAccess.sourceSecurityGroupIds": "sourceSecurityGroups",
    },
    ours=frozenset({"forceUpdateVersion"}),
)


def _create(call: Call[Aws], inputs: Properties) -> None:
    request = _API.request(call.cloud, inputs)
    call.cloud.call("eks", "CreateNodegroup", **request, clientRequestToken=call.urn_digest)


def _describe(aws: Aws, group_id: str) -> dict[str, Any]:
    cluster, _, name = group_id.partition(":")
    return dict(aws.call("eks", "DescribeNodegroup", clusterName=cluster, nodegroupName=name)["nodegroup"])


def _ready(call: Call[Aws], group_id: str, _inputs: Properties) -> None:
    wait_until_healthy(call, f"EKS node group {group_id}", lambda: _describe(call.cloud, group_id))


def _read(call: Call[Aws], group_id: str, _inputs: Properties) -> Properties | None:
    group = _describe(call.cloud, group_id)
    found = _API.properties(call.cloud, group, "Nodegroup")
    resources = mapping(found, "resources")
    resources = {
        "autoscalingGroups": resources.get("autoScalingGroups", []),
        "remoteAccessSecurityGroupId": resources.get("remoteAccessSecurityGroup") or "",
    }
    return {
        **found,
        "arn": group.get("nodegroupArn"),
        "resources": [resources],
        TAGS: group.get("tags") or {},
    }


def _update(call: Call[Aws], change: Update) -> None:
    aws, new = call.cloud, change.new
    cluster, _, name = change.id.partition(":")
    subject = {"clusterName": cluster, "nodegroupName": name}
    if change.changed("version", "releaseVersion", "launchTemplate") and _version_request(change):
        request = _version_request(change)
        force = flag(new, "forceUpdateVersion")
        _updated(call, change.id, aws.call("eks", "UpdateNodegroupVersion", **subject, **request, force=force))
    request = _API.request(aws, new)
    wanted: dict[str, Any] = {
        key: request[key]
        for key in ("scalingConfig", "updateConfig", "nodeRepairConfig", "warmPoolConfig")
        if key in new and _asks(change, key)
    }
    if change.changed("labels"):
        have, want = mapping(change.old, "labels"), mapping(new, "labels")
        added = {key: value for key, value in want.items() if have.get(key) != value}
        removed = [key for key in have if key not in want]
        wanted["labels"] = _parts(addOrUpdateLabels=added, removeLabels=removed)
    if change.changed("taints"):
        have, want = objects(change.old, "taints"), objects(new, "taints")
        added_taints = [taint for taint in want if taint not in have]
        # A taint whose value alone changes is updated by key and effect, not removed.
        kept = [(taint.get("key"), taint.get("effect")) for taint in want]
        removed_taints = [taint for taint in have if (taint.get("key"), taint.get("effect")) not in kept]
        wanted["taints"] = _parts(addOrUpdateTaints=added_taints, removeTaints=removed_taints)
    wanted = {key: value for key, value in wanted.items() if value}
    if wanted:
        _updated(call, change.id, aws.call("eks", "UpdateNodegroupConfig", **subject, **wanted))


def _parts(**parts: Any) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value}


def _asks(change: Update, key: str) -> bool:
    """Whether a block asks for something else than AWS has; what AWS filled in does not count."""
    have, want = mapping(change.old, key), mapping(change.new, key)
    return any(have.get(name) != value for name, value in want.items())


def _version_request(change: Update) -> dict[str, Any]:
    new = change.new
    request: dict[str, Any] = {
        key: new[key] for key in ("version", "releaseVersion") if key in new and new[key] != change.old.get(key)
    }
    template = mapping(new, "launchTemplate")
    if template and template.get("version") != mapping(change.old, "launchTemplate").get("version"):
        named = "id" if template.get("id") else "name"
        request["launchTemplate"] = {named: template[named], "version": template["version"]}
    return request


def _updated(call: Call[Aws], group_id: str, answer: dict[str, Any]) -> None:
    cluster, _, name = group_id.partition(":")
    wait_until_updated(call, f"EKS node group {group_id}", answer, name=cluster, nodegroupName=name)


def _delete(call: Call[Aws], group_id: str, _state: Properties) -> None:
    cluster, _, name = group_id.partition(":")
    if _describe(call.cloud, group_id)["status"] != "DELETING":
        call.cloud.call("eks", "DeleteNodegroup", clusterName=cluster, nodegroupName=name)


def _check(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    template = mapping(inputs, "launchTemplate")
    if template and (template.get("id") is None) == (template.get("name") is None):
        yield Failure("launchTemplate.id", "give exactly one of id and name")
    if template and "version" not in template:
        yield Failure("launchTemplate.version", "missing; a version number, $Latest or $Default")
    for key in ("diskSize", "remoteAccess"):
        if template and inputs.get(key) is not None:
            yield Failure(key, "given together with launchTemplate; set it in the template")
    scaling = mapping(inputs, "scalingConfig")
    if isinstance(scaling.get("maxSize"), int) and scaling["maxSize"] == 0:
        yield Failure("scalingConfig.maxSize", "0; EKS takes at least 1")
    rolling = mapping(inputs, "updateConfig")
    if rolling.get("maxUnavailable") is not None and rolling.get("maxUnavailablePercentage") is not None:
        yield Failure("updateConfig.maxUnavailable", "given together with maxUnavailablePercentage; give one")
    for index, taint in enumerate(objects(inputs, "taints")):
        effect = taint.get("effect")
        if isinstance(effect, str) and effect not in _EFFECTS:
            yield Failure(f"taints[{index}].effect", f"{effect!r} is not known; one of {', '.join(_EFFECTS)}")


def _check_image(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    """The image is for the machines: of those that no table has, nothing is known."""
    image = inputs.get("amiType")
    needs = image_needs(image) if isinstance(image, str) else None
    if needs is None:
        return
    for index, name in enumerate(texts(inputs, "instanceTypes")):
        machine, path = machines().get(name), f"instanceTypes[{index}]"
        if machine and machine.architecture != needs.architecture:
            yield Failure(
                path,
                f"{name} is {machine.architecture}, amiType {image} is for {needs.architecture}; change one of the two",
            )
        elif machine and needs.gpu and not machine.accelerator:
            yield Failure(path, f"{name} has no GPU, amiType {image} is for GPUs; change one of the two")


def _transition(olds: Properties, news: Properties) -> Iterable[Failure]:
    """https://docs.aws.amazon.com/eks/latest/userguide/update-managed-node-group.html: a group is updated, never taken back."""
    before, after = checks.minor_version(olds), checks.minor_version(news)
    if before is not None and after is not None and after < before:
        yield Failure(
            "version",
            f"1.{after} is older than the nodes' 1.{before}, and groups go up alone; use 1.{before}, or a new group",
        )


TYPES: Final = (
    declare(
        "aws:eks/nodeGroup:NodeGroup",
        api=_API,
        create=_create,
        ready=_ready,
        read=_read,
        update=_update,
        delete=_delete,
        id_of=joined("clusterName", "nodeGroupName"),
        tagger=tagger("eks"),
        transition=_transition,
        check=(
            _check,
            _check_image,
            checks.arn("nodeRoleArn"),
            checks.instance_types("instanceTypes"),
            checks.min_max("scalingConfig", "minSize", "maxSize", "desiredSize"),
        ),
    ),
)
