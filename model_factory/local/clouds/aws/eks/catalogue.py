"""What EKS offers: Kubernetes versions, add-ons, access policies. Facts to emulate with, not compared with a real account.

Add-on versions follow the form of the real ones (one a Kubernetes version, `-eksbuild.N`).
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model_factory.facts.aws.kubernetes import PATCHES, SUPPORT


@dataclass(frozen=True, slots=True)
class Version:
    """A Kubernetes minor version: when standard and extended support end (None: not announced), and its latest patch."""

    name: str
    patch: str
    standard_until: datetime.date | None
    extended_until: datetime.date | None

    @property
    def minor(self) -> int:
        return int(self.name.split(".")[1])

    def status(self, today: datetime.date) -> str:
        """STANDARD_SUPPORT, EXTENDED_SUPPORT or UNSUPPORTED."""
        if self.standard_until is None or today <= self.standard_until:
            return "STANDARD_SUPPORT"
        if self.extended_until is None or today <= self.extended_until:
            return "EXTENDED_SUPPORT"
        return "UNSUPPORTED"


VERSIONS: Final = tuple(
    Version(name, patch, support and support.standard_until, support and support.extended_until)
    for name, patch in PATCHES.items()
    for support in (SUPPORT.get(name),)
)
"""Oldest first. The last is the default of a new cluster."""
DEFAULT_VERSION: Final = VERSIONS[-1]
KUBELET_SKEW: Final = 3
"""A node may be this many minor versions behind its control plane. Source: Kubernetes, "Version Skew Policy"."""


def version(name: str) -> Version | None:
    return next((item for item in VERSIONS if item.name == name), None)


def release_version(kubernetes: Version) -> str:
    """The node image release that a node group of this version gets."""
    return f"{kubernetes.patch}-20260801"


@dataclass(frozen=True, slots=True)
class Addon:
    """An add-on: its versions newest first, by Kubernetes version; `*` stands for all others."""

    name: str
    kind: str
    namespace: str
    versions: Mapping[str, tuple[str, ...]]
    requires_iam: bool = False

    def compatible(self, kubernetes: str) -> tuple[str, ...]:
        return self.versions.get(kubernetes) or self.versions.get("*", ())


def _each(template: str) -> dict[str, tuple[str, ...]]:
    return {item.name: (template.format(item.patch), template.format(f"{item.name}.0")) for item in VERSIONS}


_CATALOG: Final = (
    Addon(
        "vpc-cni",
        "networking",
        "kube-system",
        {"*": ("v1.21.1-eksbuild.1", "v1.20.4-eksbuild.2", "v1.19.6-eksbuild.7")},
        requires_iam=True,
    ),
    Addon("kube-proxy", "networking", "kube-system", _each("v{}-eksbuild.2")),
    Addon(
        "coredns",
        "networking",
        "kube-system",
        {"*": ("v1.12.4-eksbuild.1", "v1.12.1-eksbuild.2", "v1.11.4-eksbuild.2")},
    ),
    Addon(
        "eks-pod-identity-agent",
        "security",
        "kube-system",
        {"*": ("v1.3.10-eksbuild.1", "v1.3.8-eksbuild.2")},
    ),
    Addon(
        "aws-ebs-csi-driver",
        "storage",
        "kube-system",
        {"*": ("v1.53.0-eksbuild.1", "v1.48.0-eksbuild.1")},
        requires_iam=True,
    ),
    Addon(
        "aws-efs-csi-driver",
        "storage",
        "kube-system",
        {"*": ("v2.1.15-eksbuild.1", "v2.1.11-eksbuild.1")},
        requires_iam=True,
    ),
    Addon(
        "aws-mountpoint-s3-csi-driver",
        "storage",
        "kube-system",
        {"*": ("v2.2.0-eksbuild.1", "v1.15.0-eksbuild.1")},
        requires_iam=True,
    ),
    Addon("snapshot-controller", "storage", "kube-system", {"*": ("v8.3.0-eksbuild.1", "v8.2.0-eksbuild.1")}),
    Addon(
        "amazon-cloudwatch-observability",
        "observability",
        "amazon-cloudwatch",
        {"*": ("v4.7.0-eksbuild.1", "v4.3.1-eksbuild.1")},
        requires_iam=True,
    ),
    Addon("metrics-server", "observability", "kube-system", {"*": ("v0.8.0-eksbuild.3", "v0.7.2-eksbuild.4")}),
    Addon(
        "eks-node-monitoring-agent",
        "observability",
        "kube-system",
        {"*": ("v1.4.2-eksbuild.1", "v1.4.0-eksbuild.2")},
    ),
)
ADDONS: Final[Mapping[str, Addon]] = {addon.name: addon for addon in _CATALOG}

ACCESS_POLICIES: Final = (
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
)
ACCESS_POLICY_PREFIX: Final = "arn:aws:eks::aws:cluster-access-policy/"
