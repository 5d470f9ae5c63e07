"""What is known of a resource, whichever side says it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from model_factory.graph.values import UNKNOWNS, at, known, number

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


class TestNumber:
    @pytest.mark.parametrize("value", ["1e999999999", "1e-999999999", "1e18", "nan", "x", True, None])
    def test_is_none_that_nobody_could_count(self, value: object) -> None:
        assert number(value) is None

    def test_is_none_that_has_more_digits_than_python_writes(self) -> None:
        assert number(10**5_000) is None

    @pytest.mark.parametrize(("value", "said"), [("2", 2), (0.5, "0.5"), (10**17, 10**17), ("0e-999999", 0)])
    def test_is_the_number_that_was_written(self, value: object, said: int | str) -> None:
        assert number(value) == Decimal(said)


class TestAt:
    def test_one_object_stands_for_a_list_of_one(self) -> None:
        assert at({"a": {"b": 1}}, "a", 0, "b") == 1

    @pytest.mark.parametrize("path", [("a", "x"), ("b", 7), ("nothing",), ("b", "c")])
    def test_no_such_path_is_none(self, path: tuple[str | int, ...]) -> None:
        assert at({"a": 1, "b": [{"c": 3}]}, *path) is None
