"""What takes more than one key to judge. Each rule yields (place, message), and skips fields that are refused already."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, cast

from planning.needs import need_of
from planning.offers import Offer, catalogue, fits, why_not
from planning.problems import instead, nearest
from planning.provider_keys import AWS_ENDPOINTS, GCP_ENDPOINTS, on_loopback
from planning.reading import Checked, Finding, decoded
from planning.regions import REGIONS, region_of
from planning.stackfile import KeyPath
from planning.types import DNS_LABEL
from planning.values import AwsSettings, Cloud, GcpSettings, LocalSettings, ModelConfig, shifted

_AWS: Final = "model-factory:aws"
_GCP: Final = "model-factory:gcp"
_MODELS: Final = "model-factory:models"
_LOCAL: Final = "model-factory:local"
_ZONES_A_REGION: Final = 3


@dataclass(frozen=True, slots=True)
class Providers:
    """What the providers' own configuration says."""

    aws_region: str
    gcp_project: str
    gcp_region: str
    aws_endpoints: Mapping[str, tuple[KeyPath, str]]
    """Service → place and URL; the last one wins, as in the provider."""
    gcp_endpoints: Mapping[str, str]
    """Key without `gcp:` → URL."""

    @classmethod
    def read(cls, config: Mapping[str, object]) -> Providers:
        """From the configuration; values of a wrong type count as absent and are reported by `check_all`."""

        def text(key: str) -> str:
            value = config.get(key)
            return value if isinstance(value, str) else ""

        endpoints: dict[str, tuple[KeyPath, str]] = {}
        listed = decoded(config.get("aws:endpoints"))
        for index, group in enumerate(cast("Sequence[object]", listed) if isinstance(listed, list) else []):
            for service, url in (
                cast("Mapping[str, object]", group).items() if isinstance(group, Mapping) else ()
            ):
                endpoints[service] = (("aws:endpoints", index, service), str(url))
        custom = {
            key.removeprefix("gcp:"): str(url)
            for key, url in config.items()
            if key.startswith("gcp:") and key.endswith("CustomEndpoint")
        }
        return cls(text("aws:region"), text("gcp:project"), text("gcp:region"), endpoints, custom)

    def local(self, cloud: Cloud) -> bool:
        """Does the cloud's provider talk to loopback? True with the first endpoint there: a mixture is refused."""
        urls = (
            [url for _, url in self.aws_endpoints.values()] if cloud == "aws" else self.gcp_endpoints.values()
        )
        return any(on_loopback(url) for url in urls)

    @property
    def any_local(self) -> bool:
        """Is any cloud on loopback?"""
        return self.local("aws") or self.local("gcp")

    def all_local(self, clouds: Iterable[Cloud]) -> bool:
        """Are all of `clouds` on loopback?"""
        return all(self.local(cloud) for cloud in clouds)


@dataclass(frozen=True, slots=True)
class Draft:
    """All sections, each with its wrong fields marked."""

    providers: Providers
    aws: Checked[AwsSettings] | None
    gcp: Checked[GcpSettings] | None
    local: Checked[LocalSettings] | None
    models: Mapping[str, Checked[ModelConfig]]

    @property
    def clouds(self) -> tuple[Cloud, ...]:
        """The clouds that are set."""
        present: dict[Cloud, object] = {"aws": self.aws, "gcp": self.gcp}
        return tuple(cloud for cloud, section in present.items() if section is not None)

    def regions(self, cloud: Cloud) -> tuple[str, ...]:
        """The cloud's regions."""
        section = self.aws if cloud == "aws" else self.gcp
        return section.value.regions if section is not None else ()

    def regions_right(self) -> bool:
        """Are all clouds' regions as meant, so that models can be judged by them?"""
        sections = [section for section in (self.aws, self.gcp) if section is not None]
        return all(section.right("regions") for section in sections) and all(
            region in REGIONS[cloud] for cloud in self.clouds for region in self.regions(cloud)
        )


def with_aws_home(aws: Checked[AwsSettings], providers: Providers) -> Checked[AwsSettings]:
    """Fills `regions` from `aws:region` when they are left out."""
    if aws.value.regions or not providers.aws_region:
        return aws
    return Checked(aws.value.model_copy(update={"regions": (providers.aws_region,)}), aws.wrong)


def with_gcp_home(gcp: Checked[GcpSettings], providers: Providers) -> Checked[GcpSettings]:
    """Fills `regions` and `project` from `gcp:region` and `gcp:project` when they are left out."""
    update: dict[str, object] = {}
    if not gcp.value.regions and providers.gcp_region:
        update["regions"] = (providers.gcp_region,)
    if not gcp.value.project and providers.gcp_project:
        update["project"] = providers.gcp_project
    return Checked(gcp.value.model_copy(update=update), gcp.wrong) if update else gcp


