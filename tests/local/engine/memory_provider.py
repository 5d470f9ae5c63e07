"""A provider of objects in memory, for tests of the engine: a real ResourceProviderServicer, and a log of its calls.

Types `test:index:Thing` and others of the package are all alike. Inputs steer it: `forceNew*` keys replace, `fail` names a call
that fails, `initFail` gives a partial failure, `deleteFirst` asks for delete before replace.
"""

# ruff: noqa: N802 - gRPC methods keep the protocol's names

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from model_factory.local import wire
from model_factory.local.wire import UNKNOWN, Properties, Value, reveal


@dataclass
class Cloud:
    """What exists, by id, and every call made. Shared by all provider instances of a test."""

    objects: dict[str, Properties] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    configured: list[Properties] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    delay_seconds: float = 0.0
    accept_secrets: bool = True
    plain_answers: bool = False
    seen: list[Properties] = field(default_factory=list)
    on_read: Callable[[str, Any], None] = lambda _method, _request: None
    on_request: Callable[[str, Any], None] = lambda _method, _request: None
    hook: Callable[[str, str], None] = lambda _method, _name: None
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Any = field(default_factory=itertools.count)

    def made(self, method: str) -> list[str]:
        return [name for call, name in self.calls if call == method]

    def names(self) -> set[str]:
        return {str(item["name"]) for item in self.objects.values()}

    def find(self, name: str) -> Properties:
        return next(item for item in self.objects.values() if item["name"] == name)


