"""What can go wrong in the engine, drawn in one place. The text of each is what the user reads.

EngineError
├─ StoreError               the stack's state cannot be read, held or written; nothing was begun
│  ├─ StateError            … a state that is damaged, of another stack, or does not fit on the disk
│  ├─ LockedError           … another run holds the stack
│  └─ SecretsError          … a secret in it does not open
├─ ResourceError            one resource cannot be brought to its goal
│  ├─ PlanError             the program or the state asks for something impossible
│  │  ├─ ProtectedError     … that a protected resource goes
│  │  └─ PolicyError        … what a policy forbids, or a policy pack that cannot be asked
│  ├─ UnsupportedError      only the Pulumi CLI does it
│  ├─ UnknownProviderError  the resource names a provider that is not there
│  ├─ ProviderCallError     the provider refused or failed a call
│  └─ InitFailedError       the object exists, and is not ready
├─ StepFailedError          inside a run only: a step failed and was reported
└─ StoppedError             inside a run only: it has ended, nothing new begins

`run` lets StoreError out, and nothing else: what goes wrong in a run is an event and an outcome.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from model_factory.graph.refusal import Refusal
from model_factory.local.engine.model import provider_urn
from model_factory.local.errors import LocalError
from model_factory.local.wire import Properties


class EngineError(LocalError):
    """The base: a failure that the engine shows as it stands."""


class StoreError(EngineError):
    """The stack's state cannot be read, held or written."""


class StateError(StoreError):
    """A state that cannot be read or must not be written: `key` says where, `value` what stands there, `rule` what it breaks,
    `remedy` what to do. Values of properties never appear in it."""

    def __init__(self, key: str, value: object, rule: str, remedy: str) -> None:
        self.key = key
        self.value = value
        self.rule = rule
        self.remedy = remedy
        super().__init__(f"{key} {value}: {rule}; {remedy}")


class LockedError(StoreError):
    """Another run holds the stack. `owner` is None where it has not yet said who it is."""

    def __init__(self, stack: str, owner: object | None) -> None:
        self.stack = stack
        self.owner = owner
        holder = owner or "another process"
        super().__init__(f"stack {stack} is in use by {holder}; wait until it ends, or end it")


class SecretsError(StoreError):
    """A secret cannot be read or written: missing or wrong passphrase, or a damaged value. Never holds a secret."""


class ResourceError(EngineError):
    """One resource cannot be brought to its goal. `refusal` is what a cloud said, where one did."""

    refusal: Refusal | None = None


class PlanError(ResourceError):
    """The program or the state asks for something impossible. `urn` may be empty."""

    def __init__(self, urn: str, message: str) -> None:
        super().__init__(message)
        self.urn = urn


class ProtectedError(PlanError):
    """A protected resource would have to go."""


class PolicyError(PlanError):
    """A policy pack cannot be started, configured or asked. `urn` is the resource it was asked about, or empty."""


class UnsupportedError(ResourceError):
    """The program uses something that only the Pulumi CLI does."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: not supported by the local engine; use the Pulumi CLI (--engine pulumi)")


class UnknownProviderError(ResourceError):
    """A resource names a provider that neither the program nor the state has."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"unknown provider {provider_urn(reference)!r}")


class ProviderCallError(ResourceError):
    """A provider refused or failed a call. `code` is the gRPC status, `message` what the provider said."""

    def __init__(self, code: grpc.StatusCode, message: str, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.refusal = refusal

    @property
    def outcome_unknown(self) -> bool:
        """Whether the call may have taken effect all the same."""
        return self.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNKNOWN)

    @property
    def object_unknown(self) -> bool:
        """Whether the provider says that it could not find out if the call made an object."""
        return self.code is grpc.StatusCode.DATA_LOSS


class InitFailedError(ResourceError):
    """The resource exists, but did not become ready: its id and what is known of it must be kept, and it is retried."""

    def __init__(
        self, id_: str, outputs: Properties, inputs: Properties | None, reasons: Sequence[str],
        refusal: Refusal | None = None,
    ) -> None:  # fmt: skip
        super().__init__("; ".join(reasons) or "resource initialisation failed")
        self.id = id_
        self.outputs = outputs
        self.inputs = inputs
        self.reasons = tuple(reasons)
        self.refusal = refusal


class StepFailedError(EngineError):
    """A step failed. It has been reported; what it left behind, if anything, is in the state."""


class StoppedError(EngineError):
    """The run has failed or was cancelled: nothing new begins."""
