"""What an accelerator is to Kubernetes: the resources it is asked for by, the taint that keeps its nodes, the part a share is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who makes accelerators. `resource` is a whole one's extended resource and, by custom, the key of its nodes' taint."""

    name: str
    resource: str
    partition: str = ""
    """What the resources of its parts begin with; empty where it has none."""


NVIDIA: Final = Vendor("nvidia", "nvidia.com/gpu", "nvidia.com/mig-")
AMD: Final = Vendor("amd", "amd.com/gpu")
VENDORS: Final = (NVIDIA, AMD)
TAINTS: Final = tuple(each.resource for each in VENDORS)


@dataclass(frozen=True, slots=True)
class Share:
    """What one replica takes of its machine's accelerators: so many of an extended resource. Today these are whole ones; parts (MIG,
    time slices, MPS) are refused where a stack file is read."""

    count: int
    resource: str = NVIDIA.resource

    @property
    def accelerators(self) -> Decimal:
        """The same in whole accelerators."""
        return whole(self.resource, Decimal(self.count))

    def holds(self, part: Share) -> int:
        """How many such parts this one has room for."""
        return self.count // part.count if part.resource == self.resource else 0


_STEP: Final = Decimal("1e-12")
_PROFILE: Final = re.compile(r"(\d+)g\.\d+gb(?:[+.-].*)?")
# docs.nvidia.com/datacenter/tesla/mig-user-guide/supported-mig-profiles.html: A30 and RTX PRO 6000 come apart in four, others in seven.
_OF_FOUR: Final = re.compile(r"1g\.6gb|2g\.12gb|4g\.24gb|1g\.24gb|2g\.48gb|4g\.96gb")


def is_accelerator(resource: str) -> bool:
    """Whether an extended resource is an accelerator or a part of one."""
    return any(
        resource == each.resource or (each.partition and resource.startswith(each.partition)) for each in VENDORS
    )


def whole(resource: str, amount: Decimal) -> Decimal:
    """An amount of a resource in whole accelerators: 7 of `nvidia.com/mig-1g.10gb` are 1. A profile that is not known counts whole.

    Rounded down, so that the parts of one never add up to more.
    """
    profile = next(
        (
            resource.removeprefix(each.partition)
            for each in VENDORS
            if each.partition and resource.startswith(each.partition)
        ),
        "",
    )
    found = _PROFILE.fullmatch(profile)
    if found is None:
        return amount
    parts = 4 if _OF_FOUR.match(profile) else 7
    return (amount * int(found[1]) / parts).quantize(_STEP, ROUND_DOWN)
