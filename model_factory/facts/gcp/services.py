"""The APIs of Google Cloud that this stack calls, 2026-11, and the provider's configuration that names the endpoint of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "artifactregistry": ("artifactRegistryCustomEndpoint",),
    "cloudkms": ("kmsCustomEndpoint",),
    "cloudresourcemanager": ("resourceManagerCustomEndpoint", "cloudResourceManagerCustomEndpoint"),
    "compute": ("computeCustomEndpoint",),
    "container": ("containerCustomEndpoint",),
    "iam": ("iamCustomEndpoint",),
    "serviceusage": ("serviceUsageCustomEndpoint",),
    "storage": ("storageCustomEndpoint",),
}
"""An API as Google's discovery names it → its keys in the `gcp:` namespace, the one that we write first:
https://www.pulumi.com/registry/packages/gcp/api-docs/provider/"""
OPTIONAL: Final = frozenset({"cloudkms", "serviceusage"})
"""APIs that most stacks do without: a stack on local clouds names an endpoint only where it calls them."""
