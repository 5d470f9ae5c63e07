"""What takes more than one key to judge. Each rule yields (place, message), and skips fields that are refused already."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from model_factory.facts.catalogue import catalogue
from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.gcp.kubernetes import GKE_VERSIONS
from model_factory.planning.settings.draft import Draft, Providers, check_endpoints, twice
from model_factory.planning.settings.fields import is_private
from model_factory.planning.settings.model_rules import check_model
from model_factory.planning.settings.problems import instead, nearest
from model_factory.planning.settings.reading import Checked, Finding
from model_factory.planning.settings.sections import AwsSettings, GcpSettings, shifted
from model_factory.planning.settings.stackfile import KeyPath

_AWS: Final = "model-factory:aws"
_GCP: Final = "model-factory:gcp"
_MODELS: Final = "model-factory:models"
_ZONES_A_REGION: Final = 3


def check_all(draft: Draft) -> list[Finding]:
    """Every rule over the whole draft."""
    findings = [*check_endpoints(draft), *_ranges(draft)]
    if draft.aws is not None:
        findings += _aws(draft.aws, draft.providers)
    if draft.gcp is not None:
        findings += _gcp(draft.gcp, draft.providers)
    for name, model in draft.models.items():
        findings += check_model(draft, (_MODELS, name), model)
    return findings


def warnings(draft: Draft) -> Iterator[Finding]:
    """What a user should know and nothing must stop for."""
    for name, model in draft.models.items():
        runtime = draft.serving.runtimes.get(model.value.runtime)
        if runtime is not None and runtime.warning:
            yield (_MODELS, name, "runtime"), runtime.warning
    if draft.aws is not None and draft.gcp is not None:
        aws, gcp = draft.aws.value.kubernetes_version, draft.gcp.value.kubernetes_version
        if aws != gcp:
            yield (
                (_GCP, "kubernetesVersion"),
                f"clusters differ: {aws} on aws, {gcp} on gcp; the same minor version is easier to run",
            )


def _aws(aws: Checked[AwsSettings], providers: Providers) -> Iterator[Finding]:
    if aws.right("regions"):
        yield from _regions("aws", aws.value.regions, providers.aws_region)
        if aws.right("zones") and set(aws.value.regions) <= CLOUDS["aws"].regions:
            yield from _zones("aws", aws.value.zones, aws.value.regions, least=_ZONES_A_REGION)
    if aws.right("system_machine_type"):
        yield from _system_machine("aws", aws.value.system_machine_type)


def _gcp(gcp: Checked[GcpSettings], providers: Providers) -> Iterator[Finding]:
    if gcp.right("regions"):
        yield from _regions("gcp", gcp.value.regions, providers.gcp_region)
        if gcp.right("zones") and set(gcp.value.regions) <= CLOUDS["gcp"].regions:
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
    if gcp.right("release_channel", "kubernetes_version"):
        channel, version = gcp.value.release_channel, gcp.value.kubernetes_version
        if version not in GKE_VERSIONS[channel]:
            offered = ", ".join(GKE_VERSIONS[channel])
            having = ", ".join(name for name, versions in GKE_VERSIONS.items() if version in versions)
            yield (
                (_GCP, "kubernetesVersion"),
                f"{version} is not in release channel {channel}, which has {offered}; write one of these, or a channel of {having}",
            )
    if gcp.right("system_machine_type"):
        yield from _system_machine("gcp", gcp.value.system_machine_type)


def _regions(cloud: Cloud, regions: Sequence[str], home: str) -> Iterator[Finding]:
    section = f"model-factory:{cloud}"
    if not regions:
        yield (section,), f"no region is set; add {cloud}:region, or regions here"
    yield from twice((section, "regions"), regions)
    for index, region in enumerate(regions):
        if region not in CLOUDS[cloud].regions:
            place: KeyPath = (section, "regions", index) if region != home else (f"{cloud}:region",)
            yield place, f"{cloud} has no region {region!r}; {instead(region, sorted(CLOUDS[cloud].regions))}"
    known = all(region in CLOUDS[cloud].regions for region in regions)
    if home and regions and known and home not in regions and home in CLOUDS[cloud].regions:
        yield (f"{cloud}:region",), f"{home} is not among the regions of {section}; write {regions[0]}"
    elif home and home not in regions and home not in CLOUDS[cloud].regions:
        yield (
            (f"{cloud}:region",),
            f"{cloud} has no region {home!r}; {instead(home, sorted(CLOUDS[cloud].regions))}",
        )


def _zones(cloud: Cloud, zones: Sequence[str], regions: Sequence[str], *, least: int) -> Iterator[Finding]:
    place: KeyPath = (f"model-factory:{cloud}", "zones")
    yield from twice(place, zones)
    for index, zone in enumerate(zones):
        if CLOUDS[cloud].region_of(zone) not in regions:
            there = [each for region in regions for each in CLOUDS[cloud].zones_of(region)]
            yield (
                (*place, index),
                f"{zone!r} is not a zone of {', '.join(regions)}; write {nearest(zone, there) or there[0]}",
            )
    if any(CLOUDS[cloud].region_of(zone) not in regions for zone in zones):
        return
    for region in regions if zones else ():
        count = len({zone for zone in zones if CLOUDS[cloud].region_of(zone) == region})
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
    elif any(offer.machine_type == machine for offer in catalogue().offers):
        yield (
            place,
            f"{machine} is a GPU machine, and the system nodes need none; write one such as {example}",
        )


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
    for place, region, cidr in named:
        if not is_private(cidr):
            yield (
                place,
                f"{cidr} would be the range in {region}, and it is not private; start lower, or name fewer regions",
            )
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
