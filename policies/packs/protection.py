"""What must not get lost, and where it may be."""

from __future__ import annotations

from model_factory.graph.clusters import EKS_CLUSTER, GKE_CLUSTER
from model_factory.graph.declared import matches
from model_factory.graph.values import at
from policies.authoring.checks import HIGH, texts
from policies.authoring.references import Reference, documented
from policies.authoring.resources import Report, Resource
from policies.authoring.theme import Theme

theme = Theme("organisation")

STATEFUL = (
    "aws:dynamodb/table:Table",
    "aws:ebs/volume:Volume",
    "aws:ecr/repository:Repository",
    "aws:efs/fileSystem:FileSystem",
    EKS_CLUSTER,
    "aws:kms/key:Key",
    "aws:rds/*:*",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketV2:BucketV2",
    "gcp:artifactregistry/repository:Repository",
    GKE_CLUSTER,
    "gcp:kms/cryptoKey:CryptoKey",
    "gcp:sql/databaseInstance:DatabaseInstance",
    "gcp:storage/bucket:Bucket",
)
PLACES = ("region", "location", "zone", "availabilityZone")
ALLOWED_REGIONS = ("us-*", "us", "eu-*", "europe-*", "eu", "global")


@theme.resource(
    types=STATEFUL,
    severity=HIGH,
    steps="Set the resource option protect, and leave forceDestroy and forceDelete off (environment: prod does both).",
    reference=documented(
        "Pulumi",
        "Resource option protect",
        "Protected resources cannot be deleted",
        "https://www.pulumi.com/docs/iac/concepts/options/protect/",
    ),
)
def protect_stateful(resource: Resource, report: Report) -> None:
    """What holds data, images or keys is protected from deletion."""
    if not resource.options.protect:
        report("it holds what cannot be made again, and is not protected")
    with report.guard():
        for key in ("forceDestroy", "forceDelete"):
            if at(resource.props, key) is True:
                report(f"{key} lets it be deleted with all that is in it")


@theme.resource(
    types=("aws:*", "gcp:*", "pulumi:providers:aws", "pulumi:providers:gcp"),
    severity=HIGH,
    steps="Choose another region in the stack file, or have it added to `allowed` in policies/config.",
    reference=Reference(
        "NIST SP 800-53",
        "Rev. 5",
        "SA-9(5)",
        "Processing, storage and service location",
        "https://csrc.nist.gov/pubs/sp/800/53/r5/upd1/final",
    ),
    config={
        "allowed": texts(ALLOWED_REGIONS, "Regions, zones and multi-regions, in lower case; * stands for anything.")
    },
)
def allowed_regions(resource: Resource, report: Report) -> None:
    """Everything is in a region where the organisation's data may be."""
    allowed = tuple(resource.config["allowed"])
    for key in PLACES:
        with report.guard():
            _report_place(key, at(resource.props, key), allowed, report)
    with report.guard():
        if resource.is_("aws:*") and at(resource.props, "region") is None:
            _report_place("the provider's region", at(resource.provider_props, "region"), allowed, report)


def _report_place(key: str, place: object, allowed: tuple[str, ...], report: Report) -> None:
    if isinstance(place, str) and place and not matches(place.lower(), allowed):
        report(f"{key} {place} is not allowed; use {', '.join(allowed)}")
