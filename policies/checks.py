"""How a check of the packs is written: what it sees, how it reports, what it is made into.

A check is a function over a resource (or a stack) and a report. It reads plain values; where a value is not known yet the SDK
raises, and `Report.guard` keeps that from hiding what can be judged. A check of which any part could not be judged ends as
"can't run policy", which previews show as not evaluated: it never counts as passed.

Nothing here imports anything of ours, so the packs also run in a process that the Pulumi CLI starts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, cast

from pulumi_policy import (
    EnforcementLevel,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    PolicyResource,
    PolicyResourceOptions,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Secret,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import (
    UNKNOWN_ARCHIVE_VALUE,
    UNKNOWN_ARRAY_VALUE,
    UNKNOWN_ASSET_VALUE,
    UNKNOWN_BOOLEAN_VALUE,
    UNKNOWN_NUMBER_VALUE,
    UNKNOWN_OBJECT_VALUE,
    UNKNOWN_STRING_VALUE,
    UnknownValueError,
)

LOW, MEDIUM, HIGH, CRITICAL = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL
UNKNOWNS = frozenset(
    (
        UNKNOWN_ARCHIVE_VALUE,
        UNKNOWN_ARRAY_VALUE,
        UNKNOWN_ASSET_VALUE,
        UNKNOWN_BOOLEAN_VALUE,
        UNKNOWN_NUMBER_VALUE,
        UNKNOWN_OBJECT_VALUE,
        UNKNOWN_STRING_VALUE,
    )
)

Policy = ResourceValidationPolicy | StackValidationPolicy
Props = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a rule comes from. `checkov` names checkov's ids of the same rule, if it has any; `also` other places that ask for it."""

    framework: str
    version: str
    section: str
    title: str
    url: str
    checkov: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration value of a check: its JSON schema and its default, in one place."""

    default: Any
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Resource:
    """What a check sees of one resource. Properties are camelCase, as on the wire; `provider` is the URN of its provider, which
    for Kubernetes objects tells the cluster, or empty. What depends on what is known in checks of a stack only."""

    type: str
    name: str
    urn: str
    props: Props
    config: Mapping[str, Any]
    options: PolicyResourceOptions
    provider: str = ""
    provider_props: Props = field(default_factory=dict[str, Any])
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    parent: str = ""

    def is_(self, *patterns: str) -> bool:
        """Whether its type is one of `patterns`, in which `*` stands for anything."""
        return matches(self.type, patterns)


@dataclass(frozen=True, slots=True)
class Stack:
    """What a check sees of the whole stack. Properties are what the resources will have, as far as it is known."""

    resources: tuple[Resource, ...]
    config: Mapping[str, Any]
    tags: Mapping[str, str]

    def of(self, *patterns: str) -> tuple[Resource, ...]:
        return tuple(each for each in self.resources if each.is_(*patterns))


@dataclass(slots=True)
class Report:
    """Takes what a check finds, and remembers what it could not look at."""

    _violation: ReportViolation
    _unknown: UnknownValueError | None = field(default=None)

    def __call__(self, message: str, urn: str | None = None) -> None:
        """One violation. `urn` names the resource, in checks of a stack."""
        self._violation(message, urn)

    @contextmanager
    def guard(self) -> Generator[None]:
        """What is inside may meet unknown values: then the rest is still judged, and the whole is not evaluated."""
        try:
            yield
        except UnknownValueError as unknown:
            self._unknown = self._unknown or unknown

    def items(self, props: Props, *path: str) -> list[Any]:
        """The known members of the list at `path`; none where there is no such list. Unknown ones are remembered."""
        found: list[Any] = []
        with self.guard():
            members = at(props, *path)
            for index in range(len(members) if is_list(members) else 0):
                with self.guard():
                    found.append(members[index])
        return found

    def finish(self) -> None:
        """Raises UnknownValueError if anything was unknown, for the SDK to tell."""
        if self._unknown is not None:
            raise self._unknown


EXEMPT = Setting(
    [],
    {"type": "array", "items": {"type": "string"}},
    "Logical names of resources not to judge; * for anything.",
)

ResourceCheck = Callable[[Resource, Report], None]
StackCheck = Callable[[Stack, Report], None]
# Changes the draft in place.
Remedy = Callable[["Draft"], None]


@dataclass(slots=True)
class Draft:
    """A resource's properties, to be mended in place.

    `props` is a deep copy in plain dicts and lists in which secrets are still `Secret` and unknown values still the SDK's
    marks: the SDK hands them over so when it remediates, and anything else would lose them. Use `child` and `children` to go
    down, and `put` to write.
    """

    type: str
    name: str
    props: dict[str, Any]
    config: Mapping[str, Any]
    options: PolicyResourceOptions
    urn: str = ""
    changed: bool = False

    def child(self, parent: dict[str, Any], key: str, *, create: bool = False) -> dict[str, Any] | None:
        """The object under `key`: made when absent and wanted; None when absent, unknown, or no object."""
        value = revealed(parent.get(key))
        if value is None and create:
            value = parent[key] = cast("dict[str, Any]", {})
        return cast("dict[str, Any]", value) if isinstance(value, dict) else None

    def children(self, parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """The objects in the list under `key`; unknown members are left out."""
        value = revealed(parent.get(key))
        members = cast("list[object]", value) if isinstance(value, list) else []
        return [cast("dict[str, Any]", each) for each in map(revealed, members) if isinstance(each, dict)]

    def texts(self, parent: dict[str, Any], key: str) -> list[str]:
        """The texts in the list under `key`, unknown ones as their marks."""
        value = revealed(parent.get(key))
        members = cast("list[object]", value) if isinstance(value, list) else []
        return [each for each in map(revealed, members) if isinstance(each, str)]

    def put(self, parent: dict[str, Any], key: str, value: object) -> None:
        """Writes a value, unless it is there already or is not known yet. A secret stays one."""
        old = parent.get(key)
        if revealed(old) == value or is_unknown(revealed(old)):
            return
        parent[key] = Secret(value) if isinstance(old, Secret) else value
        self.changed = True


def resource_check(
    name: str,
    description: str,
    *,
    types: Iterable[str],
    severity: Severity,
    check: ResourceCheck,
    steps: str,
    reference: Reference,
    remedy: Remedy | None = None,
    config: Mapping[str, Setting] | None = None,
    level: EnforcementLevel | None = None,
    tags: Iterable[str] = (),
) -> ResourceValidationPolicy:
    """A policy over single resources whose type matches one of `types` (`*` stands for anything).

    Without `level` it follows from severity: remediate where there is a `remedy`, mandatory for critical and high, advisory
    below. Configuration files may say otherwise, and may exempt resources by name. For other types, and for what is exempt, it
    reports itself as not applicable.
    """
    patterns, settings = tuple(types), {**(config or {}), "exempt": EXEMPT}

    def validate(args: ResourceValidationArgs, violation: ReportViolation) -> None:
        if not matches(args.resource_type, patterns):
            args.not_applicable()
        if _is_exempt(args, settings):
            args.not_applicable(f"{args.name} is exempt by configuration")
        report = Report(violation)
        with report.guard():
            check(_resource(args, settings), report)
        report.finish()

    def remediate(args: ResourceValidationArgs) -> Mapping[str, Any] | None:
        if remedy is None or not matches(args.resource_type, patterns) or _is_exempt(args, settings):
            return None
        props = cast("dict[str, Any]", editable(args.props))
        draft = Draft(
            args.resource_type,
            args.name,
            props,
            with_defaults(args.get_config(), settings),
            args.opts,
            args.urn,
        )
        remedy(draft)
        return props if draft.changed else None

    return ResourceValidationPolicy(
        name=name,
        description=description,
        validate=validate,
        # The SDK types a remediation as asynchronous, and takes plain results as well.
        remediate=cast("Any", remediate) if remedy else None,
        enforcement_level=level or default_level(severity, remediable=remedy is not None),
        config_schema=_schema(settings),
        display_name=_title(name),
        severity=severity,
        framework=_framework(reference),
        tags=_tags(reference, tags),
        remediation_steps=steps,
        url=reference.url,
    )


def stack_check(
    name: str,
    description: str,
    *,
    severity: Severity,
    check: StackCheck,
    steps: str,
    reference: Reference,
    config: Mapping[str, Setting] | None = None,
    level: EnforcementLevel | None = None,
    tags: Iterable[str] = (),
) -> StackValidationPolicy:
    """A policy over all resources of a stack together, after they are all known. Levels as for `resource_check`."""
    settings = dict(config or {})

    def validate(args: StackValidationArgs, violation: ReportViolation) -> None:
        resources = tuple(_member(each) for each in args.resources)
        report = Report(violation)
        with report.guard():
            check(Stack(resources, with_defaults(args.get_config(), settings), args.stack_tags), report)
        report.finish()

    return StackValidationPolicy(
        name=name,
        description=description,
        validate=validate,
        enforcement_level=level or default_level(severity, remediable=False),
        config_schema=_schema(settings),
        display_name=_title(name),
        severity=severity,
        framework=_framework(reference),
        tags=_tags(reference, tags),
        remediation_steps=steps,
        url=reference.url,
    )


def default_level(severity: Severity, *, remediable: bool) -> EnforcementLevel:
    """What a check does where no configuration says otherwise."""
    if remediable:
        return EnforcementLevel.REMEDIATE
    return EnforcementLevel.MANDATORY if severity in (HIGH, CRITICAL) else EnforcementLevel.ADVISORY


def with_defaults(config: Mapping[str, Any], settings: Mapping[str, Setting]) -> Mapping[str, Any]:
    """The configuration of a check. Engines fill in defaults themselves; a host without configuration gives none."""
    return {key: setting.default for key, setting in settings.items()} | dict(config)


def texts(default: Sequence[str], description: str) -> Setting:
    """A setting that is a list of texts."""
    return Setting(list(default), {"type": "array", "items": {"type": "string"}}, description)


def number(default: float, description: str) -> Setting:
    """A setting that is a number, 0 or more."""
    return Setting(default, {"type": "number", "minimum": 0}, description)


def flag(default: bool, description: str) -> Setting:
    """A setting that is true or false."""
    return Setting(default, {"type": "boolean"}, description)


def at(props: object, *path: str) -> Any:
    """The value at a path of keys; None where any of it is missing. Raises UnknownValueError where it is unknown."""
    value: Any = props
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = cast("Props", value).get(key)
    return value


def is_list(value: object) -> bool:
    """Whether a value is a list, as properties have them (the SDK wraps lists)."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_unknown(value: object) -> bool:
    """Whether a value is one of the SDK's marks for what is not known yet."""
    return isinstance(value, str) and value in UNKNOWNS