def check_all(draft: Draft) -> list[Finding]:
    """Every rule over the whole draft."""
    findings = [*_endpoints(draft), *_ranges(draft)]
    if draft.aws is not None:
        findings += _aws(draft.aws, draft.providers)
    if draft.gcp is not None:
        findings += _gcp(draft.gcp, draft.providers)
    for name, model in draft.models.items():
        findings += _model(draft, (_MODELS, name), model)
    return findings


def warnings(draft: Draft) -> Iterator[Finding]:
    """What a user should know and nothing must stop for."""
    for name, model in draft.models.items():
        if model.value.runtime == "torchserve":
            yield (
                (_MODELS, name, "runtime"),
                "TorchServe is archived since 2025-08-07 and gets no fixes; triton serves PyTorch, vllm serves LLMs",
            )
    if draft.aws is not None and draft.gcp is not None:
        aws, gcp = draft.aws.value.kubernetes_version, draft.gcp.value.kubernetes_version
        if aws != gcp:
            yield (
                (_GCP, "kubernetesVersion"),
                f"clusters differ: {aws} on aws, {gcp} on gcp; the same minor version is easier to run",
            )


def model_name(name: str, longest: int) -> Iterator[str]:
    """What is wrong with a model's name."""
    if len(name) > longest:
        yield f"the name has {len(name)} characters; use at most {longest}, pods and cloud resources add their own to it"
    elif not re.match(DNS_LABEL, name):
        better = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-").lstrip("0123456789-")[:longest]
        yield f"the name must be of a-z, 0-9 and -, from a letter to a letter or digit{f'; write {better}' if better else ''}"


def _aws(aws: Checked[AwsSettings], providers: Providers) -> Iterator[Finding]:
    if aws.right("regions"):
        yield from _regions("aws", aws.value.regions, providers.aws_region)
        if aws.right("zones"):
            yield from _zones("aws", aws.value.zones, aws.value.regions, least=_ZONES_A_REGION)
    if aws.right("system_machine_type"):
        yield from _system_machine("aws", aws.value.system_machine_type)


