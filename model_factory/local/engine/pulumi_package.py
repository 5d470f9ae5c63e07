"""The package `pulumi`: stack references to state files of ours, and looking up resources of this run.

Not here: `pulumi:index:Stash` and other backends' stacks; they are refused by name.
"""

# ruff: noqa: ARG002 - the methods keep the signatures of what they stand for

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import grpc
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from model_factory.local.engine.diff import NO_CHANGE, Diff
from model_factory.local.engine.errors import ProviderCallError, StateError, UnsupportedError
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.plugins import Failure, ProviderInstance, Read
from model_factory.local.wire import Properties, Value, is_secret


class Builtins(ProviderInstance):
    """Answers without a servicer. `stack_outputs` reads another stack's outputs; `find` a resource of this run."""

    def __init__(
        self,
        stack_outputs: Callable[[str], Mapping[str, Value]],
        find: Callable[[str], ResourceState | None],
    ) -> None:
        super().__init__("pulumi", ResourceProviderServicer())
        self._stack_outputs = stack_outputs
        self._find = find
        self.known = True

    def check_config(self, urn: str, olds: Properties, news: Properties) -> tuple[Properties, list[Failure]]:
        return news, []

    def diff_config(
        self, urn: str, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties
    ) -> Diff:
        return NO_CHANGE

    def configure(self, urn: str, id_: str, inputs: Properties) -> None:
        """Nothing to configure."""

    def check(
        self, urn: str, olds: Properties | None, news: Properties, seed: bytes
    ) -> tuple[Properties, list[Failure]]:
        raise UnsupportedError(f"resources of the package pulumi other than stack references that are read ({urn})")

    def delete(self, urn: str, id_: str, inputs: Properties, outputs: Properties, timeout_seconds: float) -> None:
        """Nothing exists outside the state."""

    def read(self, urn: str, id_: str, inputs: Properties, state: Properties) -> Read:
        name = inputs.get("name")
        if not isinstance(name, str):
            raise ProviderCallError(grpc.StatusCode.INVALID_ARGUMENT, "a stack reference needs the name of a stack")
        return Read(id_, inputs, self._reference(name))

    def adopt(self, type_: str, urn: str, inputs: Properties, known: Collection[str]) -> str | None:
        return None

    def invoke(self, token: str, args: Properties, *, preview: bool) -> tuple[Properties, list[Failure]]:
        if token == "pulumi:pulumi:getResource":  # noqa: S105 - a function's name
            return self._resource(str(args.get("urn", ""))), []
        if token == "pulumi:pulumi:readStackOutputs":  # noqa: S105 - a function's name
            return self._reference(str(args.get("name", ""))), []
        raise UnsupportedError(f"function {token}")

    def _reference(self, name: str) -> Properties:
        try:
            outputs = dict(self._stack_outputs(name))
        except StateError as error:
            raise ProviderCallError(grpc.StatusCode.NOT_FOUND, str(error)) from error
        hidden: list[Value] = [key for key in sorted(outputs) if is_secret(outputs[key])]
        return {"name": name, "outputs": outputs, "secretOutputNames": hidden}

    def _resource(self, urn: str) -> Properties:
        found = self._find(urn)
        if found is None:
            raise ProviderCallError(grpc.StatusCode.NOT_FOUND, f"unknown resource {urn}")
        return {"urn": urn, "id": found.id, "provider": found.provider, "state": found.outputs}
