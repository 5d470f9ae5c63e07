from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.graph.quantity import amount, canonical, parse

_SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2"]


class TestCanonicalForm:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("1000", "1k"),
            ("3e2", "300"),
            ("1E3", "1e3"),
            (".5", "500m"),
            ("0", "0"),
            ("-1500m", "-1500m"),
            ("0.0000000001", "1n"),
            (1, "1"),
            (0.1, "100m"),
        ],
    )
    def test_is_what_the_api_server_stores(self, given: str | float, expected: str) -> None:
        assert canonical(given) == expected

    @given(st.decimals(min_value=0, max_value=10**6, places=3), st.sampled_from(_SUFFIXES))
    def test_keeps_the_amount_and_is_stable(self, number: Decimal, suffix: str) -> None:
        quantity = parse(f"{number:f}{suffix}")
        again = parse(str(quantity))
        # Binary suffixes hold whole bytes, and nothing is finer than a nano.
        assert 0 <= again.amount - quantity.amount < 1
        assert str(again) == str(quantity)

    @pytest.mark.parametrize("text", ["", "1.5x", "1 Gi", "Gi", "1KiB", "1..5", "1e", "--1", "0x10", "1ki"])
    def test_refuses_what_is_no_quantity_naming_it(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a quantity") as caught:
            parse(text)
        assert repr(text) in str(caught.value)


class TestAmounts:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("500m", "0.5"), ("2", "2"), (3, "3"), (1.5, "1.5"), ("10Gi", str(10 * 2**30)), ("1Pi", str(2**50)),
            ("1k", "1000"), ("much", "0"), (None, "0"), (True, "0"),
        ],
    )  # fmt: skip
    def test_are_in_the_base_unit(self, written: object, expected: str) -> None:
        assert amount(written) == Decimal(expected)
