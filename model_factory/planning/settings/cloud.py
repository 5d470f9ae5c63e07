"""What every cloud's section of a stack file has, and the rules that hold in all of them. A cloud is a subclass in a file of its own, which
brings its fields, its further rules, and how its provider is told regions and endpoints; `clouds` lists them.

A rule yields (place, message), and skips fields that are refused already.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.planning.settings.fields import MANY, Text, Within
from model_factory.planning.settings.problems import instead, nearest, show
from model_factory.planning.settings.reading import Finding
from model_factory.planning.settings.yamlfile import KeyPath, Secure

Endpoints = Mapping[str, tuple[KeyPath, str]]
"""The provider's key of a service → place and URL."""
Right = Callable[..., bool]
"""Are all fields of these names as the user wrote them?"""
Told = Callable[[str], str]
"""The text of a provider's key, as `aws:region`; empty where it is not set."""


SYSTEM_GROWTH: Final = 2
"""The pool of the system may grow to so many times its size."""
SYSTEM_SERVICES: Final = 10
"""Services that a cluster has without any model: its API, DNS, metrics and what GKE and EKS bring."""


class Value(BaseModel, frozen=True):
    """Base of the values read from a stack file: frozen, camelCase outside, no key unknown."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Reservation(Value, frozen=True):
    """Machines that are paid for already: an AWS Capacity Reservation or a Google Cloud reservation."""

    name: Text
    """Its id at AWS (cr-…), its name at Google Cloud."""
    zone: Text
    """Zone of its machines."""
    machine_type: Text
    """Type of its machines."""
    machines: Annotated[int, Within(1, 1000)]
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Room:
    """What one range has addresses for, in each region."""

    field: str
    of: Literal["nodes", "models"]
    most: int
    why: str
    """How the addresses are used up."""


class CloudSettings(Value, frozen=True):
    """One cluster in each region of a cloud."""

    CLOUD: ClassVar[Cloud]
    HOME: ClassVar[Mapping[str, str]]
    """Fields that are taken from a key of the provider where they are left out; `regions` is one of them."""
    ZONES_LEAST: ClassVar[int]
    """Zones that a region needs where some are chosen."""
    RANGES: ClassVar[Mapping[str, bool]]
    """Fields with a range of addresses. True: each region takes the next range of the same size. None may overlap, over all clouds."""
    ACCESS: ClassVar[str]
    """The field with the ranges that may reach control planes from outside their network."""
    BRIDGE: ClassVar[tuple[bool, str]]
    """Whether the cloud refuses ranges of regions that touch those of Docker's bridge, and what it says of them."""
    ENTRY: ClassVar[tuple[str, str]] = ("", "")
    """Who may enter a new cluster, and how others come in; empty where the cloud's own rights over projects decide."""
    MACHINE_TYPE: ClassVar[re.Pattern[str]]
    RESERVATION: ClassVar[tuple[re.Pattern[str], str]]
    """How reservations are called, and an example."""

    regions: Annotated[tuple[Text, ...], MANY] = ()
    """Regions with a cluster; the first is home. Left out: the one of the provider."""
    zones: Annotated[tuple[Text, ...], MANY] = ()
    """Zones to use."""
    kubernetes_version: str
    """Minor version, in quotes."""
    system_machine_type: Text
    """Machine of the nodes that carry everything but models."""
    reservations: Annotated[tuple[Reservation, ...], MANY] = ()
    """Machines reserved here, for models whose capacity names reserved: `targeted` ones at AWS, with `--require-specific-reservation` at Google Cloud, or others take them."""

    @property
    def system_nodes(self) -> int:
        """The nodes of a region that carry everything but models, when nothing grows."""
        raise NotImplementedError

    def rooms(self) -> Iterator[Room]:
        """What the ranges hold; they are the same size in every region."""
        raise NotImplementedError

    @classmethod
    def key(cls) -> str:
        """The section's key."""
        return f"model-factory:{cls.CLOUD}"

    @classmethod
    def read_endpoints(cls, config: Mapping[str, object]) -> Endpoints:
        """The endpoints that the provider's configuration names; what is of a wrong type counts as absent."""
        raise NotImplementedError

    @classmethod
    def endpoint_place(cls) -> KeyPath:
        """Where a missing endpoint belongs."""
        raise NotImplementedError

    @classmethod
    def provider_shapes(cls, config: Mapping[str, object]) -> Iterator[Finding]:
        """What of the provider's configuration planning has to read and cannot."""
        for key in cls.HOME.values():
            value = config.get(key, "")
            if isinstance(value, Secure):
                yield (
                    (key,),
                    "is encrypted, but planning must read it; write it in plain text (it is not a secret)",
                )
            elif not isinstance(value, str):
                yield (key,), f"{show(value)} is not text; write a name"

    def at_home(self, told: Told) -> Self:
        """With what is left out taken from the provider."""
        update = {
            field: (told(key),) if field == "regions" else told(key)
            for field, key in self.HOME.items()
            if not getattr(self, field) and told(key)
        }
        return self.model_copy(update=update) if update else self

    def zones_of(self, region: str) -> tuple[str, ...]:
        """The zones chosen for `region`; empty where none is, and the cloud or the machine decides."""
        return tuple(zone for zone in self.zones if CLOUDS[self.CLOUD].region_of(zone) == region)

    def reservations_in(self, region: str) -> tuple[Reservation, ...]:
        """The reservations in the zones of `region`."""
        return tuple(each for each in self.reservations if CLOUDS[self.CLOUD].region_of(each.zone) == region)

    def regions_known(self) -> bool:
        """Are all regions the cloud's?"""
        return set(self.regions) <= CLOUDS[self.CLOUD].regions

    def rules(self, right: Right, told: Told) -> Iterator[Finding]:
        """What takes more than one key to judge, or a table."""
        if right("regions"):
            yield from self._regions(told(self.HOME["regions"]))
            if right("zones") and self.regions_known():
                yield from self._zones()
            if right("zones", "reservations") and self.regions_known():
                yield from self._reservations()
        if right("system_machine_type"):
            yield from self._machine_type((self.key(), "systemMachineType"), self.system_machine_type)

    def ranges(self, right: Right) -> Iterator[tuple[KeyPath, str, str]]:
        """Place, region and CIDR of each range that can be judged; without region one that is the same in all."""
        for field, each_region in self.RANGES.items():
            if right("regions", field):
                place, cidr = (self.key(), to_camel(field)), str(getattr(self, field))
                if not each_region:
                    yield place, "", cidr
                for index, region in enumerate(self.regions if each_region else ()):
                    yield place, region, shifted(cidr, index)

    def _regions(self, home: str) -> Iterator[Finding]:
        known = CLOUDS[self.CLOUD].regions
        home_key = self.HOME["regions"]
        if not self.regions:
            yield (self.key(),), f"no region is set; add {home_key}, or regions here"
        yield from twice((self.key(), "regions"), self.regions)
        for index, region in enumerate(self.regions):
            if region not in known:
                place: KeyPath = (self.key(), "regions", index) if region != home else (home_key,)
                yield place, f"{self.CLOUD} has no region {show(region)}; {instead(region, sorted(known))}"
        if home and self.regions and home not in self.regions:
            if home not in known:
                yield (home_key,), f"{self.CLOUD} has no region {show(home)}; {instead(home, sorted(known))}"
            elif self.regions_known():
                yield (
                    (home_key,),
                    f"{home} is not among the regions of {self.key()}; write {self.regions[0]}",
                )

    def _machine_type(self, place: KeyPath, name: str) -> Iterator[Finding]:
        if not self.MACHINE_TYPE.fullmatch(name):
            example = type(self).model_fields["system_machine_type"].default
            yield place, f"{show(name)} is not a machine type of {self.CLOUD}; write one such as {example}"

    def _reservations(self) -> Iterator[Finding]:
        names = [each.name for each in self.reservations]
        for index, each in enumerate(self.reservations):
            place: KeyPath = (self.key(), "reservations", index)
            yield from self._machine_type((*place, "machineType"), each.machine_type)
            there = [zone for region in self.regions for zone in self.zones_of(region) or self._zones_named(region)]
            if each.zone not in there:
                where = "zones" if self.zones else f"the zones of {', '.join(self.regions)}"
                remedy = nearest(each.zone, there) or there[0]
                yield (*place, "zone"), f"{show(each.zone)} is not among {where}; write {remedy}"
            form, example = self.RESERVATION
            if not form.fullmatch(each.name):
                yield (
                    (*place, "name"),
                    f"{show(each.name)} is not a reservation of {self.CLOUD}; write one such as {example}",
                )
            elif each.name in names[:index]:
                yield (*place, "name"), f"{each.name} is there twice; keep one"

    def _zones_named(self, region: str) -> tuple[str, ...]:
        return CLOUDS[self.CLOUD].zones_of(region)

    def _zones(self) -> Iterator[Finding]:
        facts, place = CLOUDS[self.CLOUD], (self.key(), "zones")
        yield from twice(place, self.zones)
        strange = False
        for index, zone in enumerate(self.zones):
            if facts.region_of(zone) not in self.regions:
                strange = True
                there = [each for region in self.regions for each in facts.zones_of(region)]
                yield (
                    (*place, index),
                    f"{show(zone)} is not a zone of {', '.join(self.regions)}; write {nearest(zone, there) or there[0]}",
                )
        for region in self.regions if self.zones and not strange else ():
            count = len(set(self.zones_of(region)))
            if count < self.ZONES_LEAST:
                yield (
                    place,
                    f"{region} has {count} of the {self.ZONES_LEAST} zones it needs; name {self.ZONES_LEAST} of it, or leave zones out",
                )


def twice(place: KeyPath, names: Sequence[str]) -> Iterator[Finding]:
    """A message for each name that is there already."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (*place, index), f"{name} is there twice; keep one"


def addresses(cidr: str) -> int:
    """How many there are in a range."""
    return ipaddress.IPv4Network(cidr).num_addresses


def shifted(cidr: str, steps: int) -> str:
    """The range of the same size `steps` after `cidr`: 10.0.0.0/16, 2 → 10.2.0.0/16. ValueError past the end of IPv4."""
    network = ipaddress.IPv4Network(cidr)
    first = int(network.network_address) + steps * network.num_addresses
    return str(ipaddress.IPv4Network((first, network.prefixlen)))
