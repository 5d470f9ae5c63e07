"""Policies as a host runs them: properties cross the wire, are wrapped against unknowns, and the SDK's own servicer calls the check.

Nothing is rebuilt here: `Pack` is the servicer that `PolicyPack` would serve, called without a socket. So what tests see (downgraded
levels, "can't run policy", wrapped properties, secrets) is what an engine gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel
from pulumi_policy import policy as sdk
from pulumi_policy.proxy import (
    UNKNOWN_ARRAY_VALUE,
    UNKNOWN_BOOLEAN_VALUE,
    UNKNOWN_NUMBER_VALUE,
    UNKNOWN_OBJECT_VALUE,
    UNKNOWN_STRING_VALUE,
)

from policies.authoring.checks import Policy

UNKNOWN = UNKNOWN_STRING_VALUE
UNKNOWN_BOOLEAN = UNKNOWN_BOOLEAN_VALUE
UNKNOWN_NUMBER = UNKNOWN_NUMBER_VALUE
UNKNOWN_LIST = UNKNOWN_ARRAY_VALUE
UNKNOWN_OBJECT = UNKNOWN_OBJECT_VALUE
SECRET_KEY = "4dabf18193072939515e22adb298388d"
SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270"


def secret(value: Any) -> dict[str, Any]:
    """A secret as it stands on the wire."""
    return {SECRET_KEY: SECRET_MARK, "value": value}


@dataclass(frozen=True)
class Given:
    """A resource handed to policies. `provider` is a name: objects with the same one are in the same cluster."""

    type: str
    props: Mapping[str, Any]
    name: str = "subject"
    provider: str = ""
    protect: bool = False
    parent: str = ""
    dependencies: Sequence[str] = ()
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    provider_props: Mapping[str, Any] = field(default_factory=dict)

    @property
    def urn(self) -> str:
        return f"urn:pulumi:test::model-factory::{self.type}::{self.name}"


@dataclass(frozen=True)
class Verdict:
    """What a host hears of one policy: violations, what could not be run, and why it did not apply."""

    violations: tuple[str, ...]
    not_evaluated: tuple[str, ...]
    not_applicable: bool
    levels: tuple[int, ...] = ()
    urns: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    """The last line of each violation."""

    @property
    def passed(self) -> bool:
        return not (self.violations or self.not_evaluated or self.not_applicable)


@dataclass
class Pack:
    """Policies behind the SDK's servicer. `config` is what a configuration file holds."""

    policies: Sequence[Policy]
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.servicer = sdk._PolicyAnalyzerServicer(
            "model-factory", "1.0.0", list(self.policies), EnforcementLevel.ADVISORY
        )
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, values in self.config.items():
            one = next(each for each in self.policies if each.name == name)
            level = values.get("enforcementLevel", (one.enforcement_level or EnforcementLevel.ADVISORY).value)
            rest = {key: value for key, value in values.items() if key != "enforcementLevel"}
            request.policyConfig[name].enforcementLevel = analyzer_pb2.EnforcementLevel.Value(level.upper())
            request.policyConfig[name].properties.CopyFrom(struct(rest))
        self.servicer.Configure(request, None)

    def analyze(self, given: Given) -> dict[str, Verdict]:
        """Each resource policy's verdict on one resource."""
        request = analyzer_pb2.AnalyzeRequest(
            type=given.type, name=given.name, urn=given.urn, properties=struct(given.props)
        )
        request.options.protect = given.protect
        request.options.parent = given.parent
        if given.provider:
            request.provider.CopyFrom(provider(given))
        return self._verdicts(self.servicer.Analyze(request, None))

    def analyze_stack(self, resources: Sequence[Given]) -> dict[str, Verdict]:
        """Each stack policy's verdict on a stack."""
        request = analyzer_pb2.AnalyzeStackRequest()
        for given in resources:
            one = request.resources.add(
                type=given.type,
                name=given.name,
                urn=given.urn,
                properties=struct(given.props),
                parent=given.parent,
                dependencies=given.dependencies,
            )
            one.options.protect = given.protect
            for key, urns in given.property_dependencies.items():
                one.propertyDependencies[key].urns.extend(urns)
            if given.provider:
                one.provider.CopyFrom(provider(given))
        return self._verdicts(self.servicer.AnalyzeStack(request, None))

    def remediate(self, given: Given) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The properties after every remediation, as they go back over the wire, and the names of those that changed them."""
        request = analyzer_pb2.AnalyzeRequest(
            type=given.type, name=given.name, urn=given.urn, properties=struct(given.props)
        )
        request.options.protect = given.protect
        answer = self.servicer.Remediate(request, None)
        changed = [each for each in answer.remediations if each.HasField("properties")]
        last = json_format.MessageToDict(changed[-1].properties) if changed else dict(given.props)
        return last, tuple(each.policyName for each in changed)

    def _verdicts(self, answer: analyzer_pb2.AnalyzeResponse) -> dict[str, Verdict]:
        verdicts: dict[str, Verdict] = {}
        for each in self.policies:
            mine = [one for one in answer.diagnostics if one.policyName == each.name]
            cannot = [one.message for one in mine if one.message.startswith("can't run policy")]
            found = [one for one in mine if one.message not in cannot]
            verdicts[each.name] = Verdict(
                violations=tuple(one.message.partition("\n")[2].rpartition("\n")[0] for one in found),
                remedies=tuple(one.message.rpartition("\n")[2] for one in found),
                not_evaluated=tuple(cannot),
                not_applicable=any(one.policy_name == each.name for one in answer.not_applicable),
                levels=tuple(one.enforcementLevel for one in found),
                urns=tuple(one.urn for one in found),
            )
        return verdicts


def provider(given: Given) -> analyzer_pb2.AnalyzerProviderResource:
    """The provider of a resource."""
    kind = f"pulumi:providers:{given.type.partition(':')[0]}"
    return analyzer_pb2.AnalyzerProviderResource(
        type=kind,
        name=given.provider,
        urn=f"urn:pulumi:test::model-factory::{kind}::{given.provider}",
        properties=struct(given.provider_props),
    )


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties as they cross the wire."""
    return json_format.ParseDict(dict(values), struct_pb2.Struct())


def judged(policies: Sequence[Policy], name: str, given: Given, **config: Any) -> Verdict:
    """One resource policy's verdict on one resource."""
    return Pack([policy_named(policies, name)], {name: config} if config else {}).analyze(given)[name]


def judged_stack(policies: Sequence[Policy], name: str, resources: Sequence[Given], **config: Any) -> Verdict:
    """One stack policy's verdict on a stack."""
    return Pack([policy_named(policies, name)], {name: config} if config else {}).analyze_stack(resources)[name]


def remediated(policies: Sequence[Policy], name: str, given: Given, **config: Any) -> dict[str, Any]:
    """A resource's properties after one policy's remediation."""
    level = {"enforcementLevel": "remediate", **config}
    return Pack([policy_named(policies, name)], {name: level}).remediate(given)[0]


def policy_named(policies: Sequence[Policy], name: str) -> Policy:
    found = [each for each in policies if each.name == name]
    assert len(found) == 1, f"{len(found)} policies {name}"
    return found[0]
