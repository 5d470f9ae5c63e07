"""What the images of EKS's node groups ask of a machine."""

from __future__ import annotations

from dataclasses import dataclass

from model_factory.facts.machines import Architecture


@dataclass(frozen=True, slots=True)
class ImageNeeds:
    """EKS refuses a node group whose machines have another architecture, or whose image is for GPUs that they lack ("is not a valid
    instance type for requested amiType"): https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html"""

    architecture: Architecture
    gpu: bool


def image_needs(ami_type: str) -> ImageNeeds | None:
    """What an `amiType` asks for; None for CUSTOM, whose image the launch template names."""
    if ami_type == "CUSTOM":
        return None
    return ImageNeeds(
        "arm64" if "ARM_64" in ami_type else "x86_64", gpu=ami_type.endswith("_GPU") or "NVIDIA" in ami_type
    )
