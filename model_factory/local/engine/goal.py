"""What a program asks of one resource: a registration request, read into values.

Pure: no calls, no state of the run. What the local engine does not do is refused here, by name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from google.protobuf import struct_pb2
from pulumi.runtime.proto import alias_pb2, resource_pb2

from model_factory.graph.urn import PROVIDER_TYPE_PREFIX, Urn, qualify
from model_factory.local import wire
from model_factory.local.assets import hashed
from model_factory.local.engine.errors import PlanError, UnsupportedError
from model_factory.local.engine.model import CustomTimeouts, ResourceState
from model_factory.local.wire import UNKNOWN, Output, Properties, Secret, Unknown, Value

_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_VERSION: Final = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[\w-]+(\.[\w-]+)*)?(\+[\w-]+(\.[\w-]+)*)?", re.ASCII)
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Alias:
    """A former identity. `urn` stands alone; otherwise empty parts mean "as now"."""

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str = ""
    no_parent: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """One registration. `protect` and `retain_on_delete` None: not said, so the parent's. `provider` is a reference, empty
    for the default provider; `providers` maps packages to references, for children."""

    type: str
    name: str
    custom: bool
    parent: str = ""
    inputs: Properties = field(default_factory=dict[str, Value])
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    provider: str = ""
    providers: Mapping[str, str] = field(default_factory=dict[str, str])
    version: str = ""
    plugin_download_url: str = ""
    protect: bool | None = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    hide_diff: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    custom_timeouts: CustomTimeouts | None = None
    source_position: str = ""

    @property
    def package(self) -> str:
        return self.type.split(":", 1)[0]

    @property
    def is_provider(self) -> bool:
        return self.type.startswith(PROVIDER_TYPE_PREFIX)

    @property
    def label(self) -> str:
        return f"{self.type} {self.name!r}"

    def state(self, urn: str, aliases: tuple[str, ...], old: ResourceState | None) -> ResourceState:
        """The resource as it shall be, before any provider was asked: no id, no outputs."""
        return ResourceState(
            urn=urn, type=self.type, custom=self.custom, inputs=self.inputs, parent=self.parent, provider=self.provider,
            dependencies=tuple(sorted(self.dependencies)),
            property_dependencies={key: tuple(sorted(urns)) for key, urns in self.property_dependencies.items()},
            protect=bool(self.protect), retain_on_delete=bool(self.retain_on_delete), deleted_with=self.deleted_with,
            replace_with=self.replace_with, additional_secret_outputs=self.additional_secret_outputs, aliases=aliases,
            custom_timeouts=self.custom_timeouts, ignore_changes=self.ignore_changes,
            replace_on_changes=self.replace_on_changes, source_position=self.source_position,
            created=old.created if old else "", modified=old.modified if old else "",
            delete_before_replace=self.delete_before_replace, extra=self._extra(old),
        )  # fmt: skip

    def _extra(self, old: ResourceState | None) -> Mapping[str, Any]:
        """Fields of the state that the engine only carries."""
        kept = {key: item for key, item in (old.extra if old else {}).items() if key != "hideDiff"}
        return {**kept, "hideDiff": list(self.hide_diff)} if self.hide_diff else kept


def inherit(goal: Goal, parent: Goal) -> Goal:
    """The goal with what children take from their parent where they say nothing themselves."""
    return replace(
        goal,
        protect=parent.protect if goal.protect is None else goal.protect,
        retain_on_delete=parent.retain_on_delete if goal.retain_on_delete is None else goal.retain_on_delete,
        deleted_with=goal.deleted_with or parent.deleted_with,
    )


def from_request(request: resource_pb2.RegisterResourceRequest, root: str) -> Goal:
    """Read a registration. `root` is the project's folder: source positions are stored relative to it.

    Raises UnsupportedError for imports, remote components, hooks, state migrations, parameterised packages, replacement
    triggers and environment mappings.
    """
    label = f"{request.type} {request.name!r}"
    for used, what in (
        (request.remote, "remote components"),
        (request.importId, "the option `import`"),
        (request.HasField("hooks") and _has_hooks(request.hooks), "resource hooks"),
        (len(request.state_migrations), "state migrations"),
        (request.packageRef, "parameterised packages"),
        (len(request.envVarMappings), "environment variable mappings of providers"),
        (_given(request, "replacement_trigger"), "the option `replacement_trigger`"),
    ):
        if used:
            raise UnsupportedError(f"{what} ({label})")
    refuse_malformed(request.version, label, request.type if request.custom else "")
    inputs = decoded(request.object, root, label)
    dependencies = tuple(request.dependencies)
    if request.propertyDependencies:
        property_dependencies = {key: tuple(item.urns) for key, item in request.propertyDependencies.items()}
    else:
        property_dependencies = dict.fromkeys(inputs, dependencies)
    explicit = request.deleteBeforeReplaceDefined or request.deleteBeforeReplace
    return Goal(
        type=request.type, name=request.name, custom=request.custom, parent=request.parent,
        inputs=inputs, dependencies=dependencies,
        property_dependencies=property_dependencies,
        provider=request.provider, providers=dict(request.providers), version=request.version,
        plugin_download_url=request.pluginDownloadURL,
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        deleted_with=request.deletedWith, replace_with=tuple(request.replace_with),
        delete_before_replace=request.deleteBeforeReplace if explicit else None,
        ignore_changes=tuple(request.ignoreChanges), replace_on_changes=tuple(request.replaceOnChanges),
        additional_secret_outputs=tuple(request.additionalSecretOutputs), hide_diff=tuple(request.hideDiffs),
        aliases=(*(Alias(urn=urn) for urn in request.aliasURNs), *(_alias(item) for item in request.aliases)),
        custom_timeouts=_timeouts(request.customTimeouts) if request.HasField("customTimeouts") else None,
        source_position=source_position(request, root),
    )  # fmt: skip


def decoded(struct: struct_pb2.Struct, root: str, label: str) -> Properties:
    """Properties as a program sends them, each asset with its hash. Raises PlanError for assets that cannot be read."""
    try:
        return {key: hashed(value, Path(root)) for key, value in wire.decode(struct).items()}
    except ValueError as error:
        raise PlanError("", f"{label}: {error}") from error


def refuse_malformed(version: str, label: str, type_: str = "") -> None:
    """Raises PlanError for a version that is none, and a custom resource's type without package, module and name."""
    if version and not _VERSION.fullmatch(version):
        raise PlanError("", f"version {version} of {label} is no semantic version; write for example 1.2.3")
    if type_ and type_.count(":") < 2:
        raise PlanError("", f"type {type_} of {label} is no type token; write package:module:Name")


