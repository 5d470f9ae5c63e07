"""The Cloud Storage bucket that holds model weights."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.names import fit_auto_named

BUCKET_NAME_LIMIT = 63


class GcsWeightsBucketArgs(TypedDict):
    project: str
    region: str
    disposable: bool
    protect: bool
    labels: Mapping[str, str]


class GcsWeightsBucket(pulumi.ComponentResource):
    """A versioned bucket in the cluster's region that can never be made public. Cloud Storage encrypts it by itself.

    `disposable` lets it be deleted with the objects in it.
    """

    bucket_name: pulumi.Output[str]

    def __init__(self, name: str, args: GcsWeightsBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:storage:GcsWeightsBucket", name, {}, opts)
        bucket = gcp.storage.Bucket(
            fit_auto_named(name, BUCKET_NAME_LIMIT),
            project=args["project"],
            location=args["region"].upper(),
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning={"enabled": True},
            force_destroy=args["disposable"],
            labels=args["labels"],
            opts=pulumi.ResourceOptions(parent=self, protect=args["protect"]),
        )
        self.bucket_name = bucket.name
        self.register_outputs({"bucket_name": self.bucket_name})
