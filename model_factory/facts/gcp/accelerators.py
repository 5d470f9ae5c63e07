"""GPUs as GKE names them, and what they ask of a node there."""

from __future__ import annotations

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


def gke_accelerator_type(accelerator: str) -> str:
    """GKE's name of an accelerator, as node pools and the label `cloud.google.com/gke-accelerator` take it. ValueError when GKE has none.

    https://cloud.google.com/kubernetes-engine/docs/concepts/gpus
    """
    if accelerator not in _GKE_ACCELERATOR_TYPES:
        raise ValueError(f"GKE has no accelerator {accelerator}; it has {', '.join(_GKE_ACCELERATOR_TYPES)}")
    return _GKE_ACCELERATOR_TYPES[accelerator]
