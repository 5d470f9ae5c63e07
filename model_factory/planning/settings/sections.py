"""The validated values of a stack: what `model_factory.planning.settings.load` returns, and all that the rest of the program knows of the stack file.

Everything here is frozen. Units stand in names. In the stack file the same names are written in camelCase (`gpu_memory_gib` is
`gpuMemoryGib`); a model's name is its key under `model-factory:models`. The sections of clouds have files of their own. Every default of
the stack stands in these classes and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field

from model_factory.facts.clouds import Cloud
from model_factory.facts.machines import Architecture
from model_factory.facts.offer import CapacityType
from model_factory.planning.settings.aws import AwsSettings
from model_factory.planning.settings.cloud import CloudSettings, Reservation, Value
from model_factory.planning.settings.clusters import Clusters, Kubernetes, RenderedClusters
from model_factory.planning.settings.fields import (
    LABELS,
    MANY,
    WHOLE_GPUS,
    Argument,
    Between,
    Cpu,
    Flag,
    Image,
    LabelKey,
    LabelValue,
    Revision,
    Text,
    Within,
)
from model_factory.planning.settings.gcp import GcpSettings
from model_factory.planning.settings.problems import Problem
from model_factory.planning.settings.rules import Rules
from model_factory.planning.settings.serving import Footprint, Hardware
from model_factory.planning.settings.stackfile import StackFile

C = TypeVar("C", bound=CloudSettings)

MODELS: Final = "model-factory:models"
MODELS_MAX: Final = 1_000
"""Of one stack: more take minutes to place over all regions."""
REPLICAS_MAX: Final = 1000
"""Of one model at one site, and of what replicas says of all."""
Environment = Literal["dev", "staging", "prod"]


class Replicas(Value, frozen=True):
    """How many copies of a model run."""

    min: Annotated[int, Within(1, REPLICAS_MAX, "nothing here wakes a model that has no replica")]
    """Copies kept at any time."""
    max: Annotated[int, Within(1, REPLICAS_MAX)]
    """Copies at peak traffic; it bounds what the model can cost."""


def summed(sites: Mapping[str, Replicas]) -> Replicas:
    """The replicas over all sites; none without a site."""
    each = sites.values()
    return Replicas.model_construct(min=sum(site.min for site in each), max=sum(site.max for site in each))


class Spread(Value, frozen=True):
    """In how many places a model runs at once; the planner chooses them. One of the two keys."""

    regions: Annotated[int, Within(2, 20, "a model without spread runs in one")] | None = None
    """Regions, in whatever clouds."""
    clouds: Annotated[int, Within(2, 20, "a model without spread runs in one")] | None = None
    """Clouds, a region in each."""


class Weights(Value, frozen=True):
    """Where a model's weights come from."""

    uri: Text
    """Their place, as `bucket://path` (the stack's own bucket of that cloud) or `hf://owner/model`."""
    revision: Revision | None = None
    """A version that never changes: a commit for `hf://` (required there), an object version or folder in a bucket."""
    size_gib: Annotated[Decimal, Between("0.01", "4000")] | None = None
    """Their size: disks of nodes hold them where they are fetched, and what mounts them is sized by it. Left out: gpuMemoryGib, without GPUs memoryGib."""

    @property
    def scheme(self) -> str:
        """What names the route: `hf` of `hf://owner/model`."""
        return self.uri.partition("://")[0]

    @property
    def path(self) -> str:
        """The place on that route: `owner/model`."""
        return self.uri.partition("://")[2]


class ModelConfig(Value, frozen=True):
    """What a model is and needs, as the stack file says it."""

    runtime: Text
    """The server that runs the model."""
    image: Image
    """The server's container image, pinned: `name@sha256:…`, with or without a tag before the @."""
    weights: Weights
    """The weights it loads."""
    gpu_memory_gib: Annotated[Decimal, Between("0.01", "20000")] = Decimal(0)
    """Accelerator memory that one replica needs, over all its GPUs together. Every model with GPUs says it, and none without."""
    gpus_per_replica: Annotated[int, Within(0, 16), WHOLE_GPUS] = 1
    """GPUs of one replica, all in one machine. 0: it runs on machines without, and cpu and memoryGib decide which."""
    cpu: Cpu = "2"
    """CPU that one replica asks for, as Kubernetes writes it: 4, "500m"."""
    memory_gib: Annotated[Decimal, Between("0.01", "100000")] = Decimal(8)
    """Main memory of one replica."""
    p95_latency_ms: Annotated[Decimal, Between("0.1", "3600000")] | None = None
    """Target: 95 of 100 requests are answered within it. It is drawn in diagrams, and decides nothing yet."""
    requests_per_second: Annotated[Decimal, Between("0.001", "10000000")]
    """Peak traffic over all replicas; the autoscaler aims at this / replicas.max for each replica."""
    sites: Annotated[Mapping[Text, Replicas], MANY] = {}
    """Where it runs at once, as aws/us-east-1, with the bounds of each place. Left out: in one place, which the planner chooses."""
    replicas: Replicas = Field(default_factory=lambda fields: summed(fields["sites"]))
    """Bounds of the autoscaler, over all places. May be left out where sites has them by place."""
    spread: Spread | None = None
    """The same by number: {regions: 2} or {clouds: 2}."""
    clouds: Annotated[tuple[Cloud, ...], MANY] = ()
    """Clouds where it may run. Left out: all of the stack's."""
    regions: Annotated[tuple[Text, ...], MANY] = ()
    """Regions where it may run. Left out: all of its clouds' regions."""
    spot: Flag = False
    """May it run on machines that the cloud can take back at short notice? The same as capacity: [spot, on-demand]."""
    capacity: Annotated[tuple[CapacityType, ...], MANY] = ()
    """How its machines are bought, the preferred kind first; the next is taken when one is used up. Left out: on-demand."""
    accelerators: Annotated[tuple[Text, ...], MANY] = ()
    """Accelerators it may run on, as l4 or a100-80gb. Left out: any with enough memory."""
    machine_types: Annotated[tuple[Text, ...], MANY] = ()
    """Machine types it may run on. Left out: any that fits."""
    architecture: Architecture = "x86_64"
    """The processors that its image is built for; other than x86_64 only without GPUs."""
    cpu_features: Annotated[tuple[Text, ...], MANY] = ()
    """What the processors must have, as amx; only without GPUs. Left out: nothing."""
    args: Annotated[tuple[Argument, ...], MANY] = ()
    """Arguments added to the server's command line."""
    labels: Annotated[Mapping[LabelKey, LabelValue], LABELS] = {}
    """Labels and tags on what belongs to this model, besides the stack's; residency rules read them."""

    @property
    def weights_gib(self) -> Decimal:
        """The size of its weights; where that is not said, the memory which has to hold them, that of the accelerators if it has some."""
        return self.weights.size_gib or self.gpu_memory_gib or self.memory_gib

    @property
    def ladder(self) -> tuple[CapacityType, ...]:
        """The kinds of capacity that it asks for, the preferred one first."""
        return self.capacity or (("spot", "on-demand") if self.spot else ("on-demand",))


