"""One run over one stack: what the program registers, reads and invokes becomes steps, and steps are carried out.

The coroutine methods are what the monitor's RPCs call; a program in the same process calls the same ones. All on one loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from model_factory.graph import paths
from model_factory.graph.masking import MASK
from model_factory.graph.urn import STACK_TYPE, provider_urn
from model_factory.local import wire
from model_factory.local.engine.deletions import blockers
from model_factory.local.engine.diff import Diff
from model_factory.local.engine.errors import (
    PlanError,
    ResourceError,
    StateError,
    StepFailedError,
    StoppedError,
    UnsupportedError,
)
from model_factory.local.engine.events import EventSink
from model_factory.local.engine.execute import Executor
from model_factory.local.engine.goal import Goal, inherit
from model_factory.local.engine.journal import Journal
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.plugins import Failure, ProviderInstance
from model_factory.local.engine.policy import Policies
from model_factory.local.engine.registry import Registry, default_goal, with_plugin
from model_factory.local.engine.step import Op, Step
from model_factory.local.engine.steps import Planner
from model_factory.local.wire import Properties, Value


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration came to. `result` failed and skipped: only with continue-on-error."""

    state: ResourceState
    result: str = "success"


class Run:
    """A preview or an update by a program, or the deletions of a destroy."""

    def __init__(
        self, planner: Planner, executor: Executor, registry: Registry, journal: Journal | None, sink: EventSink,
        *, config: Mapping[str, str], secret_keys: frozenset[str], policies: Policies | None = None,
    ) -> None:  # fmt: skip
        self._planner = planner
        self._executor = executor
        executor.deleted = planner.deleted
        self._registry = registry
        self._journal = journal
        self._sink = sink
        self._config = config
        self._secret_keys = secret_keys
        self._policies = policies
        self._denied = frozenset(json.loads(config.get("pulumi:disable-default-providers") or "[]"))
        self._goals: dict[str, Goal] = {}
        self._steps: dict[str, Step] = {}
        self._defaults: dict[str, asyncio.Task[str]] = {}
        self._skipped: set[str] = set()
        self._stack_outputs: tuple[str, Properties] | None = None
        self._completed: set[str] = set()

    @property
    def executor(self) -> Executor:
        return self._executor

    def find(self, urn: str) -> ResourceState | None:
        """A resource as this run knows it."""
        return self._executor.news.get(urn)

    def parents(self, urn: str) -> list[str]:
        """The URNs above a parent, itself first."""
        chain: list[str] = []
        while urn:
            chain.append(urn)
            goal = self._goals.get(urn)
            urn = goal.parent if goal is not None else ""
        return chain

    # -- what the program asks -----------------------------------------------------------------------------------------

    def inherited(self, goal: Goal) -> Goal:
        """The goal with what it takes from its parent: options, and the provider of its package."""
        parent = self._goals.get(goal.parent)
        if parent is None:
            return goal
        goal = inherit(goal, parent)
        if not goal.custom:
            return replace(goal, providers={**parent.providers, **goal.providers})
        if not goal.provider and not goal.is_provider:
            return replace(goal, provider=goal.providers.get(goal.package) or parent.providers.get(goal.package, ""))
        return goal

    async def register(self, goal: Goal) -> Registered:
        """Bring one resource to its goal. Raises StoppedError where the run has ended for it."""
        self._go_on()
        try:
            if self._policies is not None:
                await self._until_ready(self._policies)
            goal = await self._with_provider(goal)
            self._refuse_unknowns(goal)
            steps = self._planner.register(goal, self)
        except (ResourceError, StateError) as error:
            self._refused(error, goal)
            raise StoppedError from error
        return await self._carry_out(goal, steps)

    async def read(self, goal: Goal, id_: str) -> ResourceState:
        """Read an object that the stack does not own."""
        self._go_on()
        try:
            goal = await self._with_provider(goal)
            steps = self._planner.read(goal, id_)
        except ResourceError as error:
            self._refused(error, goal)
            raise StoppedError from error
        return (await self._carry_out(goal, steps)).state

    async def register_outputs(self, urn: str, outputs: Properties) -> None:
        """The outputs of a component or, kept until the end, of the stack."""
        self._go_on()
        step = self._steps.get(urn)
        if step is None or step.new is None or urn in self._completed:
            if urn in self._skipped:
                return
            self._executor.fail(urn, f"cannot complete a resource '{urn}' whose registration isn't pending")
            raise StoppedError
        self._completed.add(urn)
        if step.state.type == STACK_TYPE:
            self._stack_outputs = (urn, outputs)
        else:
            self._set_outputs(step, outputs)

    async def invoke(
        self, token: str, args: Properties, provider: str, version: str
    ) -> tuple[Properties, list[Failure]]:
        """Call a provider's function. Raises ProviderCallError, UnsupportedError; StoppedError where the run has ended."""
        self._go_on()
        package = token.split(":", 1)[0]
        reference = provider or await self._default_provider(package, version)
        instance = self._registry.ensure(reference, self._planner.old(provider_urn(reference)))
        if not instance.known:
            return {}, []
        preview = self._executor.preview
        return await self._executor.call_aside(lambda: instance.invoke(token, args, preview=preview))

    # -- the end -------------------------------------------------------------------------------------------------------

    async def delete_rest(self, resources: Sequence[ResourceState]) -> None:
        """Delete what the program no longer has (in a destroy: everything), dependents before what they depend on."""
        steps = self._planner.deletions()
        waits = blockers(steps, resources)
        ended: list[asyncio.Future[bool]] = [asyncio.get_running_loop().create_future() for _ in steps]

        async def delete(index: int) -> None:
            # A resource whose dependent could not be deleted stays as well.
            free = all([await ended[blocker] for blocker in waits[index]])
            ended[index].set_result(free and await self._delete(steps[index]))

        await asyncio.gather(*(delete(index) for index in range(len(steps))))

    def finish_outputs(self, *, failed: bool) -> None:
        """Give the stack its outputs. After a failure an output that is missing is not taken for deleted."""
        if self._stack_outputs is None:
            return
        urn, outputs = self._stack_outputs
        step = self._steps[urn]
        if failed:
            old = self._planner.old(urn)
            known = {key: value for key, value in outputs.items() if not wire.is_unknown(value)}
            outputs = {**(old.outputs if old is not None else {}), **(outputs if self._executor.preview else known)}
        self._set_outputs(step, outputs)

    async def _delete(self, step: Step) -> bool:
        try:
            await self._executor.perform(step)
        except (StepFailedError, StoppedError):
            return False
        return True

    def _set_outputs(self, step: Step, outputs: Properties) -> None:
        if step.new is None:
            raise AssertionError("only registered resources have outputs")
        if not self._executor.preview:
            # After a failure some are not known; a state holds known values only.
            outputs = {key: value for key, value in outputs.items() if not wire.is_unknown(value)}
        new = replace(step.new, outputs=outputs)
        self._steps[step.urn] = step = replace(step, new=new)
        self._executor.news[step.urn] = new
        if self._journal is not None:
            self._journal.outputs(new.urn, outputs)
        self._sink.outputs(step, planning=self._executor.preview)

    # -- registrations -------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._executor.stopped:
            raise StoppedError

    async def _until_ready(self, policies: Policies) -> None:
        try:
            await policies.ready()
        finally:
            # Many registrations may wait for a pack that fails: the first one tells.
            self._go_on()

    async def _with_provider(self, goal: Goal) -> Goal:
        if not goal.custom or goal.is_provider:
            if goal.is_provider:
                return replace(goal, inputs=with_plugin(goal.inputs, goal.version, goal.plugin_download_url))
            return replace(goal, provider="")
        if goal.provider:
            return goal
        return replace(
            goal, provider=await self._default_provider(goal.package, goal.version, goal.plugin_download_url)
        )

    async def _default_provider(self, package: str, version: str, url: str = "") -> str:
        """The reference of a package's default provider, registered at first use."""
        if package in self._denied or (self._denied and "*" in self._denied and package != "pulumi"):
            raise PlanError(
                "",
                f"the default provider of {package} is disabled (pulumi:disable-default-providers); pass an explicit provider",
            )
        key = f"{package} {version} {url}"
        if key not in self._defaults:
            goal = default_goal(package, version, url, self._config, self._secret_keys)
            self._defaults[key] = asyncio.ensure_future(self._register_provider(goal))
        return await asyncio.shield(self._defaults[key])

    async def _register_provider(self, goal: Goal) -> str:
        return (await self.register(goal)).state.reference

    def _refuse_unknowns(self, goal: Goal) -> None:
        if self._executor.preview or self._executor.failed_urns:
            return
        unknown = [key for key, value in goal.inputs.items() if wire.is_unknown(value)]
        if unknown:
            raise PlanError("", f"inputs {', '.join(unknown)} of {goal.label} are not known outside a preview")

    def _refused(self, error: Exception, goal: Goal) -> None:
        if isinstance(error, StoppedError):
            return
        urn = error.urn if isinstance(error, PlanError) else ""
        message = str(error) if isinstance(error, (PlanError, UnsupportedError)) else f"{goal.label}: {error}"
        self._executor.fail(urn, message, error.refusal if isinstance(error, ResourceError) else None)

    async def _carry_out(self, goal: Goal, steps: tuple[Step, ...]) -> Registered:
        main = steps[-1] if steps[-1].op is not Op.REPLACE else steps[0]
        if main.new is None:
            raise AssertionError("a registration ends in a state")
        urn = main.urn
        self._goals[urn] = goal
        failed = self._executor.failed_urns
        if failed and any(reference in failed or reference in self._skipped for _, reference in main.new.references()):
            self._skipped.add(urn)
            return Registered(main.new, "skipped")
        done: Step | None = None
        for step in steps:
            try:
                ended = await self._executor.perform(_after(step, done))
            except StepFailedError:
                if self._executor.stopped:
                    raise StoppedError from None
                self._skipped.add(urn)
                return Registered(main.new, "failed")
            if ended.op in (Op.CREATE_REPLACEMENT, Op.READ_REPLACEMENT) and ended.old is not None:
                self._planner.superseded(ended.old)
            if ended.new is not None and ended.op is not Op.REPLACE:
                done = ended
        if done is None or done.new is None:
            raise AssertionError("a registration ends in a state")
        self._steps[urn] = done
        return Registered(done.new)

    # -- what the planner asks -----------------------------------------------------------------------------------------

    def check(self, state: ResourceState, olds: Properties | None, news: Properties, seed: bytes) -> Properties:
        if state.is_provider:
            checked, failures = self._registry.check(state, olds, news)
        else:
            checked, failures = self._instance(state.provider).check(state.urn, olds, news, seed)
        if failures:
            raise PlanError(state.urn, "\n".join(_failure_text(state, failure) for failure in failures))
        return checked

    def judged(self, state: ResourceState) -> Properties:
        return state.inputs if self._policies is None else self._policies.resource(state)

    def diff(self, old: ResourceState, new: ResourceState, news: Properties, ignore_changes: Sequence[str]) -> Diff:
        if old.is_provider:
            return self._registry.diff(replace(old, urn=new.urn), news)
        instance = self._instance(new.provider)
        if not instance.known:
            unsure = "The provider for this resource has inputs that are not known during preview.\nThis preview may not correctly "
            self._sink.diagnostic(
                "warning", f"{unsure}represent the changes that will be applied during an update.", new.urn
            )
            return Diff(changed=True)
        return instance.diff(new.urn, old.id, old.inputs, old.outputs, news, ignore_changes)

    def provider_replaces(self, old_reference: str, new_reference: str) -> bool:
        old = self._planner.old(provider_urn(old_reference))
        new = self._executor.news.get(provider_urn(new_reference))
        return old is not None and new is not None and self._registry.replaces(old, new)

    def tell(self, urn: str, message: str) -> None:
        self._sink.diagnostic("info", message, urn)

    def error(self, urn: str, message: str) -> None:
        """A violation of a preview, which goes on to show the others."""
        self._executor.failures.append((urn, message))
        self._executor.steps_failed = True
        self._sink.diagnostic("error", message, urn)

    def _instance(self, reference: str) -> ProviderInstance:
        return self._registry.ensure(reference, self._planner.old(provider_urn(reference)))


def _after(step: Step, done: Step | None) -> Step:
    """The logical step of a replacement shows the state that its physical part led to."""
    if done is not None and step.op is Op.REPLACE and done.new is not None:
        old = replace(step.old, delete=True) if step.old is not None else None
        return replace(step, new=done.new, old=old, row=step.old)
    return step


def _failure_text(state: ResourceState, failure: Failure) -> str:
    if not failure.property:
        return f"{state.type} resource '{state.name}' has a problem: {failure.reason}"
    try:
        path = paths.parse(failure.property)
    except ValueError:
        path = (failure.property,)
    whole = state.inputs.get(str(path[0]))
    shown: Value = MASK if wire.is_secret(whole) else wire.reveal(paths.value_at(state.inputs, path))
    return f"{state.type} resource '{state.name}': property {failure.property} value {shown!r} has a problem: {failure.reason}"
