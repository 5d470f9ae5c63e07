"""Which disk a machine of Google Cloud boots from."""

from __future__ import annotations

from typing import Final

BALANCED: Final = "pd-balanced"
HYPERDISK: Final = "hyperdisk-balanced"
_HYPERDISK_ONLY: Final = tuple(
    f"{series}-" for series in ("a3-ultragpu", "a4", "a4x", "c4", "c4a", "c4d", "g4", "n4", "n4a", "n4d")
)
"""Series that take no persistent disk, 2026-11: https://cloud.google.com/compute/docs/disks/hyperdisks"""


def boot_disk(machine_type: str) -> str:
    """The type of disk that is for any use and that the machine takes: persistent where it takes both, which more machines do."""
    return HYPERDISK if takes_hyperdisks_only(machine_type) else BALANCED


def takes_hyperdisks_only(machine_type: str) -> bool:
    return machine_type.startswith(_HYPERDISK_ONLY)