class ModelSettings(ModelConfig, frozen=True):
    """A model of the catalogue with its name (a DNS label of at most 40 characters), and with what its keys leave to others filled in:
    clouds, the hardware that its server needs, and what a replica takes of its node besides."""

    name: str
    hardware: Hardware = Hardware()
    footprint: Footprint = Footprint()


class LocalSettings(Value, frozen=True):
    """What only a stack on local clouds has."""

    render_to: Text = ".factory/clouds/kubernetes"
    """Folder that gets each cluster's objects as YAML, one folder a cluster; relative to the project."""
    kubernetes: Kubernetes = Field(default_factory=RenderedClusters)
    """Where objects go: `files` (the folder of renderTo), `lab` (control planes on this machine), or clusters of one's own by their contexts
    in the kubeconfig, one a site: {aws/us-east-1: kind-dev}."""
    transition_seconds: Annotated[Decimal, Between("0", "3600")] = Decimal("0.3")
    """How long the local clouds' resources stay in states such as CREATING; real, so that waiting is, and short."""
    fetcher: Image | None = None
    """Image that copies a model's weights from the local clouds' buckets before its server starts, pinned: for clusters that run no driver
    to mount buckets. Without a registry before it, it lies in each model's own repository. Left out: buckets are mounted, as on the clouds."""
    clouds_host: Text = "local-clouds.kube-system.svc"
    """The name by which Pods reach the local clouds, each at the port of its endpoints."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A stack's whole, valid input. At least one cloud is set; every model names only clouds and regions that are.

    `local` is set exactly on stacks whose providers all talk to loopback. `warnings` are worth showing and stop nothing.
    """

    project: str
    stack: str
    environment: Environment
    sections: Mapping[Cloud, CloudSettings]
    """The section of each cloud in use, sorted by cloud."""
    models: tuple[ModelSettings, ...]
    labels: Mapping[str, str]
    local: LocalSettings | None
    ports: Mapping[Cloud, int] = field(default_factory=dict[Cloud, int])
    """The ports of the clouds on loopback."""
    rules: Rules = field(default_factory=Rules)
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    where: StackFile = field(default=StackFile(), compare=False, repr=False)
    """The file, for problems that are found later; an empty one where settings came without."""

    @property
    def is_local(self) -> bool:
        """Do all providers talk to clouds on loopback?"""
        return self.local is not None

    @property
    def clusters(self) -> Clusters:
        """Where Kubernetes objects go."""
        return Clusters() if self.local is None else self.local.kubernetes

    @property
    def rendered_to(self) -> str | None:
        """The folder of rendered objects, relative to the project; None where clusters take them."""
        return None if self.local is None else self.clusters.folder(self.local.render_to)

    @property
    def aws(self) -> AwsSettings | None:
        """The section of AWS, if it is in use."""
        return self.section(AwsSettings)

    @property
    def gcp(self) -> GcpSettings | None:
        """The section of Google Cloud, if it is in use."""
        return self.section(GcpSettings)

    @property
    def clouds(self) -> tuple[Cloud, ...]:
        """The clouds in use, sorted."""
        return tuple(self.sections)

    def regions_of(self, cloud: Cloud) -> tuple[str, ...]:
        """The regions with a cluster in `cloud`; none when the cloud is not used."""
        section = self.sections.get(cloud)
        return section.regions if section is not None else ()

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones chosen, of all clouds and regions; a region none of whose zones is here has no choice made."""
        return tuple(zone for section in self.sections.values() for zone in section.zones)

    def reservations_in(self, cloud: Cloud, region: str) -> tuple[Reservation, ...]:
        """The machines that are reserved in one region."""
        return self.sections[cloud].reservations_in(region) if cloud in self.sections else ()

    def ladder_of(self, model: ModelConfig) -> tuple[CapacityType, ...]:
        """The kinds of capacity that `model` may take under the stack's rules, the preferred one first."""
        return self.rules.allowed(model.ladder)

    def residence_of(self, model: ModelConfig) -> frozenset[str] | None:
        """The regions that the stack's rules leave to a model with these labels; None where no rule is about them."""
        return self.rules.residence(model.labels)

    def section(self, kind: type[C]) -> C | None:
        """The section of one cloud, if it is in use."""
        return next((each for each in self.sections.values() if isinstance(each, kind)), None)
