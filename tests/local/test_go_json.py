"""The texts here are what Go's `json.Marshal` writes of the same values."""

from __future__ import annotations

from typing import Any

import pytest

from model_factory.local import go_json


class TestTexts:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
            ([3.0, 2.5, -0.125, 1e20, 1e24], "[3,2.5,-0.125,100000000000000000000,1e+24]"),
            ("é \"<&>\" \u2028", r'"é \"\u003c\u0026\u003e\" \u2028"'),
            ({}, "{}"),
        ],
    )  # fmt: skip
    def test_are_those_of_go(self, value: Any, text: str) -> None:
        assert go_json.dumps(value) == text
