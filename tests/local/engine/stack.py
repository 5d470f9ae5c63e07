"""A stack to run programs in: its store, its cloud in memory, its events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pulumi

from model_factory.local.engine.deploy import Result, run
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.request import Deployment, Operation, Program, Request
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore
from tests.local.engine.memory_provider import Cloud, MemoryProvider

_OF_THE_REQUEST = {each.name for each in fields(Request)}
_SALT = new_salt("test")


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


class Bench:
    """Runs programs in process. Each operation's events and outcome are kept."""

    def __init__(self, root: Path, stack: str = "dev") -> None:
        self.root = root
        self.stack = stack
        self.cloud = Cloud()
        self.events: list[dict[str, Any]] = []
        self.emit: Callable[[dict[str, Any]], None] = lambda event: self.events.append(event)
        self.cancel = threading.Event()
        self.store = StackStore(root / "stacks", "project", stack, lambda: PassphraseCrypter("test", _SALT))

    def run(self, operation: Operation, program: Callable[[], None] = lambda: None, **options: Any) -> Result:
        self.events = []
        options = {"in_process": program, **options}
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

    def up(self, program: Callable[[], None], **options: Any) -> Result:
        outcome = self.run("up", program, **options)
        assert outcome.ok, (outcome.failures, self.messages("error"))
        return outcome

    def preview(self, program: Callable[[], None], **options: Any) -> Result:
        return self.run("preview", program, **options)

    def destroy(self, **options: Any) -> Result:
        return self.run("destroy", **options)

    def resources(self) -> dict[str, ResourceState]:
        """The live resources of the state on disk, by name; providers and the stack left out."""
        return {
            state.name: state
            for state in self.store.load().resources
            if not state.delete and not state.is_provider and state.type != "pulumi:pulumi:Stack"
        }

    def steps(self) -> list[tuple[str, str]]:
        """(operation, name) of each step that was begun, stack and providers left out."""
        metadata = [event["resourcePreEvent"]["metadata"] for event in self.events if "resourcePreEvent" in event]
        return [
            (item["op"], item["urn"].rsplit("::", 1)[-1]) for item in metadata if not item["type"].startswith("pulumi:")
        ]

    def messages(self, severity: str) -> list[str]:
        diagnostics = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return [item["message"].removesuffix("\n") for item in diagnostics if item["severity"] == severity]
