"""The engine's front door: one operation over one stack, from its state to its next state.

Not here: which stack, which providers, where the clouds are, what is shown. Those come in; events and an Outcome go out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Final

from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from model_factory.graph.urn import STACK_TYPE
from model_factory.local.engine import launch
from model_factory.local.engine.callbacks import Callbacks
from model_factory.local.engine.errors import PolicyError, StateError, StoppedError
from model_factory.local.engine.events import EngineEvent, EventSink
from model_factory.local.engine.execute import Executor
from model_factory.local.engine.journal import Journal
from model_factory.local.engine.model import ResourceState, Snapshot
from model_factory.local.engine.monitor import EngineService, Monitor
from model_factory.local.engine.policy import Policies
from model_factory.local.engine.program import SHOWN_EXIT_CODE
from model_factory.local.engine.pulumi_package import Builtins
from model_factory.local.engine.refresh import Surveyor
from model_factory.local.engine.registry import Registry
from model_factory.local.engine.request import Deployment
from model_factory.local.engine.run import Run
from model_factory.local.engine.steps import Planner
from model_factory.local.engine.store import StackStore
from model_factory.local.wire import Properties, Value

_POLL_SECONDS: Final = 0.1
_PROVIDERS_LOG: Final = logging.getLogger("model_factory.local.providers")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. `changes` counts resources by operation, `outputs` are the stack's (secrets kept as Secret).

    `failures` are (URN or "", message), all reported as events already. `snapshot` is the state as it is now.
    `metadata_differs`: an unchanged resource's record differs (protect, dependencies, …), so an up would write the state.
    `planned` is every resource that the program declared, as it is afterwards or, in a preview, would be.
    """

    ok: bool
    cancelled: bool
    changes: Mapping[str, int]
    duration_seconds: float
    outputs: Properties
    snapshot: Snapshot
    failures: tuple[tuple[str, str], ...]
    metadata_differs: bool = False
    planned: tuple[ResourceState, ...] = ()

    @property
    def result(self) -> str:
        return "succeeded" if self.ok else "canceled" if self.cancelled else "failed"

    @property
    def changed(self) -> bool:
        """Whether anything differs (in a preview: would differ)."""
        return any(count and op not in ("same", "read", "discard") for op, count in self.changes.items())


def run(
    deployment: Deployment,
    *,
    store: StackStore,
    providers: Mapping[str, Callable[[], ResourceProviderServicer]],
    emit: Callable[[EngineEvent], None],
    cancel: threading.Event | None = None,
) -> Result:
    """Carry the deployment out. Blocks until it has ended.

    `providers` maps package names to factories of servicers. `emit` receives every event, on one thread. `cancel`, or Ctrl-C
    where this is the main thread: begin nothing new, let what runs end, write the state. A second Ctrl-C abandons the run;
    its journal stays and the next run goes on from there.
    Raises StoreError where the state cannot be read, held or written; nothing else for a failed run.
    """
    cancelled = cancel or threading.Event()
    if deployment.request.previews:
        snapshot = store.load()
        return _run(deployment, store, providers, emit, cancelled, snapshot, None)
    with store.lock():
        snapshot = store.load()
        journal = store.journal(snapshot)
        try:
            return _run(deployment, store, providers, emit, cancelled, snapshot, journal)
        except BaseException:
            journal.abandon()
            raise


def _run(
    deployment: Deployment, store: StackStore, providers: Mapping[str, Callable[[], ResourceProviderServicer]],
    emit: Callable[[EngineEvent], None], cancel: threading.Event, snapshot: Snapshot,
    journal: Journal | None,
) -> Result:  # fmt: skip
    sink = EventSink(emit, deployment.program.secrets)
    session = _Session(deployment, store, providers, sink, cancel, snapshot, journal)
    # A loop of its own: asyncio.run would leave the caller's thread without the one it had.
    with _interrupts(cancel), asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(session.run())


