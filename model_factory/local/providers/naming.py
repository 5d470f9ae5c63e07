"""Auto-names: `{logical name}-{7 hex}`, as Pulumi's bridged providers give them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model_factory.local.providers.errors import Failure
from model_factory.local.providers.values import DEFAULTS_KEY
from model_factory.local.wire import Properties, Value


@dataclass(frozen=True, slots=True)
class AutoName:
    """Which input is named when the program leaves it out, and how.

    `conflicts` are inputs (a name prefix) that switch auto-naming off. `transform` is applied to the finished name.
    """

    property: str
    max_length: int = 255
    separator: str = "-"
    random_length: int = 7
    conflicts: tuple[str, ...] = ()
    transform: Callable[[str], str] | None = None

    def apply(
        self, inputs: Properties, olds: Mapping[str, Value], *, name: str, urn: str, seed: bytes
    ) -> list[Failure]:
        """Fill the name in, keeping the one `olds` was given. Recorded in `__defaults`, so that later runs know
        whose name it is."""
        if inputs.get(self.property) is not None or any(inputs.get(key) is not None for key in self.conflicts):
            return []
        old_defaults = olds.get(DEFAULTS_KEY)
        if isinstance(old_defaults, list) and self.property in old_defaults and self.property in olds:
            inputs[self.property] = olds[self.property]
        else:
            made = unique_name(name, urn=urn, seed=seed, separator=self.separator, length=self.random_length)
            made = self.transform(made) if self.transform else made
            if len(made) > self.max_length:
                reason = (f"the name made from {name!r} is {len(made)} characters long, the cloud takes "
                          f"{self.max_length}; shorten the logical name or set {self.property}")  # fmt: skip
                return [Failure(self.property, reason)]
            inputs[self.property] = made
        add_default(inputs, self.property)
        return []


def unique_name(name: str, *, urn: str, seed: bytes, separator: str = "-", length: int = 7) -> str:
    """A name that is the same for the same URN and seed, so that an interrupted run can find what it made."""
    digest = hashlib.sha256(urn.encode() + b"\0" + seed).hexdigest()
    return f"{name}{separator}{digest[:length]}"


def add_default(inputs: Properties, key: str) -> None:
    """Record in `__defaults` that this input did not come from the program."""
    recorded = inputs.get(DEFAULTS_KEY)
    names: set[str] = {str(item) for item in recorded} if isinstance(recorded, list) else set()
    inputs[DEFAULTS_KEY] = [*sorted(names | {key})]


def urn_digest(urn: str, inputs: Mapping[str, Value] | None = None) -> str:
    """A tag value that names one create: of this resource, with these inputs.

    For objects without a unique name. The inputs are part of it, as a replacement has the same URN as what it replaces.
    """
    text = json.dumps(inputs or {}, sort_keys=True, default=repr)
    return hashlib.sha256(f"{urn}\0{text}".encode()).hexdigest()[:32]
