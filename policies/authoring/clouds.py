"""What the themes over clouds share: types that the graph has no reader for, pages, and how switches and versions are written."""

from __future__ import annotations

LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
EKS_GUIDE = "https://docs.aws.amazon.com/eks/latest/userguide"
GKE_GUIDE = "https://cloud.google.com/kubernetes-engine/docs"


def is_on(value: object) -> bool:
    """Whether a switch is on: some of AWS's are booleans in text."""
    return value is True or value == "true"


def minor(version: object) -> tuple[int, int]:
    """`1.35.2-gke.100` → (1, 35); (0, 0) for what is no version."""
    parts = str(version).lstrip("v").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and all(map(str.isdigit, parts[:2])) else (0, 0)
