"""Error codes of the clouds, and the cause that each is read as."""

from __future__ import annotations

import pytest

from model_factory.local.providers.aws.causes import CAUSES as AWS
from model_factory.local.providers.causes import Causes
from model_factory.local.providers.errors import CloudError
from model_factory.local.providers.gcp.causes import CAUSES as GCP
from model_factory.local.providers.kubernetes.causes import CAUSES as KUBERNETES


@pytest.mark.parametrize(
    ("table", "code", "status", "cause"),
    [
        (AWS, "VpcLimitExceeded", 400, "quota"),
        (AWS, "ResourceLimitExceededException", 400, "quota"),
        (AWS, "TooManyBuckets", 400, "quota"),
        (AWS, "RequestLimitExceeded", 503, "throttling"),
        (AWS, "SlowDown", 503, "throttling"),
        (AWS, "TooManyRequestsException", 429, "throttling"),
        (AWS, "UnauthorizedOperation", 403, "permission"),
        (AWS, "AccessDenied", 403, "permission"),
        (AWS, "ExpiredToken", 400, "permission"),
        (AWS, "InvalidVpcID.NotFound", 400, "not-found"),
        (AWS, "NoSuchEntity", 404, "not-found"),
        (AWS, "InvalidParameterValue", 400, "bad-input"),
        (AWS, "MalformedPolicyDocument", 400, "bad-input"),
        (AWS, "DependencyViolation", 400, None),
        (AWS, "InternalError", 500, None),
        (GCP, "QUOTA_EXCEEDED", 403, "quota"),
        (GCP, "quotaExceeded", 403, "quota"),
        (GCP, "rateLimitExceeded", 403, "throttling"),
        (GCP, "forbidden", 403, "permission"),
        (GCP, "accessNotConfigured", 403, "permission"),
        (GCP, "notFound", 404, "not-found"),
        (GCP, "INVALID_ARGUMENT", 400, "bad-input"),
        (GCP, "ABORTED", 409, None),
        (KUBERNETES, "Forbidden", 403, "permission"),
        (KUBERNETES, "Invalid", 422, "bad-input"),
        (KUBERNETES, "AlreadyExists", 409, None),
        (AWS, "SomethingNew", 403, "permission"),
        (GCP, "SomethingNew", 429, "throttling"),
    ],
)
def test_a_code_is_read_as_its_cause(table: Causes, code: str, status: int, cause: str | None) -> None:
    assert table.cause((code,), status) == cause


def test_a_reason_says_more_than_the_code_beside_it() -> None:
    assert GCP.cause(("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"), 429) == "throttling"


def test_a_remedy_names_the_call_that_wants_a_permission() -> None:
    error = CloudError(cloud="aws", operation="eks:CreateCluster", code="AccessDenied", message="no", causes=AWS)
    assert error.refusal is not None
    assert "do eks:CreateCluster" in error.refusal.remedy
