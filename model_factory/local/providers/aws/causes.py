"""AWS's error codes by cause.

Sources: docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html, docs.aws.amazon.com/eks/latest/APIReference/CommonErrors.html,
docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; botocore's retry rules for what is throttling.
"""

from __future__ import annotations

from typing import Final

from model_factory.local.providers.causes import Causes

CAUSES: Final = Causes(
    patterns=(
        (
            "throttling",
            r"Throttl.*|RequestThrottled.*|RequestLimitExceeded|TooManyRequests.*|SlowDown|PriorRequestNotComplete",
        ),
        (
            "throttling",
            r"BandwidthLimitExceeded|ProvisionedThroughputExceededException|EC2ThrottledException",
        ),
        ("quota", r".*(Limit|Quota|Count)Exceeded(Exception)?|TooMany.*|ServiceQuotaExceeded.*"),
        (
            "permission",
            r".*(AccessDenied|NotAuthorized|Unauthorized|Forbidden).*|AuthFailure|OptInRequired|Blocked",
        ),
        (
            "permission",
            r"UnrecognizedClientException|InvalidClientTokenId|SignatureDoesNotMatch|MissingAuthenticationToken.*",
        ),
        ("permission", r"Expired(Token.*)?|InvalidAccessKeyId|IncompleteSignature"),
        ("not-found", r".*(NotFound|NoSuch|NonExist).*"),
        (
            "bad-input",
            r"(Invalid|Malformed|Missing|Unsupported|Validation|Unknown|Illegal).*|.*(Parameter|Validation|Argument).*",
        ),
    ),
    remedies={
        "quota": "ask for more in Service Quotas for this account and region, or let the stack take less",
        "permission": "let the role that runs this do {operation}, and see that no policy of the organization denies it",
    },
)
