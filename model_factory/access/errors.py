"""What goes wrong on the way to a cluster.

AccessError
├── KubeconfigError      the kubeconfig, the context or the credential plugin
└── ApiError             the API server's answer: a reason (Conflict, Invalid …), HTTP status, message, causes
    ├── NoKindError      it serves no such kind
    └── UnreachableError no answer came; `sent` says whether the request may have been carried out
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_REASONS: Final = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 409: "Conflict",
    410: "Expired", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests",
    500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


class AccessError(Exception):
    """A cluster could not be asked, or said no."""


class KubeconfigError(AccessError):
    """A kubeconfig that leads nowhere; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of several: a field's path where there is one, the kind of cause, and what is wrong."""

    field: str
    reason: str
    message: str


class ApiError(AccessError):
    """A `Status` that the API server answered with.

    Source of the reasons: k8s.io/apimachinery, pkg/apis/meta/v1, StatusReason.
    """

    def __init__(
        self, operation: str, *, reason: str, status: int, message: str, causes: tuple[Cause, ...] = ()
    ) -> None:
        super().__init__(f"{operation}: {reason}: {message}")
        self.operation = operation
        self.reason = reason
        self.status = status
        self.message = message
        self.causes = causes


class NoKindError(ApiError):
    """The cluster serves no such kind: neither built in nor by a CustomResourceDefinition."""

    def __init__(self, api_version: str, kind: str, server: str) -> None:
        super().__init__(
            f"{api_version}/{kind}",
            reason="NotFound",
            status=404,
            message=f"{server} serves no {kind} in {api_version}; install its CustomResourceDefinition first, or write "
            "a version that the cluster has",
        )


class UnreachableError(ApiError):
    """No answer, or half of one. `sent`: the request may have reached the server, and have been carried out."""

    def __init__(self, operation: str, message: str, *, sent: bool) -> None:
        super().__init__(operation, reason="Unreachable", status=0, message=message)
        self.sent = sent


def error_of(operation: str, status: int, body: Mapping[str, Any] | None, text: str) -> ApiError:
    """The error in an answer: a `Status` object where the server gave one, else the first of its text."""
    found = body if body is not None and body.get("kind") == "Status" else {}
    details: Mapping[str, Any] = found.get("details") or {}
    return ApiError(
        operation,
        reason=str(found.get("reason") or _REASONS.get(status, "Unknown")),
        status=status,
        message=str(found.get("message") or text[:300].strip() or "the server gave no reason"),
        causes=tuple(
            Cause(str(cause.get("field", "")), str(cause.get("reason", "")), str(cause.get("message", "")))
            for cause in details.get("causes") or ()
        ),
    )
