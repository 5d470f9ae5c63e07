"""From a state and a goal to steps: what must happen to one resource, and what is left to delete in the end.

Pure but for the questions it asks through `Answers`. Its rules follow Pulumi's step generator (pulumi/pulumi,
pkg/resource/deploy/step_generator.go); like it, it is called for one resource at a time, in order of registration.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from model_factory.graph.urn import Urn, provider_urn, qualify
from model_factory.local.engine import ignored
from model_factory.local.engine.diff import (
    NO_CHANGE,
    Diff,
    apply_replace_on_changes,
    compare,
    same,
    with_unknown,
)
from model_factory.local.engine.errors import PlanError, ProtectedError
from model_factory.local.engine.goal import Goal, alias_urn
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.step import Op, Step
from model_factory.local.wire import Properties


class Answers(Protocol):
    """What the planner asks about one resource. Each may raise what the provider raised, or PlanError for invalid inputs."""

    def check(self, state: ResourceState, olds: Properties | None, news: Properties, seed: bytes) -> Properties: ...
    def diff(self, old: ResourceState, new: ResourceState, news: Properties, ignore_changes: Sequence[str]) -> Diff: ...
    def judged(self, state: ResourceState) -> Properties: ...
    def provider_replaces(self, old_reference: str, new_reference: str) -> bool: ...
    def tell(self, urn: str, message: str) -> None: ...
    def error(self, urn: str, message: str) -> None: ...


class Planner:
    """Turns goals into steps over one base state, and remembers what it has decided."""

    def __init__(self, resources: Sequence[ResourceState], project: str, stack: str, *, preview: bool) -> None:
        self._resources = tuple(resources)
        self._olds = {resource.urn: resource for resource in resources if not resource.delete}
        self._project = project
        self._stack = stack
        self._preview = preview
        self._seen: set[str] = set()
        self._alias_of: dict[str, str] = {}  # new URN → the old URN it was found under
        self._aliased: dict[str, str] = {}  # old URN → the new URN that claims it
        self._operated: set[str] = set()
        self._created: set[str] = set()
        self.replaced: set[str] = set()
        self.deleted: set[str] = set()
        self._gone: set[int] = set()  # base states whose deletion is already a step
        self._superseded: dict[int, ResourceState] = {}
        self._dependent_keys: dict[str, tuple[str, ...]] = {}
        self.violated = False

    def old(self, urn: str) -> ResourceState | None:
        return self._olds.get(urn)

    def seen(self, urn: str) -> bool:
        return urn in self._seen

    def superseded(self, old: ResourceState) -> None:
        """The replacement of this base state exists now, so the old copy is to be deleted at the end."""
        base = self._olds.get(old.urn)
        if base is not None and not base.external and not base.pending_replacement and id(base) not in self._gone:
            self._superseded[id(base)] = base

    # -- registrations -------------------------------------------------------------------------------------------------

    def register(self, goal: Goal, answers: Answers) -> tuple[Step, ...]:
        """The steps for one registration, in order. Raises PlanError."""
        urn = self._claim(goal)
        old = self._find_old(urn, goal)
        alias = (self._alias_of[urn],) if urn in self._alias_of else ()
        recreating = urn in self.deleted
        fresh = recreating or old is None or old.external
        seed = secrets.token_bytes(32)
        new = goal.state(urn, alias, old)
        if old is not None and goal.ignore_changes:
            inputs, impossible = ignored.reset(goal.inputs, old.inputs, goal.ignore_changes)
            new = replace(new, inputs=inputs)
            if impossible:
                paths = ", ".join(impossible)
                answers.tell(urn, f'cannot ignore changes in added or removed elements of the path: "{paths}"')
        if goal.custom:
            news = goal.inputs if fresh else new.inputs
            new = replace(new, inputs=answers.check(new, None if fresh or old is None else old.inputs, news, seed))
        new = replace(new, inputs=answers.judged(new))
        if old is None:
            self._created.add(urn)
            return (Step(Op.CREATE, None, new),)
        if recreating:
            # Deleted earlier in this run because it depends on something that is deleted before it is replaced.
            self.deleted.discard(urn)
            self.replaced.add(urn)
            keys = self._dependent_keys.get(urn, ())
            return (Step(Op.REPLACE, old, new), Step(Op.CREATE_REPLACEMENT, old, new, keys=keys))
        if old.external:
            # The program now owns what it only read before: a new object takes its place.
            self.replaced.add(urn)
            return (Step(Op.CREATE_REPLACEMENT, old, new), Step(Op.REPLACE, old, new))
        return self._from_diff(goal, old, new, seed, answers)

    def read(self, goal: Goal, id_: str) -> tuple[Step, ...]:
        """The steps to read an object that this stack does not own."""
        urn = self._claim(goal)
        if not id_:
            raise PlanError(urn, f"an id is needed to read {goal.label}")
        old = self._find_old(urn, goal)
        alias = (self._alias_of[urn],) if urn in self._alias_of else ()
        new = replace(goal.state(urn, alias, old), id=id_, external=True)
        if old is not None and not old.external and old.id != id_:
            self.replaced.add(urn)
            return (Step(Op.READ_REPLACEMENT, old, new), Step(Op.REPLACE, old, new))
        self._operated.add(urn)
        return (Step(Op.READ, old, new),)

    def _claim(self, goal: Goal) -> str:
        if goal.parent and goal.parent not in self._seen:
            raise PlanError("", f"could not find parent resource {goal.parent} of {goal.label}")
        urn = Urn.make(self._stack, self._project, qualify(goal.parent, goal.type), goal.name)
        if urn in self._seen:
            raise PlanError(urn, f"Duplicate resource URN '{urn}'; try giving it a unique name")
        self._seen.add(urn)
        if urn in self._aliased:
            raise PlanError(
                urn,
                f"Duplicate resource URN '{urn}' conflicting with alias on resource with URN '{self._aliased[urn]}'",
            )
        return urn

    def _find_old(self, urn: str, goal: Goal) -> ResourceState | None:
        if urn in self._olds:
            return self._olds[urn]
        for candidate in self._aliases(goal):
            old = self._olds.get(candidate)
            if old is None or candidate == urn:
                continue
            holder = candidate if candidate in self._seen else self._aliased.get(candidate)
            if holder is not None:
                raise PlanError(
                    urn,
                    f"Duplicate resource alias '{candidate}' applied to resource with URN '{urn}' "
                    f"conflicting with resource with URN '{holder}'",
                )
            self._aliased[candidate] = urn
            self._alias_of[urn] = candidate
            return old
        return None

    def _aliases(self, goal: Goal) -> Iterable[str]:
        """Every URN the resource may have had: its own aliases, and its parent's former URN with its own name or aliases."""
        parent = self._alias_of.get(goal.parent, goal.parent)
        own = [alias_urn(alias, goal, parent, self._stack, self._project) for alias in goal.aliases]
        found = dict.fromkeys(own)
        former = self._alias_of.get(goal.parent)
        if former is not None:
            found[self._inherited(goal.type, goal.name, goal.parent, former)] = None
            for text in own:
                alias = Urn.parse(text)
                found[self._inherited(alias.type, alias.name, goal.parent, former)] = None
        return found

    def _inherited(self, type_: str, name: str, parent: str, former: str) -> str:
        """A child's URN below its parent's former URN. Names that start with the parent's name changed with it."""
        above, before = Urn.parse(parent), Urn.parse(former)
        if name.startswith(above.name):
            name = before.name + name.removeprefix(above.name)
        return Urn.make(self._stack, self._project, qualify(former, type_), name)

    # -- diffs ---------------------------------------------------------------------------------------------------------

    def _from_diff(
        self, goal: Goal, old: ResourceState, new: ResourceState, seed: bytes, answers: Answers
    ) -> tuple[Step, ...]:
        urn = new.urn
        diff = self._diff(goal, old, new, answers)
        try:
            diff = apply_replace_on_changes(diff, goal.replace_on_changes, has_init_errors=bool(old.init_errors))
        except ValueError as error:
            raise PlanError(urn, f"option replaceOnChanges of {goal.label}: {error}") from error
        if not diff.changed and not old.pending_replacement:
            self._operated.add(urn)
            if old.init_errors:
                # Unchanged, but it never became ready: an empty update goes on waiting for it.
                return (Step(Op.UPDATE, old, new, detailed=diff.detailed, ignore_changes=goal.ignore_changes),)
            return (Step(Op.SAME, old, new),)
        if not diff.replaces and not old.pending_replacement:
            self._operated.add(urn)
            return (
                Step(
                    Op.UPDATE,
                    old,
                    new,
                    diffs=diff.changed_keys,
                    detailed=diff.detailed,
                    ignore_changes=goal.ignore_changes,
                ),
            )
        if new.protect and old.protect:
            self._refuse(
                urn,
                f'unable to replace resource "{urn}"\nas it is currently marked for protection. To unprotect the resource, '
                "remove the `protect` flag from the resource in your program and run `up`",
                answers,
            )
        self.replaced.add(urn)
        if goal.custom:
            # A new object takes no defaults and generated names over from the old one.
            new = replace(new, inputs=answers.check(new, None, goal.inputs, seed))
        return self._replacement(goal, old, new, diff, answers)

    def _diff(self, goal: Goal, old: ResourceState, new: ResourceState, answers: Answers) -> Diff:
        if any(urn in self.replaced for urn in goal.replace_with):
            return Diff(changed=True, replace_keys=("replaceWith",))
        if goal.deleted_with and goal.deleted_with in self.replaced:
            return Diff(changed=True, replace_keys=("deletedWith",))
        if self._provider_changed(old, new, answers):
            return Diff(changed=True, replace_keys=("provider",))
        if not goal.custom:
            return NO_CHANGE if same(old.inputs, new.inputs) else Diff(changed=True)
        return self._asked(old, new, new.inputs, goal.ignore_changes, answers)

    def _asked(
        self,
        old: ResourceState,
        new: ResourceState,
        news: Properties,
        ignore_changes: Sequence[str],
        answers: Answers,
    ) -> Diff:
        diff = answers.diff(old, new, news, ignore_changes)
        if diff.changed is not None:
            return diff
        own = compare(old.inputs, ignored.reset(news, old.inputs, ignore_changes)[0])
        return replace(diff, changed=own.changed, changed_keys=own.changed_keys, detailed=own.detailed)

    def _provider_changed(self, old: ResourceState, new: ResourceState, answers: Answers) -> bool:
        if old.provider == new.provider:
            return False
        if not old.provider or not new.provider:
            return True
        if self._aliased.get(provider_urn(old.provider)) == provider_urn(new.provider):
            return False
        return answers.provider_replaces(old.provider, new.provider)

    def _replacement(
        self, goal: Goal, old: ResourceState, new: ResourceState, diff: Diff, answers: Answers
    ) -> tuple[Step, ...]:
        whole = Step(Op.REPLACE, old, new, diff.replace_keys, diff.changed_keys, diff.detailed)
        create = replace(whole, op=Op.CREATE_REPLACEMENT)
        delete_first = diff.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        if old.pending_replacement:
            # The old object went in an earlier run, which was interrupted before the new one came.
            return (whole, create)
        if not delete_first:
            return (create, whole)
        deletes: list[Step] = []
        for dependent, keys in reversed(self._dependents_to_replace(old, answers)):
            if id(dependent) in self._gone:
                continue
            if dependent.protect and not dependent.delete:
                raise ProtectedError(
                    new.urn,
                    f'unable to replace resource "{dependent.urn}" as part of replacing "{new.urn}" as it is currently '
                    "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in your "
                    "program and run `up`",
                )
            self._dependent_keys[dependent.urn] = keys
            self.deleted.add(dependent.urn)
            self._gone.add(id(dependent))
            if not dependent.pending_replacement:
                deletes.append(Step(Op.DELETE if dependent.delete else Op.DELETE_REPLACED, dependent, None))
        self._gone.add(id(old))
        self.deleted.add(old.urn)
        deletes.append(Step(Op.DELETE_REPLACED, old, None))
        return (*deletes, whole, create)

    def _dependents_to_replace(
        self, root: ResourceState, answers: Answers
    ) -> list[tuple[ResourceState, tuple[str, ...]]]:
        """What must go before `root` can, in dependency order: dependents whose inputs would force their replacement."""
        found: list[tuple[ResourceState, tuple[str, ...]]] = []
        going = {root.urn}
        for candidate in self._depending_on(root):
            keys = self._replaced_with(candidate, going, answers)
            if keys is not None:
                found.append((candidate, keys))
                going.add(candidate.urn)
        listed = {id(state) for state, _ in found}
        for candidate in self._resources:
            if candidate.delete or id(candidate) in listed or candidate.urn in self._operated:
                continue
            if root.urn in candidate.replace_with:
                found.append((candidate, ()))
        return found

    def _replaced_with(self, state: ResourceState, going: set[str], answers: Answers) -> tuple[str, ...] | None:
        """The keys that force this dependent's replacement when the resources in `going` are replaced; None if nothing does."""
        if not state.custom or state.external:
            return None
        if state.provider and provider_urn(state.provider) in going:
            return ()
        if state.deleted_with in going:
            return ()
        touched = [key for key in state.inputs if going.intersection(state.property_dependencies.get(key, ()))]
        if not touched:
            return None
        news = with_unknown(state.inputs, touched)
        diff = self._asked(state, state, news, state.ignore_changes, answers)
        diff = apply_replace_on_changes(diff, state.replace_on_changes, has_init_errors=False)
        return diff.replace_keys if diff.replaces else None

    def _depending_on(self, root: ResourceState) -> list[ResourceState]:
        """Direct and indirect dependents in the base state, in its order, but for what this run has decided already."""
        decided = self._operated | self._created | self.deleted | self.replaced
        dependent = {root.urn}
        found: list[ResourceState] = []
        position = next((i for i, state in enumerate(self._resources) if state is root), len(self._resources))
        for candidate in self._resources[position + 1 :]:
            if candidate.urn in decided:
                continue
            if any(kind != "parent" and urn in dependent for kind, urn in candidate.references()):
                found.append(candidate)
                dependent.add(candidate.urn)
        return found

    def _refuse(self, urn: str, message: str, answers: Answers) -> None:
        """In a preview every violation is shown; an `up` stops at the first, before it has begun."""
        self.violated = True
        if not self._preview:
            raise ProtectedError(urn, message)
        answers.error(urn, message)

    # -- deletions -----------------------------------------------------------------------------------------------------

    def deletions(self) -> list[Step]:
        """What is left to delete once the program has registered everything. Unordered: see `blockers`."""
        steps: list[Step] = []
        for resource in self._resources:
            if id(resource) in self._superseded or resource.delete:
                if id(resource) in self._gone:
                    continue
                self.deleted.add(resource.urn)
                op = Op.DISCARD_REPLACED if resource.external else Op.DELETE_REPLACED
                steps.append(Step(op, replace(resource, delete=True), None, row=resource))
            elif not self._is_operated(resource.urn):
                self.deleted.add(resource.urn)
                if resource.pending_replacement or id(resource) in self._gone:
                    gone = replace(resource, pending_replacement=True)
                    steps.append(Step(Op.REMOVE_PENDING_REPLACE, gone, None, row=resource))
                else:
                    steps.append(Step(Op.DISCARD if resource.external else Op.DELETE, resource, None))
        return steps

    def _is_operated(self, urn: str) -> bool:
        urn = self._aliased.get(urn, urn)
        return urn in self._operated or urn in self.replaced
