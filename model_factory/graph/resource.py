"""Resources of a graph as plain records, and tolerant readers of their values.

Values come as an engine writes them: JSON, where a secret is `[secret]` or an object with a ciphertext and a value not yet known is a
sentinel text. What cannot be read so is treated as absent; whoever needs it says that it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

UNKNOWNS: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
"""What Pulumi writes for text, a flag, a number, a list and an object not known yet (sdk/go/common/resource/plugin/rpc.go)."""
_GONE_AFTER: Final = frozenset(
    {"delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace"}
)
"""Steps after which the resource (or the copy they are about) is not there."""


@dataclass(frozen=True, slots=True)
class Record:
    """One resource. `parent` and `provider` are the engine's references; without them pods are matched to pools by label alone."""

    urn: str
    type: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: str = ""
    parent: str = ""
    provider: str = ""

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Record:
        """From a resource of a state file, or an `oldState` or `newState` of a preview."""
        return cls(
            urn=str(state["urn"]),
            type=str(state["type"]),
            inputs=mapping(state.get("inputs")),
            outputs=mapping(state.get("outputs")),
            id=str(state.get("id") or ""),
            parent=str(state.get("parent") or ""),
            provider=str(state.get("provider") or ""),
        )

    @property
    def name(self) -> str:
        """Its logical name."""
        return self.urn.rsplit("::", 1)[-1]

    def at(self, *path: str | int) -> Any:
        """A value of the inputs, or of the outputs where the inputs have none or one that is not known yet; None without either."""
        for values in (self.inputs, self.outputs):
            found = dig(values, *path)
            if found is not None and not (isinstance(found, str) and found in UNKNOWNS):
                return found
        return None


def records_of(resources: Iterable[Mapping[str, Any]]) -> list[Record]:
    """The records of a state file's resources, without old copies that await deletion."""
    return [Record.of(each) for each in resources if not each.get("delete")]


def before_and_after(
    steps: Iterable[tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]],
) -> tuple[list[Record], list[Record]]:
    """The graph before and after the steps (op, old state, new state) of a preview or an update.

    The steps must include the unchanged resources (op `same`), as engine events and `preview --json --show-same` do.
    """
    before: dict[str, Record] = {}
    after: dict[str, Record] = {}
    for op, old, new in steps:
        if old and not old.get("delete"):
            before.setdefault(str(old["urn"]), Record.of(old))
        if new and op not in _GONE_AFTER:
            after[str(new["urn"])] = Record.of(new)
    return list(before.values()), list(after.values())


def dig(value: Any, *path: str | int) -> Any:
    """The value at a path of keys and indices; None where there is no such path. One object stands for a list of one."""
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


def sequence(value: Any) -> Sequence[Any]:
    """`value` where it is a list, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()


def text(value: Any) -> str:
    """`value` where it is known text, else an empty one."""
    return value if isinstance(value, str) and value not in UNKNOWNS else ""


def number(value: Any) -> Decimal | None:
    """`value` where it is a number, or text of one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


_SUFFIXES: Final = {
    "m": Decimal("0.001"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
}


def quantity(value: Any) -> Decimal:
    """A Kubernetes quantity as a plain number: `500m` → 0.5, `10Gi` → bytes; 0 for what is none."""
    written = str(value)
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if written.endswith(suffix):
            return (number(written[: -len(suffix)]) or Decimal(0)) * _SUFFIXES[suffix]
    return number(value) or Decimal(0)