class MemoryProvider(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=self.cloud.accept_secrets, accept_resources=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        olds, news = wire.decode(request.old_inputs), wire.decode(request.news)
        replaces = ["account"] if olds.get("account") != news.get("account") else []
        changed = provider_pb2.DiffResponse.DIFF_SOME if olds != news else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changed, replaces=replaces)

    def Configure(self, request: Any, context: Any) -> Any:
        self.cloud.configured.append(wire.decode(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=self.cloud.accept_secrets, acceptResources=True, supportsPreview=True
        )

    def Check(self, request: Any, context: Any) -> Any:
        news, olds = wire.decode(request.news), wire.decode(request.olds)
        self._called("Check", request)
        failures = []
        if "forbidden" in news:
            failures.append(provider_pb2.CheckFailure(property="forbidden", reason="must not be set"))
        if "fault" in news:
            failures.append(provider_pb2.CheckFailure(property=str(news["fault"]), reason="must not be set"))
        if "autoName" not in news:
            news["autoName"] = olds.get("autoName") or f"{request.name}-{request.randomSeed[:3].hex()}"
        return provider_pb2.CheckResponse(inputs=wire.encode(news), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        self._called("Diff", request)
        olds, news = wire.decode(request.old_inputs), wire.decode(request.news)
        if news.get("diffUnknown"):
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_UNKNOWN)
        keys = [
            key for key in {**olds, **news} if reveal(olds.get(key)) != reveal(news.get(key)) or _unknown(news.get(key))
        ]
        replaces = [key for key in keys if key.startswith("forceNew") or key == "autoName"]
        kind = provider_pb2.PropertyDiff.Kind
        detailed = {
            key: provider_pb2.PropertyDiff(kind=kind.UPDATE_REPLACE if key in replaces else kind.UPDATE, inputDiff=True)
            for key in keys
        }
        some = provider_pb2.DiffResponse.DIFF_SOME if keys else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some, replaces=replaces, diffs=keys, detailedDiff=detailed, hasDetailedDiff=True,
            deleteBeforeReplace=bool(reveal(news.get("deleteFirst"))),
        )  # fmt: skip

    def Create(self, request: Any, context: Any) -> Any:
        inputs = wire.decode(request.properties)
        self.cloud.seen.append(inputs)
        if request.preview:
            self._called("PreviewCreate", request)
            return provider_pb2.CreateResponse(properties=wire.encode({**inputs, "computed": UNKNOWN}))
        with self._working("Create", request, context, inputs):
            id_ = f"id-{next(self.cloud.numbers)}"
            outputs: Properties = {**inputs, "computed": f"computed-{id_}"}
            self.cloud.objects[id_] = {"name": request.name, "urn": request.urn, **outputs}
            self._init_failure(inputs, id_, outputs, context)
            return provider_pb2.CreateResponse(id=id_, properties=wire.encode(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        inputs, olds = wire.decode(request.news), wire.decode(request.olds)
        outputs: Properties = {**inputs, "computed": olds.get("computed")}
        if request.preview:
            self._called("PreviewUpdate", request)
            return provider_pb2.UpdateResponse(properties=wire.encode(outputs))
        with self._working("Update", request, context, inputs):
            self.cloud.objects[request.id] = {"name": request.name, "urn": request.urn, **outputs}
            self._init_failure(inputs, request.id, outputs, context)
            return provider_pb2.UpdateResponse(properties=wire.encode(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        with self._working("Delete", request, context, wire.decode(request.old_inputs)):
            self.cloud.objects.pop(request.id, None)
            return empty_pb2.Empty()

    def Read(self, request: Any, context: Any) -> Any:
        self._called("Read", request)
        self.cloud.on_read("Read", request)
        found = self.cloud.objects.get(request.id)
        if found is None:
            return provider_pb2.ReadResponse()
        outputs = {key: value for key, value in found.items() if key not in ("name", "urn")}
        inputs = {key: value for key, value in outputs.items() if key != "computed"}
        keep = not self.cloud.plain_answers
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=wire.encode(outputs, keep_secrets=keep),
            inputs=wire.encode(inputs, keep_secrets=keep),
        )

    def Invoke(self, request: Any, context: Any) -> Any:
        args = wire.decode(request.args)
        self.cloud.calls.append(("Invoke", request.tok))
        if args.get("fail"):
            context.abort(grpc.StatusCode.INTERNAL, "the function failed")
        fields: dict[str, Any] = {"return": wire.encode({**args, "echoed": True})}
        return provider_pb2.InvokeResponse(**fields)

    def adopt(self, type_: str, urn: str, inputs: Properties, known: Collection[str]) -> str | None:
        self.cloud.calls.append(("adopt", urn.rsplit("::", 1)[-1]))
        for id_, item in self.cloud.objects.items():
            if id_ not in known and item["urn"] == urn and item.get("autoName") == inputs.get("autoName"):
                return id_
        return None

    def _called(self, method: str, request: Any) -> None:
        self.cloud.calls.append((method, request.name))

    def _working(self, method: str, request: Any, context: Any, inputs: Properties) -> Any:
        return _Working(self.cloud, method, request, context, inputs)

    def _init_failure(self, inputs: Properties, id_: str, outputs: Properties, context: Any) -> None:
        if not reveal(inputs.get("initFail")):
            return
        failure = provider_pb2.ErrorResourceInitFailed(
            id=id_,
            properties=wire.encode(outputs),
            reasons=["never became ready"],
            inputs=wire.encode(inputs),
        )
        detail = any_pb2.Any()
        detail.Pack(failure)
        status = status_pb2.Status(code=2, message="init failed", details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, "init failed")


class _Working:
    def __init__(self, cloud: Cloud, method: str, request: Any, context: Any, inputs: Properties) -> None:
        self.cloud, self.method, self.request, self.context, self.inputs = (
            cloud,
            method,
            request,
            context,
            inputs,
        )

    def __enter__(self) -> None:
        with self.cloud.lock:
            self.cloud.calls.append((self.method, self.request.name))
            self.cloud.running += 1
            self.cloud.most_running = max(self.cloud.most_running, self.cloud.running)
        try:
            self.cloud.on_request(self.method, self.request)
            self.cloud.hook(self.method, self.request.name)
            if self.cloud.delay_seconds:
                time.sleep(self.cloud.delay_seconds)
            if reveal(self.inputs.get("fail")) == self.method.lower():
                self.context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the cloud refused to {self.method.lower()} it")
        except BaseException:
            self._leave()
            raise

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        with self.cloud.lock:
            self.cloud.running -= 1


def _unknown(value: Value) -> bool:
    return value is not None and wire.is_unknown(value)
