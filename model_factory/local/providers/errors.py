"""What can go wrong in a provider, drawn in one place.

ProviderError            anything a provider answers with; its text is what the user reads
├─ ConfigurationError    the provider's own configuration is wrong, or leads outside loopback
├─ UnsupportedError      a type or function that has no declaration here
├─ CloudError            the cloud refused a call
│  ├─ NotFoundError      … because the object is not there
│  ├─ BusyError          … for now, and did nothing
│  └─ AnswerLostError    no answer came that tells whether the call was done
├─ OutcomeUnknownError   whether a create made its object could not be found out
├─ WaitError             an object ended in a failed state, or did not get ready in time
└─ CancelledError        the engine asked to stop
"""

from __future__ import annotations

from dataclasses import dataclass

from model_factory.graph.refusal import Refusal
from model_factory.local.errors import LocalError
from model_factory.local.providers.causes import Causes


@dataclass(frozen=True, slots=True)
class Failure:
    """One input that is refused before any call: where (`vpcConfig.subnetIds[0]`) and why (value, rule, remedy)."""

    property: str
    reason: str


class ProviderError(LocalError):
    """A failure that the engine shows as it stands."""

    refusal: Refusal | None = None
    """What a cloud said, in parts."""


class ConfigurationError(ProviderError):
    """The provider cannot be configured with what it was given."""


class UnsupportedError(ProviderError):
    """The type or function has no declaration in the local provider."""


class CloudError(ProviderError):
    """The cloud answered a call with an error. The text names cloud, operation, code and cause; `refusal` has it in parts."""

    did = "refused"

    def __init__(
        self, *, cloud: str, operation: str, code: str, message: str, status: int = 0, request_id: str = "",
        causes: Causes | None = None, reasons: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """`causes` is the cloud's table; `reasons` are codes that say more than `code` does."""
        super().__init__(f"{cloud} {self.did} {operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message
        self.status = status
        cause = causes.cause((*reasons, code), status) if causes else None
        remedy = causes.remedy(cause, operation) if causes and cause else ""
        self.refusal = Refusal(cloud, operation, code, status, request_id, message, cause or "", remedy)


class NotFoundError(CloudError):
    """The object of the call does not exist."""


class BusyError(CloudError):
    """The cloud did nothing, and may do it soon: it was asked too often, or no connection to it came about."""


class AnswerLostError(CloudError):
    """The call was sent, and whether it was done is not known: the connection ended, or the server failed."""

    did = "gave no clear answer to"


class OutcomeUnknownError(ProviderError):
    """A create may have made its object, and nobody could tell: the engine keeps it pending, and the next run looks again."""


def kind_of(cause: str | None, status: int, *, gone: bool) -> type[CloudError]:
    """Which error an answer of a cloud is, by its cause and its HTTP status."""
    if cause == "throttling":
        return BusyError
    if status >= 500:
        return AnswerLostError
    return NotFoundError if gone else CloudError


class WaitError(ProviderError):
    """An object reached a failed state, or the time-out passed first."""


class CancelledError(ProviderError):
    """The engine cancelled the operation while the provider was waiting."""
