"""The side container by which GKE mounts Cloud Storage: how a Pod asks for it, and what it takes of a node.

docs.cloud.google.com/kubernetes-engine/docs/how-to/cloud-storage-fuse-csi-driver-sidecar; defaults and rules from `pkg/webhook/config.go` of
github.com/GoogleCloudPlatform/gcs-fuse-csi-driver, read 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ENABLED: Final = "gke-gcsfuse/volumes"
"""The Pod's annotation that asks for it, with the value "true"."""
DEFAULTS: Final[Mapping[str, str]] = {"cpu": "250m", "memory": "256Mi", "ephemeral-storage": "5Gi"}
"""What it requests of each resource, and its limit, where no annotation says otherwise."""
UNLIMITED: Final = "0"


def annotation(resource: str, bound: str) -> str:
    """The Pod's annotation for a resource of DEFAULTS; `bound` is request or limit."""
    return f"gke-gcsfuse/{resource}-{bound}"


def requests(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """What it requests in a Pod with these annotations; nothing where the Pod does not ask for it. A limit alone is the request, too."""
    if annotations.get(ENABLED) != "true":
        return {}
    return {resource: _request(annotations, resource) for resource in DEFAULTS}


def _request(annotations: Mapping[str, str], resource: str) -> str:
    limit = annotations.get(annotation(resource, "limit"), UNLIMITED)
    return annotations.get(annotation(resource, "request"), DEFAULTS[resource] if limit == UNLIMITED else limit)
