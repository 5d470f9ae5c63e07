"""The program's own resources, with the stack files of the repository, as policies are given them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.components.conftest import Recorder, Registered, ran_stack
from tests.policies.harness import Given

# The mocks' registry, and one that there could be.
MOCK_REGISTRY, REGISTRY = "000000000000.dkr.ecr.test/", "000000000000.dkr.ecr.us-east-1.amazonaws.com/"


@dataclass(frozen=True)
class Declared(Given):
    """A resource with the URN that others depend on."""

    registered: str = ""

    @property
    def urn(self) -> str:
        return self.registered or super().urn


@cache
def declared(stack: str) -> tuple[Given, ...]:
    """What a stack's resources ask for, and the stack itself with what it exports."""
    recorder = ran_stack(stack)
    return (_root(stack, recorder), *(_given(each, each.inputs) for each in recorder.resources))


@cache
def made(stack: str) -> tuple[Given, ...]:
    """What a stack's resources have in the end, as checks of a stack see them: names are there, too."""
    recorder = ran_stack(stack)
    return (_root(stack, recorder), *(_given(each, _outputs(each)) for each in recorder.resources))


def _root(stack: str, recorder: Recorder) -> Given:
    return Given("pulumi:pulumi:Stack", recorder.outputs, f"model-factory-{stack}")


def _given(each: Registered, props: Mapping[str, Any]) -> Given:
    plain = json.loads(json.dumps(props, default=str).replace(MOCK_REGISTRY, REGISTRY))
    return Declared(
        each.type,
        plain,
        each.name,
        provider=each.provider.rpartition("::")[0].rpartition("::")[2],
        protect=each.protect,
        parent=each.parent,
        dependencies=tuple(each.dependencies),
        registered=each.urn,
    )


def _outputs(each: Registered) -> Mapping[str, Any]:
    if not each.type.startswith("kubernetes:"):
        return each.inputs
    metadata = {"name": f"{each.name}-0000000", **each.inputs.get("metadata", {})}
    return {**each.inputs, "metadata": metadata}
