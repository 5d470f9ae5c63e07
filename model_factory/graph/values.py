"""Property values as engines write them, read without trust: what is of another form, or not known yet, is absent.

Values are JSON, where a secret is `[secret]` or an object with a signature and a value not yet known is a sentinel text. Readers of
any Mapping serve here: plain dictionaries, `known` views, and the SDK's proxies, which raise on what is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

UNKNOWN_SENTINEL: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The one for text, which engines write whatever the kind is."""
UNKNOWNS: Final = frozenset(
    {
        UNKNOWN_SENTINEL,
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
        "e48ece36-62e2-4504-bad9-02848725956a",
    }
)
"""What Pulumi writes for text, a flag, a number, a list, an object, an asset and an archive not known yet (sdk/go/common/resource/plugin/rpc.go)."""
SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
"""The key by which an object says that it is more than an object (sdk/go/common/resource/sig)."""
_MOST_DIGITS: Final = 18
"""As 64 bits hold in any case: the integers of Kubernetes and the clouds."""
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker of the protocol, no password


def at(value: Any, *path: str | int) -> Any:
    """The value at a path of keys and indexes; None where there is no such path. One object stands for a list of one."""
    for step in path:
        if isinstance(step, str):
            value = cast("Mapping[str, Any]", value).get(step) if isinstance(value, Mapping) else None
        elif isinstance(value, Sequence) and not isinstance(value, str):
            items = cast("Sequence[Any]", value)
            value = items[step] if step < len(items) else None
        elif step != 0:
            return None
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is an object, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def listed(value: Any) -> Sequence[Any]:
    """`value` where it is a list, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, Sequence) and not isinstance(value, str) else ()


def text(value: Any) -> str:
    """`value` where it is known text, else an empty one."""
    return value if isinstance(value, str) and value not in UNKNOWNS else ""


def number(value: Any) -> Decimal | None:
    """`value` where it is a number, or text of one; not what has more digits before or after the point than any count or size, of which
    `1e999999999` has a billion."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except (InvalidOperation, ValueError):
        # A ValueError: an int of more digits than Python writes.
        return None
    if not amount.is_finite():
        return None
    return amount if not amount or abs(amount.adjusted()) < _MOST_DIGITS else None


def known(inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """What is known of a resource: its inputs, and its outputs where the inputs have nothing or a value not known yet.

    Holds at every depth of objects; a list of the inputs is completed from the outputs' only where both are as long. Values not
    known by either are absent, in lists None. A view: later changes of the arguments show.
    """
    return _Known(inputs, outputs or {})


class _Known(Mapping[str, Any]):
    def __init__(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self._outputs = outputs

    def __getitem__(self, key: str) -> Any:
        value = _merged(self._inputs.get(key), self._outputs.get(key))
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        for key in {**self._outputs, **self._inputs}:
            if _merged(self._inputs.get(key), self._outputs.get(key)) is not None:
                yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


def _merged(given: Any, made: Any) -> Any:
    value = made if _is_absent(given) else given
    if _is_absent(value):
        return None
    if isinstance(value, Mapping):
        return _Known(mapping(given), mapping(made))
    if isinstance(value, list | tuple):
        items, others = listed(cast("object", value)), listed(made)
        return [
            _merged(a, b)
            for a, b in zip(items, others if len(others) == len(items) else [None] * len(items), strict=True)
        ]
    return value


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in UNKNOWNS)
