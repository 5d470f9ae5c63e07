"""Policy packs on the local engine: what they say of each resource and of the stack, and what follows from it.

As Pulumi has it (pulumi/pulumi, pkg/resource/deploy/step_generator.go): packs first remediate a resource's inputs, one after the
other, then judge what came of it. A mandatory violation stops an `up` before the resource is changed; a preview goes on, shows all,
and fails in the end. What a pack cannot judge before an `up` it reports as advisory "can't run policy", and never as passed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from pulumi.runtime.proto import analyzer_pb2

from model_factory.graph.masking import MASK
from model_factory.graph.urn import STACK_TYPE, provider_urn
from model_factory.local import wire
from model_factory.local.engine.errors import PolicyError
from model_factory.local.engine.events import EventSink, PackName, PolicySummaryKind
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.policy_process import PolicyPack, Stream
from model_factory.local.engine.request import Deployment
from model_factory.local.wire import UNKNOWN, Properties, Secret, Value

_LEVELS: Final[Mapping[int, str]] = {
    analyzer_pb2.ADVISORY: "advisory",
    analyzer_pb2.MANDATORY: "mandatory",
    # What a remediation could not mend is as bad as what must not be.
    analyzer_pb2.REMEDIATE: "mandatory",
}
_SEVERITIES: Final[Mapping[int, str]] = {
    analyzer_pb2.POLICY_SEVERITY_LOW: "low",
    analyzer_pb2.POLICY_SEVERITY_MEDIUM: "medium",
    analyzer_pb2.POLICY_SEVERITY_HIGH: "high",
    analyzer_pb2.POLICY_SEVERITY_CRITICAL: "critical",
}
_SHORTEST_SECRET: Final = 3


class Policies:
    """The packs of one run. Used on the engine's loop.

    `find` tells a resource of this run by its URN. `violations` are (URN, message) of what a preview goes on after, and of stack
    policies: the run has failed for them. Events have told of each.
    """

    def __init__(self, deployment: Deployment, sink: EventSink, find: Callable[[str], ResourceState | None]) -> None:
        self._packs = [PolicyPack(source, deployment, self._heard) for source in deployment.request.policy_packs]
        self._dry_run = deployment.request.previews
        self._sink = sink
        self._find = find
        self._opening: asyncio.Future[list[None]] | None = None
        self._loop = asyncio.get_running_loop()
        self._ready = False
        self._secrets: set[str] = set()
        self._plain: set[str] = set()
        self.violations: list[tuple[str, str]] = []

    @property
    def versions(self) -> Mapping[str, str]:
        """The packs that run, by name."""
        return {pack.info.name: pack.version for pack in self._packs if pack.info.name}

    def start(self) -> None:
        """Start the packs, and return at once: they load while the program does."""
        for _ in self._packs:
            self._sink.policy_load()
        self._opening = asyncio.gather(*(asyncio.to_thread(_open, pack) for pack in self._packs))

    async def ready(self) -> None:
        """Wait until every pack can be asked. Raises PolicyError where one cannot."""
        if self._ready or self._opening is None:
            return
        try:
            await asyncio.shield(self._opening)
        except PolicyError as error:
            raise PolicyError("", self._strike(str(error))) from error
        self._ready = True

    async def close(self) -> None:
        """End the packs, and show the last of what they printed."""
        await asyncio.gather(*(asyncio.to_thread(pack.close) for pack in self._packs))
        if self._opening is not None:
            # A pack that was ended while it loaded has failed, and nobody needs to know.
            self._opening.add_done_callback(lambda opening: opening.cancelled() or opening.exception())

    # -- one resource --------------------------------------------------------------------------------------------------

    def resource(self, state: ResourceState) -> Properties:
        """The inputs after remediation. Raises PolicyError where an `up` must not change this resource."""
        self._conceal(state.inputs)
        inputs = state.inputs
        for pack in self._packs:
            inputs = self._remediate(pack, state, inputs)
        request = self._request(state, inputs)
        for key in [key for key in request.properties.fields if key.startswith("__")]:
            del request.properties.fields[key]
        broken: list[str] = []
        for pack in self._packs:
            response = self._asked(lambda pack=pack: pack.analyze(request))
            found = [self._violation(pack, state.urn, diagnostic) for diagnostic in response.diagnostics]
            broken += [policy for policy, level in found if level == "mandatory"]
            self._summary("analyze", pack, state.urn, (policy for policy, _ in found), response.not_applicable)
        if broken:
            message = f"forbidden by {_listed(broken)}"
            if not self._dry_run:
                raise PolicyError(state.urn, f"{message}; it was not changed")
            self.violations.append((state.urn, message))
        return inputs

    def _remediate(self, pack: PolicyPack, state: ResourceState, inputs: Properties) -> Properties:
        response = self._asked(lambda: pack.remediate(self._request(state, inputs)))
        for remediation in response.remediations:
            policy = remediation.policyName
            if remediation.diagnostic:
                self._say(pack, state.urn, policy, remediation.diagnostic, "advisory", "")
                continue
            try:
                mended = {
                    key: _as_secret_as(inputs.get(key), value)
                    for key, value in wire.decode(remediation.properties).items()
                }
            except ValueError as error:
                raise PolicyError(state.urn, f"{pack.label}: the remediation {policy} gave {error}") from error
            self._sink.remediation(state.urn, _name(pack), policy, inputs, mended)
            inputs = mended
        failed = (remediation.policyName for remediation in response.remediations)
        self._summary("remediate", pack, state.urn, failed, response.not_applicable)
        return inputs

    # -- the stack -----------------------------------------------------------------------------------------------------

    async def stack(self, states: Sequence[ResourceState]) -> None:
        """Judge all resources together, as they are now (in a preview: as far as it is known). Raises PolicyError."""
        request = analyzer_pb2.AnalyzeStackRequest(resources=[self._member(state) for state in states])
        for state in states:
            self._conceal(state.inputs, state.outputs)
        known = {state.urn for state in states}
        root = next((state.urn for state in states if state.type == STACK_TYPE), "")
        for pack in self._packs:
            response = await self._asked_aside(lambda pack=pack: pack.analyze_stack(request))
            policies: list[str] = []
            for diagnostic in response.diagnostics:
                urn = diagnostic.urn if diagnostic.urn in known else root
                policy, level = self._violation(pack, urn, diagnostic)
                policies.append(policy)
                if level == "mandatory":
                    self.violations.append((urn, f"forbidden by {_listed([policy])}"))
            self._summary("analyzeStack", pack, "", policies, response.not_applicable)

    # -- what packs are sent -------------------------------------------------------------------------------------------

    def _request(self, state: ResourceState, inputs: Properties) -> analyzer_pb2.AnalyzeRequest:
        return analyzer_pb2.AnalyzeRequest(
            type=state.type, urn=state.urn, name=state.name, options=_options(state), provider=self._provider(state),
            properties=_encode(inputs),
        )  # fmt: skip

    def _member(self, state: ResourceState) -> analyzer_pb2.AnalyzerResource:
        dependencies = {
            key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
            for key, urns in state.property_dependencies.items()
            if urns
        }
        return analyzer_pb2.AnalyzerResource(
            type=state.type, urn=state.urn, name=state.name, options=_options(state), provider=self._provider(state),
            properties=_encode(_public(self._foreseen(state))), parent=state.parent, dependencies=state.dependencies,
            propertyDependencies=dependencies,
        )  # fmt: skip

    def _foreseen(self, state: ResourceState) -> Properties:
        """What a resource will have. Where its provider is not there yet, as for the objects of a cluster that is still to be made,
        a preview knows no outputs: but what the program asks for is known, and can be judged before anything is paid for. Pulumi
        sends nothing then."""
        if not self._dry_run or state.outputs or not state.custom:
            return state.outputs
        return {**state.inputs, "id": UNKNOWN}

    def _provider(self, state: ResourceState) -> analyzer_pb2.AnalyzerProviderResource | None:
        provider = self._find(provider_urn(state.provider)) if state.provider else None
        if provider is None:
            return None
        return analyzer_pb2.AnalyzerProviderResource(
            type=provider.type,
            urn=provider.urn,
            name=provider.name,
            properties=_encode(_public(provider.inputs)),
        )

    # -- what packs answer ---------------------------------------------------------------------------------------------

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except PolicyError as error:
            raise PolicyError(error.urn, self._strike(str(error))) from error

    async def _asked_aside(self, ask: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(self._asked, ask)

    def _violation(self, pack: PolicyPack, urn: str, diagnostic: analyzer_pb2.AnalyzeDiagnostic) -> tuple[str, str]:
        """Tell of it. The policy's name, and the level that counts."""
        policy = diagnostic.policyName
        level = _LEVELS[diagnostic.enforcementLevel]
        severity = _SEVERITIES.get(diagnostic.severity or pack.severities.get(policy, 0), "")
        self._say(pack, urn, policy, diagnostic.message, level, severity)
        return policy, level

    def _say(self, pack: PolicyPack, urn: str, policy: str, message: str, level: str, severity: str) -> None:
        self._sink.violation(urn, _name(pack), policy, self._strike(message), level, severity)

    def _summary(
        self, kind: PolicySummaryKind, pack: PolicyPack, urn: str, failed: Iterable[str],
        not_applicable: Iterable[analyzer_pb2.PolicyNotApplicable],
    ) -> None:  # fmt: skip
        failing = set(failed)
        other = failing | {item.policy_name for item in not_applicable}
        wanted = analyzer_pb2.POLICY_TYPE_STACK if kind == "analyzeStack" else analyzer_pb2.POLICY_TYPE_RESOURCE
        passed = [
            policy.name
            for policy in pack.info.policies
            if policy.policy_type in (wanted, analyzer_pb2.POLICY_TYPE_UNKNOWN)
            and policy.name not in other
            and pack.settings[policy.name].level != analyzer_pb2.DISABLED
        ]
        self._sink.policy_summary(kind, urn, _name(pack), sorted(passed), sorted(failing))

    # -- what packs print ----------------------------------------------------------------------------------------------

    def _heard(self, stream: Stream, line: str) -> None:
        """On a thread of the pack's. Once the loop is closed the run is over, and nobody listens."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(lambda: self._sink.diagnostic(stream, self._strike(line)))

    def _conceal(self, inputs: Properties, outputs: Properties | None = None) -> None:
        for text, secret in _texts(inputs, secret=False):
            (self._secrets if secret else self._plain).add(text)
        self._secrets.update(text for text, secret in _texts(outputs or {}, secret=False) if secret)

    def _strike(self, message: str) -> str:
        """Packs are handed secrets in plain text, as Pulumi does: what they say must not give them away.

        The SDK makes a whole list secret for one member, so what stands in plain elsewhere is left alone: a container's name.
        """
        for secret in sorted(self._secrets - self._plain, key=len, reverse=True):
            message = message.replace(secret, MASK)
        return message


def _open(pack: PolicyPack) -> None:
    pack.start()
    pack.open()


def _name(pack: PolicyPack) -> PackName:
    return PackName(pack.info.name, pack.version)


def _listed(policies: Iterable[str]) -> str:
    names = sorted(set(policies))
    return f"the mandatory {'policy' if len(names) == 1 else 'policies'} {', '.join(names)}"


def _encode(properties: Properties) -> Any:
    return wire.encode(properties, keep_outputs=False, keep_resources=False)


def _public(properties: Properties) -> Properties:
    """Without the keys that providers keep for themselves."""
    return {key: value for key, value in properties.items() if not key.startswith("__")}


def _options(state: ResourceState) -> analyzer_pb2.AnalyzerResourceOptions:
    timeouts = state.custom_timeouts
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=state.protect, ignoreChanges=state.ignore_changes, deleteBeforeReplace=bool(state.delete_before_replace),
        deleteBeforeReplaceDefined=state.delete_before_replace is not None, aliases=state.aliases,
        additionalSecretOutputs=state.additional_secret_outputs, parent=state.parent,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(
            create=timeouts.create if timeouts else 0, update=timeouts.update if timeouts else 0,
            delete=timeouts.delete if timeouts else 0, read=timeouts.read if timeouts else 0,
        ),
    )  # fmt: skip


def _as_secret_as(before: Value, after: Value) -> Value:
    """What was secret stays so: the SDK takes the marks off what a remediation reads and hands back."""
    if isinstance(before, Secret):
        return after if isinstance(after, Secret) else Secret(after)
    if isinstance(before, dict) and isinstance(after, dict):
        return {key: _as_secret_as(before.get(key), item) for key, item in after.items()}
    if isinstance(before, list) and isinstance(after, list):
        rest = after[len(before) :]
        return [_as_secret_as(old, new) for old, new in zip(before, after, strict=False)] + rest
    return after


def _texts(value: Value, *, secret: bool) -> Iterable[tuple[str, bool]]:
    """The texts in a value at any depth, and whether each is secret."""
    if isinstance(value, str):
        if len(value) >= _SHORTEST_SECRET:
            yield value, secret
    elif isinstance(value, Secret):
        yield from _texts(value.value, secret=True)
    elif isinstance(value, wire.Output):
        yield from _texts(value.value, secret=secret or value.secret)
    elif isinstance(value, wire.Asset):
        for item in value.fields.values():
            yield from _texts(item, secret=secret)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, secret=secret)