def revealed(value: Any) -> Any:
    """What a secret holds; any other value as it is."""
    return value.value if isinstance(value, Secret) else value


def editable(value: Any) -> Any:
    """A deep copy of properties in plain dicts and lists, secrets and unknown marks kept. The SDK's wrappers give out what they
    wrap under the key `__target`, and take secrets off what is read in any other way."""
    if isinstance(value, Secret):
        return Secret(editable(value.value))
    if isinstance(value, Mapping):
        mapping = cast("Props", value)
        inside = mapping if isinstance(mapping, dict) else cast("Props", mapping["__target"])
        return {key: editable(each) for key, each in inside.items()}
    if is_list(value):
        inside = value if isinstance(value, list | tuple) else value["__target"]
        return [editable(each) for each in cast("Sequence[Any]", inside)]
    return value


def shown(value: object) -> str:
    """A value in a message: whole numbers without a point, texts as they are."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@cache
def matches(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether a type or a name is one of `patterns`, in which `*` stands for anything."""
    return any(fnmatchcase(text, each) for each in patterns)


def _is_exempt(args: ResourceValidationArgs, settings: Mapping[str, Setting]) -> bool:
    return matches(args.name, tuple(with_defaults(args.get_config(), settings)["exempt"]))


def _resource(args: ResourceValidationArgs, settings: Mapping[str, Setting]) -> Resource:
    return Resource(
        type=args.resource_type,
        name=args.name,
        urn=args.urn,
        props=args.props,
        config=with_defaults(args.get_config(), settings),
        options=args.opts,
        provider=args.provider.urn if args.provider else "",
        provider_props=args.provider.props if args.provider else {},
        parent=args.opts.parent or "",
    )


