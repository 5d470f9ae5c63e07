"""Amounts of money as JSON has them."""

from __future__ import annotations

from decimal import Decimal


def exact(amount: Decimal | None) -> str | None:
    """As text, since a double would round it; None where it is not known."""
    return None if amount is None else f"{amount:f}"
