"""What nodes of EKS keep of their disk for themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

IMAGES_GIB: Final = 40
"""The image that runs and the one that takes its place: model servers have 10 to 20 GiB each."""
_KUBELET_GIB: Final = 1
"""github.com/bottlerocket-os/bottlerocket, kubelet's reservation of ephemeral storage."""
_EVICTED_BELOW: Final = Decimal("0.15")
"""kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction: the least share that is free where images lie on the same disk."""


def disk_left(disk_gib: Decimal) -> Decimal:
    """GiB that Pods may write on a disk of so many, beside images."""
    return disk_gib * (1 - _EVICTED_BELOW) - _KUBELET_GIB - IMAGES_GIB
