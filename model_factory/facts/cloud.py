"""What each cloud's folder says about its cloud."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Ending:
    """A fact that holds to a day, and what is to be done before."""

    what: str
    limit: date
    remedy: str


@dataclass(frozen=True, slots=True)
class CloudFacts:
    """The names of one cloud's places and services."""

    regions: frozenset[str]
    zone_separator: str
    """Between region and letter in a zone's name."""
    offers_name_zones: bool
    """Do the offers name the zones that sell a machine? Not on AWS: an account's zone names are its own there, and no table can know them."""
    adds_nodes: bool
    """Does the cloud itself add nodes to a pool when Pods wait for some?"""
    endpoint_keys: tuple[str, ...]
    """The provider's keys for the endpoints of the services that every stack calls."""
    gpu_machines: re.Pattern[str]
    """Names of machine types that have GPUs, those that no table knows yet among them; its group `gpus` where a name says how many."""

    system_machine: str
    """What carries everything but models, unless a stack says otherwise: two cores or more, 8 GiB or more."""
    default_machine: str
    """Of node pools that name none."""
    family_separator: str
    """Behind a machine type's family in its name."""
    disk_left: Callable[[Decimal], Decimal]
    """Of a node's disk of so many GiB those that Pods may ask for, and that images leave to them."""
    endings: tuple[Ending, ...] = ()

    def region_of(self, zone: str) -> str:
        """The region that `zone` lies in by its name; empty when it is not a zone's name."""
        region = zone[:-1].removesuffix(self.zone_separator)
        return region if region in self.regions and zone in self.zones_of(region) else ""

    def zones_of(self, region: str) -> tuple[str, ...]:
        """The names that zones of `region` can have; it has some of them."""
        return tuple(f"{region}{self.zone_separator}{letter}" for letter in "abcdef")