def options_of(goal: Goal) -> resource_pb2.TransformResourceOptions:
    """The options as a transform receives them."""
    options = resource_pb2.TransformResourceOptions(
        depends_on=goal.dependencies, protect=goal.protect, ignore_changes=goal.ignore_changes,
        replace_on_changes=goal.replace_on_changes, version=goal.version, provider=goal.provider,
        plugin_download_url=goal.plugin_download_url, retain_on_delete=goal.retain_on_delete,
        deleted_with=goal.deleted_with, delete_before_replace=goal.delete_before_replace,
        additional_secret_outputs=goal.additional_secret_outputs, providers=goal.providers, hide_diff=goal.hide_diff,
        replace_with=goal.replace_with, aliases=[_alias_message(alias) for alias in goal.aliases],
    )  # fmt: skip
    if goal.custom_timeouts is not None:
        times = goal.custom_timeouts
        for name in ("create", "update", "delete"):
            seconds = getattr(times, name)
            setattr(options.custom_timeouts, name, f"{seconds}s" if seconds else "")
    return options


def transformed(goal: Goal, inputs: Properties, options: resource_pb2.TransformResourceOptions | None) -> Goal:
    """The goal after a transform answered. Dependencies follow the outputs inside the inputs."""
    options = options if options is not None else options_of(goal)
    label = goal.label
    if getattr(options, "import"):
        raise UnsupportedError(f"the option `import` ({label})")
    if options.HasField("hooks") and _has_hooks(options.hooks):
        raise UnsupportedError(f"resource hooks ({label})")
    return replace(
        goal, inputs=inputs, dependencies=tuple(options.depends_on),
        property_dependencies={**dict.fromkeys(inputs, ()), **goal.property_dependencies},
        protect=options.protect if options.HasField("protect") else None,
        ignore_changes=tuple(options.ignore_changes), replace_on_changes=tuple(options.replace_on_changes),
        version=options.version, provider=options.provider, plugin_download_url=options.plugin_download_url,
        retain_on_delete=options.retain_on_delete if options.HasField("retain_on_delete") else None,
        deleted_with=options.deleted_with, replace_with=tuple(options.replace_with),
        delete_before_replace=options.delete_before_replace if options.HasField("delete_before_replace") else None,
        additional_secret_outputs=tuple(options.additional_secret_outputs), providers=dict(options.providers),
        hide_diff=tuple(options.hide_diff), aliases=tuple(_alias(item) for item in options.aliases),
        custom_timeouts=_timeouts(options.custom_timeouts) if options.HasField("custom_timeouts") else None,
    )  # fmt: skip


