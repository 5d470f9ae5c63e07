"""A stack's outputs as tables."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from model_factory.preview.outputs import print_outputs


def shown(**outputs: Any) -> list[list[str]]:
    """The lines, each as its cells."""
    out = io.StringIO()
    print_outputs(Console(file=out, width=200, no_color=True), outputs)
    return [line.split() for line in out.getvalue().splitlines()]


LEGS = [
    {"rank": 0, "pool": "l4x1-spot", "capacity_type": "spot", "replicas": 1, "replicas_max": 4},
    {"rank": 1, "pool": "l4x1-on-demand", "capacity_type": "on-demand", "replicas": 0, "replicas_max": 4},
]
ROW = {"model": "llm", "capacity_type": "spot", "replicas": 1, "replicas_max": 4}


class TestLegs:
    def test_each_has_a_row_under_its_model_in_the_same_columns(self) -> None:
        assert shown(models=[{**ROW, "legs": LEGS}])[-3:] == [
            ["llm", "spot", "1", "4"],
            ["spot", "1", "4"],
            ["on-demand", "0", "4"],
        ]

    def test_one_alone_is_its_models_row(self) -> None:
        assert shown(models=[{**ROW, "legs": LEGS[:1]}])[-1] == ["llm", "spot", "1", "4"]
