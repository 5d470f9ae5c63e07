"""`gs://bucket/path`, and the stack's own bucket on Google Cloud: folders that Cloud Storage FUSE mounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from components.kubernetes.network_policy import https_out, to_address
from components.kubernetes.weights.route import (
    VOLUME,
    Folder,
    PodWeights,
    Route,
    mount_path,
    named_bucket,
    refuse_bucket,
)
from model_factory.facts.gcp import gcsfuse
from model_factory.graph import quantity
from model_factory.planning.settings.sections import ModelSettings
from model_factory.planning.settings.serving import Beside, Footprint

if TYPE_CHECKING:
    import pulumi

DRIVER = "gcsfuse.csi.storage.gke.io"
# Memory of the container that mounts: a base, and for its buffers a share of the weights.
LEAST_GIB, GIB_A_GIB, MOST_GIB = Decimal("0.5"), Decimal("0.015"), Decimal(4)
# Where a Pod asks GKE for its identity (cloud.google.com/kubernetes-engine/docs/how-to/workload-identity).
METADATA_SERVERS = {"169.254.169.254/32": 80, "169.254.169.252/32": 988}


@dataclass(frozen=True, slots=True)
class GcsBuckets:
    """The buckets that a cluster of GKE can mount; `own` is the stack's. A side container of the Pod itself mounts, so it is the Pod
    that goes out to Cloud Storage."""

    own: pulumi.Input[str]

    def weights(self, model: ModelSettings, folder: Folder) -> PodWeights:
        """A folder as a model's weights, read with the Pod's identity."""
        options = ["implicit-dirs", *([f"only-dir={folder.prefix.rstrip('/')}"] if folder.prefix else [])]
        return PodWeights(
            argument=mount_path(model),
            volume=lambda _: {
                "name": VOLUME,
                "csi": {
                    "driver": DRIVER,
                    "read_only": True,
                    "volume_attributes": {
                        "bucketName": folder.bucket or self.own,
                        "mountOptions": ",".join(options),
                    },
                },
            },
            egress=(https_out(), *(to_address(cidr, port) for cidr, port in METADATA_SERVERS.items())),
            pod_annotations=asked_for(sidecar(model.weights_gib)),
            reads=folder,
        )


def sidecar(weights_gib: Decimal) -> Beside:
    """What the container that mounts requests: its own default of CPU; of memory, that of its buffers, which loading opens for each of the
    files at once. It writes no more than logs: nothing is cached, and nothing written back."""
    memory_gib = min(LEAST_GIB + weights_gib * GIB_A_GIB, MOST_GIB)
    return Beside(quantity.amount(gcsfuse.DEFAULTS["cpu"]), Decimal(ceil(4 * memory_gib)) / 4, 1)


def asked_for(beside: Beside) -> Mapping[str, str]:
    """The annotations for which GKE adds the container to a Pod. Without limits: by default it loads tens of GiB with a quarter of a core,
    and is killed, and all mounts with it, above 256 MiB of memory (github.com/GoogleCloudPlatform/gcs-fuse-csi-driver, docs/troubleshooting.md).
    """
    amounts = {
        "cpu": f"{int(beside.cpu * 1000)}m",
        "memory": f"{int(beside.memory_gib * 1024)}Mi",
        "ephemeral-storage": f"{beside.scratch_gib}Gi",
    }
    return {
        gcsfuse.ENABLED: "true",
        **{gcsfuse.annotation(resource, "request"): amount for resource, amount in amounts.items()},
        **{gcsfuse.annotation(resource, "limit"): gcsfuse.UNLIMITED for resource in amounts},
    }


def footprint(weights_gib: Decimal) -> Footprint:
    """On Google Cloud the container that mounts is in the Pod."""
    return Footprint(beside={"gcp": sidecar(weights_gib)})


# cloud.google.com/storage/docs/buckets#naming
BUCKET = r"(?!.*[^.]{64})(?!.*(\.\.|\.-|-\.))(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
ROUTE = Route(
    title="Cloud Storage",
    form="gs://bucket/path",
    weights=named_bucket,
    cloud="gcp",
    footprint=footprint,
    refuse=refuse_bucket(BUCKET, "3 to 63 lower-case letters, digits, hyphens, _ and dots, and no address"),
)
