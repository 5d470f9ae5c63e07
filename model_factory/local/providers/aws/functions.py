"""The functions (invokes) that the program uses."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from model_factory.local.providers.aws.session import Aws, partition_data
from model_factory.local.providers.base import Function
from model_factory.local.providers.errors import ProviderError
from model_factory.local.providers.values import flag, objects, text, texts
from model_factory.local.wire import Properties, Value


def availability_zones(aws: Aws, arguments: Properties) -> Properties:
    """The zones of a region, sorted by name."""
    filters = [{"Name": text(item, "name"), "Values": texts(item, "values")} for item in objects(arguments, "filters")]
    state = text(arguments, "state")
    if state:
        filters.append({"Name": "state", "Values": [state]})
    found = aws.call(
        "ec2",
        "DescribeAvailabilityZones",
        Filters=filters,
        AllAvailabilityZones=flag(arguments, "allAvailabilityZones"),
    )["AvailabilityZones"]
    names, ids = texts(arguments, "excludeNames"), texts(arguments, "excludeZoneIds")
    kept = [zone for zone in found if zone["ZoneName"] not in names and zone.get("ZoneId") not in ids]
    kept.sort(key=lambda zone: zone["ZoneName"])
    groups: list[Value] = [*sorted({str(zone.get("GroupName") or aws.region) for zone in kept})]
    return {
        **arguments,
        "id": aws.region,
        "region": aws.region,
        "names": [zone["ZoneName"] for zone in kept],
        "zoneIds": [zone.get("ZoneId", "") for zone in kept],
        "groupNames": groups,
    }


def caller_identity(aws: Aws, _arguments: Properties) -> Properties:
    """Account and user of the credentials."""
    found = aws.call("sts", "GetCallerIdentity")
    return {
        "id": found["Account"],
        "accountId": found["Account"],
        "arn": found["Arn"],
        "userId": found["UserId"],
    }


def partition(aws: Aws, _arguments: Properties) -> Properties:
    """The partition that the region belongs to."""
    suffix = partition_data(aws.partition)["dnsSuffix"]
    reverse = ".".join(reversed(suffix.split(".")))
    return {"id": aws.partition, "partition": aws.partition, "dnsSuffix": suffix, "reverseDnsPrefix": reverse}


def addon_version(aws: Aws, arguments: Properties) -> Properties:
    """The version of an EKS add-on for a Kubernetes version: the default one, or the newest."""
    name, kubernetes = text(arguments, "addonName"), text(arguments, "kubernetesVersion")
    addons = aws.all("eks", "DescribeAddonVersions", "addons", addonName=name, kubernetesVersion=kubernetes)
    versions = [each for addon in addons for each in addon["addonVersions"]]
    newest = flag(arguments, "mostRecent")
    for each in versions:
        if newest or any(fit.get("defaultVersion") for fit in each["compatibilities"]):
            return {**arguments, "id": name, "version": each["addonVersion"]}
    raise ProviderError(
        f"EKS has no add-on {name} for Kubernetes {kubernetes}; name an add-on and a version that it offers"
    )


def clusters(aws: Aws, arguments: Properties) -> Properties:
    """The names of a region's EKS clusters."""
    return {**arguments, "id": aws.region, "region": aws.region, "names": aws.all("eks", "ListClusters", "clusters")}


def node_groups(aws: Aws, arguments: Properties) -> Properties:
    """The names of an EKS cluster's node groups."""
    cluster = text(arguments, "clusterName")
    names = aws.all("eks", "ListNodegroups", "nodegroups", clusterName=cluster)
    return {**arguments, "id": cluster, "region": aws.region, "names": names}


def node_group(aws: Aws, arguments: Properties) -> Properties:
    """An EKS node group, as far as the program reads it: its machines and its size."""
    cluster, name = text(arguments, "clusterName"), text(arguments, "nodeGroupName")
    found = aws.call("eks", "DescribeNodegroup", clusterName=cluster, nodegroupName=name)["nodegroup"]
    return {
        **arguments,
        "id": f"{cluster}:{name}",
        "instanceTypes": found.get("instanceTypes", []),
        "scalingConfigs": [found["scalingConfig"]],
    }


def region(aws: Aws, arguments: Properties) -> Properties:
    """The provider's region, or the one that is asked for."""
    name = text(arguments, "region") or text(arguments, "name") or aws.region
    return {
        "id": name,
        "name": name,
        "region": name,
        "description": partition_data(aws.partition)["regions"].get(name, {}).get("description", name),
        "endpoint": f"ec2.{name}.amazonaws.com",
    }


def policy_document(_aws: Aws, arguments: Properties) -> Properties:
    """An IAM policy document from blocks, in the text form that pulumi-aws gives it. Merging documents is not done."""
    merged = ("sourceJson", "overrideJson", "sourcePolicyDocuments", "overridePolicyDocuments")
    given = [key for key in merged if arguments.get(key)]
    if given:
        raise ProviderError(f"getPolicyDocument: {', '.join(given)} is not done by the local provider; give statements")
    version = text(arguments, "version", "2012-10-17")
    document: dict[str, Any] = {"Version": version}
    if text(arguments, "policyId"):
        document["Id"] = text(arguments, "policyId")
    document["Statement"] = [_statement(block) for block in objects(arguments, "statements")]
    written = json.dumps(document, indent=2, ensure_ascii=False)
    return {
        **arguments,
        "version": version,
        "id": str(zlib.crc32(written.encode())),
        "json": written,
        "minifiedJson": json.dumps(document, separators=(",", ":"), ensure_ascii=False),
    }


def _statement(block: Properties) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": text(block, "sid")} if text(block, "sid") else {}
    statement["Effect"] = text(block, "effect", "Allow")
    for key, name in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if texts(block, key):
            statement[name] = _one_or_many(texts(block, key))
    for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if objects(block, key):
            statement[name] = _principals(objects(block, key))
    conditions: dict[str, dict[str, Any]] = {}
    for condition in objects(block, "conditions"):
        test = conditions.setdefault(text(condition, "test"), {})
        test[text(condition, "variable")] = _one_or_many(texts(condition, "values"))
    return {**statement, "Condition": conditions} if conditions else statement


def _principals(blocks: list[Properties]) -> Any:
    found: dict[str, list[str]] = {}
    for block in blocks:
        found.setdefault(text(block, "type"), []).extend(texts(block, "identifiers"))
    if found == {"*": ["*"]}:
        return "*"
    return {kind: _one_or_many(identifiers) for kind, identifiers in found.items()}


def _one_or_many(values: list[str]) -> Value:
    if len(values) == 1:
        return values[0]
    ordered: list[Value] = [*sorted(values, reverse=True)]
    return ordered


FUNCTIONS: Final[Mapping[str, Function[Aws]]] = {
    "aws:eks/getAddonVersion:getAddonVersion": addon_version,
    "aws:eks/getClusters:getClusters": clusters,
    "aws:eks/getNodeGroup:getNodeGroup": node_group,
    "aws:eks/getNodeGroups:getNodeGroups": node_groups,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getPartition:getPartition": partition,
    "aws:index/getRegion:getRegion": region,
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document,
}
