"""Steps: what is to be done to one resource, as values, and why it cannot be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from model_factory.local.engine.diff import PropertyDiff, same
from model_factory.local.engine.model import ResourceState


class Op(StrEnum):
    """What a step does, in Pulumi's words."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    CREATE_REPLACEMENT = "create-replacement"
    DELETE_REPLACED = "delete-replaced"
    READ = "read"
    READ_REPLACEMENT = "read-replacement"
    REFRESH = "refresh"
    DISCARD = "discard"
    DISCARD_REPLACED = "discard-replaced"
    REMOVE_PENDING_REPLACE = "remove-pending-replace"

    @property
    def logical(self) -> bool:
        """Whether users count it as one change; the others are parts of a replacement."""
        return self in _LOGICAL

    @property
    def deletes(self) -> bool:
        return self in (Op.DELETE, Op.DELETE_REPLACED, Op.DISCARD, Op.DISCARD_REPLACED)


_LOGICAL = frozenset({Op.SAME, Op.CREATE, Op.UPDATE, Op.DELETE, Op.REPLACE, Op.READ, Op.DISCARD})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `old` is None for creates, `new` for deletes. `keys` force a replacement, `diffs` changed.

    `row` is the base state that a deletion removes, where `old` is a copy of it with other marks.
    """

    op: Op
    old: ResourceState | None
    new: ResourceState | None
    keys: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    detailed: Mapping[str, PropertyDiff] | None = None
    ignore_changes: tuple[str, ...] = ()
    row: ResourceState | None = None

    @property
    def state(self) -> ResourceState:
        state = self.new or self.old
        if state is None:
            raise AssertionError("a step has an old or a new state")
        return state

    @property
    def urn(self) -> str:
        return self.state.urn


def metadata_changed(old: ResourceState, new: ResourceState) -> bool:
    """Whether an unchanged resource's record must be written all the same. Source positions do not count."""
    return (
        old.urn != new.urn
        or old.parent != new.parent
        or old.provider != new.provider
        or old.protect != new.protect
        or old.retain_on_delete != new.retain_on_delete
        or old.deleted_with != new.deleted_with
        or old.replace_with != new.replace_with
        or old.custom_timeouts != new.custom_timeouts
        or old.custom != new.custom
        or old.ignore_changes != new.ignore_changes
        or old.replace_on_changes != new.replace_on_changes
        or old.additional_secret_outputs != new.additional_secret_outputs
        or sorted(old.dependencies) != sorted(new.dependencies)
        or _sorted(old.property_dependencies) != _sorted(new.property_dependencies)
        or not same(old.inputs, new.inputs)
        or not same(old.outputs, new.outputs)
    )


def _sorted(dependencies: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {key: sorted(urns) for key, urns in dependencies.items() if urns}