def with_outputs(goal: Goal) -> Properties:
    """The inputs with each property's dependencies carried inside it, as transforms expect them."""
    return {key: _wrap(value, goal.property_dependencies.get(key, ())) for key, value in goal.inputs.items()}


def _wrap(value: Value, dependencies: tuple[str, ...]) -> Value:
    if not dependencies or isinstance(value, Output):
        return value
    if isinstance(value, Secret):
        return Output(value.value, secret=True, dependencies=dependencies)
    return Output(value, dependencies=dependencies)


def settle(goal: Goal, *, rebuild: bool) -> Goal:
    """The goal without Output marks: they become unknowns, secrets or plain values, and their URNs dependencies.

    `rebuild`: property dependencies are taken from the outputs alone (after transforms), not added to what was sent.
    """
    if not rebuild and not any(_has_outputs(value) for value in goal.inputs.values()):
        return goal
    found = {key: frozenset(_urns(value)) for key, value in goal.inputs.items()}
    if rebuild:
        dependencies = frozenset(goal.dependencies).union(*found.values())
        per_property = {key: tuple(sorted(urns)) for key, urns in found.items()}
    else:
        dependencies = frozenset(goal.dependencies)
        per_property = {
            key: tuple(sorted(urns | set(goal.property_dependencies.get(key, ())))) for key, urns in found.items()
        }
    inputs = {key: _plain(value) for key, value in goal.inputs.items()}
    return replace(goal, inputs=inputs, dependencies=tuple(sorted(dependencies)), property_dependencies=per_property)


def _has_outputs(value: Value) -> bool:
    if isinstance(value, Output):
        return True
    if isinstance(value, dict):
        return any(map(_has_outputs, value.values()))
    if isinstance(value, list):
        return any(map(_has_outputs, value))
    return isinstance(value, Secret) and _has_outputs(value.value)


def _urns(value: Value) -> Iterable[str]:
    if isinstance(value, Output):
        yield from value.dependencies
        yield from _urns(value.value)
    elif isinstance(value, Secret):
        yield from _urns(value.value)
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _urns(item)


def _plain(value: Value) -> Value:
    if isinstance(value, Output):
        inner = _plain(value.value)
        if isinstance(inner, Unknown):
            return UNKNOWN
        return Secret(inner) if value.secret and not isinstance(inner, Secret) else inner
    if isinstance(value, Secret):
        return Secret(_plain(value.value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def alias_urn(alias: Alias, goal: Goal, parent: str, stack: str, project: str) -> str:
    """The URN an alias stands for; `parent` is the parent's URN (its own alias, where it has one)."""
    if alias.urn:
        return alias.urn
    above = "" if alias.no_parent else alias.parent or parent
    return Urn.make(
        alias.stack or stack,
        alias.project or project,
        qualify(above, alias.type or goal.type),
        alias.name or goal.name,
    )


def seconds_of(text: str) -> float:
    """A duration such as `1h30m` in seconds. Raises ValueError."""
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write for example 30s, 10m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def source_position(request: Any, root: str) -> str:
    """`project:///file.py#line`, relative to the project, or empty."""
    if not request.HasField("sourcePosition") or not request.sourcePosition.uri:
        return ""
    path = unquote(urlsplit(request.sourcePosition.uri).path)
    relative = posixpath.relpath(path, root) if PurePosixPath(root).is_absolute() else path
    return f"project:///{relative}#{request.sourcePosition.line}"


def _timeouts(message: Any) -> CustomTimeouts | None:
    times = CustomTimeouts(
        *(seconds_of(text) if text else 0.0 for text in (message.create, message.update, message.delete))
    )
    return times if times != CustomTimeouts() else None


def _alias(message: alias_pb2.Alias) -> Alias:
    if message.WhichOneof("alias") == "urn":
        return Alias(urn=message.urn)
    spec = message.spec
    return Alias(
        name=spec.name, type=spec.type, stack=spec.stack, project=spec.project, parent=spec.parentUrn,
        no_parent=spec.noParent,
    )  # fmt: skip


def _alias_message(alias: Alias) -> alias_pb2.Alias:
    if alias.urn:
        return alias_pb2.Alias(urn=alias.urn)
    spec = alias_pb2.Alias.Spec(name=alias.name, type=alias.type, stack=alias.stack, project=alias.project)
    if alias.no_parent:
        spec.noParent = True
    elif alias.parent:
        spec.parentUrn = alias.parent
    return alias_pb2.Alias(spec=spec)


def _has_hooks(hooks: Any) -> bool:
    return any(list(value) for _, value in hooks.ListFields())


def _given(message: Any, name: str) -> bool:
    return message.HasField(name) and message.WhichOneof is not None and getattr(message, name).WhichOneof("kind") not in (
        None, "null_value",
    )  # fmt: skip
