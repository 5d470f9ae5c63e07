"""The local providers by package. Each is imported when a program first uses it: the cloud clients take a while to load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer


def local_providers(root: Path) -> Mapping[str, Callable[[], ResourceProviderServicer]]:
    """Factories by package; a relative `renderYamlToDirectory` counts from `root`, the project's folder."""
    return {"aws": _aws, "gcp": _gcp, "kubernetes": lambda: _kubernetes(root)}


def _aws() -> ResourceProviderServicer:
    from model_factory.local.providers.aws.provider import AwsProvider

    return AwsProvider()


def _gcp() -> ResourceProviderServicer:
    from model_factory.local.providers.gcp.provider import GcpProvider

    return GcpProvider()


def _kubernetes(root: Path) -> ResourceProviderServicer:
    from model_factory.local.providers.kubernetes.provider import KubernetesProvider

    return KubernetesProvider(root)
