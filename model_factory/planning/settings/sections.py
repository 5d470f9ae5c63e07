"""The validated values of a stack: what `model_factory.planning.settings.load` returns, and all that the rest of the program knows of the stack file.

Everything here is frozen. Units stand in names. In the stack file the same names are written in camelCase (`gpu_memory_gib` is
`gpuMemoryGib`); a model's name is its key under `model-factory:models`. Every default of the stack stands here and nowhere else.
What these classes do not check, because it takes two keys or a look at the offers, `model_factory.planning.settings.rules` does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from model_factory.facts.aws.kubernetes import EksVersion
from model_factory.facts.aws.logs import RETENTION_DAYS
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.gcp.kubernetes import GkeChannel, GkeVersion
from model_factory.planning.settings.fields import (
    AllowedCidr,
    Among,
    Amount,
    AmountOrNone,
    Cpu,
    Flag,
    Image,
    PrivateCidr,
    ProjectId,
    Text,
    Within,
    sized,
)
from model_factory.planning.settings.problems import Problem

Environment = Literal["dev", "staging", "prod"]


class Value(BaseModel):
    """Base of the values read from a stack file: frozen, camelCase outside, no key unknown."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class AwsSettings(Value):
    """One EKS cluster in each region of AWS, each in a network of its own."""

    regions: tuple[Text, ...] = ()
    """Regions with a cluster; the first is home. Left out: the one of `aws:region`."""
    zones: tuple[Text, ...] = ()
    """Availability zones to use, three a region. Left out: the first three that the region offers."""
    vpc_cidr: Annotated[
        PrivateCidr, sized(16, 20, "each of three zones gets a public and a private subnet")
    ] = "10.0.0.0/16"
    """Range of the first region's network; further regions take the ranges of the same size that follow it."""
    service_cidr: Annotated[PrivateCidr, sized(12, 24, "every Service gets an address")] = "172.20.0.0/16"
    """Range of Kubernetes Services, inside the clusters only."""
    kubernetes_version: EksVersion = "1.35"
    """Minor version of EKS, in quotes."""
    system_machine_type: Text = "m7i.large"
    """Machine of the node group that carries everything but models."""
    system_nodes: Annotated[int, Within(1, 50)] = 2
    """Nodes of that group."""
    endpoint_public_access_cidrs: tuple[AllowedCidr, ...] = ()
    """Ranges that may reach the control plane from outside. Empty: it can be reached from the network only."""
    log_retention_days: Annotated[int, Among(RETENTION_DAYS)] = 90
    """How long CloudWatch keeps the logs of control planes and networks."""

    def vpc_cidr_of(self, region: str) -> str:
        """The range of `region`'s network."""
        return shifted(self.vpc_cidr, self.regions.index(region))

    def zones_of(self, region: str) -> tuple[str, ...]:
        """The zones chosen for `region`; empty means that the region decides."""
        return tuple(zone for zone in self.zones if CLOUDS["aws"].region_of(zone) == region)


class GcpSettings(Value):
    """One regional GKE cluster in each region of Google Cloud, all in one network."""

    project: ProjectId = ""
    """Project that holds everything. Left out: the one of `gcp:project`."""
    regions: tuple[Text, ...] = ()
    """Regions with a cluster; the first is home. Left out: the one of `gcp:region`."""
    zones: tuple[Text, ...] = ()
    """Zones for GPU nodes. Left out: all that sell the machine."""
    subnet_cidr: Annotated[PrivateCidr, sized(16, 24, "every node gets an address")] = "10.64.0.0/20"
    """Nodes of the first region; further regions take the ranges of the same size that follow. So for the next three."""
    pods_cidr: Annotated[PrivateCidr, sized(11, 20, "every node gets a /24 of pods")] = "10.128.0.0/16"
    """Pods."""
    services_cidr: Annotated[PrivateCidr, sized(16, 24, "every Service gets an address")] = "10.96.0.0/20"
    """Services."""
    control_plane_cidr: Annotated[PrivateCidr, sized(28, 28, "GKE takes it for the control plane")] = (
        "172.16.0.0/28"
    )
    """Control plane of a private cluster."""
    release_channel: GkeChannel = "REGULAR"
    """GKE's release channel."""
    kubernetes_version: GkeVersion = "1.35"
    """Least minor version, in quotes; one that the release channel offers."""
    system_machine_type: Text = "e2-standard-4"
    """Machine of the pool that carries everything but models."""
    system_nodes: Annotated[int, Within(1, 50)] = 1
    """Nodes of that pool in each zone."""
    authorized_cidrs: tuple[AllowedCidr, ...] = ()
    """Ranges that may reach the control plane from outside. Empty: it can be reached from the network only."""

    def subnet_cidr_of(self, region: str) -> str:
        """The nodes' range in `region`."""
        return shifted(self.subnet_cidr, self.regions.index(region))

    def pods_cidr_of(self, region: str) -> str:
        """The pods' range in `region`."""
        return shifted(self.pods_cidr, self.regions.index(region))

    def services_cidr_of(self, region: str) -> str:
        """The Services' range in `region`."""
        return shifted(self.services_cidr, self.regions.index(region))

    def control_plane_cidr_of(self, region: str) -> str:
        """The control plane's range in `region`."""
        return shifted(self.control_plane_cidr, self.regions.index(region))

    def zones_of(self, region: str) -> tuple[str, ...]:
        """The zones chosen for `region`; empty means all that sell the machine."""
        return tuple(zone for zone in self.zones if CLOUDS["gcp"].region_of(zone) == region)


