"""What the themes over clouds share: types, where rules come from, how values are read."""

from __future__ import annotations

from policies.checks import Reference

EKS_CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
GKE_CLUSTER = "gcp:container/cluster:Cluster"
NODE_POOL = "gcp:container/nodePool:NodePool"
EKS_GUIDE = "https://docs.aws.amazon.com/eks/latest/userguide"
GKE_GUIDE = "https://cloud.google.com/kubernetes-engine/docs"


def cis_eks(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A recommendation of the CIS Amazon EKS Benchmark."""
    return Reference("CIS Amazon EKS Benchmark", "1.5.0", section, title, url, checkov)


def cis_aws(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A recommendation of the CIS AWS Foundations Benchmark."""
    return Reference("CIS AWS Foundations Benchmark", "3.0.0", section, title, url, checkov)


def cis_gke(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A recommendation of the CIS Google Kubernetes Engine Benchmark."""
    return Reference("CIS GKE Benchmark", "1.4.0", section, title, url, checkov)


def is_on(value: object) -> bool:
    """Whether a switch is on: some of AWS's are booleans in text."""
    return value is True or value == "true"


def minor(version: object) -> tuple[int, int]:
    """`1.35.2-gke.100` → (1, 35); (0, 0) for what is no version."""
    parts = str(version).lstrip("v").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and all(map(str.isdigit, parts[:2])) else (0, 0)
