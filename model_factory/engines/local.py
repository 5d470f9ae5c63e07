"""The local engine behind the protocol: a stack's program over its state here, and local providers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from model_factory.engines.protocol import Emit, Outcome
from model_factory.engines.values import plain
from model_factory.graph.urn import STACK_TYPE
from model_factory.local.engine.deploy import Result, run
from model_factory.local.engine.request import Deployment, Program, Request
from model_factory.local.engine.store import StackStore
from model_factory.local.wire import Properties


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """`assumed` grows during a run by what it takes for granted without a cloud to ask; a warning tells it in the end."""

    program: Program
    store: StackStore
    providers: Mapping[str, Callable[[], ResourceProviderServicer]]
    secrets: Collection[str] = ()
    assumed: Collection[str] = ()

    @property
    def name(self) -> str:
        return "local"

    def run(self, request: Request, emit: Emit, cancel: threading.Event | None = None) -> Outcome:
        """See `Engine`. Raises StoreError."""
        ended = run(
            Deployment(request, self.program),
            store=self.store,
            providers=self.providers,
            emit=emit,
            cancel=cancel,
        )
        if self.assumed:
            emit(_assumption(self.assumed))
        before = _outputs_before(ended)
        return Outcome(
            ended.ok,
            ended.cancelled,
            ended.changes,
            plain(ended.outputs),
            plain(before),
            unchanged=_is_unchanged(ended) and before == ended.outputs,
        )


def _outputs_before(ended: Result) -> Properties:
    return next((state.outputs for state in ended.snapshot.resources if state.type == STACK_TYPE), {})


def _is_unchanged(ended: Result) -> bool:
    """Whether there is no step, and nothing left over from a run that was cut short."""
    return (
        ended.ok
        and not ended.changed
        and not ended.metadata_differs
        and not ended.snapshot.pending_operations
        and bool(ended.snapshot.resources)
    )


def _assumption(sentences: Collection[str]) -> dict[str, Any]:
    message = f"assumed, as the state does not tell: {'; '.join(sorted(sentences))}"
    return {"diagnosticEvent": {"severity": "warning", "message": message, "color": "never"}}
