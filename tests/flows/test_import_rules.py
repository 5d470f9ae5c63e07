"""Import-linter judges imports between the rooms that its contract names. It names them all."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_room_stands_in_the_order() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in linter["contracts"] if each["type"] == "layers")
    named = {room.strip() for layer in contract["layers"] for room in layer.split("|")}
    rooms = {f"model_factory.{each.parent.name}" for each in (ROOT / "model_factory").glob("*/__init__.py")}
    assert named == rooms | {"components", "policies"}
    assert "ignore_imports" not in contract
