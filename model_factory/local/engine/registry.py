"""The providers of a run: made, configured, and found again by reference (`<urn>::<id>`).

A provider is itself a resource (`pulumi:providers:<package>`): checked and diffed by its own CheckConfig and DiffConfig,
created by configuring an instance. Source of the rules: pulumi/pulumi, pkg/resource/deploy/providers/registry.go.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from model_factory.graph.urn import PROVIDER_TYPE_PREFIX
from model_factory.local.engine.diff import Diff, same
from model_factory.local.engine.errors import UnknownProviderError, UnsupportedError
from model_factory.local.engine.goal import Goal
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.plugins import UNKNOWN_ID, Failure, ProviderInstance
from model_factory.local.wire import Properties, Secret, Value

Factory = Callable[[], ResourceProviderServicer]

# Where Pulumi's engine keeps what concerns the plugin and not the provider.
_INTERNAL: Final = "__internal"
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_./]")


class Registry:
    """Instances by reference. An instance that `check` made waits under its URN until create, update or same configures it."""

    def __init__(self, factories: Mapping[str, Factory], builtins: ProviderInstance, *, preview: bool) -> None:
        self._factories = factories
        self._builtins = builtins
        self._preview = preview
        self._waiting: dict[str, ProviderInstance] = {}
        self._instances: dict[str, ProviderInstance] = {}

    def get(self, reference: str) -> ProviderInstance | None:
        return self._instances.get(reference)

    def ensure(self, reference: str, state: ResourceState | None) -> ProviderInstance:
        """The instance behind a reference, configured from its state where this run has not registered it."""
        instance = self._instances.get(reference)
        if instance is not None:
            return instance
        if state is None or state.reference != reference:
            raise UnknownProviderError(reference)
        instance = self._make(state.type)
        instance.configure(state.urn, state.id, _shown(state.inputs))
        return self._instances.setdefault(reference, instance)

    def check(
        self, state: ResourceState, olds: Properties | None, news: Properties
    ) -> tuple[Properties, list[Failure]]:
        instance = self._make(state.type)
        checked, failures = instance.check_config(state.urn, _shown(olds or {}), _shown(news))
        if not failures:
            self._waiting[state.urn] = instance
        checked.update({key: news[key] for key in ("version", _INTERNAL) if key in news})
        return checked, failures

    def diff(self, old: ResourceState, news: Properties) -> Diff:
        instance = self._waiting.get(old.urn) or self._instances.get(old.reference) or self._make(old.type)
        answer = instance.diff_config(old.urn, old.id, _shown(old.inputs), old.outputs, _shown(news))
        if answer.changed is None:
            return Diff(changed=not same(old.outputs, _shown(news)), replace_keys=answer.replace_keys)
        return answer

    def replaces(self, old: ResourceState, new: ResourceState) -> bool:
        """Whether resources must be replaced when they move from one provider to another."""
        instance = self._instances.get(new.reference) or self._make(new.type)
        return instance.diff_config(new.urn, old.id, _shown(old.inputs), old.outputs, _shown(new.inputs)).replaces

    def create(self, urn: str, type_: str, inputs: Properties) -> tuple[str, Properties]:
        id_ = UNKNOWN_ID if self._preview else str(uuid.uuid4())
        self._configure(urn, type_, id_, inputs)
        return id_, _shown(inputs)

    def update(self, urn: str, type_: str, id_: str, inputs: Properties) -> Properties:
        self._configure(urn, type_, id_, inputs)
        return _shown(inputs)

    def keep(self, state: ResourceState, inputs: Properties) -> None:
        """The provider is unchanged: configure it with the inputs of its state."""
        if state.reference not in self._instances:
            self._configure(state.urn, state.type, state.id, inputs)

    def instances(self) -> list[ProviderInstance]:
        return list(self._instances.values())

    def _configure(self, urn: str, type_: str, id_: str, inputs: Properties) -> None:
        instance = self._waiting.pop(urn, None) or self._make(type_)
        instance.configure(urn, id_, _shown(inputs))
        self._instances[f"{urn}::{id_}"] = instance

    def _make(self, type_: str) -> ProviderInstance:
        package = type_.removeprefix(PROVIDER_TYPE_PREFIX)
        if package == "pulumi":
            return self._builtins
        factory = self._factories.get(package)
        if factory is None:
            if package == "pulumi-python":
                raise UnsupportedError("dynamic providers")
            known = ", ".join(sorted(self._factories)) or "none"
            raise UnsupportedError(f"provider {package!r} (local providers: {known})")
        return ProviderInstance(package, factory())


def default_name(version: str, url: str = "") -> str:
    """Pulumi's name of a default provider: `default_7_51_1`, and the URL of its plugin where one is asked for."""
    parts = version.replace("-", ".").replace("+", ".").split(".")
    return "_".join(["default", *filter(None, parts), *([_NO_NAME.sub("_", re.sub("/+", "/", url))] if url else [])])


def with_plugin(inputs: Mapping[str, Value], version: str, url: str) -> Properties:
    """A provider's inputs with the version of its plugin and where it comes from, as Pulumi's engine writes them."""
    if not version and not url:
        return dict(inputs)
    internal: Value = {"pluginDownloadURL": url} if url else inputs.get(_INTERNAL, {})
    return {**inputs, **({"version": version} if version else {}), _INTERNAL: internal}


def _shown(inputs: Mapping[str, Value]) -> Properties:
    """What a provider gets to see of its inputs."""
    return {key: value for key, value in inputs.items() if key != _INTERNAL}


def default_goal(package: str, version: str, url: str, config: Mapping[str, str], secret_keys: frozenset[str]) -> Goal:
    """The registration of a package's default provider, made from the stack's configuration of that namespace."""
    inputs: dict[str, Value] = {}
    for key, text in config.items():
        namespace, _, name = key.partition(":")
        if namespace == package:
            inputs[name] = Secret(text) if key in secret_keys else text
    inputs = with_plugin(inputs, version, url)
    return Goal(type=f"{PROVIDER_TYPE_PREFIX}{package}", name=default_name(version, url), custom=True, inputs=inputs)
