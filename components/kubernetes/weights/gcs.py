"""`gs://bucket/path`, and the stack's own bucket on Google Cloud: folders that Cloud Storage FUSE mounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.kubernetes.network_policy import https_out, to_address
from components.kubernetes.weights.route import VOLUME, Folder, PodWeights, Route, mount_path, named_bucket
from model_factory.planning.settings.sections import ModelSettings

if TYPE_CHECKING:
    import pulumi

DRIVER = "gcsfuse.csi.storage.gke.io"
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
            # GKE adds the side container to Pods that ask for it.
            pod_annotations={"gke-gcsfuse/volumes": "true"},
            reads=folder,
        )


ROUTE = Route(title="Cloud Storage", form="gs://bucket/path", weights=named_bucket, cloud="gcp")
