"""What is known of a resource, whichever side says it."""

from __future__ import annotations

from typing import Any

import pytest

from model_factory.graph.values import UNKNOWNS, at, known

UNKNOWN = next(iter(UNKNOWNS))


class TestKnown:
    @pytest.mark.parametrize(
        ("inputs", "outputs", "seen"),
        [
            ({"a": 1}, {"a": 2, "b": 3}, {"a": 1, "b": 3}),
            ({"a": UNKNOWN}, {"a": 2}, {"a": 2}),
            ({"a": UNKNOWN, "b": None}, {}, {}),
            ({"a": {"b": UNKNOWN, "c": 1}}, {"a": {"b": 2}}, {"a": {"b": 2, "c": 1}}),
            ({"a": [{"b": UNKNOWN}]}, {"a": [{"b": 2}]}, {"a": [{"b": 2}]}),
            ({"a": [{"b": 1}, UNKNOWN]}, {"a": [{"b": 2}]}, {"a": [{"b": 1}, None]}),
            ({}, {"a": {"b": UNKNOWN}}, {"a": {}}),
        ],
    )
    def test_inputs_go_before_outputs_at_every_depth(
        self, inputs: dict[str, Any], outputs: dict[str, Any], seen: dict[str, Any]
    ) -> None:
        assert known(inputs, outputs) == seen
        assert len(known(inputs, outputs)) == len(seen)

    def test_what_neither_knows_is_absent(self) -> None:
        view = known({"a": UNKNOWN})
        assert "a" not in view
        assert view.get("a", 7) == 7


class TestAt:
    def test_one_object_stands_for_a_list_of_one(self) -> None:
        assert at({"a": {"b": 1}}, "a", 0, "b") == 1

    @pytest.mark.parametrize("path", [("a", "x"), ("b", 7), ("nothing",), ("b", "c")])
    def test_no_such_path_is_none(self, path: tuple[str | int, ...]) -> None:
        assert at({"a": 1, "b": [{"c": 3}]}, *path) is None
