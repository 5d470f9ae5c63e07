"""Before a run: look for what an interrupted run left behind, and compare the state with what really exists."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import grpc

from model_factory.graph.urn import provider_urn
from model_factory.local.engine.diff import bare, compare, same
from model_factory.local.engine.errors import InitFailedError, ProviderCallError, ResourceError, StoppedError
from model_factory.local.engine.events import EventSink
from model_factory.local.engine.execute import Executor, with_secrets
from model_factory.local.engine.journal import Journal
from model_factory.local.engine.model import Operation, ResourceState, Snapshot, now
from model_factory.local.engine.plugins import ProviderInstance, Read
from model_factory.local.engine.registry import Registry
from model_factory.local.engine.step import Op, Step
from model_factory.local.wire import Properties, is_secret, marked

_UNSETTLED: Final = "an interrupted run began to {verb} this resource, and whether it was done is not known"


class Surveyor:
    """Reads objects through their providers and brings the base state up to date. In a preview in memory only."""

    def __init__(
        self,
        snapshot: Snapshot,
        registry: Registry,
        executor: Executor,
        journal: Journal | None,
        sink: EventSink,
    ) -> None:
        self.resources = list(snapshot.resources)
        self._pending = snapshot.pending_operations
        self._registry = registry
        self._executor = executor
        self._journal = journal
        self._sink = sink
        self._by_urn = snapshot.by_urn()

    def old(self, urn: str) -> ResourceState | None:
        return self._by_urn.get(urn)

    # -- what an interrupted run left ----------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Find out what came of the operations whose end was never recorded.

        The object of a create is looked for, and taken into the state. An update or deletion may have been done or not, and
        the program may have changed since: its object is read back, so that the next diff starts from what is there.
        """
        doubtful: list[Operation] = []
        for operation in self._pending:
            if operation.type == "creating":
                await self._settle(operation)
            else:
                doubtful.append(operation)
        if not doubtful:
            return
        urns = {operation.resource.urn for operation in doubtful}
        failures = len(self._executor.failures)
        await self.refresh(alone=False, only=urns)
        if self._journal is None or len(self._executor.failures) != failures:
            return
        # Those whose object differed were settled by recording it.
        still_open = {id(operation) for operation in self._journal.current().pending_operations}
        for operation in doubtful:
            if id(operation) in still_open:
                self._journal.resolve(operation)

    async def _settle(self, operation: Operation) -> None:
        wanted = operation.resource
        made: ResourceState | None = None
        if wanted.custom and not wanted.is_provider:
            try:
                made = await self._executor.call(lambda: self._find(wanted))
            except ResourceError as error:
                unable = isinstance(error, ProviderCallError) and error.code is grpc.StatusCode.UNIMPLEMENTED
                reason = "" if unable else f": {error}"
                self._sink.diagnostic(
                    "warning",
                    f"{_UNSETTLED.format(verb='create')}{reason}; look for it before you go on",
                    wanted.urn,
                )
                return
        if made is not None:
            self._take_in(made)
            self._sink.diagnostic("info", f"found {made.id}, which an interrupted run had created", made.urn)
        if self._journal is not None:
            self._journal.resolve(operation, new=made)

    def _find(self, wanted: ResourceState) -> ResourceState | None:
        instance = self._instance(wanted)
        # One that was deleted before its replacement may have left its name to it.
        known = {each.id for each in self.resources if each.urn == wanted.urn and not each.pending_replacement}
        id_ = instance.adopt(wanted.type, wanted.urn, wanted.inputs, known)
        if id_ is None:
            return None
        reasons: tuple[str, ...] = ()
        try:
            found = instance.read(wanted.urn, id_, wanted.inputs, {})
        except InitFailedError as failure:
            found = Read(failure.id, failure.inputs, failure.outputs)
            reasons = failure.reasons
        if not found.id:
            return None
        # The inputs that it stands for: a create that was cut off between its calls left some of them out.
        inputs = wanted.inputs if found.inputs is None else _kept_secret(found.inputs, wanted.inputs)
        moment = now()
        return with_secrets(replace(
            wanted, id=found.id, inputs=inputs, outputs=found.outputs, init_errors=reasons, created=moment, modified=moment,
        ))  # fmt: skip

    def _take_in(self, made: ResourceState) -> None:
        old = self._by_urn.get(made.urn)
        self._by_urn[made.urn] = made
        if old is None:
            self.resources.append(made)
            return
        at = next(index for index, resource in enumerate(self.resources) if resource is old)
        gone = old.pending_replacement or old.external
        # In place of the old copy, so that the order still holds for its dependents.
        self.resources[at : at + 1] = [made] if gone else [replace(old, delete=True), made]

    # -- drift ---------------------------------------------------------------------------------------------------------

    async def refresh(self, *, alone: bool, only: Collection[str] | None = None) -> None:
        """Read every object, or those of the URNs in `only`. `alone`: the run is a refresh, its findings are its changes."""
        limit = asyncio.Semaphore(64)

        async def one(resource: ResourceState) -> ResourceState | None:
            if only is not None and resource.urn not in only:
                return resource
            async with limit:
                return await self._refresh(resource, alone=alone)

        results = await asyncio.gather(*(one(resource) for resource in self.resources))
        gone = {
            resource.urn: resource.parent
            for resource, result in zip(self.resources, results, strict=True)
            if result is None and not resource.delete
        }
        kept = [result for result in results if result is not None]
        self.resources = self._without(kept, gone) if gone else kept
        self._by_urn = {resource.urn: resource for resource in self.resources if not resource.delete}

    async def _refresh(self, old: ResourceState, *, alone: bool) -> ResourceState | None:
        if self._executor.stopped:
            return old
        step = Step(Op.REFRESH, old, old)
        shown = not (old.is_provider and old.name.startswith("default"))
        if shown:
            self._sink.pre(step, planning=self._executor.preview)
        result = Op.SAME
        if old.custom and not old.is_provider and not old.pending_replacement:
            try:
                step, result = await self._executor.call(lambda: self._compare(old))
            except ResourceError as error:
                self._executor.fail(old.urn, f"refresh of {old.type} {old.name!r}: {error}", error.refusal)
                return old
            except StoppedError:
                return old
            if self._journal is not None and step.new is not old:
                self._journal.record("refresh", old=old, new=step.new)
        if alone and shown:
            self._executor.changes[result.value] += 1
        if shown:
            self._sink.outputs(step, planning=self._executor.preview, op=result if alone else Op.REFRESH)
        return step.new

    def _compare(self, old: ResourceState) -> tuple[Step, Op]:
        instance = self._instance(old)
        reasons: tuple[str, ...] = ()
        try:
            found = instance.read(old.urn, old.id, old.inputs, old.outputs)
        except InitFailedError as failure:
            found = Read(failure.id, failure.inputs, failure.outputs)
            reasons = failure.reasons
        if not found.id:
            return Step(Op.REFRESH, old, None), Op.DELETE
        inputs = old.inputs if found.inputs is None else _kept_secret(found.inputs, old.inputs)
        new = with_secrets(replace(old, inputs=inputs, outputs=_kept_secret(found.outputs, old.outputs)))
        moved = not same(inputs, old.inputs) or not same(new.outputs, old.outputs)
        if not moved and found.id == old.id and reasons == old.init_errors:
            return Step(Op.REFRESH, old, old, detailed={}), Op.SAME
        new = replace(new, id=found.id, init_errors=reasons, modified=now() if moved else old.modified)
        if old.external:
            # Not ours to change, so only what it has become counts.
            return Step(Op.REFRESH, old, new), Op.SAME if same(new.outputs, old.outputs) else Op.UPDATE
        # What `up` would have to do to undo the drift, read backwards: that is the drift.
        diff = instance.diff(new.urn, new.id, new.inputs, new.outputs, old.inputs, old.ignore_changes)
        if diff.changed is None:
            diff = compare(new.inputs, old.inputs)
        step = Step(Op.REFRESH, old, new, diffs=diff.changed_keys, detailed=diff.inverted().detailed)
        return step, Op.UPDATE if diff.changed else Op.SAME

    def _instance(self, state: ResourceState) -> ProviderInstance:
        return self._registry.ensure(state.provider, self._by_urn.get(provider_urn(state.provider)))

    def _without(self, resources: Sequence[ResourceState], gone: dict[str, str]) -> list[ResourceState]:
        """The resources with every mention of what is gone taken out; children move up to what is left."""
        result: list[ResourceState] = []
        for resource in resources:
            if not any(urn in gone for _, urn in resource.references()):
                result.append(resource)
                continue
            parent = resource.parent
            while parent in gone:
                parent = gone[parent]
            new = replace(
                resource,
                parent=parent,
                dependencies=tuple(urn for urn in resource.dependencies if urn not in gone),
                property_dependencies={
                    key: kept
                    for key, urns in resource.property_dependencies.items()
                    if (kept := tuple(urn for urn in urns if urn not in gone))
                },
                deleted_with="" if resource.deleted_with in gone else resource.deleted_with,
                replace_with=tuple(urn for urn in resource.replace_with if urn not in gone),
            )
            if self._journal is not None:
                self._journal.record("same", old=resource, new=new)
            result.append(new)
        return result


def _kept_secret(found: Properties, known: Properties) -> Properties:
    """What was read, secret where it was known to be and the provider says nothing of it. Pulumi forgets that of inputs."""
    kept = dict(found)
    for key in found.keys() & known.keys():
        if is_secret(known[key]) and not is_secret(found[key]):
            unchanged = same(bare(found[key]), bare(known[key]))
            kept[key] = known[key] if unchanged else marked(found[key], known[key])
    return kept
