"""The Pulumi CLI over the same provider in memory and the same programs: what the local engine is held against."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, patch

import grpc
import pulumi.automation as automation
from pulumi.runtime.proto import provider_pb2_grpc

from model_factory.local.engine.model import ResourceState, Snapshot
from model_factory.local.engine.secrets import PassphraseCrypter
from model_factory.local.engine.state import Codec, decode_snapshot, passphrase_salt
from tests.local.engine.memory_provider import Cloud, MemoryProvider
from tests.local.engine.stack import PASSPHRASE, begun, live, messages

_POOLS = "pulumi.automation._stack.futures"
MISSING = None if shutil.which("pulumi") else "needs the Pulumi CLI on PATH"


@dataclass(frozen=True)
class Outcome:
    """The part of `deploy.Result` that both engines have."""

    ok: bool
    changes: dict[str, int]
    failures: list[tuple[str, str]]

    @property
    def changed(self) -> bool:
        return any(count and op not in ("same", "read", "discard") for op, count in self.changes.items())


class CliBench:
    """As `stack.Bench`, driven by the CLI: programs run in this process, the provider is attached by its port."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cloud = Cloud()
        self.events: list[dict[str, Any]] = []
        self._workers = ThreadPoolExecutor(32, thread_name_prefix="attached")
        self._server = grpc.server(self._workers, options=(("grpc.so_reuseport", 0),))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(MemoryProvider(self.cloud), self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        (root / "state").mkdir()
        settings = automation.ProjectSettings("project", "python")
        environment = {
            "PULUMI_BACKEND_URL": f"file://{root / 'state'}", "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_DEBUG_PROVIDERS": f"test:{port}", "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }  # fmt: skip
        options = automation.LocalWorkspaceOptions(
            work_dir=str(root), pulumi_home=str(root / "home"), project_settings=settings, env_vars=environment
        )
        self._stack = automation.create_stack("dev", "project", lambda: None, opts=options)

    def run(self, operation: str, program: Callable[[], object] = lambda: None, **options: Any) -> Outcome:
        self.events = []
        loops: list[asyncio.AbstractEventLoop] = []

        def body() -> None:
            loops.append(asyncio.get_running_loop())
            program()

        self._stack.workspace.program = body
        call: Callable[..., Any] = getattr(self._stack, "preview" if options.pop("preview_only", False) else operation)
        ok = True
        # Where a program fails, the SDK's own server goes on holding the threads that it was given.
        with ThreadPoolExecutor(4) as pool, patch(_POOLS, SimpleNamespace(ThreadPoolExecutor=Mock(return_value=pool))):
            try:
                call(on_event=self._take, **options)
            except automation.CommandError:
                ok = False
        for loop in loops:
            # The SDK leaves it open, with its threads.
            while loop.is_running():
                time.sleep(0.01)
            loop.close()
        changes = next((event["summaryEvent"] for event in self.events if "summaryEvent" in event), {})
        told = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        failures = [(each["urn"] or "", each["message"]) for each in told if each["severity"] == "error"]
        return Outcome(ok, {str(getattr(op, "value", op)): count for op, count in changes.items()}, failures)

    def up(self, program: Callable[[], object], **options: Any) -> Outcome:
        outcome = self.run("up", program, **options)
        assert outcome.ok, outcome.failures
        return outcome

    def preview(self, program: Callable[[], object], **options: Any) -> Outcome:
        return self.run("preview", program, **options)

    def destroy(self, **options: Any) -> Outcome:
        return self.run("destroy", **options)

    def messages(self, severity: str) -> list[str]:
        return messages(self.events, severity)

    def _take(self, event: automation.EngineEvent) -> None:
        if event.resource_pre_event is not None:
            self.events.append({"resourcePreEvent": {"metadata": _metadata(event.resource_pre_event.metadata)}})
        if event.res_outputs_event is not None:
            self.events.append({"resOutputsEvent": {"metadata": _metadata(event.res_outputs_event.metadata)}})
        if event.summary_event is not None:
            self.events.append({"summaryEvent": event.summary_event.resource_changes})
        if event.diagnostic_event is not None:
            told = event.diagnostic_event
            self.events.append(
                {"diagnosticEvent": {"severity": told.severity, "message": told.message, "urn": told.urn}}
            )

    def steps(self) -> list[tuple[str, str]]:
        return begun(self.events)

    def resources(self) -> dict[str, ResourceState]:
        return live(self.snapshot())

    def snapshot(self) -> Snapshot:
        exported = self._stack.export_stack()
        salt = passphrase_salt((exported.deployment or {}).get("secrets_providers"))
        codec = Codec(lambda: PassphraseCrypter(PASSPHRASE, salt or ""))
        return decode_snapshot({"version": exported.version, "deployment": exported.deployment}, codec)

    def close(self) -> None:
        self._server.stop(grace=None).wait()
        self._workers.shutdown()


def _metadata(step: automation.StepEventMetadata) -> dict[str, Any]:
    sides = {
        side: None if state is None else {"inputs": state.inputs, "outputs": state.outputs}
        for side, state in (("old", step.old), ("new", step.new))
    }
    diff = {
        path: {"diffKind": item.diff_kind.value, "inputDiff": item.input_diff}
        for path, item in (step.detailed_diff or {}).items()
    }
    fields: dict[str, Any] = {"op": step.op.value, "urn": step.urn, "type": step.type, "detailedDiff": diff, **sides}
    if step.diffs:
        fields["diffs"] = step.diffs
    return fields
