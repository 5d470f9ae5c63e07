"""The section of Google Cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field

from model_factory.facts.gcp import GCP
from model_factory.facts.gcp.kubernetes import DEFAULT_VERSION, GKE_VERSIONS, GkeChannel, GkeVersion
from model_factory.graph.pools.gke import ZONES_OF_A_REGION
from model_factory.planning.settings.cloud import (
    SYSTEM_SERVICES,
    CloudSettings,
    Endpoints,
    Right,
    Room,
    Told,
    addresses,
    shifted,
)
from model_factory.planning.settings.fields import (
    MANY,
    PROJECT_ID,
    AllowedCidr,
    PrivateCidr,
    ProjectId,
    Text,
    Within,
    sized,
)
from model_factory.planning.settings.problems import show
from model_factory.planning.settings.reading import Finding
from model_factory.planning.settings.yamlfile import KeyPath

# cloud.google.com/vpc/docs/subnets#unusable-ip-addresses-in-every-subnet
_RESERVED_OF_A_SUBNET: Final = 4
# cloud.google.com/kubernetes-engine/docs/how-to/flexible-pod-cidr: a /24 for a node of 110 Pods, the default.
_PODS_OF_A_NODE: Final = 256


class GcpSettings(CloudSettings, frozen=True):
    """One regional GKE cluster in each region of Google Cloud, all in one network."""

    CLOUD = "gcp"
    HOME: ClassVar = {"regions": "gcp:region", "project": "gcp:project"}
    ZONES_LEAST = 1
    RANGES: ClassVar = {
        "subnet_cidr": True,
        "pods_cidr": True,
        "services_cidr": True,
        "control_plane_cidr": True,
    }
    ACCESS = "authorized_cidrs"
    # cloud.google.com/kubernetes-engine/docs/how-to/private-clusters#req_res_lim
    BRIDGE = (True, "GKE takes for no nodes, Pods, Services or control plane")
    MACHINE_TYPE = re.compile(r"^[a-z][a-z0-9]*-[a-z0-9-]+$")
    RESERVATION = (re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"), "models-2026")

    regions: Annotated[tuple[Text, ...], MANY] = ()
    """Regions with a cluster; the first is home. Left out: the one of `gcp:region`."""
    zones: Annotated[tuple[Text, ...], MANY] = ()
    """Zones for GPU nodes. Left out: all that sell the machine."""
    kubernetes_version: GkeVersion = DEFAULT_VERSION
    """Least minor version, in quotes; one that the release channel offers."""
    system_machine_type: Text = GCP.system_machine
    """Machine of the pool that carries everything but models."""
    system_nodes_per_zone: Annotated[int, Within(1, 50)] = Field(1, alias="systemNodes")
    """Nodes of that pool in each zone."""
    project: ProjectId = ""
    """Project that holds everything. Left out: the one of `gcp:project`."""
    subnet_cidr: Annotated[PrivateCidr, sized(16, 24, "every node gets an address")] = "10.64.0.0/20"
    """Nodes of the first region; further regions take the ranges of the same size that follow. So for the next three."""
    pods_cidr: Annotated[PrivateCidr, sized(11, 20, "every node gets a /24 of pods")] = "10.128.0.0/16"
    """Pods."""
    services_cidr: Annotated[PrivateCidr, sized(16, 24, "every Service gets an address")] = "10.96.0.0/20"
    """Services."""
    control_plane_cidr: Annotated[PrivateCidr, sized(28, 28, "GKE takes it for the control plane")] = "172.16.0.0/28"
    """Control plane of a private cluster."""
    release_channel: GkeChannel = "REGULAR"
    """GKE's release channel."""
    authorized_cidrs: Annotated[tuple[AllowedCidr, ...], MANY] = ()
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

    @property
    def system_nodes(self) -> int:
        return self.system_nodes_per_zone * ZONES_OF_A_REGION

    def rooms(self) -> Iterator[Room]:
        yield Room("subnet_cidr", "nodes", addresses(self.subnet_cidr) - _RESERVED_OF_A_SUBNET, "each takes an address")
        yield Room("pods_cidr", "nodes", addresses(self.pods_cidr) // _PODS_OF_A_NODE, "each takes a /24 of it")
        yield Room("services_cidr", "models", addresses(self.services_cidr) - SYSTEM_SERVICES, "each has a Service")

    @classmethod
    def read_endpoints(cls, config: Mapping[str, object]) -> Endpoints:
        return {
            key.removeprefix("gcp:"): ((key,), str(url))
            for key, url in config.items()
            if key.startswith("gcp:") and key.endswith("CustomEndpoint")
        }

    @classmethod
    def endpoint_place(cls) -> KeyPath:
        return (cls.key(),)

    def rules(self, right: Right, told: Told) -> Iterator[Finding]:
        yield from super().rules(right, told)
        if right("project"):
            yield from self._project(told("gcp:project"))
        version, channel = self.kubernetes_version, self.release_channel
        if right("release_channel", "kubernetes_version") and version not in GKE_VERSIONS[channel]:
            offered = ", ".join(GKE_VERSIONS[channel])
            having = ", ".join(name for name, versions in GKE_VERSIONS.items() if version in versions)
            yield (
                (self.key(), "kubernetesVersion"),
                f"{version} is not in release channel {channel}, which has {offered}; write one of these, or a channel of {having}",
            )

    def _project(self, told: str) -> Iterator[Finding]:
        if not self.project:
            yield (self.key(),), "no project is set; add gcp:project"
        elif told and told != self.project:
            yield (
                (self.key(), "project"),
                f"{show(self.project)} is not gcp:project {show(told)}; keep only gcp:project",
            )
        elif not re.fullmatch(PROJECT_ID, self.project):
            yield (
                ("gcp:project",),
                f"{show(self.project)} is not a Google Cloud project id: 6 to 30 of a-z, 0-9 and -, from a letter on",
            )
