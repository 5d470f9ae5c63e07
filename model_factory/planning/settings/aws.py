"""The section of AWS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Final, cast

from pydantic import AfterValidator, Field

from model_factory.facts.aws import AWS
from model_factory.facts.aws.kubernetes import DEFAULT_VERSION, EksVersion
from model_factory.facts.aws.logs import RETENTION_DAYS
from model_factory.planning.settings.cloud import SYSTEM_SERVICES, CloudSettings, Endpoints, Room, addresses, shifted
from model_factory.planning.settings.fields import (
    MANY,
    AllowedCidr,
    Among,
    PrivateCidr,
    Text,
    Within,
    public,
    refuse,
    sized,
)
from model_factory.planning.settings.problems import nearest
from model_factory.planning.settings.provider_keys import aws_endpoints
from model_factory.planning.settings.reading import Finding, decoded
from model_factory.planning.settings.yamlfile import KeyPath

_ENDPOINTS = "aws:endpoints"
# docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
_RESERVED_OF_A_SUBNET: Final = 5
# github.com/aws/amazon-vpc-cni-k8s/blob/master/docs/eni-and-ip-target.md: a node keeps one interface full of addresses beside the one in use.
# Machines with GPUs and those of systems have 10 on each or more (docs.aws.amazon.com/AWSEC2/latest/UserGuide/AvailableIpPerENI.html).
_ADDRESSES_OF_A_NODE: Final = 20
# docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
_SERVICE_HOMES: Final = tuple(ipaddress.IPv4Network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def _service_cidr(value: str) -> str:
    if not any(ipaddress.IPv4Network(value).subnet_of(home) for home in _SERVICE_HOMES):
        raise refuse(
            "cidr", f"{value} is none that EKS takes for Services; take it from {', '.join(map(str, _SERVICE_HOMES))}"
        )
    return value


class AwsSettings(CloudSettings, frozen=True):
    """One EKS cluster in each region of AWS, each in a network of its own."""

    CLOUD = "aws"
    HOME: ClassVar = {"regions": "aws:region"}
    ZONES_LEAST = 3
    RANGES: ClassVar = {"vpc_cidr": True, "service_cidr": False}
    ACCESS = "endpoint_public_access_cidrs"
    # docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html: not refused, "don't use this range".
    BRIDGE = (False, "some services of AWS use themselves, and AWS advises against for a network")
    # docs.aws.amazon.com/eks/latest/userguide/access-entries.html
    ENTRY = (
        "EKS lets in who makes the cluster, and nobody else",
        "run `up` as a role that all who operate it may take, or add access entries (aws eks create-access-entry)",
    )
    MACHINE_TYPE = re.compile(r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")
    RESERVATION = (re.compile(r"^cr-[0-9a-f]{8,17}$"), "cr-0123456789abcdef0")

    regions: Annotated[tuple[Text, ...], MANY] = ()
    """Regions with a cluster; the first is home. Left out: the one of `aws:region`."""
    zones: Annotated[tuple[Text, ...], MANY] = ()
    """Availability zones to use, three a region. Left out: the first three that the region offers."""
    kubernetes_version: EksVersion = DEFAULT_VERSION
    """Minor version of EKS, in quotes."""
    system_machine_type: Text = AWS.system_machine
    """Machine of the node group that carries everything but models."""
    system_nodes_total: Annotated[int, Within(1, 50)] = Field(2, alias="systemNodes")
    """Nodes of that group."""
    vpc_cidr: Annotated[PrivateCidr, sized(16, 20, "each of three zones gets a public and a private subnet")] = (
        "10.0.0.0/16"
    )
    """Range of the first region's network; further regions take the ranges of the same size that follow it."""
    service_cidr: Annotated[
        PrivateCidr, AfterValidator(_service_cidr), sized(12, 24, "every Service gets an address")
    ] = "172.20.0.0/16"
    """Range of Kubernetes Services, inside the clusters only."""
    endpoint_public_access_cidrs: Annotated[
        tuple[Annotated[AllowedCidr, AfterValidator(public)], ...], Field(max_length=40)
    ] = ()
    """Ranges that may reach the control plane from outside, 40 at most. Empty: it can be reached from the network only."""
    log_retention_days: Annotated[int, Among(RETENTION_DAYS)] = 90
    """How long CloudWatch keeps the logs of control planes and networks."""

    def vpc_cidr_of(self, region: str) -> str:
        """The range of `region`'s network."""
        return shifted(self.vpc_cidr, self.regions.index(region))

    @property
    def system_nodes(self) -> int:
        return self.system_nodes_total

    def rooms(self) -> Iterator[Room]:
        private = self.ZONES_LEAST * (addresses(self.vpc_cidr) // 4 - _RESERVED_OF_A_SUBNET)
        yield Room(
            "vpc_cidr", "nodes", private // _ADDRESSES_OF_A_NODE, f"each takes {_ADDRESSES_OF_A_NODE} addresses or more"
        )
        yield Room("service_cidr", "models", addresses(self.service_cidr) - SYSTEM_SERVICES, "each has a Service")

    @classmethod
    def read_endpoints(cls, config: Mapping[str, object]) -> Endpoints:
        """By service; the last one wins, as in the provider."""
        return {
            service: ((_ENDPOINTS, index, service), str(url))
            for index, group in enumerate(_groups(config))
            if isinstance(group, Mapping)
            for service, url in cast("Mapping[str, object]", group).items()
        }

    @classmethod
    def endpoint_place(cls) -> KeyPath:
        return (_ENDPOINTS,)

    @classmethod
    def provider_shapes(cls, config: Mapping[str, object]) -> Iterator[Finding]:
        yield from super().provider_shapes(config)
        groups = _groups(config)
        if len(groups) > 1:
            yield (_ENDPOINTS, 1), "is a second mapping of endpoints; write all services below the first -"
        named = cast("Mapping[str, object]", groups[0]) if groups and isinstance(groups[0], Mapping) else {}
        for service in named:
            if service not in aws_endpoints():
                remedy = f"write {close}" if (close := nearest(service, aws_endpoints())) else "remove it"
                yield (_ENDPOINTS, 0, service), f"the aws provider has no endpoint of such a service; {remedy}"
        if not all(isinstance(group, Mapping) for group in groups):
            yield (
                (_ENDPOINTS,),
                "is not a list of mappings; write - ec2: http://127.0.0.1:<port>, and the other services below it",
            )


def _groups(config: Mapping[str, object]) -> Sequence[object]:
    """The list of the endpoints' mappings; one thing that is no mapping where it is no list."""
    listed = decoded(config.get(_ENDPOINTS, []))
    return cast("Sequence[object]", listed) if isinstance(listed, list) else [None]
