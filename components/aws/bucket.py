"""The S3 bucket that holds model weights."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.aws.iam import policy_json
from components.names import fit_auto_named

BUCKET_NAME_LIMIT = 63


class S3WeightsBucketArgs(TypedDict):
    region: str
    disposable: bool
    protect: bool
    tags: Mapping[str, str]


class S3WeightsBucket(pulumi.ComponentResource):
    """A private, versioned bucket, encrypted with a key of its own, reached over TLS only.

    `disposable` lets it be deleted with the objects in it.
    """

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: S3WeightsBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:storage:S3WeightsBucket", name, {}, opts)
        region, tags = args["region"], args["tags"]
        child = pulumi.ResourceOptions(parent=self)
        stateful = pulumi.ResourceOptions(parent=self, protect=args["protect"])
        key = aws.kms.Key(
            name,
            region=region,
            description=f"Model weights of {name}",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            tags=tags,
            opts=stateful,
        )
        bucket = aws.s3.Bucket(
            fit_auto_named(name, BUCKET_NAME_LIMIT),
            region=region,
            force_destroy=args["disposable"],
            tags=tags,
            opts=stateful,
        )
        aws.s3.BucketVersioning(
            name,
            region=region,
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            region=region,
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key.arn,
                    },
                    # One data key for many objects: pods reading shards would else be slowed down by KMS.
                    "bucket_key_enabled": True,
                }
            ],
            opts=child,
        )
        private = aws.s3.BucketPublicAccessBlock(
            name,
            region=region,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketPolicy(
            name,
            region=region,
            bucket=bucket.bucket,
            policy=bucket.arn.apply(lambda arn: policy_json([tls_only(arn)])),
            # S3 refuses two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )
        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        self.key_arn = key.arn
        self.register_outputs({"bucket_name": self.bucket_name})


def tls_only(bucket_arn: str) -> dict[str, object]:
    """Refuses every request without TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
