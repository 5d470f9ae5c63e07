"""Pulumi's `ResourceProvider` protocol over declared resource types. See `model_factory.local.providers.base`."""

# ruff: noqa: ARG002 - the methods keep the signatures of the protocol
from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Generic, NoReturn, TypeVar, cast

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.message import Message
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from model_factory.graph.refusal import Refusal
from model_factory.graph.urn import name_of, type_of
from model_factory.local import wire
from model_factory.local.providers.base import Call, Registry, ResourceType, S, Update
from model_factory.local.providers.diff import Change, diff, user_set
from model_factory.local.providers.errors import (
    AnswerLostError,
    CancelledError,
    CloudError,
    ConfigurationError,
    Failure,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    UnsupportedError,
    WaitError,
)
from model_factory.local.providers.naming import urn_digest
from model_factory.local.providers.retries import log
from model_factory.local.providers.rules import apply_defaults
from model_factory.local.providers.values import (
    DEFAULTS_KEY,
    mark_all,
    plain_properties,
    unknowns,
    with_internal_keys,
)
from model_factory.local.wire import Properties, Value

R = TypeVar("R")
PROPERTY_KINDS: Final = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class PartialError(Exception):
    """The object exists, but did not get ready."""

    def __init__(
        self, object_id: str, inputs: Properties, outputs: Properties, reason: str, refusal: Refusal | None
    ) -> None:
        super().__init__(reason)
        self.refusal = refusal
        self.details = provider_pb2.ErrorResourceInitFailed(
            id=object_id, properties=wire.encode(outputs), reasons=[reason], inputs=wire.encode(inputs)
        )


