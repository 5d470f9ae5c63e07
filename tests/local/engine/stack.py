"""A stack to run programs in: its store, its cloud in memory, its events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pulumi

from model_factory.graph.urn import STACK_TYPE
from model_factory.local.engine.deploy import Result, run
from model_factory.local.engine.model import ResourceState, Snapshot
from model_factory.local.engine.request import Deployment, Operation, Program, Request
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore
from tests.local.engine.memory_provider import Cloud, MemoryProvider

_OF_THE_REQUEST = {each.name for each in fields(Request)}
PASSPHRASE = "test"
_SALT = new_salt(PASSPHRASE)


def live(snapshot: Snapshot) -> dict[str, ResourceState]:
    """The live resources by name; providers and the stack left out."""
    return {
        state.name: state
        for state in snapshot.resources
        if not state.delete and not state.is_provider and state.type != STACK_TYPE
    }


def begun(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(operation, name) of each step that was begun, stack and providers left out."""
    metadata = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    return [
        (item["op"], item["urn"].rsplit("::", 1)[-1]) for item in metadata if not item["type"].startswith("pulumi:")
    ]


def messages(events: Iterable[Mapping[str, Any]], severity: str) -> list[str]:
    diagnostics = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    return [item["message"].removesuffix("\n") for item in diagnostics if item["severity"] == severity]


class Thing(pulumi.CustomResource):
    """An object of the provider in memory. Every property is an input; `computed` and `autoName` are outputs."""

    def __init__(
        self, name: str, props: Mapping[str, Any] | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("test:index:Thing", name, {"computed": None, **(props or {})}, opts)


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Group", name, {}, opts)
        self.register_outputs({"label": name})


class Provider(pulumi.ProviderResource):
    def __init__(
        self, name: str, props: Mapping[str, Any] | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("test", name, props or {}, opts)


def void(_: object) -> None:
    """A program's resources register themselves."""


class Bench:
    """Runs programs in process. Each operation's events and outcome are kept."""

    def __init__(self, root: Path, stack: str = "dev") -> None:
        self.root = root
        self.stack = stack
        self.cloud = Cloud()
        self.events: list[dict[str, Any]] = []
        self.emit: Callable[[dict[str, Any]], None] = lambda event: self.events.append(event)
        self.cancel = threading.Event()
        self.store = StackStore(root / "stacks", "project", stack, lambda: PassphraseCrypter(PASSPHRASE, _SALT))

    def run(self, operation: Operation, program: Callable[[], object] = lambda: None, **options: Any) -> Result:
        self.events = []
        options = {"in_process": lambda: void(program()), **options}
        asked = {key: options.pop(key) for key in _OF_THE_REQUEST & options.keys()}
        deployment = Deployment(Request(operation, **asked), Program("project", self.stack, self.root, **options))
        providers = {"test": lambda: MemoryProvider(self.cloud)}
        return run(
            deployment,
            store=self.store,
            providers=providers,
            emit=lambda event: self.emit(event),
            cancel=self.cancel,
        )

    def up(self, program: Callable[[], object], **options: Any) -> Result:
        outcome = self.run("up", program, **options)
        assert outcome.ok, (outcome.failures, self.messages("error"))
        return outcome

    def preview(self, program: Callable[[], object], **options: Any) -> Result:
        return self.run("preview", program, **options)

    def destroy(self, **options: Any) -> Result:
        return self.run("destroy", **options)

    def resources(self) -> dict[str, ResourceState]:
        """The live resources of the state on disk, by name; providers and the stack left out."""
        return live(self.snapshot())

    def snapshot(self) -> Snapshot:
        """The state on disk."""
        return self.store.load()

    def steps(self) -> list[tuple[str, str]]:
        """(operation, name) of each step that was begun, stack and providers left out."""
        return begun(self.events)

    def messages(self, severity: str) -> list[str]:
        return messages(self.events, severity)
