"""The Kubernetes API server's reasons by cause. Source: k8s.io/apimachinery, pkg/apis/meta/v1, StatusReason."""

from __future__ import annotations

from typing import Final

from model_factory.local.providers.causes import Causes

CAUSES: Final = Causes(
    patterns=(
        ("quota", r"QuotaExceeded"),
        ("permission", r"Forbidden|Unauthorized"),
        ("throttling", r"TooManyRequests"),
        ("not-found", r"NotFound|Gone|Expired"),
        ("bad-input", r"Invalid|BadRequest|RequestEntityTooLarge|UnsupportedMediaType"),
    ),
    remedies={
        "quota": "raise the namespace's ResourceQuota, or let the stack take less",
        "permission": "let the identity that runs this do {operation} in the cluster: its access entry, its Role, a ResourceQuota",
    },
)
