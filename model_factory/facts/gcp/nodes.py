"""What nodes of GKE keep of their disk for themselves.

cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes#local_ephemeral_storage_reservation, read 2026-11-26.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_EVICTED_BELOW: Final = Decimal("0.1")
_MOST_GIB: Final = Decimal(100)


def disk_left(disk_gib: Decimal) -> Decimal:
    """GiB that Pods may write on a boot disk of so many. Images lie in what the system keeps."""
    system = min(disk_gib / 2, 6 + Decimal("0.35") * disk_gib, _MOST_GIB)
    return disk_gib * (1 - _EVICTED_BELOW) - system
