"""A stack's outputs as tables."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from model_factory.preview.outputs import print_outputs


def printed(width: int, outputs: Mapping[str, Any]) -> list[str]:
    out = io.StringIO()
    print_outputs(Console(file=out, width=width, no_color=True), outputs)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def shown(**outputs: Any) -> list[list[str]]:
    """The lines, each as its cells."""
    return [line.split() for line in printed(200, outputs)]


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


WIDE = {
    **ROW, "runtime": "tensorflow-serving", "cloud": "gcp", "region": "northamerica-northeast1", "accelerator": "8x h100-mega",
    "machine_type": "a3-megagpu-8g", "usd_per_hour": 1234.56789, "usd_per_hour_max": 12345.6789, "legs": LEGS,
}  # fmt: skip


class TestNarrow:
    def test_no_word_and_no_amount_is_broken_at_80_columns(self) -> None:
        lines = printed(80, {"models": [WIDE]})
        assert max(map(len, lines)) <= 80
        for value in ("tensorflow-serving", "northamerica-northeast1", "8x h100-mega", "1234.56789", "12345.6789"):
            assert any(value in line for line in lines)

    def test_what_fits_stays_a_table(self) -> None:
        assert printed(200, {"models": [WIDE]})[2].split()[0] == "llm"
        assert printed(80, {"models": [ROW]})[2].split() == ["llm", "spot", "1", "4"]

    def test_a_value_longer_than_the_terminal_is_whole_on_its_line(self) -> None:
        address = f"https://{'x' * 90}.example.test"
        assert f"    {address}" in printed(80, {"clusters": {"dev": address, "other": "172.16.0.2"}})
