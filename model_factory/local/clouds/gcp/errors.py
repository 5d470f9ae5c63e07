"""Google's errors, as its clients read them.

    ApiError
    ├── invalid()          400 INVALID_ARGUMENT
    ├── precondition()     400 FAILED_PRECONDITION
    ├── denied()           403 PERMISSION_DENIED
    ├── not_found()        404 NOT_FOUND
    ├── exists()           409 ALREADY_EXISTS
    ├── aborted()          409 ABORTED
    ├── mismatch()         412 conditionNotMet
    ├── exhausted()        429 RESOURCE_EXHAUSTED, 403 QUOTA_EXCEEDED in compute
    └── not_implemented()  501 UNIMPLEMENTED: this emulation does not do it

compute and storage answer with a list of `errors` that carry a `reason`; the others with a `status` and `details`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from model_factory.local.discovery import Json, Violation

CLASSIC_SERVICES: Final = frozenset({"compute", "storage"})
_REASONS: Final[Mapping[str, str]] = {
    "INVALID_ARGUMENT": "invalid",
    "FAILED_PRECONDITION": "failedPrecondition",
    "PERMISSION_DENIED": "forbidden",
    "NOT_FOUND": "notFound",
    "ALREADY_EXISTS": "alreadyExists",
    "ABORTED": "aborted",
    "RESOURCE_EXHAUSTED": "rateLimitExceeded",
    "UNIMPLEMENTED": "notImplemented",
}


@dataclass(slots=True)
class ApiError(Exception):
    """An error answer. `reason` is the word of compute and storage; "" takes the usual one for the status."""

    code: int
    status: str
    message: str
    reason: str = ""
    details: Sequence[Json] = ()

    def body(self, service: str) -> Json:
        error: dict[str, Json] = {"code": self.code, "message": self.message}
        if service in CLASSIC_SERVICES:
            reason = self.reason or _REASONS.get(self.status, "backendError")
            error["errors"] = [{"message": self.message, "domain": "global", "reason": reason}]
        if service != "storage":
            error["status"] = self.status
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


def invalid(message: str, reason: str = "") -> ApiError:
    return ApiError(400, "INVALID_ARGUMENT", message, reason)


def precondition(message: str, reason: str = "") -> ApiError:
    return ApiError(400, "FAILED_PRECONDITION", message, reason)


def denied(message: str, details: Sequence[Json] = ()) -> ApiError:
    return ApiError(403, "PERMISSION_DENIED", message, details=details)


def not_found(message: str) -> ApiError:
    return ApiError(404, "NOT_FOUND", message)


def exists(message: str, reason: str = "") -> ApiError:
    return ApiError(409, "ALREADY_EXISTS", message, reason)


def aborted(message: str) -> ApiError:
    return ApiError(409, "ABORTED", message)


def mismatch(message: str) -> ApiError:
    return ApiError(412, "FAILED_PRECONDITION", message, "conditionNotMet")


def not_implemented(what: str) -> ApiError:
    return ApiError(501, "UNIMPLEMENTED", f"the local cloud does not implement {what}")


def service_disabled(service: str, project: str, number: str) -> ApiError:
    host = f"{service}.googleapis.com"
    return denied(
        f"{host} has not been used in project {number} before or it is disabled. Enable it with "
        f"services.enable of serviceusage (projects/{project}/services/{host}) and retry.",
        [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com",
                "metadata": {"service": host, "consumer": f"projects/{project}"},
            }
        ],
    )


def bad_request(violations: Sequence[Violation], *, package: str, classic: bool) -> ApiError:
    """Google's answer to a body that does not fit the schema. compute words patterns and required fields itself."""
    unknown = [v for v in violations if v.kind in ("unknown", "type", "enum")]
    if not unknown:
        first = violations[0]
        path = f"resource.{first.path}" if classic else first.path
        if first.kind == "required":
            return invalid(f"Required field '{path}' not specified", "required")
        return invalid(
            f"Invalid value for field '{path}': '{first.value}'. Must be a match of regex "
            f"'{first.message.removeprefix('it must match ')}'"
        )
    lines = [_sentence(violation, package) for violation in unknown]
    fields = [
        {"field": violation.path, "description": line} if violation.path else {"description": line}
        for violation, line in zip(unknown, lines, strict=True)
    ]
    return ApiError(
        400,
        "INVALID_ARGUMENT",
        "\n".join(lines),
        "badRequest",
        [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields}],
    )


def _sentence(violation: Violation, package: str) -> str:
    if violation.kind == "unknown":
        at = f" at '{violation.path}'" if violation.path else ""
        return f'Invalid JSON payload received. Unknown name "{violation.field}"{at}: Cannot find field.'
    type_ = violation.message.removeprefix("it must be of type ")
    if violation.kind == "enum":
        type_ = f"type.googleapis.com/google.{package}.{violation.field[:1].upper()}{violation.field[1:]}"
    shown = f'"{violation.value}"' if isinstance(violation.value, str) else violation.value
    return f"Invalid value at '{violation.path}' ({type_}), {shown}"
