"""How an address block is shared out between a region's zones. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

# A pod has an address of the VPC, so private subnets take three quarters of it. /20 still leaves 1,019 pods a zone;
# AWS takes no VPC above /16.
LARGEST_VPC_PREFIX = 16
SMALLEST_VPC_PREFIX = 20
ZONES = 3


@dataclass(frozen=True, slots=True)
class SubnetLayout:
    """One private and one public subnet a zone, in the order of the zones."""

    private: tuple[str, ...]
    public: tuple[str, ...]


def subnet_layout(vpc_cidr: str) -> SubnetLayout:
    """Three quarters of the VPC are the zones' private subnets; three quarters of the last quarter are the public ones.

    The last sixteenth stays free, for whatever needs a subnet later. Raises ValueError for what is no IPv4 network
    or has another size than /16 to /20.
    """
    try:
        vpc = IPv4Network(vpc_cidr)
    except ValueError as error:
        raise ValueError(f"VPC CIDR {vpc_cidr!r} is no IPv4 network ({error}); write one like 10.0.0.0/16") from error
    if not LARGEST_VPC_PREFIX <= vpc.prefixlen <= SMALLEST_VPC_PREFIX:
        raise ValueError(
            f"VPC CIDR {vpc_cidr} is /{vpc.prefixlen}; use /{LARGEST_VPC_PREFIX} to /{SMALLEST_VPC_PREFIX} "
            "so each zone gets a subnet"
        )
    *private, rest = vpc.subnets(prefixlen_diff=2)
    public = list(rest.subnets(prefixlen_diff=2))[:ZONES]
    return SubnetLayout(private=tuple(map(str, private)), public=tuple(map(str, public)))


def usable_zones(names: Sequence[str], region: str) -> list[str]:
    """The first three zones by name: clouds name new zones after the old ones, so a new zone moves no subnet.

    Raises ValueError where the region has fewer than three.
    """
    if len(names) < ZONES:
        raise ValueError(f"region {region} has {len(names)} usable zones; use a region with {ZONES} or more")
    return sorted(names)[:ZONES]


def subnet_in(zone: str, zones: Sequence[str], subnets: Sequence[str]) -> str:
    """The subnet of one zone, of a list in the order of `zones`. Raises ValueError where the network has none there."""
    if zone not in zones:
        raise ValueError(
            f"the network has no subnet in {zone}, only in {', '.join(zones)}; name {zone} among the zones of model-factory:aws"
        )
    return subnets[zones.index(zone)]
