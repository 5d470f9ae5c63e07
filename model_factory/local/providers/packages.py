"""The local providers by package. Each is imported when it is first asked for: the cloud clients take a while to load."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

PROVIDERS: Final[Mapping[str, tuple[str, str]]] = {
    "aws": ("model_factory.local.providers.aws.provider", "AwsProvider"),
    "gcp": ("model_factory.local.providers.gcp.provider", "GcpProvider"),
    "kubernetes": ("model_factory.local.providers.kubernetes.provider", "KubernetesProvider"),
}


def local_providers(root: Path) -> Mapping[str, Callable[[], Any]]:
    """Factories by package; relative paths in a provider's configuration count from `root`."""
    return {name: provider_class(name, root) for name in PROVIDERS}


def provider_class(name: str, root: Path | None = None) -> Callable[[], Any]:
    """What makes providers of a package; its module is imported by the first one. ValueError names the packages there are."""
    if name not in PROVIDERS:
        raise ValueError(f"there is no local provider {name!r}; there are {', '.join(PROVIDERS)}")
    module, attribute = PROVIDERS[name]

    def make() -> Any:
        provider = getattr(importlib.import_module(module), attribute)
        # Only Kubernetes has paths in its configuration.
        return provider(root.resolve()) if root is not None and name == "kubernetes" else provider()

    return make