class Replicas(Value):
    """How many copies of a model run."""

    min: Annotated[int, Within(1, 1000, "nothing here wakes a model that has no replica")]
    """Copies kept at any time."""
    max: Annotated[int, Within(1, 1000)]
    """Copies at peak traffic; it bounds what the model can cost."""


class Weights(Value):
    """Where a model's weights come from."""

    uri: Text
    """Their place, as `bucket://path` (the stack's own bucket of that cloud) or `hf://owner/model`."""
    revision: Text | None = None
    """A version that never changes: a commit for `hf://` (required there), an object version or folder in a bucket."""

    @property
    def scheme(self) -> str:
        """What names the route: `hf` of `hf://owner/model`."""
        return self.uri.partition("://")[0]

    @property
    def path(self) -> str:
        """The place on that route: `owner/model`."""
        return self.uri.partition("://")[2]


class ModelConfig(Value):
    """What a model is and needs, as the stack file says it."""

    runtime: Text
    """The server that runs the model."""
    image: Image
    """The server's container image, pinned: `name@sha256:…`, with or without a tag before the @."""
    weights: Weights
    """The weights it loads."""
    gpu_memory_gib: Amount
    """Accelerator memory that one replica needs, over all its GPUs together."""
    gpus_per_replica: Annotated[int, Within(1, 16)] = 1
    """GPUs of one replica, all in one machine."""
    cpu: Cpu = "2"
    """CPU that one replica asks for, as Kubernetes writes it: 4, "500m"."""
    memory_gib: Amount = Decimal(8)
    """Main memory of one replica."""
    p95_latency_ms: Amount
    """Target: 95 of 100 requests are answered within it."""
    requests_per_second: Amount
    """Peak traffic over all replicas; the autoscaler aims at requests_per_second / replicas.max a replica."""
    replicas: Replicas
    """Bounds of the autoscaler."""
    clouds: tuple[Cloud, ...] = ()
    """Clouds where it may run. Left out: all of the stack's."""
    regions: tuple[Text, ...] = ()
    """Regions where it may run. Left out: all of its clouds' regions."""
    spot: Flag = False
    """May it run on machines that the cloud can take back at short notice?"""
    accelerators: tuple[Text, ...] = ()
    """Accelerators it may run on, as l4 or a100-80gb. Left out: any with enough memory."""
    machine_types: tuple[Text, ...] = ()
    """Machine types it may run on. Left out: any that fits."""
    args: tuple[Text, ...] = ()
    """Arguments added to the server's command line."""

    @property
    def replicas_min(self) -> int:
        """Copies kept at any time."""
        return self.replicas.min

    @property
    def replicas_max(self) -> int:
        """Copies at peak traffic."""
        return self.replicas.max

    @property
    def weights_uri(self) -> str:
        """Where the weights are."""
        return self.weights.uri

    @property
    def revision(self) -> str | None:
        """The weights' fixed version."""
        return self.weights.revision


class ModelSettings(ModelConfig):
    """A model of the catalogue with its name: a DNS label of at most 40 characters."""

    name: str


class LocalSettings(Value):
    """What only a stack on local clouds has."""

    render_to: Text = ".factory/clouds/kubernetes"
    """Folder that gets each cluster's objects as YAML, one folder a cluster; relative to the project."""
    transition_seconds: AmountOrNone = Decimal("0.3")
    """How long the local clouds' resources stay in states such as CREATING; real, so that waiting is, and short."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A stack's whole, valid input. At least one cloud is set; every model names only clouds and regions that are.

    `local` is set exactly on stacks whose providers all talk to loopback. `warnings` are worth showing and stop nothing.
    """

    project: str
    stack: str
    environment: Environment
    aws: AwsSettings | None
    gcp: GcpSettings | None
    models: tuple[ModelSettings, ...]
    labels: Mapping[str, str]
    local: LocalSettings | None
    warnings: tuple[Problem, ...] = field(default=(), compare=False)

    @property
    def is_local(self) -> bool:
        """Do all providers talk to clouds on loopback?"""
        return self.local is not None

    @property
    def clouds(self) -> tuple[Cloud, ...]:
        """The clouds in use, sorted."""
        configured: dict[Cloud, object] = {"aws": self.aws, "gcp": self.gcp}
        return tuple(cloud for cloud, there in configured.items() if there is not None)

    def regions_of(self, cloud: Cloud) -> tuple[str, ...]:
        """The regions with a cluster in `cloud`; none when the cloud is not used."""
        there = self.aws if cloud == "aws" else self.gcp
        return there.regions if there is not None else ()

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones chosen, of all clouds and regions; a region none of whose zones is here has no choice made."""
        return tuple(zone for there in (self.aws, self.gcp) if there is not None for zone in there.zones)


def shifted(cidr: str, steps: int) -> str:
    """The range of the same size `steps` after `cidr`: 10.0.0.0/16, 2 → 10.2.0.0/16. ValueError past the end of IPv4."""
    network = ipaddress.IPv4Network(cidr)
    return str(
        ipaddress.IPv4Network(
            (int(network.network_address) + steps * network.num_addresses, network.prefixlen)
        )
    )
