"""Where the local Google Cloud sells what: regions, zones, machine types, accelerators, quotas.

Regions and machine families after Google's public pages, cut to what a GPU serving stack asks for. Zones with accelerators as a public
price list has them (skypilot-catalog v9 gcp/vms.csv 2c3d7ea, 2026-06-30); A2, A3, A4 and G4 zones are those that sell the machine, for the
accelerator comes with it (G4's as Google's page on zones has them). What is sold today, only the cloud itself knows. A machine type or accelerator that is not listed here is
refused as Google refuses an unknown one.
Sources: https://cloud.google.com/compute/docs/regions-zones, https://cloud.google.com/compute/docs/machine-resource
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model_factory.facts.gcp import regions
from model_factory.facts.gcp.accelerators import gke_accelerator_type
from model_factory.facts.machines import machines

_ZONES: Final[Mapping[str, str]] = {"europe-west1": "bcd", "us-central1": "abcf", "us-east1": "bcd"}
"""The zones of regions that have others than a, b and c."""
REGIONS: Final[Mapping[str, tuple[str, ...]]] = {
    region: tuple(f"{region}-{letter}" for letter in _ZONES.get(region, "abc")) for region in sorted(regions.REGIONS)
}
ZONES: Final[Mapping[str, str]] = {zone: region for region, zones in REGIONS.items() for zone in zones}


def _zones(text: str) -> frozenset[str]:
    """The zones of `us-central1:abf us-east1:cd`."""
    pairs = (word.split(":") for word in text.split())
    return frozenset(f"{region}-{letter}" for region, letters in pairs for letter in letters)


ACCELERATOR_ZONES: Final[Mapping[str, frozenset[str]]] = {
    "nvidia-tesla-t4": _zones(
        "us-central1:abcf us-east1:bcd us-east4:abc us-west1:ab us-west2:bc us-west3:b us-west4:ab "
        "northamerica-northeast1:c southamerica-east1:abc europe-central2:bc europe-west1:bcd "
        "europe-west2:ab europe-west3:b europe-west4:abc me-west1:bc asia-east1:ac asia-east2:ac "
        "asia-northeast1:ac asia-northeast3:bc asia-south1:ab asia-southeast1:abc asia-southeast2:ab "
        "australia-southeast1:ac"
    ),
    "nvidia-l4": _zones(
        "us-central1:abc us-east1:bcd us-east4:ac us-west1:abc us-west4:ac northamerica-northeast1:bc "
        "northamerica-northeast2:ab europe-west1:bc europe-west2:ab europe-west3:ab europe-west4:abc "
        "europe-west6:bc me-central2:ac asia-east1:abc asia-northeast1:abc asia-northeast3:ab "
        "asia-south1:abc asia-southeast1:abc"
    ),
    "nvidia-tesla-v100": _zones("us-central1:abcf us-east1:bc us-west1:ab europe-west4:abc asia-east1:c"),
    "nvidia-tesla-p100": _zones(
        "us-central1:cf us-east1:bc us-west1:ab europe-west1:bd europe-west4:a asia-east1:ac australia-southeast1:b"
    ),
    "nvidia-tesla-p4": _zones(
        "us-central1:ac us-east4:abc us-west2:bc northamerica-northeast1:abc europe-west4:bc "
        "asia-southeast1:abc australia-southeast1:ab"
    ),
    "nvidia-tesla-a100": _zones(
        "us-central1:abcf us-east1:b us-west1:b us-west3:b us-west4:b europe-west4:ab me-west1:ac "
        "asia-northeast1:ac asia-northeast3:ab asia-southeast1:abc"
    ),
    "nvidia-a100-80gb": _zones("us-central1:ac us-east4:c us-east5:ab europe-west4:a asia-southeast1:c"),
    "nvidia-h100-80gb": _zones(
        "us-central1:abc us-east4:abc us-east5:a us-west1:ab us-west4:a europe-north1:c "
        "europe-west1:bc europe-west3:c europe-west4:bc europe-west9:c asia-east1:c asia-northeast1:b "
        "asia-south1:c asia-south2:b asia-southeast1:bc australia-southeast1:c"
    ),
    "nvidia-h100-mega-80gb": _zones(
        "us-central1:abc us-east4:abc us-east5:a us-west1:ab us-west4:a europe-north1:c "
        "europe-west1:bc europe-west3:c europe-west4:bc asia-east1:c asia-northeast1:b "
        "asia-southeast1:bc australia-southeast1:c"
    ),
    "nvidia-h200-141gb": _zones(
        "us-central1:b us-east4:b us-east5:a us-south1:b us-west1:c europe-west1:b europe-west4:a "
        "asia-south1:b asia-south2:c"
    ),
    "nvidia-b200": _zones(
        "us-central1:b us-east1:b us-east4:b us-south1:b us-west2:c us-west3:bc europe-north1:bc "
        "europe-west4:b asia-northeast1:b asia-southeast1:b"
    ),
    "nvidia-rtx-pro-6000": _zones(
        "us-central1:bf us-east1:b us-east4:bc us-east5:abc us-south1:ab us-west1:ab us-west3:a us-west4:ac "
        "europe-north1:ab europe-west1:c europe-west2:bc europe-west4:ab europe-west8:b europe-west10:b "
        "asia-east1:a asia-south1:c asia-south2:ac asia-southeast1:abc asia-southeast2:bc"
    ),
}

QUOTA_METRICS: Final[Mapping[str, str]] = {
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-v100": "NVIDIA_V100_GPUS",
    "nvidia-tesla-p100": "NVIDIA_P100_GPUS",
    "nvidia-tesla-p4": "NVIDIA_P4_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "nvidia-h100-80gb": "NVIDIA_H100_GPUS",
    "nvidia-h100-mega-80gb": "NVIDIA_H100_MEGA_GPUS",
    "nvidia-h200-141gb": "NVIDIA_H200_GPUS",
    "nvidia-b200": "NVIDIA_B200_GPUS",
    "nvidia-rtx-pro-6000": "NVIDIA_RTX_PRO_6000_GPUS",
}
DEFAULT_GPU_QUOTA: Final = 64


@dataclass(frozen=True, slots=True)
class MachineType:
    """`accelerator` is built in with `accelerator_count`; a machine without one may take those in `ATTACHABLE`."""

    name: str
    vcpus: int
    memory_mib: int
    accelerator: str = ""
    accelerator_count: int = 0

    @property
    def family(self) -> str:
        return self.name.partition("-")[0]


def _general() -> list[MachineType]:
    shapes: list[tuple[str, tuple[int, ...], Mapping[str, float]]] = [
        ("n1", (1, 2, 4, 8, 16, 32, 64, 96), {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}),
        ("n2", (2, 4, 8, 16, 32, 48, 64, 80), {"standard": 4, "highmem": 8, "highcpu": 1}),
        ("n2d", (2, 4, 8, 16, 32, 48, 64, 80, 96), {"standard": 4, "highmem": 8, "highcpu": 1}),
        ("e2", (2, 4, 8, 16), {"standard": 4, "highmem": 8, "highcpu": 1}),
        ("e2", (32,), {"standard": 4, "highcpu": 1}),
        ("c3", (4, 8, 22, 44, 88, 176), {"standard": 4, "highmem": 8, "highcpu": 2}),
        ("c4", (4, 8, 16, 24, 32, 48, 96, 192), {"standard": 3.75, "highmem": 7.75, "highcpu": 2}),
        ("c4a", (1, 2, 4, 8, 16, 32, 48, 64, 72), {"standard": 4, "highmem": 8, "highcpu": 2}),
        ("n4", (2, 4, 8, 16, 32, 48, 64, 80), {"standard": 4, "highmem": 8, "highcpu": 2}),
        ("t2d", (1, 2, 4, 8, 16, 32, 48, 60), {"standard": 4}),
    ]
    return [
        MachineType(f"{family}-{kind}-{vcpus}", vcpus, int(vcpus * gib * 1024))
        for family, sizes, kinds in shapes
        for vcpus in sizes
        for kind, gib in kinds.items()
        if not (vcpus == 1 and kind != "standard")
    ]


MACHINE_TYPES: Final[Mapping[str, MachineType]] = {
    machine.name: machine
    for machine in [
        *_general(),
        MachineType("e2-micro", 2, 1024),
        MachineType("e2-small", 2, 2048),
        MachineType("e2-medium", 2, 4096),
        *(
            MachineType(
                each.machine_type,
                each.vcpus,
                int(each.memory_gib * 1024),
                gke_accelerator_type(each.accelerator),
                each.accelerator_count,
            )
            for each in machines().values()
            if each.cloud == "gcp" and each.accelerator and not each.attached and each.vcpus and each.memory_gib
        ),
    ]
}


def region_of(location: str) -> str | None:
    """The region of a region's or a zone's name; None where Google has no such place."""
    return location if location in REGIONS else ZONES.get(location)


def zones_of(location: str) -> tuple[str, ...]:
    """The zones a location spans: itself, or the first three of a region, as a regional cluster takes them."""
    return (location,) if location in ZONES else REGIONS[location][:3]


def sells(zone: str, machine: MachineType, accelerator: str = "") -> bool:
    """Whether the zone has the machine type, with the accelerator where one is asked for."""
    wanted = accelerator or machine.accelerator
    return zone in ZONES and (not wanted or zone in ACCELERATOR_ZONES.get(wanted, frozenset()))


def machine_type(name: str) -> MachineType | None:
    """A listed machine type, or a custom one of a family that has them (`n2-custom-6-20480`)."""
    if name in MACHINE_TYPES:
        return MACHINE_TYPES[name]
    parts = name.split("-")
    if (
        len(parts) == 4
        and parts[1] == "custom"
        and parts[0] in ("n1", "n2", "n2d", "e2", "n4")
        and all(p.isdigit() for p in parts[2:])
    ):
        return MachineType(name, int(parts[2]), int(parts[3]))
    return None
