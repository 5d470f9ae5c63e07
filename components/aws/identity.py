"""What a model may do in AWS: read its own weights."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.aws.iam import ROLE_NAME_LIMIT, policy_json, trust
from components.names import fit_auto_named

POD_IDENTITY = "pods.eks.amazonaws.com"


class AwsModelIdentityArgs(TypedDict):
    region: str
    cluster_name: pulumi.Input[str]
    namespace: str
    service_account: str
    bucket_arn: pulumi.Input[str]
    prefix: str
    key_arn: pulumi.Input[str] | None
    tags: Mapping[str, str]


class AwsModelIdentity(pulumi.ComponentResource):
    """A role for one service account of one cluster, by EKS Pod Identity. It can read one folder of one bucket.

    Another folder or bucket is another policy: the one before stays until the Pods that read with it are gone.
    """

    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AwsModelIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:identity:AwsModelIdentity", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            fit_auto_named(name, ROLE_NAME_LIMIT),
            description=f"Model {args['service_account']} reads its weights",
            assume_role_policy=policy_json([trust(POD_IDENTITY, "sts:TagSession")]),
            tags=args["tags"],
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            fit_auto_named(name, ROLE_NAME_LIMIT),
            role=role.name,
            policy=pulumi.Output.all(args["bucket_arn"], args["key_arn"]).apply(
                lambda arns: policy_json(read_statements(arns[0], args["prefix"], arns[1]))
            ),
            # Changed in place it would take from running Pods what they read. Names are Pulumi's, so both are there meanwhile.
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["policy"]),
        )
        aws.eks.PodIdentityAssociation(
            name,
            region=args["region"],
            cluster_name=args["cluster_name"],
            namespace=args["namespace"],
            service_account=args["service_account"],
            role_arn=role.arn,
            tags=args["tags"],
            # A Pod that starts between the two would be refused its weights, and cache that.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})


def read_statements(bucket_arn: str, prefix: str, key_arn: str | None) -> list[dict[str, object]]:
    """Listing and reading below a prefix, and decrypting with the bucket's key where it has one of its own.

    An empty prefix means the whole bucket.
    """
    listing: dict[str, object] = {
        "Sid": "List",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": bucket_arn,
    }
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [prefix.rstrip("/"), f"{prefix}*"]}}
    statements: list[dict[str, object]] = [
        listing,
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": f"{bucket_arn}/{prefix}*",
        },
    ]
    if key_arn is not None:
        statements.append({"Sid": "Decrypt", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": key_arn})
    return statements
