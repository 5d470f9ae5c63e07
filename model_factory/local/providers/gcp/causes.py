"""Google Cloud's error codes and reasons by cause.

Sources: cloud.google.com/apis/design/errors (canonical codes), cloud.google.com/compute/docs/troubleshooting/troubleshooting-api-errors,
cloud.google.com/storage/docs/json_api/v1/status-codes, googleapis/googleapis: google/api/error_reason.proto.
"""

from __future__ import annotations

from typing import Final

from model_factory.local.providers.causes import Causes

CAUSES: Final = Causes(
    patterns=(
        (
            "throttling",
            r"RATE_LIMIT_EXCEEDED|(user)?[rR]ateLimitExceeded|RESOURCE_OPERATION_RATE_EXCEEDED|operationInProgress",
        ),
        (
            "quota",
            r"RESOURCE_EXHAUSTED|QUOTA_EXCEEDED|quotaExceeded|limitExceeded|LIMIT_EXCEEDED|dailyLimitExceeded|.*QUOTA.*",
        ),
        (
            "permission",
            r"PERMISSION_DENIED|UNAUTHENTICATED|forbidden|accessNotConfigured|SERVICE_DISABLED|authError|required.*Permission",
        ),
        ("permission", r"IAM_PERMISSION_DENIED|CONSUMER_INVALID|BILLING_DISABLED|insufficientPermissions"),
        ("not-found", r"NOT_FOUND|notFound|RESOURCE_NOT_FOUND"),
        (
            "bad-input",
            r"INVALID_ARGUMENT|OUT_OF_RANGE|invalid.*|INVALID_.*|badRequest|required|parseError|UNSUPPORTED_OPERATION",
        ),
    ),
    remedies={
        "quota": "ask for more under IAM & Admin, Quotas, for this project and region, or let the stack take less",
        "permission": "grant the account that runs this a role with the permission for {operation}, and see that its API is enabled",
    },
)
