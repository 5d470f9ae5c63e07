from __future__ import annotations

import pytest

from model_factory.graph.declared import needs
from model_factory.graph.objects import kind_of
from model_factory.graph.resource import Resource, before_and_after, resources_of

STATE = {
    "urn": "urn:pulumi:s::p::t::n",
    "type": "t",
    "inputs": {"a": 1},
    "outputs": {"a": 2, "b": [{"c": 3}]},
}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class TestValues:
    def test_inputs_go_before_outputs(self) -> None:
        assert Resource.of(STATE).at("a") == 1
        assert Resource.of(STATE).at("b", 0, "c") == 3

    def test_what_is_not_known_falls_back_to_outputs(self) -> None:
        assert Resource.of(STATE | {"inputs": {"a": UNKNOWN}}).at("a") == 2
        assert Resource.of(STATE | {"inputs": {"a": UNKNOWN}, "outputs": None}).at("a") is None

    @pytest.mark.parametrize("path", [("a", "x"), ("b", 7), ("nothing",), ("b", "c")])
    def test_no_such_path_is_none(self, path: tuple[str | int, ...]) -> None:
        assert Resource.of(STATE).at(*path) is None


class TestStates:
    def test_all_that_a_resource_needs_is_read(self) -> None:
        resource = Resource.of(
            STATE
            | {
                "type": "a:b:C",
                "dependencies": ["urn:1"],
                "propertyDependencies": {"x": ["urn:2"], "y": None},
            }
        )
        assert (resource.name, kind_of(resource)) == ("n", "C")
        assert needs(resource) == {"urn:1", "urn:2"}


class TestGraphs:
    def test_old_copies_are_not_counted(self) -> None:
        assert len(resources_of([STATE, STATE | {"delete": True}])) == 1

    def test_steps_make_two_graphs(self) -> None:
        def state(name: str, value: int) -> dict[str, object]:
            return {"urn": f"urn:pulumi:s::p::t::{name}", "type": "t", "inputs": {"value": value}}

        before, after = before_and_after(
            [
                ("same", state("same", 1), state("same", 1)),
                ("update", state("changed", 1), state("changed", 2)),
                ("create-replacement", state("replaced", 1), state("replaced", 2)),
                ("replace", state("replaced", 1), state("replaced", 2)),
                ("delete-replaced", state("replaced", 1), None),
                ("create", None, state("new", 1)),
                ("delete", state("gone", 1), None),
            ]
        )
        assert {each.name: each.inputs["value"] for each in before} == {
            "same": 1,
            "changed": 1,
            "replaced": 1,
            "gone": 1,
        }
        assert {each.name: each.inputs["value"] for each in after} == {
            "same": 1,
            "changed": 2,
            "replaced": 2,
            "new": 1,
        }
