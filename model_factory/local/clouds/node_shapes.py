"""What a machine offers to Pods, in the amounts that its kubelet reports."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.nodes import reported
from model_factory.graph.accelerators import NVIDIA

_KIB_A_GIB: Final = 2**20


def amounts(
    cloud: Cloud, *, vcpus: int, memory_mib: int, disk_gib: int, pods: int, gpus: int
) -> tuple[dict[str, str], dict[str, str]]:
    """Capacity and allocatable of a node, as Kubernetes writes amounts."""
    cores, memory_gib = reported(vcpus, Decimal(memory_mib) / 1024)
    disk_left_gib = max(Decimal(0), CLOUDS[cloud].disk_left(Decimal(disk_gib)))
    alike = {"pods": str(pods), **({NVIDIA.resource: str(gpus)} if gpus else {})}
    capacity = {"cpu": str(vcpus), "memory": f"{memory_mib}Mi", "ephemeral-storage": f"{disk_gib}Gi"}
    allocatable = {
        "cpu": f"{_whole(cores * 1000)}m",
        "memory": f"{_whole(memory_gib * _KIB_A_GIB)}Ki",
        "ephemeral-storage": f"{_whole(disk_left_gib * _KIB_A_GIB)}Ki",
    }
    return capacity | alike, allocatable | alike


def _whole(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_DOWN))