def _gcp(gcp: Checked[GcpSettings], providers: Providers) -> Iterator[Finding]:
    if gcp.right("regions"):
        yield from _regions("gcp", gcp.value.regions, providers.gcp_region)
        if gcp.right("zones"):
            yield from _zones("gcp", gcp.value.zones, gcp.value.regions, least=1)
    if gcp.right("project"):
        if not gcp.value.project:
            yield (_GCP,), "no project is set; add gcp:project"
        elif providers.gcp_project and providers.gcp_project != gcp.value.project:
            yield (
                (_GCP, "project"),
                f"{gcp.value.project!r} is not gcp:project {providers.gcp_project!r}; keep only gcp:project",
            )
        elif not re.match(r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$", gcp.value.project):
            yield (
                ("gcp:project",),
                f"{gcp.value.project!r} is not a Google Cloud project id: 6 to 30 of a-z, 0-9 and -, from a letter on",
            )
    if gcp.right("system_machine_type"):
        yield from _system_machine("gcp", gcp.value.system_machine_type)


def _regions(cloud: Cloud, regions: Sequence[str], home: str) -> Iterator[Finding]:
    section = f"model-factory:{cloud}"
    if not regions:
        yield (section,), f"no region is set; add {cloud}:region, or regions here"
    yield from _twice((section, "regions"), regions)
    for index, region in enumerate(regions):
        if region not in REGIONS[cloud]:
            place: KeyPath = (section, "regions", index) if region != home else (f"{cloud}:region",)
            yield place, f"{cloud} has no region {region!r}; {instead(region, sorted(REGIONS[cloud]))}"
    known = all(region in REGIONS[cloud] for region in regions)
    if home and regions and known and home not in regions and home in REGIONS[cloud]:
        yield (f"{cloud}:region",), f"{home} is not among the regions of {section}; write {regions[0]}"
    elif home and home not in regions and home not in REGIONS[cloud]:
        yield (f"{cloud}:region",), f"{cloud} has no region {home!r}; {instead(home, sorted(REGIONS[cloud]))}"


def _zones(cloud: Cloud, zones: Sequence[str], regions: Sequence[str], *, least: int) -> Iterator[Finding]:
    place: KeyPath = (f"model-factory:{cloud}", "zones")
    yield from _twice(place, zones)
    letters = "-a" if cloud == "gcp" else "a"
    for index, zone in enumerate(zones):
        if region_of(cloud, zone) not in regions:
            close = nearest(
                zone, [f"{region}{letters[:-1]}{letter}" for region in regions for letter in "abcdef"]
            )
            yield (
                (*place, index),
                f"{zone!r} is not a zone of {', '.join(regions)}; write {close or regions[0] + letters}",
            )
    if any(region_of(cloud, zone) not in regions for zone in zones):
        return
    for region in regions if zones else ():
        count = len({zone for zone in zones if region_of(cloud, zone) == region})
        if count < least:
            yield (
                place,
                f"{region} has {count} of the {least} zones it needs; name {least} of it, or leave zones out",
            )


def _system_machine(cloud: Cloud, machine: str) -> Iterator[Finding]:
    place: KeyPath = (f"model-factory:{cloud}", "systemMachineType")
    shapes = {
        "aws": (r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$", "m7i.large"),
        "gcp": (r"^[a-z][a-z0-9]*-[a-z0-9-]+$", "e2-standard-4"),
    }
    shape, example = shapes[cloud]
    if not re.match(shape, machine):
        yield place, f"{machine!r} is not a machine type of {cloud}; write one such as {example}"
    elif any(offer.machine_type == machine for offer in _offers()):
        yield (
            place,
            f"{machine} is a GPU machine, and the system nodes need none; write one such as {example}",
        )


def _twice(place: KeyPath, names: Sequence[str]) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (*place, index), f"{name} is there twice; keep one"


def _ranges(draft: Draft) -> Iterator[Finding]:
    named: list[tuple[KeyPath, str, str]] = []
    if (aws := draft.aws) is not None and aws.right("regions"):
        named += [
            ((_AWS, "vpcCidr"), region, each)
            for region, each in _each_region(
                aws.value.regions, aws.value.vpc_cidr, right=aws.right("vpc_cidr")
            )
        ]
        named += [((_AWS, "serviceCidr"), "", aws.value.service_cidr)] if aws.right("service_cidr") else []
    if (gcp := draft.gcp) is not None and gcp.right("regions"):
        fields = {
            "subnet_cidr": ("subnetCidr", gcp.value.subnet_cidr),
            "pods_cidr": ("podsCidr", gcp.value.pods_cidr),
            "services_cidr": ("servicesCidr", gcp.value.services_cidr),
            "control_plane_cidr": ("controlPlaneCidr", gcp.value.control_plane_cidr),
        }
        for field, (alias, cidr) in fields.items():
            named += [
                ((_GCP, alias), region, each)
                for region, each in _each_region(gcp.value.regions, cidr, right=gcp.right(field))
            ]
    for (place, region, cidr), (other_place, other_region, other) in combinations(named, 2):
        if place != other_place and ipaddress.IPv4Network(cidr).overlaps(ipaddress.IPv4Network(other)):
            with_region = f"{other} of {'.'.join(map(str, other_place))}" + (
                f" in {other_region}" if other_region else ""
            )
            yield (
                place,
                f"{cidr}{f' in {region}' if region else ''} overlaps {with_region}; choose ranges that share no address",
            )


def _each_region(regions: Sequence[str], cidr: str, *, right: bool) -> list[tuple[str, str]]:
    return [(region, shifted(cidr, index)) for index, region in enumerate(regions)] if right else []


def _endpoints(draft: Draft) -> Iterator[Finding]:
    providers = draft.providers
    wanted = {"aws": AWS_ENDPOINTS, "gcp": GCP_ENDPOINTS}
    urls: dict[Cloud, dict[str, tuple[KeyPath, str]]] = {
        "aws": dict(providers.aws_endpoints),
        "gcp": {key: ((f"gcp:{key}",), url) for key, url in providers.gcp_endpoints.items()},
    }
    for cloud in draft.clouds:
        if not providers.local(cloud):
            if providers.any_local:
                yield (
                    (f"model-factory:{cloud}",),
                    f"{cloud} is a real account and another cloud is on loopback; give {cloud} local endpoints too",
                )
            continue
        for place, url in urls[cloud].values():
            if not on_loopback(url):
                yield (
                    place,
                    f"{url} is not on loopback, but other endpoints of {cloud} are; write http://127.0.0.1:<port>",
                )
        for name in wanted[cloud]:
            if name not in urls[cloud]:
                place = ("aws:endpoints",) if cloud == "aws" else (f"model-factory:{cloud}",)
                yield (
                    place,
                    f"there is no endpoint for {name}, whose calls would go to a real account; add it",
                )
    if draft.local is not None:
        if draft.clouds and not providers.any_local:
            yield (
                (_LOCAL,),
                "is for stacks on local clouds, and no endpoint of this one is on loopback; remove it",
            )
        elif draft.local.right("render_to") and ".." in draft.local.value.render_to.split("/"):
            yield (
                (_LOCAL, "renderTo"),
                f"{draft.local.value.render_to!r} leads out of the project; write a folder inside",
            )


def _model(draft: Draft, place: KeyPath, model: Checked[ModelConfig]) -> Iterator[Finding]:
    value = model.value
    if model.right("replicas") and value.replicas.min > value.replicas.max:
        low, high = value.replicas.min, value.replicas.max
        yield (*place, "replicas"), f"min {low} is above max {high}; set min ≤ max"
    places_right = draft.regions_right()
    if model.right("clouds"):
        yield from _twice((*place, "clouds"), value.clouds)
        for index, cloud in enumerate(value.clouds):
            if cloud not in draft.clouds:
                places_right = False
                yield (
                    (*place, "clouds", index),
                    f"{cloud} is not set up in this stack; add model-factory:{cloud}, or {_other(draft.clouds)}",
                )
    if model.right("regions", "clouds") and draft.regions_right():
        allowed = [region for cloud in value.clouds or draft.clouds for region in draft.regions(cloud)]
        yield from _twice((*place, "regions"), value.regions)
        for index, region in enumerate(value.regions):
            if region not in allowed:
                places_right = False
                where = (
                    f"no region of this model's clouds; {instead(region, allowed)}"
                    if allowed
                    else "in no cloud of this model"
                )
                yield (*place, "regions", index), f"{region!r} is {where}"
    if model.right("weights"):
        yield from _weights((*place, "weights"), model, draft.clouds)
    known = yield from _known_hardware(place, model)
    fields = (
        "gpu_memory_gib",
        "gpus_per_replica",
        "cpu",
        "memory_gib",
        "clouds",
        "regions",
        "spot",
        "accelerators",
        "machine_types",
    )
    if places_right and known and draft.clouds and model.right(*fields):
        yield from _fits(draft, place, value)


def _fits(draft: Draft, place: KeyPath, value: ModelConfig) -> Iterator[Finding]:
    need = need_of(value, {cloud: draft.regions(cloud) for cloud in draft.clouds})
    if any(fits(offer, need) for offer in _offers()):
        return
    at = next(
        (
            key
            for key, given in (("machineTypes", value.machine_types), ("accelerators", value.accelerators))
            if given
        ),
        "gpuMemoryGib",
    )
    yield (
        (*place, at),
        f"{describe(value)} fits on no machine in {', '.join(sorted(region for _, region in need.places))}; {why_not(need, _offers())}",
    )


def describe(model: ModelConfig) -> str:
    """What a model asks of a machine, in a few words."""
    on = (
        f" on {', '.join(model.machine_types or model.accelerators)}"
        if model.machine_types or model.accelerators
        else ""
    )
    return f"{model.gpus_per_replica} GPU with {model.gpu_memory_gib:f} GiB in all, {model.cpu} CPU, {model.memory_gib:f} GiB of memory{on}"


def _known_hardware(place: KeyPath, model: Checked[ModelConfig]) -> Iterator[Finding]:
    known = True
    tables = {
        "accelerators": ("accelerators", sorted({offer.accelerator for offer in _offers()})),
        "machineTypes": ("machine_types", sorted({offer.machine_type for offer in _offers()})),
    }
    for alias, (field, names) in tables.items():
        if not model.right(field):
            continue
        given = cast("tuple[str, ...]", getattr(model.value, field))
        yield from _twice((*place, alias), given)
        for index, name in enumerate(given):
            if name not in names:
                known = False
                yield (*place, alias, index), f"{name!r} is not in the price tables; {instead(name, names)}"
    return known


def _weights(place: KeyPath, model: Checked[ModelConfig], clouds: Sequence[Cloud]) -> Iterator[Finding]:
    weights = model.value.weights
    scheme = weights.uri.partition("://")[0]
    if scheme == "hf" and not re.match(r"^[0-9a-f]{40}$", weights.revision or ""):
        given = f"revision {weights.revision!r} can move" if weights.revision else "there is no revision"
        yield (*place, "revision"), f"{given}; pin weights from Hugging Face to a commit of 40 hex digits"
    if scheme == "hf" and model.right("runtime") and model.value.runtime != "vllm":
        yield (
            (*place, "uri"),
            f"{model.value.runtime} cannot load from Hugging Face; copy the weights into bucket://path",
        )
    home = {"s3": "aws", "gs": "gcp"}.get(scheme)
    if home and model.right("clouds") and set(model.value.clouds or clouds) != {home}:
        yield (
            (*place, "uri"),
            f"{scheme}:// can be read from {home} only; set clouds: [{home}], or use bucket://",
        )


def _other(clouds: Sequence[Cloud]) -> str:
    return f"write {' or '.join(clouds)}" if clouds else "remove it"


def _offers() -> Sequence[Offer]:
    return catalogue().offers
