"""Kubernetes quantities: `500m`, `1.5Gi`, `3e2`.

The grammar and the canonical form follow the API machinery's `resource.Quantity`
(https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/). Amounts below one nano are rounded up,
as there. The cap at 2^63-1 is not modelled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, Final, Literal

_GRAMMAR: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d{1,2})")
_DECIMAL_SUFFIXES: Final = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY_SUFFIXES: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO: Final = Decimal("1e-9")
_EXACT: Final = Context(prec=200)
RULE: Final = "a quantity is a number with an optional suffix: n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or e<exponent>"

Format = Literal["decimal", "binary", "exponent"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount and the family of suffixes it was written with."""

    amount: Decimal
    format: Format

    def __str__(self) -> str:
        """The canonical form: the largest suffix that leaves no fraction."""
        if self.format == "binary" and abs(self.amount) >= 1024:
            return _binary(self.amount)
        return _decimal(self.amount, exponent_form=self.format == "exponent")


def parse(text: str) -> Quantity:
    """Read a quantity; ValueError names the text and the rule."""
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; {RULE}")
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _BINARY_SUFFIXES[1:]:
        return Quantity(
            _at_least_nano(_EXACT.multiply(number, Decimal(1024 ** _BINARY_SUFFIXES.index(suffix)))), "binary"
        )
    if suffix in _DECIMAL_SUFFIXES:
        exponent = 3 * (_DECIMAL_SUFFIXES.index(suffix) - 3)
        return Quantity(_at_least_nano(number.scaleb(exponent, _EXACT)), "decimal")
    return Quantity(_at_least_nano(number.scaleb(int(suffix[1:]), _EXACT)), "exponent")


def canonical(value: str | float) -> str:
    """The canonical form of a quantity given as text or number."""
    return str(parse(value if isinstance(value, str) else _plain(value)))


def amount(value: Any) -> Decimal:
    """A quantity given as text or number, in its base unit: `500m` → 0.5, `10Gi` → bytes; 0 for what is no quantity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return Decimal(0)
    try:
        return parse(value if isinstance(value, str) else _plain(value)).amount
    except ValueError:
        return Decimal(0)


def _plain(number: float) -> str:
    return format(Decimal(str(number)), "f")


def _at_least_nano(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    fine = isinstance(exponent, int) and exponent < -9
    return amount.quantize(_NANO, rounding=ROUND_CEILING, context=_EXACT) if fine else amount


def _binary(amount: Decimal) -> str:
    whole = int(amount.to_integral_value(rounding=ROUND_CEILING))
    power = 0
    while whole % 1024 == 0 and power < len(_BINARY_SUFFIXES) - 1:
        whole //= 1024
        power += 1
    return f"{whole}{_BINARY_SUFFIXES[power]}"


def _decimal(amount: Decimal, *, exponent_form: bool) -> str:
    sign, digits, exponent = amount.normalize(_EXACT).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{amount} is not finite; {RULE}")  # noqa: TRY004  (the amount is wrong, not its type)
    mantissa = int("".join(map(str, digits)))
    if mantissa == 0:
        return "0"
    shift = exponent % 3
    mantissa, exponent = mantissa * 10**shift, exponent - shift
    if not exponent_form and exponent > 18:
        mantissa, exponent = mantissa * 10 ** (exponent - 18), 18
    suffix = (f"e{exponent}" if exponent else "") if exponent_form else _DECIMAL_SUFFIXES[exponent // 3 + 3]
    return f"{'-' if sign else ''}{mantissa}{suffix}"
