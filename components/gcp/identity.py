"""What a model may do in Google Cloud: read the bucket with its weights."""

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.gcp.gke import workload_pool
from model_factory.graph.names import fit

ACCOUNT_ID_LIMIT = 30


class GcpModelIdentityArgs(TypedDict):
    project: str
    bucket: pulumi.Input[str]
    namespace: str
    service_account: str


class GcpModelIdentity(pulumi.ComponentResource):
    """A Google service account that one Kubernetes service account may act as. It can read one bucket.

    It reads the whole bucket: listing, which the mount needs, cannot be limited to a folder by an IAM condition.
    """

    email: pulumi.Output[str]

    def __init__(self, name: str, args: GcpModelIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:identity:GcpModelIdentity", name, {}, opts)
        project = args["project"]
        child = pulumi.ResourceOptions(parent=self)
        account = gcp.serviceaccount.Account(
            name,
            project=project,
            account_id=fit(name, ACCOUNT_ID_LIMIT),
            display_name=f"Model {args['service_account']}",
            opts=child,
        )
        gcp.serviceaccount.IAMMember(
            name,
            service_account_id=account.name,
            role="roles/iam.workloadIdentityUser",
            member=f"serviceAccount:{workload_pool(project)}[{args['namespace']}/{args['service_account']}]",
            opts=child,
        )
        gcp.storage.BucketIAMMember(
            name,
            bucket=args["bucket"],
            role="roles/storage.objectViewer",
            member=account.email.apply(lambda email: f"serviceAccount:{email}"),
            opts=child,
        )
        self.email = account.email
        self.register_outputs({"email": self.email})
