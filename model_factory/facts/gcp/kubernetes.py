"""The Kubernetes versions of GKE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

GkeVersion = Literal["1.33", "1.34", "1.35", "1.36"]
GkeChannel = Literal["RAPID", "REGULAR", "STABLE", "EXTENDED"]
DEFAULT_VERSION: Final[GkeVersion] = "1.35"
"""The least version of clusters that name none; every channel has it."""
GKE_VERSIONS: Final[Mapping[GkeChannel, tuple[GkeVersion, ...]]] = {
    "RAPID": ("1.34", "1.35", "1.36"),
    "REGULAR": ("1.34", "1.35", "1.36"),
    "STABLE": ("1.34", "1.35"),
    "EXTENDED": ("1.33", "1.34", "1.35", "1.36"),
}
"""Minor versions that GKE's channels offer for a new cluster, autumn 2026: https://docs.cloud.google.com/kubernetes-engine/docs/release-notes"""
FULL_VERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "RAPID": ("1.36.4-gke.1082000", "1.35.7-gke.1222000", "1.34.9-gke.1655001"),
    "REGULAR": ("1.36.4-gke.1082000", "1.35.7-gke.1222000", "1.34.9-gke.1655001"),
    "STABLE": ("1.35.6-gke.1250000", "1.34.9-gke.1655001"),
    "EXTENDED": (
        "1.36.4-gke.1082000",
        "1.35.7-gke.1222000",
        "1.34.9-gke.1655001",
        "1.33.9-gke.1090000",
        "1.32.13-gke.2268000",
        "1.31.14-gke.1986000",
    ),
}
"""Whole versions of each channel, newest first, those that planning takes no more among them; from the same notes."""
DEFAULT_FULL_VERSIONS: Final[Mapping[str, str]] = {
    "RAPID": "1.36.4-gke.1082000",
    "REGULAR": "1.35.7-gke.1222000",
    "STABLE": "1.35.6-gke.1250000",
    "EXTENDED": "1.35.7-gke.1222000",
}
"""What a channel gives a cluster that names no version."""
