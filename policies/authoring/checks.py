"""How a check becomes a policy: a function over a resource or a stack, with what it asks for, where that comes from, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from pulumi_policy import (
    EnforcementLevel,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from model_factory.graph.declared import matches
from model_factory.graph.urn import name_of
from policies.authoring.drafts import Draft, editable
from policies.authoring.references import Reference
from policies.authoring.resources import Report, Resource, Stack

LOW, MEDIUM, HIGH, CRITICAL = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL

Policy = ResourceValidationPolicy | StackValidationPolicy
ResourceCheck = Callable[[Resource, Report], None]
StackCheck = Callable[[Stack, Report], None]
# Changes the draft in place.
Remedy = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration value of a check: its JSON schema and its default, in one place."""

    default: Any
    schema: Mapping[str, Any]
    description: str


def texts(default: Sequence[str], description: str) -> Setting:
    """A setting that is a list of texts."""
    return Setting(list(default), {"type": "array", "items": {"type": "string"}}, description)


def number(default: float, description: str) -> Setting:
    """A setting that is a number, 0 or more."""
    return Setting(default, {"type": "number", "minimum": 0}, description)


EXEMPT = texts((), "Logical names of resources not to judge; * for anything.")


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
    tags: Iterable[str] = (),
) -> ResourceValidationPolicy:
    """A policy over single resources whose type matches one of `types` (`*` stands for anything).

    Its level follows from severity: remediate where there is a `remedy`, mandatory for critical and high, advisory below.
    Configuration files may say otherwise, and may exempt resources by name. For other types, and for what is exempt, it reports
    itself as not applicable.
    """
    patterns, settings = tuple(types), {**(config or {}), "exempt": EXEMPT}

    def validate(args: ResourceValidationArgs, violation: ReportViolation) -> None:
        if not matches(args.resource_type, patterns):
            args.not_applicable()
        configured = _with_defaults(args.get_config(), settings)
        if matches(args.name, tuple(configured["exempt"])):
            args.not_applicable(f"{args.name} is exempt by configuration")
        report = Report(_with_remedy(violation, name, steps))
        with report.guard():
            check(Resource.alone(args, configured), report)
        report.finish()

    def remediate(args: ResourceValidationArgs) -> Mapping[str, Any] | None:
        configured = _with_defaults(args.get_config(), settings)
        if (
            remedy is None
            or not matches(args.resource_type, patterns)
            or matches(args.name, tuple(configured["exempt"]))
        ):
            return None
        props = cast("dict[str, Any]", editable(args.props))
        draft = Draft(args.resource_type, args.name, props, configured, args.opts, args.urn)
        remedy(draft)
        return props if draft.changed else None

    level = EnforcementLevel.REMEDIATE if remedy else _default_level(severity)
    return ResourceValidationPolicy(
        validate=validate,
        # The SDK types a remediation as asynchronous, and takes plain results as well.
        remediate=cast("Any", remediate) if remedy else None,
        **_metadata(name, description, level, severity, steps, reference, settings, tags),
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
    tags: Iterable[str] = (),
) -> StackValidationPolicy:
    """A policy over all resources of a stack together, after they are all known. Levels as for `resource_check`.

    Exempt resources stay in sight, as others are judged by them; what is found of them themselves is not reported.
    """
    settings = {**(config or {}), "exempt": EXEMPT}

    def validate(args: StackValidationArgs, violation: ReportViolation) -> None:
        configured = _with_defaults(args.get_config(), settings)
        exempt = tuple(configured["exempt"])

        remedied = _with_remedy(violation, name, steps)

        def told(message: str, urn: str | None = None) -> None:
            if urn is None or not matches(name_of(urn), exempt):
                remedied(message, urn)

        report = Report(told)
        with report.guard():
            check(Stack(tuple(map(Resource.member, args.resources)), configured, args.stack_tags), report)
        report.finish()

    return StackValidationPolicy(
        validate=validate,
        **_metadata(name, description, _default_level(severity), severity, steps, reference, settings, tags),
    )


def _with_remedy(violation: ReportViolation, name: str, steps: str) -> ReportViolation:
    """Each violation with what to do about it as its last line: hosts show messages, and not the steps in a policy's metadata."""

    def told(message: str, urn: str | None = None) -> None:
        violation(f"{message}\n{remedy_line(name, steps)}", urn)

    return told


def remedy_line(name: str, steps: str) -> str:
    """The last line of a violation."""
    return f"{steps} See docs/policies.md#{name}."


class _Metadata(TypedDict):
    name: str
    description: str
    enforcement_level: EnforcementLevel
    config_schema: PolicyConfigSchema
    display_name: str
    severity: Severity
    framework: PolicyComplianceFramework
    tags: list[str]
    remediation_steps: str
    url: str


def _metadata(
    name: str,
    description: str,
    level: EnforcementLevel,
    severity: Severity,
    steps: str,
    reference: Reference,
    settings: Mapping[str, Setting],
    tags: Iterable[str],
) -> _Metadata:
    schemas = {
        key: {**each.schema, "default": each.default, "description": each.description} for key, each in settings.items()
    }
    return {
        "name": name,
        "description": description,
        "enforcement_level": level,
        "config_schema": PolicyConfigSchema(schemas),
        "display_name": name.replace("-", " ").capitalize(),
        "severity": severity,
        "framework": PolicyComplianceFramework(
            reference.framework, reference.version, reference.section, reference.title
        ),
        "tags": [*tags, *reference.checkov, *reference.also],
        "remediation_steps": steps,
        "url": reference.url,
    }


def _default_level(severity: Severity) -> EnforcementLevel:
    return EnforcementLevel.MANDATORY if severity in (HIGH, CRITICAL) else EnforcementLevel.ADVISORY


def _with_defaults(config: Mapping[str, Any], settings: Mapping[str, Setting]) -> Mapping[str, Any]:
    """The configuration of a check. Engines fill in defaults themselves; a host without configuration gives none."""
    return {key: setting.default for key, setting in settings.items()} | dict(config)
