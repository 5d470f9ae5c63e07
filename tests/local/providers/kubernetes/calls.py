"""A provider as an engine sees it: wire messages in and out, in process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import grpc
from pulumi.runtime.proto import provider_pb2, status_pb2

from model_factory.local import wire
from model_factory.local.providers.kubernetes.provider import KubernetesProvider
from model_factory.local.wire import Properties, Value

PROJECT = "urn:pulumi:dev::project::"


class AbortedError(Exception):
    """How a call ended. `half_done` is what is to be recorded of an object that is there and not ready."""

    def __init__(
        self, code: grpc.StatusCode, message: str, half_done: provider_pb2.ErrorResourceInitFailed | None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.half_done = half_done


class Context:
    def __init__(self) -> None:
        self._details = status_pb2.Status()

    def abort(self, code: grpc.StatusCode, message: str) -> NoReturn:
        found = provider_pb2.ErrorResourceInitFailed()
        half_done = [found for detail in self._details.details if detail.Unpack(found)]
        raise AbortedError(code, message, half_done[0] if half_done else None)

    def set_trailing_metadata(self, metadata: Any) -> None:
        """What a cluster refused in parts, and what is there of an object that failed."""
        self._details.ParseFromString(dict(metadata)["grpc-status-details-bin"])


@dataclass
class Engine:
    """Calls one configured provider."""

    root: Path
    config: Mapping[str, Value] = field(default_factory=dict[str, Value])

    def __post_init__(self) -> None:
        self.provider = KubernetesProvider(self.root)
        args = wire.encode({"renderYamlToDirectory": "clouds/eks", **self.config})
        self.provider.Configure(provider_pb2.ConfigureRequest(args=args), Context())

    @property
    def folder(self) -> Path:
        return self.root / "clouds" / "eks"

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*/*.yaml"))

    def check(
        self,
        type_: str,
        news: Mapping[str, Value],
        olds: Mapping[str, Value] | None = None,
        *,
        name: str = "web",
        seed: bytes = b"s",
    ) -> tuple[Properties, list[str]]:
        answer = self.provider.Check(
            provider_pb2.CheckRequest(
                urn=f"{PROJECT}{type_}::{name}",
                olds=wire.encode(olds or {}),
                news=wire.encode(news),
                randomSeed=seed,
            ),
            Context(),
        )
        return wire.decode(answer.inputs), [failure.reason for failure in answer.failures]

    def checked(
        self, type_: str, news: Mapping[str, Value], olds: Mapping[str, Value] | None = None, **options: Any
    ) -> Properties:
        inputs, failures = self.check(type_, news, olds, **options)
        assert failures == []
        return inputs

    def create(
        self, type_: str, inputs: Mapping[str, Value], *, preview: bool = False, timeout: float = 0
    ) -> tuple[str, Properties]:
        answer = self.provider.Create(
            provider_pb2.CreateRequest(
                urn=f"{PROJECT}{type_}::web", properties=wire.encode(inputs), preview=preview, timeout=timeout
            ),
            Context(),
        )
        return answer.id, wire.decode(answer.properties)

    def diff(
        self, type_: str, olds: Mapping[str, Value], news: Mapping[str, Value], ignore: tuple[str, ...] = ()
    ) -> provider_pb2.DiffResponse:
        return self.provider.Diff(
            provider_pb2.DiffRequest(
                urn=f"{PROJECT}{type_}::web",
                olds=wire.encode(olds),
                news=wire.encode(news),
                ignoreChanges=ignore,
            ),
            Context(),
        )

    def update(
        self,
        type_: str,
        id_: str,
        olds: Mapping[str, Value],
        news: Mapping[str, Value],
        *,
        preview: bool = False,
        timeout: float = 0,
        ignore: tuple[str, ...] = (),
    ) -> Properties:
        answer = self.provider.Update(
            provider_pb2.UpdateRequest(
                urn=f"{PROJECT}{type_}::web",
                id=id_,
                olds=wire.encode(olds),
                news=wire.encode(news),
                preview=preview,
                timeout=timeout,
                ignoreChanges=ignore,
            ),
            Context(),
        )
        return wire.decode(answer.properties)

    def read(
        self,
        type_: str,
        id_: str,
        inputs: Mapping[str, Value] | None = None,
        state: Mapping[str, Value] | None = None,
    ) -> tuple[str, Properties, Properties]:
        answer = self.provider.Read(
            provider_pb2.ReadRequest(
                urn=f"{PROJECT}{type_}::web",
                id=id_,
                inputs=wire.encode(inputs or {}),
                properties=wire.encode(state or {}),
            ),
            Context(),
        )
        return answer.id, wire.decode(answer.inputs), wire.decode(answer.properties)

    def delete(self, type_: str, id_: str, state: Mapping[str, Value], *, timeout: float = 0) -> None:
        self.provider.Delete(
            provider_pb2.DeleteRequest(
                urn=f"{PROJECT}{type_}::web", id=id_, properties=wire.encode(state), timeout=timeout
            ),
            Context(),
        )
