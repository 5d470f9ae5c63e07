"""The Kubernetes versions of GKE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

GkeVersion = Literal["1.33", "1.34", "1.35", "1.36"]
GkeChannel = Literal["RAPID", "REGULAR", "STABLE", "EXTENDED"]
GKE_VERSIONS: Final[Mapping[GkeChannel, tuple[GkeVersion, ...]]] = {
    "RAPID": ("1.34", "1.35", "1.36"),
    "REGULAR": ("1.34", "1.35", "1.36"),
    "STABLE": ("1.34", "1.35"),
    "EXTENDED": ("1.33", "1.34", "1.35", "1.36"),
}
"""Minor versions that GKE's channels offer for a new cluster, autumn 2026: https://docs.cloud.google.com/kubernetes-engine/docs/release-notes"""
