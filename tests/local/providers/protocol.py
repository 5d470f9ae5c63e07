"""The engine's side of the provider protocol, as far as it is the same for every cloud."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from model_factory.local.wire import Properties


class AbortedError(Exception):
    """What a context raises when a servicer aborts; `details` are those of a partial failure."""

    def __init__(
        self, code: grpc.StatusCode, message: str, details: pb.ErrorResourceInitFailed | None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class Context:
    def __init__(self) -> None:
        self.details: pb.ErrorResourceInitFailed | None = None

    def abort(self, code: grpc.StatusCode, message: str) -> None:
        raise AbortedError(code, message, self.details)

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        status = status_pb2.Status.FromString(dict(metadata)["grpc-status-details-bin"])
        self.details = pb.ErrorResourceInitFailed()
        assert status.details[0].Unpack(self.details)


@dataclass
class Made:
    """A resource as the engine records it."""

    token: str
    urn: str
    id: str
    inputs: Properties
    outputs: Properties
