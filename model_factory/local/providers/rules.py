"""How a cloud treats a change: data about a resource type, without its calls.

Paths are property paths: `vpcConfig.subnetIds`, `encryptionConfigurations[*].kmsKey`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from model_factory.graph import paths
from model_factory.local.providers.naming import AutoName, add_default
from model_factory.local.wire import Properties, Value

Equivalent = Callable[[Value, Value], bool]


@dataclass(frozen=True, slots=True)
class Rules:
    """The facts of one type.

    inputs, outputs: all top-level ones that the type has; empty where nobody needs to know.
    replace_on_changes: a path replaces if it, or its direct parent list, set or map, is listed.
    delete_before_replace: always delete the old object first. delete_before_replace_if_set: … only where the program
    itself gave this (otherwise auto-named) input.
    computed: properties that the cloud fills in; unknown in the preview of a create unless given, and no change when
    the program stops giving them. computed_on_update: those that an update changes.
    unordered: lists that are sets. equivalent: per path, whether two values mean the same to the cloud.
    owned: inputs that Read reports although the program did not give them (`tags`), so that additions are drift.
    timeouts: minutes by operation.
    """

    required: tuple[str, ...] = ()
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    replace_on_changes: frozenset[str] = frozenset()
    delete_before_replace: bool = False
    delete_before_replace_if_set: str = ""
    auto_name: AutoName | None = None
    defaults: Mapping[str, Value] = field(default_factory=dict[str, Value])
    computed: tuple[str, ...] = ()
    computed_on_update: tuple[str, ...] = ()
    unordered: frozenset[str] = frozenset()
    equivalent: Mapping[str, Equivalent] = field(default_factory=dict[str, Equivalent])
    owned: tuple[str, ...] = ()
    timeouts: Mapping[str, float] = field(default_factory=dict[str, float])

    def timeout_seconds(self, operation: str, asked: float) -> float:
        """The time an operation may take: what the program asked for, else the type's own, else 20 minutes."""
        return asked or self.timeouts.get(operation, 20) * 60


@cache
def load_rules(path: Path) -> dict[str, Rules]:
    """Read a data file of facts: type token → rules. Keys as in the file's `_meta`."""
    document = cast("dict[str, dict[str, Any]]", json.loads(path.read_text(encoding="utf-8")))
    return {token: _rules(facts) for token, facts in document.items() if not token.startswith("_")}


def _rules(facts: dict[str, Any]) -> Rules:
    computed: dict[str, list[str]] | list[str] = facts.get("computed", [])
    names = (
        [*computed.get("output", []), *computed.get("optionalComputed", [])] if isinstance(computed, dict) else computed
    )
    auto_name: AutoName | None = None
    if "autoName" in facts:
        options: dict[str, Any] = facts.get("autoNameOptions", {})
        auto_name = AutoName(
            facts["autoName"],
            max_length=options.get("maxLen", 255),
            separator=options.get("separator", "-"),
            random_length=options.get("randLen", 7),
            conflicts=tuple(options.get("conflicts", ())),
            transform=str.lower if options.get("transform") == "lowercase" else None,
        )
    return Rules(
        required=tuple(facts.get("required", ())),
        inputs=frozenset(facts.get("inputs", ())),
        outputs=frozenset(facts.get("outputs", ())),
        replace_on_changes=frozenset(facts.get("replaceOnChanges", ())),
        delete_before_replace=bool(facts.get("deleteBeforeReplace", False)),
        delete_before_replace_if_set=str(facts.get("deleteBeforeReplaceIfUserSet", "")),
        auto_name=auto_name,
        defaults=facts.get("defaults", {}),
        computed=tuple(name.removesuffix("?") for name in names),
        computed_on_update=tuple(facts.get("computedOnUpdate", ())),
        unordered=frozenset(facts.get("unordered", ())),
        owned=tuple(facts.get("owned", ())),
        timeouts=facts.get("timeouts", facts.get("timeoutMinutes", {})),
    )


def apply_defaults(inputs: Properties, defaults: Mapping[str, Value]) -> None:
    """Give absent inputs their defaults, nested ones where their parent is there; recorded in `__defaults`."""
    for path, value in defaults.items():
        _apply_default(inputs, paths.parse(path), value)


def _apply_default(target: Value, path: paths.Path, value: Value) -> None:
    head, *rest = path
    if isinstance(target, list) and head == "*":
        for item in target:
            _apply_default(item, tuple(rest), value)
    elif isinstance(target, dict) and isinstance(head, str):
        if rest:
            _apply_default(target.get(head), tuple(rest), value)
        elif target.get(head) is None:
            target[head] = value
            add_default(target, head)
