"""Which disk a machine of Google Cloud boots from."""

from __future__ import annotations

from typing import Final

BALANCED: Final = "pd-balanced"
HYPERDISK: Final = "hyperdisk-balanced"
_HYPERDISK_ONLY: Final = tuple(
    f"{series}-" for series in ("a3-ultragpu", "a4", "a4x", "c4", "c4a", "c4d", "g4", "n4", "n4a", "n4d")
)
"""Series that take no persistent disk, 2026-11: https://cloud.google.com/compute/docs/disks/hyperdisks"""

_NO_HYPERDISK_TO_BOOT: Final = tuple(
    f"{series}-" for series in ("a2", "c2", "c2d", "e2", "g2", "n1", "n2", "n2d", "t2a", "t2d")
)
"""Series that boot from no Hyperdisk; from the same page."""


def boot_disk(machine_type: str) -> str:
    """The type of disk that is for any use and that the machine takes: persistent where it takes both, which more machines do."""
    return HYPERDISK if takes_hyperdisks_only(machine_type) else BALANCED


def boots_from(machine_type: str, disk_type: str) -> bool:
    """Whether the machine's boot disk can be of this type; a machine of a series that is not known is taken to boot from any."""
    if disk_type.startswith("hyperdisk-"):
        return not machine_type.startswith(_NO_HYPERDISK_TO_BOOT)
    return not takes_hyperdisks_only(machine_type)


def takes_hyperdisks_only(machine_type: str) -> bool:
    return machine_type.startswith(_HYPERDISK_ONLY)
