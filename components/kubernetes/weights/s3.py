"""`s3://bucket/path`, and the stack's own bucket on AWS: folders that Mountpoint mounts, as volumes that Pods can claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.kubernetes.objects import name_of
from components.kubernetes.weights.route import (
    VOLUME,
    Folder,
    Mounting,
    PodWeights,
    Route,
    mount_path,
    named_bucket,
    refuse_bucket,
)
from model_factory.graph.names import told_apart
from model_factory.planning.settings.sections import ModelSettings

if TYPE_CHECKING:
    from pulumi_kubernetes.core.v1 import VolumeArgsDict

DRIVER = "s3.csi.aws.com"
# Kubernetes asks for a size; S3 has none, and the driver ignores it.
NOMINAL_SIZE = "1Ti"


class S3MountArgs(TypedDict):
    namespace: pulumi.Input[str]
    region: str
    bucket: pulumi.Input[str]
    prefix: str
    user: int
    labels: Mapping[str, str]


class S3Mount(pulumi.ComponentResource):
    """A read-only volume and the claim on it. The Pod that mounts it reads with its own identity, not with the node's.

    Another folder, revision or option is another volume: Kubernetes would change the options of this one in place, and Pods that start
    then would read something else than those that run. Names are Pulumi's, so the new volume and claim are there before Pods roll over to
    them, and the old ones go afterwards.
    """

    claim_name: pulumi.Output[str]

    def __init__(self, name: str, args: S3MountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:serving:S3Mount", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        options = mount_options(args["prefix"], args["region"], args["user"])
        volume = kubernetes.core.v1.PersistentVolume(
            name,
            metadata={"labels": args["labels"]},
            spec={
                "access_modes": ["ReadOnlyMany"],
                "capacity": {"storage": NOMINAL_SIZE},
                "storage_class_name": "",
                "persistent_volume_reclaim_policy": "Retain",
                "mount_options": options,
                "csi": {
                    "driver": DRIVER,
                    # Unlike the options it cannot be changed. No two volumes may have the same one:
                    # github.com/awslabs/mountpoint-s3-csi-driver/blob/main/docs/CONFIGURATION.md
                    "volume_handle": pulumi.Output.from_input(args["bucket"]).apply(
                        lambda bucket: f"{name}-{told_apart(bucket, options)}"
                    ),
                    "volume_attributes": {"bucketName": args["bucket"], "authenticationSource": "pod"},
                },
            },
            opts=child,
        )
        claim = kubernetes.core.v1.PersistentVolumeClaim(
            name,
            metadata={"namespace": args["namespace"], "labels": args["labels"]},
            spec={
                "access_modes": ["ReadOnlyMany"],
                "storage_class_name": "",
                "volume_name": name_of(volume.metadata),
                "resources": {"requests": {"storage": NOMINAL_SIZE}},
            },
            opts=child,
        )
        self.claim_name = name_of(claim.metadata)
        self.register_outputs({"claim_name": self.claim_name})


def mount_options(prefix: str, region: str, user: int) -> list[str]:
    """Options of Mountpoint. The prefix ends with a slash; none mounts the whole bucket."""
    options = ["read-only", "allow-other", f"uid={user}", f"gid={user}", f"region {region}"]
    return [*options, f"prefix {prefix}"] if prefix else options


@dataclass(frozen=True, slots=True)
class S3Buckets:
    """The buckets that a cluster of EKS can mount; `own` is the stack's. The driver's own Pod goes out to S3, so the model's Pod needs
    no way out for it."""

    own: pulumi.Input[str]
    region: str

    def weights(self, model: ModelSettings, folder: Folder) -> PodWeights:
        """A folder as a model's weights, read with the Pod's identity."""

        def volume(at: Mounting) -> VolumeArgsDict:
            mount = S3Mount(
                at.name,
                {
                    "namespace": at.namespace,
                    "region": self.region,
                    "bucket": folder.bucket or self.own,
                    "prefix": folder.prefix,
                    "user": at.user,
                    "labels": at.labels,
                },
                at.opts,
            )
            return {
                "name": VOLUME,
                "persistent_volume_claim": {"claim_name": mount.claim_name, "read_only": True},
            }

        return PodWeights(argument=mount_path(model), volume=volume, reads=folder)


# docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html. Policies name buckets, not aliases of access points.
BUCKET = (
    r"(?!xn--|sthree-|amzn-s3-demo-)(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$)(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)"
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
)
ROUTE = Route(
    title="S3",
    form="s3://bucket/path",
    weights=named_bucket,
    cloud="aws",
    refuse=refuse_bucket(BUCKET, "3 to 63 lower-case letters, digits, hyphens and dots, no address and no alias"),
)
