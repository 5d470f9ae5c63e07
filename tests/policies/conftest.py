"""Hands the cases of a table of checks to its tests."""

from __future__ import annotations

import pytest

from tests.policies.table import EachCheck, Remedies


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    table = metafunc.cls
    if table is None or not issubclass(table, EachCheck):
        return
    if "case" in metafunc.fixturenames and not any(metafunc.definition.iter_markers("parametrize")):
        metafunc.parametrize("case", table.CASES, ids=str)
    if "unknown" in metafunc.fixturenames:
        metafunc.parametrize("unknown", table.UNKNOWNS)
    if "remediable" in metafunc.fixturenames and issubclass(table, Remedies):
        cases = [each for each in table.CASES if each.policy in table.REMEDIABLE]
        metafunc.parametrize("remediable", cases, ids=str)
