"""Transforms: functions of the program that rewrite registrations and invokes, called back over gRPC.

Order: a resource's own, its parents' from the nearest up, the stack's. Source: pulumi/pulumi, source_eval.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from model_factory.graph.loopback import is_loopback_target
from model_factory.local import wire
from model_factory.local.engine.errors import ProviderCallError
from model_factory.local.engine.goal import Goal, options_of, transformed, with_outputs
from model_factory.local.loopback import GRPC_OPTIONS
from model_factory.local.wire import Properties


class Callbacks:
    """The transforms of one run, and the connections to where they run."""

    def __init__(self) -> None:
        self._stack: list[callback_pb2.Callback] = []
        self._invokes: list[callback_pb2.Callback] = []
        self._of: dict[str, list[callback_pb2.Callback]] = {}
        self._channels: dict[str, Any] = {}

    def add_stack_transform(self, callback: callback_pb2.Callback) -> None:
        self._stack.append(callback)

    def add_invoke_transform(self, callback: callback_pb2.Callback) -> None:
        self._invokes.append(callback)

    def remember(self, urn: str, own: Sequence[callback_pb2.Callback]) -> None:
        """A resource's own transforms, for its children."""
        if own:
            self._of[urn] = list(own)

    async def transform(
        self, goal: Goal, own: Sequence[callback_pb2.Callback], parents: Sequence[str]
    ) -> tuple[Goal, bool]:
        """The goal after all transforms that apply, and whether it had some of its own: only these are told the dependencies of
        each property, as in Pulumi."""
        callbacks = [*own, *(callback for urn in parents for callback in self._of.get(urn, ())), *self._stack]
        if not callbacks:
            return goal, False
        if own:
            goal = replace(goal, inputs=with_outputs(goal))
        for callback in callbacks:
            request = resource_pb2.TransformRequest(
                type=goal.type, name=goal.name, custom=goal.custom, parent=goal.parent,
                properties=wire.encode(goal.inputs), options=options_of(goal),
            )  # fmt: skip
            response = resource_pb2.TransformResponse.FromString(await self._call(callback, request))
            inputs = wire.decode(response.properties) if response.HasField("properties") else goal.inputs
            goal = transformed(goal, inputs, response.options if response.HasField("options") else None)
        return goal, bool(own)

    async def transform_invoke(
        self, token: str, args: Properties, provider: str, version: str, url: str
    ) -> tuple[Properties, str, str]:
        """The arguments, provider and version of a call after all transforms."""
        for callback in self._invokes:
            options = resource_pb2.TransformInvokeOptions(provider=provider, version=version, plugin_download_url=url)
            request = resource_pb2.TransformInvokeRequest(token=token, args=wire.encode(args), options=options)
            response = resource_pb2.TransformInvokeResponse.FromString(await self._call(callback, request))
            if response.HasField("args"):
                args = wire.decode(response.args)
            if response.HasField("options"):
                provider, version = response.options.provider, response.options.version
        return args, provider, version

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    async def _call(self, callback: callback_pb2.Callback, request: Any) -> bytes:
        channel = self._channels.get(callback.target)
        if channel is None:
            channel = self._channels[callback.target] = _open(callback.target)
        stub: Any = callback_pb2_grpc.CallbacksStub(channel)
        try:
            response = await stub.Invoke(
                callback_pb2.CallbackInvokeRequest(token=callback.token, request=request.SerializeToString())
            )
        except grpc.aio.AioRpcError as error:
            raise ProviderCallError(error.code(), f"transform failed: {error.details()}") from error
        return response.response


def _open(target: str) -> Any:
    if not is_loopback_target(target):
        why = f"transform failed: its address {target!r} is not on loopback; the program's callbacks run on 127.0.0.1"
        raise ProviderCallError(grpc.StatusCode.INVALID_ARGUMENT, why)
    return grpc.aio.insecure_channel(target, options=GRPC_OPTIONS)
