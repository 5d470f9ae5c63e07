"""Carries steps out: provider calls on worker threads, the journal before and after, events around.

Everything here but the provider calls runs on one event loop thread, so the state of a run needs no locks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from model_factory.graph.refusal import Refusal
from model_factory.graph.urn import provider_urn
from model_factory.local.engine.errors import (
    InitFailedError,
    PlanError,
    ProtectedError,
    ProviderCallError,
    ResourceError,
    StateError,
    StepFailedError,
    StoppedError,
)
from model_factory.local.engine.events import EventSink
from model_factory.local.engine.journal import Journal
from model_factory.local.engine.ledger import Op as JournalOp
from model_factory.local.engine.model import CustomTimeouts, ResourceState, now
from model_factory.local.engine.plugins import UNKNOWN_ID, ProviderInstance
from model_factory.local.engine.registry import Registry
from model_factory.local.engine.step import Op, Step, metadata_changed
from model_factory.local.wire import Secret, Value

T = TypeVar("T")

_NO_TIMEOUTS: Final = CustomTimeouts()


class Executor:
    """One run's hands. `journal` None: a preview, which changes nothing and writes nothing."""

    def __init__(
        self, registry: Registry, journal: Journal | None, sink: EventSink, *, parallel: int, continue_on_error: bool,
        old: Callable[[str], ResourceState | None], refusal: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._journal = journal
        self._sink = sink
        self._old = old
        self._refusal = refusal
        self._continue_on_error = continue_on_error
        self._workers = ThreadPoolExecutor(max(1, parallel), thread_name_prefix="step")
        # Functions that programs call must not wait behind creates that take minutes.
        self._aside = ThreadPoolExecutor(max(8, parallel), thread_name_prefix="invoke")
        self._slots = asyncio.Semaphore(max(1, parallel))
        self.changes: Counter[str] = Counter()
        self.failures: list[tuple[str, str]] = []
        self.failed_urns: set[str] = set()
        self.steps_failed = False
        self.news: dict[str, ResourceState] = {}
        self.deleted: set[str] = set()  # by this run; the planner's own set, once there is one
        self._running: set[asyncio.Task[Step]] = set()
        self.stopped = False
        self.cancelled = False
        self.maybe_corrupt = False
        self.metadata_differs = False
        self.on_stop: Callable[[], None] = lambda: None

    @property
    def preview(self) -> bool:
        return self._journal is None

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._aside.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Begin nothing new; what runs ends."""
        if not self.stopped:
            self.stopped = True
            self.on_stop()

    def fail(self, urn: str, message: str, refusal: Refusal | None = None) -> None:
        """Something outside a step went wrong. The run ends after what is under way."""
        self.failures.append((urn, message))
        self._sink.diagnostic("error", message, urn, refusal=refusal)
        self.stop()

    async def call(self, function: Callable[[], T]) -> T:
        """Run a blocking call on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, function)

    async def call_aside(self, function: Callable[[], T]) -> T:
        """Run a blocking call that is no step."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, function)

    async def perform(self, step: Step) -> Step:
        """Carry one step out. Answers it with the state it led to. Raises StepFailedError, StoppedError."""
        if not self._calls_provider(step):
            return await self._perform(step, journalled=False)
        async with self._slots:
            return await self._perform(step, journalled=step.op not in (Op.READ, Op.READ_REPLACEMENT, Op.REFRESH))

    async def idle(self) -> None:
        """Wait until no step is under way."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _perform(self, step: Step, *, journalled: bool) -> Step:
        if self.stopped:
            raise StoppedError
        # Carried out to its end even if whoever asked goes away: a provider call cannot be taken back.
        task = asyncio.ensure_future(self._carry_out(step, journalled=journalled))
        self._running.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Future[Step]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # Whoever asked may be gone, and asyncio would print what was reported already.

    async def _carry_out(self, step: Step, *, journalled: bool) -> Step:
        shown = not _is_internal(step)
        if shown and self._refusal is not None and (why := self._refusal(self._sink.metadata(step, step.op))):
            self.fail(step.urn, why)
            raise StoppedError
        if shown:
            self._sink.pre(step, planning=self.preview)
        number = None
        try:
            if step.op.deletes:
                self._check_protection(step)
            if self._journal is not None and journalled:
                number = await self._journal.begin_async(_journal_op(step), old=step.row or step.old, new=step.new)
            done = await self._apply(step)
        except InitFailedError as failure:
            done = self._half_done(step, failure)
            self._end(step, done, number, ok=False)
            self._report(
                step,
                f"{step.op.value} of {step.state.type} {step.state.name!r} did not complete: {failure}",
                failure,
            )
            raise StepFailedError(str(failure)) from failure
        except StateError as error:
            # The journal cannot be written: what was asked of a cloud could not be recorded any more.
            self.fail("", str(error))
            raise StoppedError from error
        except ResourceError as error:
            # What may have made an object stays pending: the next run looks for it.
            unsettled = isinstance(error, ProviderCallError) and error.object_unknown
            if number is not None and self._journal is not None and not unsettled:
                self._journal.end(number, ok=False)
            self._report(step, str(error), error)
            raise StepFailedError(str(error)) from error
        self._end(step, done, number, ok=True)
        self._count(done)
        if shown and (self.preview or step.state.custom or step.op is Op.DELETE):
            self._sink.outputs(done, planning=self.preview)
        return done

    def _end(self, step: Step, done: Step, number: int | None, *, ok: bool) -> None:
        if step.op is Op.SAME and step.old is not None and done.new is not None:
            if metadata_changed(step.old, done.new):
                self.metadata_differs = True
                if self._journal is not None:
                    self._journal.record("same", old=step.old, new=done.new)
        elif self._journal is not None:
            if number is not None:
                self._journal.end(number, ok=ok, new=done.new)
            elif step.op is not Op.REPLACE:
                self._journal.record(_journal_op(step), old=step.row or step.old, new=done.new)
        if done.new is not None and step.op is not Op.REPLACE:
            self.news[done.new.urn] = done.new

    def _count(self, step: Step) -> None:
        if not step.op.logical or _is_internal(step):
            return
        if step.op is Op.READ and (step.old is None or step.new is None or step.old.outputs == step.new.outputs):
            return
        self.changes[step.op.value] += 1

    def _report(self, step: Step, message: str, error: ResourceError) -> None:
        urn = "" if _is_internal(step) else step.urn
        shown = f"Preview failed: {message}" if self.preview else message
        self._sink.diagnostic("error", shown, urn, refusal=error.refusal)
        unknown = isinstance(error, ProviderCallError) and error.outcome_unknown
        if not self.preview:
            self._sink.failed(step, status=2 if unknown else 0, steps=sum(self.changes.values()))
        self.maybe_corrupt = self.maybe_corrupt or unknown
        self.failures.append((urn, message))
        self.failed_urns.add(step.urn)
        self.steps_failed = True
        # No harm comes from going on after a refused deletion, and all refusals are shown at once.
        if not self._continue_on_error and not isinstance(error, ProtectedError):
            self.stop()

    # -- what each step does -------------------------------------------------------------------------------------------

    def _calls_provider(self, step: Step) -> bool:
        state = step.state
        if step.op in (Op.SAME, Op.REPLACE, Op.REMOVE_PENDING_REPLACE):
            return False
        if step.op.deletes:
            return not self.preview and state.custom and not state.is_provider and not self._kept(state)
        return state.custom

    def _kept(self, state: ResourceState) -> bool:
        """Whether the object outlives its record, or goes with another."""
        return state.external or state.retain_on_delete or state.deleted_with in self.deleted

    def _check_protection(self, step: Step) -> None:
        state = step.state
        if step.op is Op.DELETE and state.protect:
            raise ProtectedError(
                state.urn,
                f'resource "{state.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, remove the '
                "`protect` flag from the resource in your program and run `up`",
            )

    async def _apply(self, step: Step) -> Step:
        state = step.state
        if step.op is Op.SAME:
            return await self._same(step)
        if step.op in (Op.CREATE, Op.CREATE_REPLACEMENT):
            return await self._create(step, state)
        if step.op is Op.UPDATE and step.old is not None:
            return await self._update(step, step.old, state)
        if step.op in (Op.READ, Op.READ_REPLACEMENT):
            return await self._read(step, state)
        if step.op.deletes and self._calls_provider(step):
            provider = self._provider(state)
            seconds = (state.custom_timeouts or _NO_TIMEOUTS).delete
            await self.call(lambda: provider.delete(state.urn, state.id, state.inputs, state.outputs, seconds))
        return step

    async def _same(self, step: Step) -> Step:
        old, new = step.old, step.new
        if old is None or new is None:
            raise AssertionError("an unchanged resource has an old and a new state")
        new = replace(new, id=old.id, outputs=old.outputs, init_errors=old.init_errors)
        if new.is_provider:
            await self.call(lambda: self._registry.keep(new, old.inputs))
        return replace(step, new=with_secrets(new))

    async def _create(self, step: Step, new: ResourceState) -> Step:
        if new.is_provider:
            id_, outputs = await self.call(lambda: self._registry.create(new.urn, new.type, new.inputs))
        elif new.custom:
            provider = self._provider(new)
            seconds = (new.custom_timeouts or _NO_TIMEOUTS).create
            id_, outputs = await self._change(
                lambda: provider.create(new.urn, new.inputs, seconds, preview=self.preview)
            )
        else:
            id_, outputs = "", {}
        moment = now()
        made = replace(new, id=id_, outputs=outputs, created=moment, modified=moment)
        return replace(step, new=with_secrets(made))

    async def _update(self, step: Step, old: ResourceState, new: ResourceState) -> Step:
        if new.is_provider:
            outputs = await self.call(lambda: self._registry.update(new.urn, new.type, old.id, new.inputs))
        elif new.custom:
            provider = self._provider(new)
            seconds = (new.custom_timeouts or _NO_TIMEOUTS).update
            outputs = await self._change(
                lambda: provider.update(
                    new.urn,
                    old.id,
                    old.inputs,
                    old.outputs,
                    new.inputs,
                    seconds,
                    step.ignore_changes,
                    preview=self.preview,
                )
            )
        else:
            outputs = {}
        changed = replace(new, id=old.id, outputs=outputs, modified=now() if new.custom else new.modified)
        return replace(step, new=with_secrets(changed))

    async def _change(self, function: Callable[[], T]) -> T:
        """A preview's create or update only computes: it needs no thread."""
        return function() if self.preview else await self.call(function)

    async def _read(self, step: Step, new: ResourceState) -> Step:
        if new.id == UNKNOWN_ID:
            return replace(step, new=replace(new, outputs={}))
        provider = self._provider(new)
        found = await self.call(lambda: provider.read(new.urn, new.id, new.inputs, new.inputs))
        if not found.id:
            raise PlanError(new.urn, f"resource '{new.id}' does not exist")
        old = step.old
        modified = new.modified if old is not None and old.outputs == found.outputs else now()
        return replace(step, new=with_secrets(replace(new, id=found.id, outputs=found.outputs, modified=modified)))

    def _provider(self, state: ResourceState) -> ProviderInstance:
        reference = state.provider
        return self._registry.ensure(reference, self._old(provider_urn(reference)))

    def _half_done(self, step: Step, failure: InitFailedError) -> Step:
        """The step with what exists of the resource although the step failed."""
        new = step.new
        if new is None:
            return step
        kept = new.inputs
        if step.op is Op.UPDATE and step.old is not None:
            # It was not updated successfully with the new inputs: the next run must see them as a change.
            kept = step.old.inputs
        partial = replace(
            new,
            id=failure.id,
            inputs=kept,
            outputs=failure.outputs,
            init_errors=failure.reasons,
            modified=now(),
        )
        return replace(step, new=with_secrets(partial))


def _journal_op(step: Step) -> JournalOp:
    # The journal knows one op for letting go of what was only read.
    return "discard" if step.op is Op.DISCARD_REPLACED else cast("JournalOp", step.op.value)


def _is_internal(step: Step) -> bool:
    """Steps that users did not ask for and are not shown."""
    return step.op is Op.REMOVE_PENDING_REPLACE or (step.state.is_provider and step.state.name.startswith("default"))


def with_secrets(state: ResourceState) -> ResourceState:
    """Outputs that must be secret made so: those the options name, and those whose input of the same name is secret."""
    hidden = [
        key
        for key, value in state.outputs.items()
        if not isinstance(value, Secret)
        and (key in state.additional_secret_outputs or isinstance(state.inputs.get(key), Secret))
    ]
    if not hidden:
        return state
    outputs: dict[str, Value] = {**state.outputs, **{key: Secret(state.outputs[key]) for key in hidden}}
    return replace(state, outputs=outputs)
