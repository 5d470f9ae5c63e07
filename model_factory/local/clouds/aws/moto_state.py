"""What moto holds, as typed values."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from typing import Any, Final

from moto.backends import get_backend

from model_factory.local.clouds.aws import nat_gateways
from model_factory.local.clouds.aws.clock import ACCOUNT, PARTITION, take_over_clock


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    vpc_id: str
    zone: str
    network: IPv4Network


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    id: str
    vpc_id: str


@dataclass(frozen=True, slots=True)
class LaunchTemplate:
    id: str
    name: str
    version: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InstanceType:
    name: str
    architectures: tuple[str, ...]
    gpus: int
    vcpus: int
    memory_mib: int
    most_pods: int
    """As many as the VPC CNI has addresses for, without prefixes: github.com/awslabs/amazon-eks-ami, eni-max-pods.txt."""


_loaded: Final[set[str]] = set()


def load(service: str) -> None:
    """Take a service of moto into use: its time is `CLOCK`'s from then on. The first time it may be imported: EC2's
    half a second, others' up to a tenth."""
    if service not in _loaded:
        importlib.import_module(f"moto.{service}.models")
        take_over_clock()
        if service == "ec2":
            nat_gateways.take_over()
        _loaded.add(service)


def _by_account(service: str) -> dict[str, Any]:
    load(service)
    get: Any = get_backend
    return get(service)


def backends(service: str, region: str) -> Any:
    """moto's state of a service in a region; `global` for those without regions."""
    found = _by_account(service)
    return found[ACCOUNT]["aws" if region == "global" else region]


def existing(service: str) -> Iterator[tuple[str, Any]]:
    """Region and state of a service, for the regions that some call has touched."""
    if service not in _loaded:
        return
    found = _by_account(service)
    if ACCOUNT in found:
        yield from list(found[ACCOUNT].items())


def subnet(region: str, subnet_id: str) -> Subnet | None:
    for zone in backends("ec2", region).subnets.values():
        if subnet_id in zone:
            found = zone[subnet_id]
            return Subnet(subnet_id, found.vpc_id, found.availability_zone, IPv4Network(found.cidr_block))
    return None


def vpc_networks(region: str, vpc_id: str) -> list[IPv4Network]:
    vpc = backends("ec2", region).vpcs.get(vpc_id)
    return [] if vpc is None else [IPv4Network(vpc.cidr_block)]


def security_group(region: str, group_id: str) -> SecurityGroup | None:
    found = backends("ec2", region).get_security_group_from_id(group_id)
    return None if found is None else SecurityGroup(found.id, found.vpc_id)


def groups_naming(region: str, group_id: str) -> list[str]:
    """The other security groups with a rule that names this one."""
    groups = backends("ec2", region).groups.values()
    return [
        group.id for by_id in groups for group in by_id.values() if group.id != group_id and group_id in _named(group)
    ]


def _named(group: Any) -> set[str]:
    rules = [*group.ingress_rules, *group.egress_rules]
    return {rule.source_group.get("GroupId", "") for rule in rules}


def create_cluster_security_group(region: str, cluster: str, vpc_id: str, digits: str) -> str:
    """The group that EKS makes for a cluster and its nodes; they reach each other, and everything outside."""
    ec2 = backends("ec2", region)
    name = f"eks-cluster-sg-{cluster}-{digits}"
    group = ec2.create_security_group(
        name,
        "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any "
        "managed workloads.",
        vpc_id=vpc_id,
        tags={"Name": name, f"kubernetes.io/cluster/{cluster}": "owned", "aws:eks:cluster-name": cluster},
    )
    ec2.authorize_security_group_ingress(group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}])
    return group.id


def delete_cluster_security_group(region: str, group_id: str) -> None:
    """Gone, unless another group's rule still names it: then EKS leaves it."""
    ec2 = backends("ec2", region)
    if ec2.get_security_group_from_id(group_id) is not None and not groups_naming(region, group_id):
        ec2.delete_security_group(group_id=group_id)


def launch_template(region: str, *, id_: str | None, name: str | None, version: str | None) -> LaunchTemplate | None:
    """The template at that version; None where there is no such template or no such version."""
    ec2 = backends("ec2", region)
    found = ec2.launch_templates.get(id_ or ec2.launch_template_name_to_ids.get(name))
    if found is None:
        return None
    number = {None: found.default_version_number, "$Default": found.default_version_number}.get(version, version)
    number = found.latest_version_number if number == "$Latest" else number
    if not str(number).isdecimal() or not 1 <= int(number) <= found.latest_version_number:
        return None
    at_version = found.get_version(int(number))
    return LaunchTemplate(found.id, found.name, str(number), at_version.data)


def role_trusts(arn: str) -> list[str] | None:
    """The services that may take the role; None where there is no such role."""
    for role in backends("iam", "global").roles.values():
        if role.arn == arn:
            return _trusted_services(role.assume_role_policy_document)
    return None


def principal_exists(arn: str) -> bool:
    """Whether the ARN is a role or a user of this account, or the account itself."""
    iam = backends("iam", "global")
    principals = {role.arn for role in iam.roles.values()} | {user.arn for user in iam.users.values()}
    return arn in principals or arn == f"arn:{PARTITION}:iam::{ACCOUNT}:root"


def _trusted_services(document: str | None) -> list[str]:
    statements = json.loads(document or "{}").get("Statement", [])
    services: list[str] = []
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        named = principal.get("Service", []) if isinstance(principal, dict) else []
        services += [named] if isinstance(named, str) else named
    return services


def key_state(region: str, arn: str) -> str | None:
    """The state of a KMS key given by ARN or id; None where there is none."""
    kms = backends("kms", region)
    key = kms.keys.get(kms.get_key_id(arn))
    return None if key is None else str(key.key_state)


def _instance_types() -> Any:
    # Half a second of JSON: not before the first call that needs it.
    from moto.ec2.models import instance_types

    return instance_types


def instance_type(name: str) -> InstanceType | None:
    found: Any = _instance_types().INSTANCE_TYPES.get(name)
    if found is None:
        return None
    gpus = sum(gpu.get("Count", 0) for gpu in found.get("GpuInfo", {}).get("Gpus", []))
    network = found["NetworkInfo"]
    interfaces, addresses = network["NetworkCards"][0]["MaximumNetworkInterfaces"], network["Ipv4AddressesPerInterface"]
    return InstanceType(
        name,
        tuple(found["ProcessorInfo"]["SupportedArchitectures"]),
        gpus,
        found["VCpuInfo"]["DefaultVCpus"],
        found["MemoryInfo"]["SizeInMiB"],
        interfaces * (addresses - 1) + 2,
    )


@cache
def offered_instance_types(region: str) -> frozenset[str]:
    offers: Any = _instance_types().INSTANCE_TYPE_OFFERINGS["region"].get(region, [])
    return frozenset(offer["InstanceType"] for offer in offers)