class Provider(provider_pb2_grpc.ResourceProviderServicer, Registry[S], Generic[S]):
    """A provider whose types are declarations. Thread-safe: the engine calls it from many threads.

    Methods are synchronous and answer a failure through `context.abort`, as a gRPC servicer does.
    """

    def __init__(self) -> None:
        self._cloud: S | None = None
        self._cancelled = threading.Event()

    # Configuration

    def Handshake(self, request: Any, context: Any) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def GetSchema(self, request: Any, context: Any) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:
        news = wire.decode(request.news)
        failures = self.check_config(_bare(news))
        return provider_pb2.CheckResponse(inputs=wire.encode(news), failures=[_failure(item) for item in failures])

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        olds = wire.decode(request.old_inputs) or wire.decode(request.olds)
        news = wire.decode(request.news)
        changed = sorted(key for key in {*olds, *news} if wire.reveal(olds.get(key)) != wire.reveal(news.get(key)))
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=changed)

    def Configure(self, request: provider_pb2.ConfigureRequest, context: Any) -> provider_pb2.ConfigureResponse:
        def run() -> provider_pb2.ConfigureResponse:
            self._cloud = self.configure(_bare(wire.decode(request.args)))
            return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

        return self._guard(context, run)

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self._cancelled.set()
        return empty_pb2.Empty()

    # Resources

    def Check(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:
        def run() -> provider_pb2.CheckResponse:
            declared = self._type(request)
            olds, news = wire.decode(request.olds), wire.decode(request.news)
            inputs, failures = self.checked(declared, request.urn, request.name, olds, news, request.randomSeed)
            failed = [_failure(item) for item in failures]
            return provider_pb2.CheckResponse(inputs=wire.encode(inputs), failures=failed)

        return self._guard(context, run)

    def checked(
        self, declared: ResourceType[S], urn: str, name: str, olds: Properties, news: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        """The inputs completed with auto-name, defaults and configuration, and all that is wrong with them."""
        cloud, rules = self._configured(), declared.rules
        inputs: Properties = {**news, DEFAULTS_KEY: []}
        failures = [
            Failure(path, f"missing; {declared.token} requires it")
            for path in rules.required
            if inputs.get(path) is None
        ]
        if rules.auto_name:
            failures += rules.auto_name.apply(inputs, olds, name=name or name_of(urn), urn=urn, seed=seed)
        apply_defaults(inputs, rules.defaults)
        self.prepare(cloud, declared, inputs)
        if not failures:
            bare = _bare(inputs)
            failures += declared.check(self.session(cloud, bare), bare)
        if olds and not failures and not any(change.replaces for change in self.changes(declared, olds, inputs)):
            failures += declared.transition(_bare(olds), _bare(inputs))
        return inputs, failures

    def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        def run() -> provider_pb2.DiffResponse:
            declared = self._type(request)
            news, state = wire.decode(request.news), wire.decode(request.olds)
            # As the real providers: an input that the cloud filled in, and that is given now as it is, is no change.
            filled = {key: state[key] for key in declared.rules.computed if key in news and key in state}
            olds = {**filled, **(wire.decode(request.old_inputs) or state)}
            return _diff_response(declared, news, self.changes(declared, olds, news, tuple(request.ignoreChanges)))

        return self._guard(context, run)

    def changes(
        self, declared: ResourceType[S], olds: Properties, news: Properties, ignored: tuple[str, ...] = ()
    ) -> list[Change]:
        """The changes from old to new inputs, conditional rules applied."""
        changes = diff(olds, news, declared.rules)
        if declared.refine:
            changes = declared.refine(_bare(olds), _bare(news), changes)
        if declared.update is None:
            changes = [dataclasses.replace(change, replaces=True) for change in changes]
        return [change for change in changes if not change.is_within(ignored)]

    def Create(self, request: provider_pb2.CreateRequest, context: Any) -> provider_pb2.CreateResponse:
        def run() -> provider_pb2.CreateResponse:
            declared = self._type(request)
            inputs = wire.decode(request.properties)
            bare = _bare(inputs)
            if request.preview:
                outputs: Properties = {**unknowns(declared.rules.computed), **_without_defaults(inputs)}
                return provider_pb2.CreateResponse(properties=wire.encode(outputs))
            call = self._call(declared, request, bare, "create")
            call.urn_digest = urn_digest(request.urn, bare)
            try:
                created = self._created(declared, call, bare)
                call.visible(lambda: _readied(declared, call, created, bare))
                found = call.visible(lambda: declared.read(call, created, bare))
            except (ProviderError, OSError) as error:
                if not call.id:
                    raise
                raise self._partial(declared, call, call.id, inputs, error) from error
            if found is None:
                raise OutcomeUnknownError(f"{created} was made, and was gone when read back")
            return provider_pb2.CreateResponse(id=created, properties=wire.encode(mark_all(found, inputs)))

        return self._guard(context, run)

    def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:
        def run() -> provider_pb2.ReadResponse:
            declared = self._type(request)
            old_inputs, state = wire.decode(request.inputs), wire.decode(request.properties)
            bare, bare_state = _bare(old_inputs), _bare(state)
            call = self._call(declared, request, bare or bare_state, "read")
            try:
                found = declared.read(call, request.id, bare or bare_state)
            except NotFoundError:
                found = None
            if found is None:
                return provider_pb2.ReadResponse()
            inputs = with_internal_keys(declared.inputs_of(bare, found, declared.rules), old_inputs)
            return provider_pb2.ReadResponse(
                id=request.id,
                properties=wire.encode(mark_all(found, {**state, **old_inputs})),
                inputs=wire.encode(mark_all(inputs, old_inputs)),
            )

        return self._guard(context, run)

    def Update(self, request: provider_pb2.UpdateRequest, context: Any) -> provider_pb2.UpdateResponse:
        def run() -> provider_pb2.UpdateResponse:
            declared = self._type(request)
            olds, news = wire.decode(request.olds), wire.decode(request.news)
            old_inputs = wire.decode(request.old_inputs)
            if request.preview:
                _refuse(declared.onward(_bare(olds), _bare(old_inputs), _bare(news)))
                outputs = {**olds, **_without_defaults(news), **unknowns(declared.rules.computed_on_update)}
                return provider_pb2.UpdateResponse(properties=wire.encode(outputs))
            bare = _bare(news)
            call = self._call(declared, request, bare, "update")
            # What an earlier run began may still be under way, and clouds refuse a second change until it is over. Where that ends
            # badly, this update may be what mends it.
            with suppress(WaitError, NotFoundError):
                declared.ready(call, request.id, bare)
            actual = declared.read(call, request.id, bare)
            if actual is None:
                raise WaitError(f"{request.id} is gone from the cloud; refresh, then run again to create it anew")
            _refuse(declared.onward(actual, _bare(old_inputs), bare))
            object_id = request.id
            if declared.update is None:
                # Nothing is asked to change: an earlier run made the object, and failed before it had seen it.
                self._check_settled(declared, _bare(old_inputs) or bare, actual, bare)
            try:
                if declared.update is not None:
                    change = Update(object_id, actual, _bare(old_inputs), bare, declared.rules)
                    object_id = declared.update(call, change) or object_id
                declared.ready(call, object_id, bare)
            except WaitError as error:
                raise self._partial(declared, call, object_id, news, error) from error
            found = call.visible(lambda: declared.read(call, object_id, bare))
            if found is None:
                raise WaitError(f"{object_id} was updated, and was gone when read back")
            return provider_pb2.UpdateResponse(properties=wire.encode(mark_all(found, news)))

        return self._guard(context, run)

    def Delete(self, request: provider_pb2.DeleteRequest, context: Any) -> empty_pb2.Empty:
        def run() -> empty_pb2.Empty:
            declared = self._type(request)
            state = {**_bare(wire.decode(request.properties)), **_bare(wire.decode(request.old_inputs))}
            call = self._call(declared, request, state, "delete")

            def gone() -> bool | None:
                try:
                    return True if declared.read(call, request.id, state) is None else None
                except NotFoundError:
                    return True

            stays = False
            # What is not there is the object, or a part of it that a call took away whose answer was lost.
            for _ in range(2):
                try:
                    stays = declared.delete(call, request.id, state) is False
                    break
                except NotFoundError:
                    if gone():
                        break
            if not stays:
                call.wait(gone, what=f"deletion of {request.id}")
            return empty_pb2.Empty()

        return self._guard(context, run)

    def adopt(self, type_token: str, urn: str, inputs: Properties, known: Collection[str] = ()) -> str | None:
        """The id of what a create with these checked inputs left behind when it was killed; None where it made nothing.

        `known` are ids that the state already has for this URN: they are not taken for leavings. Not part of Pulumi's
        protocol: the local engine calls it for each pending create. Raises ProviderError.
        """
        declared, bare = self.resource_type(type_token), _bare(inputs)
        cloud = self.session(self._configured(), bare)
        digest = urn_digest(urn, bare)
        call = Call(cloud, urn, type_token, name_of(urn), urn_digest=digest, known=frozenset(known))
        return _left_behind(declared, call, bare)

    # Functions

    def Invoke(self, request: provider_pb2.InvokeRequest, context: Any) -> provider_pb2.InvokeResponse:
        def run() -> provider_pb2.InvokeResponse:
            arguments = _bare(wire.decode(request.args))
            function = self.function(request.tok)
            answer = function(self.session(self._configured(), arguments), arguments)
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(wire.encode(answer))
            return response

        return self._guard(context, run)

    # Private

    def _configured(self) -> S:
        if self._cloud is None:
            raise ConfigurationError(f"the {self.name} provider was called before it was configured")
        return self._cloud

    def _type(self, request: Any) -> ResourceType[S]:
        return self.resource_type(type_token(request))

    def _call(self, declared: ResourceType[S], request: Any, inputs: Mapping[str, Value], operation: str) -> Call[S]:
        cloud = self.session(self._configured(), inputs)
        seconds = declared.rules.timeout_seconds(operation, float(getattr(request, "timeout", 0) or 0))
        return Call(
            cloud,
            request.urn,
            declared.token,
            request.name or name_of(request.urn),
            time.monotonic() + seconds,
            self._cancelled,
        )

    def _created(self, declared: ResourceType[S], call: Call[S], inputs: Properties) -> str:
        """Create the object, and answer its id. Where the answer is lost, what the call did is looked up: an object that is
        there is taken and finished, and a second one is asked for only where none can come of it.

        Raises OutcomeUnknownError where nothing tells what the call did.
        """
        unclear: CloudError
        try:
            # What the object stands on may have been made a moment ago.
            return call.created(cast("str", call.visible(lambda: declared.create(call, inputs))))
        except AnswerLostError as error:
            if call.id:
                raise
            unclear = error
        log.info("%s; looking for what it made", str(unclear))
        try:
            found = _left_behind(declared, call, inputs)
            if found is None and declared.repeatable:
                try:
                    return call.created(declared.create(call, inputs))
                except CloudError as error:
                    if call.id:
                        raise
                    unclear = error  # Where the first call was done after all, the name is taken by now.
            found = found or call.visible(lambda: _left_behind(declared, call, inputs))
        except CloudError as error:
            if call.id:
                raise
            raise OutcomeUnknownError(f"{unclear}; and looking for what it made: {error}") from error
        if found is None and not isinstance(unclear, AnswerLostError):
            raise unclear
        if found is None:
            raise OutcomeUnknownError(
                f"{unclear}; nothing that it made is there yet; run `up` again, which looks once more before it creates"
            )
        log.info("%s: found %s, which it made", unclear.operation, found)
        call.created(found)
        call.visible(lambda: _readied(declared, call, found, inputs))
        actual = declared.read(call, found, inputs)
        if declared.update is None or actual is None:
            return found
        # The calls that would have followed the lost one.
        finished = declared.update(call, Update(found, actual, {}, inputs, declared.rules))
        return call.created(finished or found)

    def _check_settled(
        self, declared: ResourceType[S], old_inputs: Properties, actual: Properties, news: Properties
    ) -> None:
        """UnsupportedError where an object that cannot be changed in place is not as it is asked to be."""
        stands_for = declared.inputs_of(old_inputs, actual, declared.rules)
        if wrong := self.changes(declared, stands_for, news):
            names = ", ".join(sorted({change.property for change in wrong}))
            raise UnsupportedError(
                f"{declared.token} cannot be changed in place, and differs in {names}; refresh, then `up` replaces it"
            )

    def _partial(
        self, declared: ResourceType[S], call: Call[S], object_id: str, inputs: Properties, error: Exception
    ) -> Exception:
        """What to record of an object that exists but failed on the way: its state as far as the cloud tells it."""
        bare = _bare(inputs)
        try:
            outputs = call.visible(lambda: declared.read(call, object_id, bare))
        except ProviderError:
            outputs = bare
        if outputs is None:
            return error
        refusal = error.refusal if isinstance(error, ProviderError) else None
        return PartialError(object_id, inputs, mark_all(outputs, inputs), str(error), refusal)

    def _guard(self, context: Any, run: Callable[[], R]) -> R:
        try:
            return run()
        except PartialError as failure:
            _abort(context, grpc.StatusCode.UNKNOWN, str(failure), failure.refusal, failure.details)
        except CancelledError as error:
            _abort(context, grpc.StatusCode.CANCELLED, str(error))
        except OutcomeUnknownError as error:
            _abort(context, grpc.StatusCode.DATA_LOSS, str(error))
        except UnsupportedError as error:
            _abort(context, grpc.StatusCode.UNIMPLEMENTED, str(error))
        except ConfigurationError as error:
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except ProviderError as error:
            _abort(context, grpc.StatusCode.UNKNOWN, str(error), error.refusal)


def _refuse(failures: Iterable[Failure]) -> None:
    if told := "; ".join(f"{each.property}: {each.reason}" for each in failures):
        raise ProviderError(told)


def _abort(
    context: Any, code: grpc.StatusCode, message: str, refusal: Refusal | None = None, *details: Message
) -> NoReturn:
    """End the call. What does not fit into a message goes along as details of the status; the Pulumi CLI passes over those it does
    not know."""
    if refusal is not None:
        document = struct_pb2.Struct()
        document.update(refusal.document)
        details = (*details, document)
    if details:
        status = status_pb2.Status(code=code.value[0], message=message)
        for each in details:
            status.details.add().Pack(each)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)
    raise AssertionError("abort returned")


def type_token(request: Any) -> str:
    """The type that a request is about; older engines send it in the URN alone."""
    return request.type or type_of(request.urn)


def _left_behind(declared: ResourceType[S], call: Call[S], inputs: Properties) -> str | None:
    """The id of what a create with these inputs made without anybody hearing of it."""
    try:
        found = declared.find(call, inputs)
    except NotFoundError:
        return None
    return None if found in call.known else found


def _readied(declared: ResourceType[S], call: Call[S], object_id: str, inputs: Properties) -> bool:
    declared.ready(call, object_id, inputs)
    return True


def _bare(properties: Mapping[str, Value]) -> Properties:
    return plain_properties({key: wire.reveal(value) for key, value in properties.items()})


def _without_defaults(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key != DEFAULTS_KEY}


def _failure(failure: Failure) -> provider_pb2.CheckFailure:
    return provider_pb2.CheckFailure(property=failure.property, reason=failure.reason)


def _diff_response(declared: ResourceType[Any], news: Properties, changes: list[Change]) -> provider_pb2.DiffResponse:
    if not changes:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE, hasDetailedDiff=True)
    rules = declared.rules
    replaces = sorted({change.property for change in changes if change.replaces})
    named = rules.delete_before_replace_if_set
    delete_first = rules.delete_before_replace or bool(named and user_set(news, named))
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME,
        replaces=replaces,
        diffs=sorted({change.property for change in changes}),
        stables=[] if replaces else sorted(set(rules.computed) - set(rules.computed_on_update)),
        deleteBeforeReplace=bool(replaces) and delete_first,
        hasDetailedDiff=True,
        detailedDiff={
            change.text: provider_pb2.PropertyDiff(kind=PROPERTY_KINDS[change.kind, change.replaces], inputDiff=True)
            for change in changes
        },
    )
