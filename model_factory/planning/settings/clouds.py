"""The sections of all clouds, a line each, and the rules over several of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from model_factory.facts.clouds import Cloud
from model_factory.planning.settings.aws import AwsSettings
from model_factory.planning.settings.cloud import CloudSettings
from model_factory.planning.settings.fields import is_private
from model_factory.planning.settings.gcp import GcpSettings
from model_factory.planning.settings.reading import Checked, Finding

SECTIONS: Final[Mapping[Cloud, type[CloudSettings]]] = {"aws": AwsSettings, "gcp": GcpSettings}

_BRIDGE: Final = ipaddress.IPv4Network("172.17.0.0/16")
"""Docker's own: https://docs.docker.com/engine/network/drivers/bridge/"""

Sections = Mapping[Cloud, Checked[CloudSettings]]
"""The clouds that a stack file sets, in the order of `SECTIONS`."""


def check_ranges(sections: Sections) -> Iterator[Finding]:
    """Every range is private in each region, and no two overlap: clouds can be joined later."""
    named = [
        (*each, ipaddress.IPv4Network(each[2]))
        for section in sections.values()
        for each in section.value.ranges(section.right)
    ]
    for place, region, cidr, _ in named:
        if not is_private(cidr):
            yield (
                place,
                f"{cidr} would be the range in {region}, and it is not private; start lower, or name fewer regions",
            )
    yield from _on_bridge(sections, refused=True)
    for (place, region, cidr, network), (other_place, other_region, other, other_network) in combinations(named, 2):
        if place != other_place and network.overlaps(other_network):
            with_region = f"{other} of {'.'.join(map(str, other_place))}" + (
                f" in {other_region}" if other_region else ""
            )
            yield (
                place,
                f"{cidr}{f' in {region}' if region else ''} overlaps {with_region}; choose ranges that share no address",
            )


def range_warnings(sections: Sections) -> Iterator[Finding]:
    """A warning for each range that a cloud takes, and advises against."""
    return _on_bridge(sections, refused=False)


def _on_bridge(sections: Sections, *, refused: bool) -> Iterator[Finding]:
    for section in sections.values():
        is_refused, why = section.value.BRIDGE
        for place, region, cidr in section.value.ranges(section.right):
            if region and refused == is_refused and ipaddress.IPv4Network(cidr).overlaps(_BRIDGE):
                yield place, f"{cidr} in {region} overlaps {_BRIDGE}, which {why}; choose another range"


def version_skew(sections: Sections) -> Iterator[Finding]:
    """A warning where a cloud's clusters have another version than the first cloud's."""
    settings = [section.value for section in sections.values()]
    for other in settings[1:]:
        first = settings[0]
        if first.kubernetes_version != other.kubernetes_version:
            versions = f"{first.kubernetes_version} on {first.CLOUD}, {other.kubernetes_version} on {other.CLOUD}"
            message = f"clusters differ: {versions}; the same minor version is easier to run"
            yield (other.key(), "kubernetesVersion"), message