class _Session:
    """The parts of one run, wired together."""

    def __init__(
        self, deployment: Deployment, store: StackStore, providers: Mapping[str, Callable[[], ResourceProviderServicer]],
        sink: EventSink, cancel: threading.Event, snapshot: Snapshot, journal: Journal | None,
    ) -> None:  # fmt: skip
        self._deployment = deployment
        self._request = deployment.request
        self._program = deployment.program
        self._store = store
        self._sink = sink
        self._cancel = cancel
        self._policies: Policies | None = None
        self._snapshot = snapshot
        self._journal = journal
        self._run: Run | None = None
        builtins = Builtins(self._stack_outputs, lambda urn: self._run.find(urn) if self._run else None)
        self._registry = Registry(providers, builtins, preview=journal is None)
        self._executor = Executor(
            self._registry, journal, sink, parallel=self._request.parallel,
            continue_on_error=self._request.continue_on_error, refusal=self._request.refusal,
            old=lambda urn: self._surveyor.old(urn),
        )  # fmt: skip
        self._surveyor = Surveyor(snapshot, self._registry, self._executor, journal, sink)

    async def run(self) -> Result:
        started = time.monotonic()
        self._sink.prelude(self._program.config, self._program.secret_keys)
        watcher = asyncio.ensure_future(self._watch_cancel())
        outputs: Properties = {}
        policies = self._policies = (
            Policies(self._deployment, self._sink, self._executor.news.get) if self._request.judges else None
        )
        try:
            if policies is not None:
                policies.start()
            with _retold(self._sink):
                outputs = await self._operate()
        except StoppedError:
            pass
        except StateError as error:
            self._executor.fail("", str(error))
        except (KeyboardInterrupt, asyncio.CancelledError):
            # The run is abandoned: calls that wait for a cloud should not keep the process.
            for instance in self._registry.instances():
                instance.cancel()
            raise
        finally:
            watcher.cancel()
            self._executor.close()
            if policies is not None:
                await policies.close()
        return self._end(outputs, started)

    async def _operate(self) -> Properties:
        request, program = self._request, self._program
        await self._surveyor.settle()
        if request.operation == "refresh" or request.refresh:
            await self._surveyor.refresh(alone=request.operation == "refresh")
        if self._executor.stopped or request.operation == "refresh":
            return _outputs_of(self._surveyor.resources)
        resources = tuple(self._surveyor.resources)
        planner = Planner(resources, program.project, program.stack, preview=request.previews)
        run = self._run = Run(
            planner, self._executor, self._registry, self._journal, self._sink, config=program.config,
            secret_keys=program.secret_keys, policies=self._policies,
        )  # fmt: skip
        if request.operation == "destroy":
            await run.delete_rest(resources)
            return _outputs_of([] if not self._executor.failures else resources)
        await self._run_program(run)
        # A preview goes on after a violation, to show all there is; an `up` deletes nothing after any failure.
        if not self._executor.stopped and (request.previews or not self._executor.failures):
            await run.delete_rest(resources)
        run.finish_outputs(failed=bool(self._executor.failures) or self._executor.stopped)
        await self._judge_stack()
        news = [*self._executor.news.values()] or list(resources)
        return _outputs_of(news)

    async def _judge_stack(self) -> None:
        policies, executor = self._policies, self._executor
        if policies is None:
            return
        if not executor.failures and not executor.stopped:
            try:
                await policies.stack(list(executor.news.values()))
            except PolicyError as error:
                executor.fail("", str(error))
        if policies.violations:
            # Events have told of each, and they cut nothing short that a preview shows.
            executor.failures += policies.violations
            executor.steps_failed = True

    async def _run_program(self, run: Run) -> None:
        deployment, function = self._deployment, self._program.in_process
        callbacks = Callbacks()
        monitor, engine = Monitor(run, deployment, callbacks), EngineService(run, self._sink)
        stopped = asyncio.Event()
        self._executor.on_stop = stopped.set
        if self._executor.stopped:
            stopped.set()
        try:
            if function is not None:
                code = await launch.run_in_process(monitor, engine, deployment, function)
            else:
                code = await launch.run_child(monitor, engine, deployment, self._sink, stopped)
        finally:
            await self._executor.idle()
            await callbacks.close()
        if code and not self._executor.stopped:
            if code == SHOWN_EXIT_CODE and engine.last_error:
                self._executor.failures.append(("", engine.last_error))
                self._executor.stop()
            else:
                self._executor.fail("", f"the program ended with exit code {code}")

    def _end(self, outputs: Properties, started: float) -> Result:
        executor, previews = self._executor, self._request.previews
        ok = not executor.failures and not executor.cancelled
        snapshot = self._snapshot if self._journal is None else self._journal.finish()
        duration = time.monotonic() - started
        name = "preview" if previews else "update"
        if executor.steps_failed:
            self._sink.diagnostic("error", f"{name} failed")
        elif executor.cancelled:
            self._sink.diagnostic("error", f"{name} canceled")
        result = Result(
            ok,
            executor.cancelled and not ok,
            dict(executor.changes),
            duration,
            outputs,
            snapshot,
            tuple(executor.failures),
            executor.metadata_differs,
            tuple(executor.news.values()),
        )
        self._sink.summary(
            executor.changes, duration, planning=previews, maybe_corrupt=executor.maybe_corrupt,
            result=result.result, policy_packs=self._policies.versions if self._policies is not None else {},
        )  # fmt: skip
        self._sink.end()
        return result

    async def _watch_cancel(self) -> None:
        while not self._cancel.is_set():  # noqa: ASYNC110 - it is set by other threads
            await asyncio.sleep(_POLL_SECONDS)
        self._executor.cancelled = True
        self._executor.stop()

    def _stack_outputs(self, name: str) -> Mapping[str, Value]:
        """Another stack's outputs by its name: `stack`, `project/stack` or `organization/project/stack`."""
        parts = name.split("/")
        project = parts[-2] if len(parts) > 1 else self._store.project
        if len(parts) > 3 or project != self._store.project:
            raise StateError(
                "stack reference", name, f"the local engine knows the stacks of project {self._store.project} only",
                "use the Pulumi CLI (--engine pulumi)",
            )  # fmt: skip
        return self._store.outputs_of(parts[-1])


def _outputs_of(resources: list[ResourceState] | tuple[ResourceState, ...]) -> Properties:
    return next((state.outputs for state in resources if state.type == STACK_TYPE and not state.delete), {})


class _Retold(logging.Handler):
    """Hands lines on to the sink, on the loop's thread, whichever thread logs them."""

    def __init__(self, sink: EventSink) -> None:
        super().__init__()
        self._sink, self._loop = sink, asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self._sink.diagnostic, "info", record.getMessage())


@contextlib.contextmanager
def _retold(sink: EventSink) -> Generator[None]:
    """What the local providers log, such as a call that they make again, is told as messages of the run."""
    handler, level = _Retold(sink), _PROVIDERS_LOG.level
    _PROVIDERS_LOG.addHandler(handler)
    _PROVIDERS_LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _PROVIDERS_LOG.setLevel(level)
        _PROVIDERS_LOG.removeHandler(handler)


@contextlib.contextmanager
def _interrupts(cancel: threading.Event) -> Generator[None]:
    """Ctrl-C sets `cancel`, a second one raises KeyboardInterrupt; where the caller has its own handler, that stands."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def handle(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's arguments
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
