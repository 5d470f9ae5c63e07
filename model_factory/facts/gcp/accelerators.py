"""GPUs as GKE names them, and what they ask of a node there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_GKE_ACCELERATOR_TYPES: Final = {
    "t4": "nvidia-tesla-t4",
    "l4": "nvidia-l4",
    "a100": "nvidia-tesla-a100",
    "a100-80gb": "nvidia-a100-80gb",
    "h100": "nvidia-h100-80gb",
    "h100-mega": "nvidia-h100-mega-80gb",
    "h200": "nvidia-h200-141gb",
    "b200": "nvidia-b200",
    "rtx-pro-6000": "nvidia-rtx-pro-6000",
}

ATTACHABLE: Final[Mapping[str, frozenset[str]]] = {
    "n1": frozenset({"nvidia-tesla-t4", "nvidia-tesla-v100", "nvidia-tesla-p100", "nvidia-tesla-p4"}),
}
ATTACHABLE_COUNTS: Final[Mapping[str, frozenset[int]]] = {
    "nvidia-tesla-t4": frozenset({1, 2, 4}),
    "nvidia-tesla-v100": frozenset({1, 2, 4, 8}),
    "nvidia-tesla-p100": frozenset({1, 2, 4}),
    "nvidia-tesla-p4": frozenset({1, 2, 4}),
}
"""What machines of a series can have beside them, and how many: https://cloud.google.com/compute/docs/gpus#gpus-list. Other series with
accelerators have them built in, and the rest take none."""


def gke_accelerator_type(accelerator: str) -> str:
    """GKE's name of an accelerator, as node pools and the label `cloud.google.com/gke-accelerator` take it. ValueError when GKE has none.

    https://cloud.google.com/kubernetes-engine/docs/concepts/gpus
    """
    if accelerator not in _GKE_ACCELERATOR_TYPES:
        raise ValueError(f"GKE has no accelerator {accelerator}; it has {', '.join(_GKE_ACCELERATOR_TYPES)}")
    return _GKE_ACCELERATOR_TYPES[accelerator]
