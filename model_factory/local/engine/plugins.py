"""Calls a provider (a `ResourceProviderServicer`) in process, as Pulumi's engine calls one over gRPC.

What the wire carries is the same: messages of `pulumi.runtime.proto`, errors as status codes with details. There is no
socket and no serialisation. Every method may block and is safe to call from worker threads.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, status_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from model_factory.graph.refusal import Refusal
from model_factory.graph.urn import name_of, type_of
from model_factory.local import wire
from model_factory.local.engine.diff import Diff, Kind, PropertyDiff
from model_factory.local.engine.errors import InitFailedError, ProviderCallError, ResourceError
from model_factory.local.errors import LocalError
from model_factory.local.wire import UNKNOWN, Properties, Value

_KINDS: Final = {
    provider_pb2.PropertyDiff.ADD: Kind.ADD,
    provider_pb2.PropertyDiff.ADD_REPLACE: Kind.ADD_REPLACE,
    provider_pb2.PropertyDiff.DELETE: Kind.DELETE,
    provider_pb2.PropertyDiff.DELETE_REPLACE: Kind.DELETE_REPLACE,
    provider_pb2.PropertyDiff.UPDATE: Kind.UPDATE,
    provider_pb2.PropertyDiff.UPDATE_REPLACE: Kind.UPDATE_REPLACE,
}
_STATUS_DETAILS: Final = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Failure:
    """One input that a provider refuses. `property` is a path, empty where the whole is meant."""

    property: str
    reason: str


@dataclass(frozen=True, slots=True)
class Read:
    """What a provider found. `id` empty: there is no such object. `inputs` None: unchanged."""

    id: str
    inputs: Properties | None
    outputs: Properties


class _CallContext:
    """The part of `grpc.ServicerContext` that a servicer needs."""

    __slots__ = ("code_", "details_", "trailing")

    def __init__(self) -> None:
        self.code_: grpc.StatusCode | None = None
        self.details_ = ""
        self.trailing: dict[str, bytes | str] = {}

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise self._failure(code, details)

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code_ = code

    def set_details(self, details: str) -> None:
        self.details_ = details

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.trailing.update({str(key): value for key, value in metadata})

    def raise_if_failed(self) -> None:
        if self.code_ not in (None, grpc.StatusCode.OK):
            raise self._failure(cast("grpc.StatusCode", self.code_), self.details_)

    def _failure(self, code: grpc.StatusCode, message: str) -> ResourceError:
        """What the status and its details come to."""
        value = self.trailing.get(_STATUS_DETAILS, b"")
        status = status_pb2.Status.FromString(value if isinstance(value, bytes) else base64.b64decode(value))
        refusal: Refusal | None = None
        half_done: provider_pb2.ErrorResourceInitFailed | None = None
        for detail in status.details:
            document, failure = struct_pb2.Struct(), provider_pb2.ErrorResourceInitFailed()
            if detail.Unpack(document):
                refusal = Refusal.read(json_format.MessageToDict(document))
            elif detail.Unpack(failure):
                half_done = failure
        if half_done is None:
            return ProviderCallError(code, message, refusal)
        inputs = wire.decode(half_done.inputs) if half_done.HasField("inputs") else None
        outputs = wire.decode(half_done.properties)
        return InitFailedError(half_done.id, outputs, inputs, list(half_done.reasons), refusal)


class ProviderInstance:
    """One configured provider. `known` is False while its own configuration is unknown (preview): then nothing is called."""

    def __init__(self, package: str, servicer: ResourceProviderServicer) -> None:
        self.package = package
        self.servicer = servicer
        self.known = False
        self._accepts_secrets = True
        self._accepts_resources = True
        self._supports_preview = True
        self._configure_lock = threading.Lock()
        self._configured_with: Properties | None = None

    # -- configuration -------------------------------------------------------------------------------------------------

    def check_config(self, urn: str, olds: Properties, news: Properties) -> tuple[Properties, list[Failure]]:
        request = provider_pb2.CheckRequest(
            urn=urn, name=name_of(urn), type=type_of(urn), olds=wire.encode(olds), news=wire.encode(news)
        )
        try:
            response = self._call("CheckConfig", request)
        except ProviderCallError as error:
            if error.code is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            return news, []
        failures = [Failure(item.property, item.reason) for item in response.failures]
        return wire.decode(response.inputs) or news, failures

    def diff_config(
        self, urn: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties
    ) -> Diff:
        request = provider_pb2.DiffRequest(
            id=id_, urn=urn, name=name_of(urn), type=type_of(urn), olds=wire.encode(old_outputs), news=wire.encode(news),
            old_inputs=wire.encode(old_inputs),
        )  # fmt: skip
        try:
            return _diff(self._call("DiffConfig", request))
        except ProviderCallError as error:
            if error.code is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            return Diff(changed=None)

    def configure(self, urn: str, id_: str, inputs: Properties) -> None:
        """Configure once. With unknown inputs the provider stays unconfigured, and its calls answer "unknown"."""
        with self._configure_lock:
            if self._configured_with is not None:
                return
            if any(wire.is_unknown(value) for value in inputs.values()):
                return
            variables = {
                f"{self.package}:config:{key}": text
                for key, value in inputs.items()
                if key != "version" and isinstance(text := wire.reveal(value), str)
            }
            request = provider_pb2.ConfigureRequest(
                variables=variables, args=wire.encode(inputs), acceptSecrets=True, acceptResources=True,
                sends_old_inputs=True, sends_old_inputs_to_delete=True, id=id_, urn=urn, name=name_of(urn), type=type_of(urn),
            )  # fmt: skip
            response = self._call("Configure", request)
            self._accepts_secrets = response.acceptSecrets
            self._accepts_resources = response.acceptResources
            self._supports_preview = response.supportsPreview
            self._configured_with = inputs
            self.known = True

    # -- resources -----------------------------------------------------------------------------------------------------

    def check(
        self, urn: str, olds: Properties | None, news: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        if not self.known:
            return news, []
        request = provider_pb2.CheckRequest(
            urn=urn, name=name_of(urn), type=type_of(urn), news=self._encode(news), randomSeed=seed,
            olds=self._encode(olds) if olds is not None else None,
        )  # fmt: skip
        response = self._call("Check", request)
        failures = [Failure(item.property, item.reason) for item in response.failures]
        return self._marked(wire.decode(response.inputs), news), failures

    def diff(
        self, urn: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties,
        ignore_changes: Sequence[str],
    ) -> Diff:  # fmt: skip
        request = provider_pb2.DiffRequest(
            id=id_, urn=urn, name=name_of(urn), type=type_of(urn), olds=self._encode(old_outputs), news=self._encode(news),
            old_inputs=self._encode(old_inputs), ignoreChanges=ignore_changes,
        )  # fmt: skip
        return _diff(self._call("Diff", request))

    def create(self, urn: str, inputs: Properties, timeout_seconds: float, *, preview: bool) -> tuple[str, Properties]:
        """The id and outputs; in a preview the id is empty and what is not known yet is unknown or absent."""
        if preview and not self.known:
            return "", {}
        if preview and not self._supports_preview:
            return "", inputs
        request = provider_pb2.CreateRequest(
            urn=urn, name=name_of(urn), type=type_of(urn), properties=self._encode(inputs), timeout=timeout_seconds,
            preview=preview,
        )  # fmt: skip
        response = self._call("Create", request)
        if not preview and not response.id:
            raise ProviderCallError(grpc.StatusCode.UNKNOWN, f"the provider returned no id from Create of {urn}")
        return response.id, self._marked(wire.decode(response.properties), inputs)

    def update(
        self, urn: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties,
        timeout_seconds: float, ignore_changes: Sequence[str], *, preview: bool,
    ) -> Properties:  # fmt: skip
        if preview and not self.known:
            return {}
        if preview and not self._supports_preview:
            return news
        request = provider_pb2.UpdateRequest(
            id=id_, urn=urn, name=name_of(urn), type=type_of(urn), olds=self._encode(old_outputs), news=self._encode(news),
            old_inputs=self._encode(old_inputs), timeout=timeout_seconds, ignoreChanges=ignore_changes, preview=preview,
        )  # fmt: skip
        return self._marked(wire.decode(self._call("Update", request).properties), news)

    def delete(self, urn: str, id_: str, inputs: Properties, outputs: Properties, timeout_seconds: float) -> None:
        request = provider_pb2.DeleteRequest(
            id=id_, urn=urn, name=name_of(urn), type=type_of(urn), properties=self._encode(outputs),
            old_inputs=self._encode(inputs), timeout=timeout_seconds,
        )  # fmt: skip
        self._call("Delete", request)

    def read(self, urn: str, id_: str, inputs: Properties, state: Properties) -> Read:
        request = provider_pb2.ReadRequest(
            id=id_,
            urn=urn,
            name=name_of(urn),
            type=type_of(urn),
            properties=self._encode(state),
            inputs=self._encode(inputs),
        )
        response = self._call("Read", request)
        if not response.id:
            return Read("", None, {})
        found = self._marked(wire.decode(response.inputs), inputs) if response.HasField("inputs") else None
        return Read(response.id, found, self._marked(wire.decode(response.properties), {**state, **inputs}))

    def adopt(self, type_: str, urn: str, inputs: Properties, known: Collection[str]) -> str | None:
        """The id of the object an unfinished create made, if it made one: our providers' own call, beside the protocol.

        `known` are the ids that the state has for the URN already: a replacement may ask for just what its old object is.

        Raises ProviderCallError where the provider has no such call.
        """
        adopt: Any = getattr(self.servicer, "adopt", None)
        if adopt is None:
            raise ProviderCallError(
                grpc.StatusCode.UNIMPLEMENTED, f"provider {self.package} cannot look for lost objects"
            )
        try:
            return cast("str | None", adopt(type_, urn, inputs, known))
        except LocalError as error:
            raise ProviderCallError(grpc.StatusCode.UNKNOWN, str(error)) from error

    def invoke(self, token: str, args: Properties, *, preview: bool) -> tuple[Properties, list[Failure]]:
        request = provider_pb2.InvokeRequest(tok=token, args=self._encode(args), preview=preview)
        response = self._call("Invoke", request)
        failures = [Failure(item.property, item.reason) for item in response.failures]
        return wire.decode(getattr(response, "return")), failures

    def cancel(self) -> None:
        """Ask running calls to end soon. A provider without Cancel just runs on."""
        try:
            self._call("Cancel", empty_pb2.Empty())
        except ProviderCallError as error:
            if error.code is not grpc.StatusCode.UNIMPLEMENTED:
                raise

    # -- wire ----------------------------------------------------------------------------------------------------------

    def _encode(self, properties: Mapping[str, Value]) -> struct_pb2.Struct:
        return wire.encode(
            properties,
            keep_secrets=self._accepts_secrets,
            keep_outputs=False,
            keep_resources=self._accepts_resources,
        )

    def _marked(self, answer: Properties, sent: Mapping[str, Value]) -> Properties:
        """The answer of a provider that knows no secrets, with secrets marked where what was sent was secret."""
        return answer if self._accepts_secrets else cast("Properties", wire.marked(answer, dict(sent)))

    def _call(self, method: str, request: Any) -> Any:
        context = _CallContext()
        try:
            response = getattr(self.servicer, method)(request, context)
            context.raise_if_failed()
        except NotImplementedError as error:
            # The generated base class answers so where a provider leaves a method out.
            raise ProviderCallError(
                grpc.StatusCode.UNIMPLEMENTED, f"provider {self.package} does not implement {method}"
            ) from error
        except ResourceError:
            raise
        except Exception as error:  # as gRPC: whatever else a servicer raises is the status UNKNOWN
            message = f"provider {self.package} failed in {method}: {type(error).__name__}: {error}"
            raise ProviderCallError(grpc.StatusCode.UNKNOWN, message) from error
        return response


def _diff(response: Any) -> Diff:
    changed = {provider_pb2.DiffResponse.DIFF_NONE: False, provider_pb2.DiffResponse.DIFF_SOME: True}.get(
        response.changes
    )
    detailed = None
    if response.hasDetailedDiff:
        detailed = {
            key: PropertyDiff(_KINDS.get(item.kind, Kind.UPDATE), item.inputDiff)
            for key, item in response.detailedDiff.items()
        }
    return Diff(
        changed=changed, replace_keys=tuple(response.replaces), changed_keys=tuple(response.diffs),
        detailed=detailed, delete_before_replace=response.deleteBeforeReplace,
    )  # fmt: skip


UNKNOWN_ID: Final = wire.UNKNOWN_SENTINEL
__all__ = [
    "UNKNOWN",
    "UNKNOWN_ID",
    "Failure",
    "InitFailedError",
    "ProviderCallError",
    "ProviderInstance",
    "Read",
]
