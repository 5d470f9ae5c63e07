"""Values at ignored paths are taken back as Pulumi takes them."""

from __future__ import annotations

import pytest

from model_factory.local.engine import ignored
from model_factory.local.wire import Secret, Value


class TestReset:
    def test_the_arguments_stay_as_they_are(self) -> None:
        news: dict[str, Value] = {"a": {"b": [1, 2]}}
        olds: dict[str, Value] = {"a": {"b": [3, 4]}}
        result, impossible = ignored.reset(news, olds, ["a.b[1]"])
        assert (result, impossible) == ({"a": {"b": [1, 4]}}, [])
        assert news == {"a": {"b": [1, 2]}}

    def test_a_value_from_below_a_secret_stays_secret(self) -> None:
        result, _ = ignored.reset({"a": {"b": 1}}, {"a": Secret({"b": 2})}, ["a.b"])
        assert result == {"a": {"b": Secret(2)}}

    def test_a_secret_around_stays(self) -> None:
        result, _ = ignored.reset({"a": Secret({"b": 1})}, {"a": Secret({"b": 2})}, ["a.b"])
        assert result == {"a": Secret({"b": 2})}

    @pytest.mark.parametrize(
        ("new", "old", "path"),
        [({}, {"a": {"b": 1}}, "a.b"), ({"a": [1]}, {"a": []}, "a[0]"), ({"a": 1}, {"a": {"b": 1}}, "a.b")],
    )
    def test_added_and_removed_parts_are_told(self, new: dict[str, Value], old: dict[str, Value], path: str) -> None:
        assert ignored.reset(new, old, [path])[1] == [path]
