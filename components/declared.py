"""What the program declares, recorded while it declares it, and what that costs.

The record stands between SDK and engine, where the SDK's own mocks stand: it sees each registration as the engine gets it, the same
under every engine, in preview and in `up`. It holds what is declared and not what clouds answer, so the cost that a stack exports is
the same before its first `up` as after.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, cast

import pulumi
from google.protobuf import json_format
from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2

from model_factory.cost import Bill, bill_of
from model_factory.graph.resource import Resource

_STEPS: Final = {"usd_per_hour": Decimal("0.0001"), "usd_per_month": Decimal("0.01")}


class Declared:
    """All resources that a program registers from `record` on. Those that it only reads are not among them."""

    def __init__(self) -> None:
        self._begun: list[pulumi.Resource] = []
        self._registered: list[Resource] = []

    async def resources(self) -> list[Resource]:
        """Every resource, once the inputs of the last of them are there. Values not known yet are Pulumi's sentinels."""
        waited = 0
        while waited < len(self._begun):
            batch = self._begun[waited:]
            waited += len(batch)
            # Each has its URN in a preview too, or fails; a failure ends the program without this one.
            await asyncio.gather(*(each.urn.future() for each in batch), return_exceptions=True)
        return list(self._registered)

    def cost_outputs(self) -> Mapping[str, pulumi.Output[Mapping[str, str]]]:
        """The stack's outputs on cost. They are known in a preview, whatever else is not."""
        costs: pulumi.Output[Mapping[str, Any]] = pulumi.Output.from_input(cast("Any", self._costs()))
        return {name: costs.apply(partial(_one, name)) for name in _STEPS}

    async def _costs(self) -> Mapping[str, Mapping[str, str]]:
        # As the preview and the command: what a version costs depends on the day (extended support).
        return cost_outputs(bill_of(await self.resources(), today=datetime.now(UTC).date()))

    def begin(self, args: pulumi.ResourceTransformationArgs) -> None:
        """A transformation that changes nothing: the SDK tells of each resource when the program makes it."""
        self._begun.append(args.resource)

    def add(self, request: resource_pb2.RegisterResourceRequest, urn: str) -> None:
        """Records a registration that the engine has taken."""
        self._registered.append(
            Resource(
                urn=urn,
                type=request.type,
                inputs=json_format.MessageToDict(request.object),
                parent=request.parent,
                provider=request.provider,
                dependencies=tuple(request.dependencies),
                property_dependencies={key: tuple(each.urns) for key, each in request.propertyDependencies.items()},
            )
        )


def record() -> Declared:
    """Begins to record what the running program declares. To be called in the program, before its first resource."""
    declared = Declared()
    monitor: Any = settings.SETTINGS
    monitor.monitor = _Monitor(settings.get_monitor(), declared)
    pulumi.runtime.register_stack_transformation(declared.begin)
    return declared


def cost_outputs(bill: Bill) -> Mapping[str, Mapping[str, str]]:
    """A bill as the stack exports it: every model at its least and at its most replicas. Amounts are text: a double would round them."""
    total = bill.total
    return {
        name: {"least": f"{span.idle.quantize(_STEPS[name])}", "most": f"{span.peak.quantize(_STEPS[name])}"}
        for name, span in (("usd_per_hour", total.usd_per_hour), ("usd_per_month", total.usd_per_month))
    }


def _one(name: str, costs: Mapping[str, Any]) -> Mapping[str, str]:
    return costs[name]


class _Monitor:
    """The engine's monitor, its registrations recorded on the way. All other calls pass."""

    def __init__(self, monitor: Any, declared: Declared) -> None:
        self._monitor = monitor
        self._declared = declared

    def __getattr__(self, name: str) -> Any:
        return getattr(self._monitor, name)

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # noqa: N802 - as the protocol names it
        answer = self._monitor.RegisterResource(request)
        self._declared.add(request, answer.urn)
        return answer
