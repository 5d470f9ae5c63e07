"""The engine's side of the provider protocol, as far as it is the same for every cloud."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from model_factory.local import wire
from model_factory.local.wire import Properties

T = TypeVar("T")


class AbortedError(Exception):
    """What a context raises when a servicer aborts; `details` are those of a partial failure."""

    def __init__(self, code: grpc.StatusCode, message: str, details: pb.ErrorResourceInitFailed | None) -> None:
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
        failure = pb.ErrorResourceInitFailed()
        # Beside it, or alone, stands what a cloud refused.
        self.details = next((failure for each in status.details if each.Unpack(failure)), None)


@dataclass
class Made:
    """A resource as the engine records it."""

    token: str
    urn: str
    id: str
    inputs: Properties
    outputs: Properties


@dataclass
class ProviderEngine:
    """An engine over one configured provider of a cloud at `url`. `made` has what was created, in order; `name` is that of a resource
    where none is given."""

    provider: Any
    url: str
    made: list[Made] = field(default_factory=list, kw_only=True)
    said: list[str] = field(default_factory=list, kw_only=True)
    """What failed runs ended with."""
    name: str = field(default="it", kw_only=True)

    def urn(self, token: str, name: str) -> str:
        return f"urn:pulumi:test::factory::{token}::{name or self.name}"

    def check(
        self, token: str, news: Properties, olds: Properties | None = None, *, name: str = ""
    ) -> tuple[Properties, dict[str, str]]:
        request = pb.CheckRequest(
            urn=self.urn(token, name),
            news=wire.encode(news),
            olds=wire.encode(olds or {}),
            randomSeed=b"seed",
        )
        response = self.provider.Check(request, Context())
        return wire.decode(response.inputs), {each.property: each.reason for each in response.failures}

    def checked(self, token: str, news: Properties, olds: Properties | None = None, *, name: str = "") -> Properties:
        inputs, failures = self.check(token, news, olds, name=name)
        assert failures == {}
        return inputs

    def preview(self, token: str, inputs: Properties) -> Properties:
        """What a preview of a create gives for inputs that were checked."""
        request = pb.CreateRequest(urn=self.urn(token, ""), properties=wire.encode(inputs), preview=True)
        return wire.decode(self.provider.Create(request, Context()).properties)

    def create(self, token: str, news: Properties, *, name: str = "") -> Made:
        inputs = self.checked(token, news, name=name)
        urn = self.urn(token, name)
        response = self.provider.Create(pb.CreateRequest(urn=urn, properties=wire.encode(inputs)), Context())
        made = Made(token, urn, response.id, inputs, wire.decode(response.properties))
        self.made.append(made)
        return made

    def brought_up(self, token: str, inputs: Properties, *, name: str = "") -> tuple[Made, int]:
        """What runs of the engine, one after another, come to with these checked inputs, and how many it took.

        What a failed one left decides what the next one asks: to finish an object, to look for one, or to create.
        """
        urn = self.urn(token, name)
        made: Made | None = None
        pending = False
        for runs in range(1, 5):
            try:
                if pending and (found := self.provider.adopt(token, urn, inputs)):
                    made = Made(token, urn, found, inputs, {})
                pending = False
                if made is not None:
                    return self.update(made, inputs), runs
                request = pb.CreateRequest(urn=urn, properties=wire.encode(inputs))
                response = self.provider.Create(request, Context())
                return Made(token, urn, response.id, inputs, wire.decode(response.properties)), runs
            except AbortedError as error:
                self.said.append(str(error))
                pending = error.code is grpc.StatusCode.DATA_LOSS
                if error.details is not None:
                    made = Made(token, urn, error.details.id, inputs, wire.decode(error.details.properties))
        raise AssertionError(f"{token} does not come up: {self.said}")

    def persisted(self, step: Callable[[], T]) -> tuple[T, int]:
        """What a step of runs, one after another, comes to, where a failed one leaves it as it was; and how many it took."""
        for runs in range(1, 5):
            try:
                return step(), runs
            except AbortedError as error:
                self.said.append(str(error))
        raise AssertionError(f"no run gets through: {self.said}")

    def held(self) -> dict[str, int]:
        """How many resources the cloud has, by kind."""
        with urllib.request.urlopen(f"{self.url}/_cloud/status") as response:  # noqa: S310 - always http on loopback
            return json.loads(response.read())["resources"]

    def diff(self, made: Made, news: Properties, olds: Properties | None = None) -> pb.DiffResponse:
        request = pb.DiffRequest(
            id=made.id,
            urn=made.urn,
            olds=wire.encode(made.outputs),
            old_inputs=wire.encode(made.inputs if olds is None else olds),
            news=wire.encode(news),
        )
        return self.provider.Diff(request, Context())

    def read(self, made: Made) -> pb.ReadResponse:
        request = pb.ReadRequest(
            id=made.id, urn=made.urn, inputs=wire.encode(made.inputs), properties=wire.encode(made.outputs)
        )
        return self.provider.Read(request, Context())

    def update(self, made: Made, news: Properties, *, preview: bool = False) -> Made:
        request = pb.UpdateRequest(
            id=made.id,
            urn=made.urn,
            olds=wire.encode(made.outputs),
            old_inputs=wire.encode(made.inputs),
            news=wire.encode(news),
            preview=preview,
        )
        outputs = wire.decode(self.provider.Update(request, Context()).properties)
        return Made(made.token, made.urn, made.id, news, outputs)

    def delete(self, made: Made) -> None:
        request = pb.DeleteRequest(
            id=made.id,
            urn=made.urn,
            properties=wire.encode(made.outputs),
            old_inputs=wire.encode(made.inputs),
        )
        self.provider.Delete(request, Context())