class _NotKnownYet(Mapping[str, Any]):
    """The properties of a resource whose provider is not there yet. Engines hand them over as an empty object, which must not be
    taken for one that has nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, key: str) -> Any:
        raise UnknownValueError(UNKNOWN_OBJECT_VALUE, [self._name, key])

    def __iter__(self) -> Iterator[str]:
        raise UnknownValueError(UNKNOWN_OBJECT_VALUE, [self._name])

    def __len__(self) -> int:
        raise UnknownValueError(UNKNOWN_OBJECT_VALUE, [self._name])


def _member(each: PolicyResource) -> Resource:
    return Resource(
        type=each.resource_type,
        name=each.name,
        urn=each.urn,
        props=each.props if len(each.props) else _NotKnownYet(each.name),
        config={},
        options=each.opts,
        provider=each.provider.urn if each.provider else "",
        provider_props=each.provider.props if each.provider else {},
        dependencies=tuple(one.urn for one in each.dependencies),
        property_dependencies={
            key: tuple(one.urn for one in ones) for key, ones in each.property_dependencies.items()
        },
        parent=each.parent.urn if each.parent else "",
    )


def _schema(settings: Mapping[str, Setting]) -> PolicyConfigSchema | None:
    if not settings:
        return None
    return PolicyConfigSchema(
        {
            key: {**each.schema, "default": each.default, "description": each.description}
            for key, each in settings.items()
        }
    )


def _framework(reference: Reference) -> PolicyComplianceFramework:
    return PolicyComplianceFramework(
        reference.framework, reference.version, reference.section, reference.title
    )


def _tags(reference: Reference, tags: Iterable[str]) -> list[str]:
    return [*tags, *reference.checkov, *reference.also]


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()
