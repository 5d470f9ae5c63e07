"""S3 buckets and what is set on them one call at a time."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import (
    TAGS,
    as_json,
    as_tag_list,
    declare,
    from_tag_list,
    joined,
    put_again,
    same_policy,
)
from model_factory.local.providers.aws.session import GLOBAL_REGION, Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.base import Call, ResourceType
from model_factory.local.providers.errors import Failure, NotFoundError
from model_factory.local.providers.values import flag, mapping, text
from model_factory.local.wire import Properties

_BUCKET_API: Final = Api(
    "s3",
    "CreateBucket",
    names={"objectLockEnabled": "ObjectLockEnabledForBucket"},
    ours=frozenset({"forceDestroy"}),
)
_VERSIONING_API: Final = Api(
    "s3",
    "PutBucketVersioning",
    names={"versioningConfiguration.mfaDelete": "MFADelete", "mfa": "MFA"},
)
_ENCRYPTION_API: Final = Api(
    "s3",
    "ServerSideEncryptionConfiguration",
    names={
        "rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm",
        "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId": "KMSMasterKeyID",
    },
    ours=frozenset({"bucket", "expectedBucketOwner"}),
)
_BLOCK_API: Final = Api("s3", "PublicAccessBlockConfiguration", ours=frozenset({"bucket", "skipDestroy"}))
_POLICY_API: Final = Api("s3", "PutBucketPolicy")

# AWS General Reference, "Amazon S3 endpoints": the hosted zones of the regions used most.
_HOSTED_ZONES: Final = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-east-2": "Z2O1EMRO9K5GLX",
    "us-west-1": "Z2F56UZL2M1ACD",
    "us-west-2": "Z3BJ6K6RIION7M",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-central-1": "Z21DNDUVLTQW6Q",
}


def _create_bucket(call: Call[Aws], inputs: Properties) -> None:
    aws, name = call.cloud, text(inputs, "bucket")
    place = {} if aws.region == GLOBAL_REGION else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    aws.call("s3", "CreateBucket", **_BUCKET_API.request(aws, inputs), **place)
    call.created(name)
    tags = {key: str(value) for key, value in mapping(inputs, "tagsAll").items()}
    _tag(aws, {"id": name}, tags, [])


def _read_bucket(call: Call[Aws], name: str, _inputs: Properties) -> Properties | None:
    aws = call.cloud
    aws.call("s3", "HeadBucket", Bucket=name)
    return {
        "bucket": name,
        "arn": f"arn:{aws.partition}:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{aws.region}.amazonaws.com",
        "bucketRegion": aws.region,
        "hostedZoneId": _HOSTED_ZONES.get(aws.region),
        "objectLockEnabled": _object_lock(aws, name),
        TAGS: _bucket_tags(aws, name),
    }


def _object_lock(aws: Aws, name: str) -> bool:
    try:
        found = aws.call("s3", "GetObjectLockConfiguration", Bucket=name)
    except NotFoundError:
        return False
    return found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"


def _bucket_tags(aws: Aws, name: str) -> Properties:
    try:
        return from_tag_list(aws.call("s3", "GetBucketTagging", Bucket=name).get("TagSet"))
    except NotFoundError:
        return {}


def _tag(aws: Aws, outputs: Properties, added: Mapping[str, str], removed: list[str]) -> None:
    """S3 sets all tags of a bucket at once."""
    name = text(outputs, "id")
    have = _bucket_tags(aws, name)
    want = {key: str(value) for key, value in have.items() if key not in removed} | dict(added)
    if want and want != have:
        aws.call("s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": as_tag_list(want)})
    elif have and not want:
        aws.call("s3", "DeleteBucketTagging", Bucket=name)


def _delete_bucket(call: Call[Aws], name: str, state: Properties) -> None:
    if flag(state, "forceDestroy"):
        _empty(call.cloud, name)
    call.cloud.call("s3", "DeleteBucket", Bucket=name)


def _empty(aws: Aws, name: str) -> None:
    while True:
        page = aws.call("s3", "ListObjectVersions", Bucket=name)
        doomed = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for key in ("Versions", "DeleteMarkers")
            for item in page.get(key, [])
        ]
        if not doomed:
            return
        aws.call("s3", "DeleteObjects", Bucket=name, Delete={"Objects": doomed, "Quiet": True})


def _check_bucket(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    name = inputs.get("bucket")
    if not isinstance(name, str):
        return
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return
    yield Failure("bucket", f"{name!r} is an IP address; choose another name")


def _put_versioning(call: Call[Aws], inputs: Properties) -> None:
    call.cloud.call("s3", "PutBucketVersioning", **_VERSIONING_API.request(call.cloud, inputs))


def _read_versioning(call: Call[Aws], bucket: str, _inputs: Properties) -> Properties | None:
    found = call.cloud.call("s3", "GetBucketVersioning", Bucket=bucket)
    if not found.get("Status"):
        return None
    versioning: Properties = {"status": found["Status"]}
    if found.get("MFADelete"):
        versioning["mfaDelete"] = found["MFADelete"]
    return {"bucket": bucket, "versioningConfiguration": versioning}


def _delete_versioning(call: Call[Aws], bucket: str, _state: Properties) -> bool:
    """Versioning can be suspended, never taken away; the object is gone from the stack all the same."""
    if _read_versioning(call, bucket, {}):
        call.cloud.call("s3", "PutBucketVersioning", Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    return False


def _setting(
    token: str, api: Api, put: str, get: str, delete: str, *, asked: Iterable[str] = (), waits: bool = True
) -> ResourceType[Aws]:
    """A setting that is the structure of `api`, put and got as a whole. `asked`: inputs that are false when not given."""

    def create(call: Call[Aws], inputs: Properties) -> None:
        request = api.request(call.cloud, {**dict.fromkeys(asked, False), **inputs})
        call.cloud.call("s3", put, Bucket=inputs["bucket"], **{api.shape: request})

    def read(call: Call[Aws], bucket: str, _inputs: Properties) -> Properties | None:
        found = call.cloud.call("s3", get, Bucket=bucket)[api.shape]
        return {**api.properties(call.cloud, found), "bucket": bucket}

    return declare(
        token,
        api=api,
        create=create,
        read=read,
        update=put_again(create),
        delete=_delete_by(delete, waits=waits),
        id_of=joined("bucket"),
    )


def _put_policy(call: Call[Aws], inputs: Properties) -> None:
    wanted = {**inputs, "policy": as_json(inputs["policy"])}
    call.cloud.call("s3", "PutBucketPolicy", **_POLICY_API.request(call.cloud, wanted))


def _read_policy(call: Call[Aws], bucket: str, _inputs: Properties) -> Properties | None:
    return {"bucket": bucket, "policy": call.cloud.call("s3", "GetBucketPolicy", Bucket=bucket)["Policy"]}


def _delete_by(operation: str, *, waits: bool = True) -> Any:
    def delete(call: Call[Aws], bucket: str, state: Properties) -> bool:
        if not flag(state, "skipDestroy"):
            call.cloud.call("s3", operation, Bucket=bucket)
        return waits and not flag(state, "skipDestroy")

    return delete


def _check_versioning(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    if mapping(inputs, "versioningConfiguration").get("status") is None and "versioningConfiguration" in inputs:
        yield Failure("versioningConfiguration.status", "missing; Enabled or Suspended")


TYPES: Final = (
    declare(
        "aws:s3/bucket:Bucket",
        api=_BUCKET_API,
        create=_create_bucket,
        read=_read_bucket,
        delete=_delete_bucket,
        id_of=joined("bucket"),
        signed=False,
        tagger=_tag,
        check=(
            _check_bucket,
            checks.pattern(
                "bucket",
                r"(?!xn--)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
                "a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens",
            ),
        ),
    ),
    declare(
        "aws:s3/bucketVersioning:BucketVersioning",
        api=_VERSIONING_API,
        create=_put_versioning,
        read=_read_versioning,
        update=put_again(_put_versioning),
        delete=_delete_versioning,
        id_of=joined("bucket"),
        check=(_check_versioning,),
        write_only=("mfa",),
    ),
    _setting(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        _ENCRYPTION_API,
        "PutBucketEncryption",
        "GetBucketEncryption",
        "DeleteBucketEncryption",
        waits=False,  # S3 falls back to its own encryption
    ),
    _setting(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        _BLOCK_API,
        "PutPublicAccessBlock",
        "GetPublicAccessBlock",
        "DeletePublicAccessBlock",
        asked=("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"),
    ),
    declare(
        "aws:s3/bucketPolicy:BucketPolicy",
        api=_POLICY_API,
        create=_put_policy,
        read=_read_policy,
        update=put_again(_put_policy),
        delete=_delete_by("DeleteBucketPolicy"),
        id_of=joined("bucket"),
        check=(checks.policy("policy"),),
        equivalent={"policy": same_policy},
    ),
)
