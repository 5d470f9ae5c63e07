"""What a node keeps of its machine for itself, and what it leaves to Pods."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import count
from typing import Final

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.offer import Offer

# GKE's published share of cores and memory (https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes), the larger one
# of the two clouds, and on top of it the pods that run on each node (network, metrics, device plugin, logs). Of what EKS keeps less live the
# Pods by which Mountpoint reads S3, one for the replicas on a node that share a volume. They request nothing, and should not: bound to the
# node after the replica took its place there, they would push it out (github.com/awslabs/mountpoint-s3-csi-driver, issues/534 and pull/779).
_CPU_SHARES: Final = (
    (1, Decimal("0.06")),
    (1, Decimal("0.01")),
    (2, Decimal("0.005")),
    (None, Decimal("0.0025")),
)
_MEMORY_SHARES: Final = (
    (4, Decimal("0.25")),
    (4, Decimal("0.20")),
    (8, Decimal("0.10")),
    (112, Decimal("0.06")),
    (None, Decimal("0.02")),
)
_EVICTION_GIB: Final = Decimal("0.1")
_DAEMON_CPU: Final = Decimal("0.25")
_DAEMON_GIB: Final = Decimal("0.5")
LEAST_DISK_GIB: Final = 200
"""Of a node with GPUs: model server images take 10 to 20 GiB each, and engines write compiled kernels beside them."""
LEAST_CPU_DISK_GIB: Final = 50
"""Of a node without: images of servers that hold no CUDA take 1 to 5 GiB each."""


def allocatable(offer: Offer) -> tuple[Decimal, Decimal]:
    """CPU cores and GiB of memory that a node of this machine leaves to models."""
    return _left(offer.vcpus, offer.memory_gib)


def reported(vcpus: int, memory_gib: Decimal) -> tuple[Decimal, Decimal]:
    """CPU cores and GiB of memory that the kubelet of such a machine reports as allocatable: on GKE as published, on EKS no more than that.
    The pods that run on each node are still to take theirs from it."""
    cores = vcpus - _reserved(Decimal(vcpus), _CPU_SHARES)
    return cores, memory_gib - _reserved(memory_gib, _MEMORY_SHARES) - _EVICTION_GIB


def disk_for(cloud: Cloud, scratch_gib: Decimal, least_gib: int = LEAST_DISK_GIB) -> int:
    """GiB of the disk of a node whose Pods write so many, in tens, and no fewer than `least_gib`."""
    left = CLOUDS[cloud].disk_left
    return next(size for size in count(least_gib, 10) if left(Decimal(size)) >= scratch_gib)


@cache
def _left(vcpus: int, memory_gib: Decimal) -> tuple[Decimal, Decimal]:
    """Kept: thousands of offers are of a few hundred sizes, and every model asks each."""
    cores, memory = reported(vcpus, memory_gib)
    return cores - _DAEMON_CPU, memory - _DAEMON_GIB


def _reserved(amount: Decimal, shares: Sequence[tuple[int | None, Decimal]]) -> Decimal:
    kept = Decimal(0)
    for width, share in shares:
        slice_ = amount if width is None else min(amount, Decimal(width))
        kept += slice_ * share
        amount -= slice_
    return kept
