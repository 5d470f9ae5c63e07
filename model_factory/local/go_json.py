"""JSON text as Go's `encoding/json` writes it, for texts that the Pulumi CLI compares, encrypts or hands on as they are."""

from __future__ import annotations

import json
from typing import Any, Final, cast

_ESCAPED: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_EXPONENT_FROM: Final = 1e21


def dumps(value: Any) -> str:
    """Compact, keys sorted, whole numbers without a fraction; `<`, `>` and `&` escaped, other characters as they are.

    Fractions below 1e-6 have an exponent of two digits here and of one there.
    """
    text = json.dumps(_whole(value), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.translate(_ESCAPED)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXPONENT_FROM:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in cast("dict[str, Any]", value).items()}
    return [_whole(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
