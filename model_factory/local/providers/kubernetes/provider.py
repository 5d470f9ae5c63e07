"""pulumi-kubernetes' protocol over rendered folders and over API servers on this machine.

A provider with `renderYamlToDirectory` keeps its objects in that folder (`folder.py`). Unlike Pulumi's plugin in that mode, a refresh reads
the files back, so a changed or deleted file is drift, and what an API server would refuse is refused. With a kubeconfig or a context it
talks to that cluster (`server.py`), as the plugin does with server-side apply; its server has to be on loopback: others are the Pulumi CLI's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from model_factory.graph.paths import parse
from model_factory.graph.urn import name_of
from model_factory.local import wire
from model_factory.local.clouds.kubernetes.cluster import Cluster, Reference, changed_immutable_fields
from model_factory.local.clouds.kubernetes.place import cluster_refusal
from model_factory.local.providers.base import Call, Function, ResourceType
from model_factory.local.providers.diff import Change
from model_factory.local.providers.errors import (
    CloudError,
    ConfigurationError,
    Failure,
    ProviderError,
    UnsupportedError,
)
from model_factory.local.providers.kubernetes import objects, options
from model_factory.local.providers.kubernetes.changes import differences, replacing_paths
from model_factory.local.providers.kubernetes.folder import FolderStore
from model_factory.local.providers.kubernetes.place import ACTIVE_CLUSTER_KEYS, active_cluster, unreachable
from model_factory.local.providers.kubernetes.releases import RELEASE, Releases
from model_factory.local.providers.kubernetes.store import FORGET_VARIABLE, UNREACHABLE, Kind, Manner, Store
from model_factory.local.providers.kubernetes.tokens import is_published
from model_factory.local.providers.provider import PROPERTY_KINDS, PartialError, Provider, type_token
from model_factory.local.providers.values import flag, text
from model_factory.local.wire import UNKNOWN, Properties, Unknown, Value, is_unknown, reveal

RENDER: Final = "renderYamlToDirectory"
_CLI: Final = "use the Pulumi CLI for real clusters"
_STABLE: Final = frozenset({"name", "uid", "creationTimestamp"})
_IDENTITY: Final = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Target:
    """What one configured provider works on, and how."""

    store: Store
    namespace: str = "default"
    mutable_config_maps: bool = False
    mutable_secrets: bool = False
    always_render: bool = False
    upsert: bool = False
    forgets_unreachable: bool = False


class KubernetesProvider(Provider[Target]):
    """Any kind that its store keeps. Relative render folders are taken from `root`."""

    name = "kubernetes"
    version = "4.34.2"

    def __init__(self, root: Path | None = None) -> None:
        super().__init__()
        self._root = root
        self._checker = objects.validator()

    # Configuration

    def check_config(self, config: Properties) -> Iterable[Failure]:
        if any(isinstance(config.get(key), Unknown) for key in (RENDER, *ACTIVE_CLUSTER_KEYS)):
            return
        folder = config.get(RENDER)
        # The SDK fills kubeconfig in from $KUBECONFIG: that one nobody asked for.
        ambient = config.get("kubeconfig") == os.environ.get("KUBECONFIG")
        asked = [key for key in ACTIVE_CLUSTER_KEYS if config.get(key) and not (key == "kubeconfig" and ambient)]
        if folder:
            if refusal := cluster_refusal(self._root or Path.cwd(), str(folder)):
                yield Failure(RENDER, refusal)
            for key in asked:
                yield Failure(key, f"not compatible with {RENDER}; leave one of them out")
            return
        if not asked:
            yield Failure(
                RENDER, f"missing, as are kubeconfig and context: name a folder, or a cluster on this machine; {_CLI}"
            )
        if config.get("cluster"):
            yield Failure("cluster", "not supported here; name a context that leads to this cluster")
        if config.get("enableServerSideApply") is not None and not flag(config, "enableServerSideApply"):
            yield Failure(
                "enableServerSideApply", "false is not supported here: objects are applied by the server; leave it out"
            )
        if asked:
            yield from unreachable(text(config, "kubeconfig"), text(config, "context"))

    def configure(self, config: Properties) -> Target:
        problems = [f"{failure.property}: {failure.reason}" for failure in self.check_config(config)]
        if problems:
            raise ConfigurationError(f"kubernetes provider: {'; '.join(problems)}")
        store = self._store(config)
        return Target(
            store,
            namespace=text(config, "namespace") or store.namespace,
            mutable_config_maps=_switch(config, "enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
            mutable_secrets=_switch(config, "enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
            always_render=flag(config, "alwaysRender"),
            upsert=_switch(config, "upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
            forgets_unreachable=_switch(config, "deleteUnreachable", FORGET_VARIABLE),
        )

    def _store(self, config: Properties) -> Store:
        if folder := text(config, RENDER):
            return FolderStore(Cluster((self._root or Path.cwd()) / folder))
        # The official client takes memory and half a second, which rendering does without.
        from model_factory.local.providers.kubernetes.server import server_store

        return server_store(text(config, "kubeconfig"), text(config, "context"))

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        """As pulumi-kubernetes: another folder, another active cluster, or one not known yet, replaces what stands in it."""
        response = super().DiffConfig(request, context)
        olds = wire.decode(request.old_inputs) or wire.decode(request.olds)
        news = wire.decode(request.news)
        identifier = reveal(news.get("clusterIdentifier"))
        if identifier and identifier == reveal(olds.get("clusterIdentifier")):
            return response
        both = "clusterIdentifier" in olds and "clusterIdentifier" in news
        response.replaces.extend(
            key for key in response.diffs if key == RENDER or (key == "clusterIdentifier" and both)
        )
        computed = [key for key in ACTIVE_CLUSTER_KEYS if is_unknown(news.get(key))]
        before, after = active_cluster(olds), active_cluster(news)
        if computed or (before is not None and after is not None and before != after):
            changed = computed or [key for key in ACTIVE_CLUSTER_KEYS if key in response.diffs]
            response.replaces.extend(key for key in changed if key not in response.replaces)
        return response

    # Resources

    def Check(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:
        def run() -> provider_pb2.CheckResponse:
            if (releases := self._releases(type_token(request))) is not None:
                return releases.check(request)
            target, kind = self._of(request)
            news = wire.decode(request.news)
            name = request.name or name_of(request.urn)
            obj: objects.Object = {**objects.bare(news), "apiVersion": kind.api_version, "kind": kind.name}
            metadata = objects.metadata_for_change(obj)
            failures: list[str] = []
            if metadata is not None:
                olds = objects.bare(wire.decode(request.olds))
                if kind.is_patch:
                    failures += _unnamed_patch(metadata)
                else:
                    objects.set_name(metadata, olds, name=name, urn=request.urn, seed=request.randomSeed)
                failures += filter(None, [target.store.name_fault(metadata)])
                if not metadata.get("namespace") and target.store.is_namespaced(kind):
                    metadata["namespace"] = target.namespace
            obj = objects.normal(obj, self._checker)
            failures += options.violations(obj)
            if is_published(kind) and not kind.is_patch:
                failures += [str(violation) for violation in self._checker.violations(obj)]
                if not failures:
                    failures += self._forbidden(target, objects.bare(wire.decode(request.olds)), obj)
            return provider_pb2.CheckResponse(
                inputs=wire.encode(objects.properties(obj, news)),
                # As pulumi-kubernetes, the path stands in the reason: engines look values up by top-level name only.
                failures=[provider_pb2.CheckFailure(reason=reason) for reason in failures],
            )

        return self._guard(context, run)

    def Diff(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
        def run() -> provider_pb2.DiffResponse:
            if (releases := self._releases(type_token(request))) is not None:
                return releases.diff(request)
            target, kind = self._of(request)
            old, live = objects.parse_state(wire.decode(request.olds), wire.decode(request.old_inputs))
            new = objects.normal(objects.bare(wire.decode(request.news)), self._checker)
            before = objects.normal(objects.pruned(live, old), self._checker)
            if Reference.of(new).name and Reference.of(live).name:
                before["metadata"] = {**(before.get("metadata") or {}), "name": Reference.of(live).name}
            if not target.store.is_namespaced(kind):
                # Of a kind that was not there yet it was not known.
                before, new = _outside(before), _outside(new)
            replacing = _IDENTITY if kind.is_patch else self._replacing(target, new)
            changes = [
                change for change in differences(before, new, replacing) if not change.is_within(request.ignoreChanges)
            ]
            return _diff_response(changes, Reference.of(live), new, always=target.always_render)

        return self._guard(context, run)

    def Create(self, request: provider_pb2.CreateRequest, context: Any) -> provider_pb2.CreateResponse:
        def run() -> provider_pb2.CreateResponse:
            if (releases := self._releases(type_token(request))) is not None:
                return releases.create(self._waiting(self._configured(), request, {}), request)
            target, kind = self._of(request)
            inputs = wire.decode(request.properties)
            if request.preview:
                outputs = self._foreseen(target, kind, inputs, request.urn, {})
                return provider_pb2.CreateResponse(properties=wire.encode(outputs))
            obj = self._known(inputs)
            manner = self._manner(target, kind, obj, request.urn, {})
            call = self._waiting(target, request, obj)
            live = target.store.create(call, obj, manner)
            identity = objects.object_id(Reference.of(live))
            live = self._ready(target, call, request, identity, inputs, live, {})
            state = objects.state(obj, live, inputs, request.urn, {})
            return provider_pb2.CreateResponse(id=identity, properties=wire.encode(state))

        return self._guard(context, run)

    def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:
        def run() -> provider_pb2.ReadResponse:
            if (releases := self._releases(type_token(request))) is not None:
                return releases.read(request)
            target, kind = self._of(request)
            reference = objects.reference_of(kind.api_version, kind.name, request.id)
            if not reference.namespace and target.store.is_namespaced(kind):
                reference = replace(reference, namespace=target.namespace)
            found = None
            with _forgetting(target):
                found = target.store.read(reference)
            if found is None:
                return provider_pb2.ReadResponse()
            old_inputs, recorded = wire.decode(request.inputs), wire.decode(request.properties)
            live = objects.normal(found, self._checker)
            asked = objects.bare(old_inputs)
            inputs = objects.pruned(live, asked) if asked else objects.importable(live)
            marked = old_inputs or recorded
            identity = objects.object_id(reference)
            state = objects.state(inputs, objects.kept(found, live), marked, request.urn, recorded)
            told = objects.properties(inputs, marked)
            if asked and (reason := target.store.not_ready(asked, found)):
                raise PartialError(identity, told, state, reason, None)
            return provider_pb2.ReadResponse(id=identity, properties=wire.encode(state), inputs=wire.encode(told))

        return self._guard(context, run)

    def Update(self, request: provider_pb2.UpdateRequest, context: Any) -> provider_pb2.UpdateResponse:
        def run() -> provider_pb2.UpdateResponse:
            if (releases := self._releases(type_token(request))) is not None:
                return releases.update(self._waiting(self._configured(), request, {}), request)
            target, kind = self._of(request)
            news, recorded = wire.decode(request.news), wire.decode(request.olds)
            if request.preview:
                outputs = self._foreseen(target, kind, news, request.urn, recorded)
                return provider_pb2.UpdateResponse(properties=wire.encode(outputs))
            obj = self._known(news)
            ignored = tuple(parse(path) for path in request.ignoreChanges)
            manner = replace(self._manner(target, kind, obj, request.urn, recorded), ignored=ignored)
            # What the server named is not in what was asked for.
            named = _named(obj, objects.reference_of(kind.api_version, kind.name, request.id).name)
            call = self._waiting(target, request, obj)
            live = target.store.update(call, named, manner)
            live = self._ready(target, call, request, request.id, news, live, recorded)
            state = objects.state(obj, live, news, request.urn, recorded)
            return provider_pb2.UpdateResponse(properties=wire.encode(state))

        return self._guard(context, run)

    def Delete(self, request: provider_pb2.DeleteRequest, context: Any) -> empty_pb2.Empty:
        def run() -> empty_pb2.Empty:
            if (releases := self._releases(type_token(request))) is not None:
                releases.delete(self._waiting(self._configured(), request, {}), request)
                return empty_pb2.Empty()
            target, kind = self._of(request)
            reference = objects.reference_of(kind.api_version, kind.name, request.id)
            recorded = wire.decode(request.properties)
            inputs, _ = objects.parse_state(recorded, wire.decode(request.old_inputs))
            manner = self._manner(target, kind, inputs, request.urn, recorded)
            with _forgetting(target):
                target.store.delete(self._waiting(target, request, inputs), reference, inputs, manner)
            return empty_pb2.Empty()

        return self._guard(context, run)

    def adopt(self, type_token: str, urn: str, inputs: Properties, known: Collection[str] = ()) -> str | None:
        """The id of the object that a killed create with these inputs wrote, if it did."""
        if (releases := self._releases(type_token)) is not None:
            return releases.left_behind(urn, inputs, frozenset(known))
        target = self._configured()
        kind, obj = target.store.kind(type_token), self._known(inputs)
        if kind.is_patch:
            return None  # to apply it once more is the same
        found = target.store.left_behind(obj, self._manner(target, kind, obj, urn, {}), known)
        return None if found is None else objects.object_id(found)

    # Registry: kinds come from the schemas, so there are no declarations

    def resource_type(self, token: str) -> ResourceType[Target]:
        self._configured().store.kind(token)
        raise UnsupportedError(f"{token} has no declaration: its kind's schema is all there is")

    def function(self, token: str) -> Function[Target]:
        raise UnsupportedError(
            f"the local kubernetes provider has no function {token}; describe the objects as resources"
        )

    # Private

    def _releases(self, token: str) -> Releases | None:
        """What answers for releases; None for objects, and where the store keeps no releases."""
        target = self._configured()
        return Releases(target.store, target.namespace) if token == RELEASE and target.store.keeps_releases else None

    def _of(self, request: Any) -> tuple[Target, Kind]:
        target = self._configured()
        return target, target.store.kind(type_token(request))

    def _manner(
        self, target: Target, kind: Kind, obj: objects.Object, urn: str, recorded: Mapping[str, Value]
    ) -> Manner:
        return Manner(objects.field_manager(obj, urn, recorded), is_patch=kind.is_patch, upsert=target.upsert)

    def _waiting(self, target: Target, request: Any, obj: objects.Object) -> Call[Target]:
        seconds = options.seconds(obj, float(getattr(request, "timeout", 0) or 0))
        name = request.name or name_of(request.urn)
        return Call(target, request.urn, type_token(request), name, time.monotonic() + seconds, self._cancelled)

    def _foreseen(
        self, target: Target, kind: Kind, inputs: Properties, urn: str, recorded: Mapping[str, Value]
    ) -> Properties:
        """The outputs of a preview: the inputs, and what is filled in of the metadata, not known yet where a write sets it anew."""
        obj = objects.normal(objects.bare(inputs), self._checker)
        before: Mapping[str, Any] = objects.bare(recorded).get("metadata") or {}
        if not is_unknown(obj):
            manner = self._manner(target, kind, obj, urn, recorded)
            target.store.foresee(_named(obj, str(before.get("name", ""))), manner, is_new=not recorded)
        metadata = inputs.get("metadata")
        if not isinstance(metadata, dict):
            return inputs
        filled: Properties = {
            key: cast("Value", before[key]) if key in _STABLE and key in before else UNKNOWN
            for key in target.store.fills_in
            if key not in metadata
        }
        return {**inputs, "metadata": {**metadata, **filled}}

    def _ready(
        self, target: Target, call: Call[Target], request: Any, identity: str, inputs: Properties,
        live: objects.Object, recorded: Mapping[str, Value],
    ) -> objects.Object:  # fmt: skip
        """The object once it is ready. PartialError records it as it is where it does not get so."""
        obj = self._known(inputs)
        try:
            return target.store.ready(call, obj, live)
        except ProviderError as error:
            latest = live
            with suppress(ProviderError):
                latest = target.store.read(Reference.of(live)) or live
            state = objects.state(obj, latest, inputs, request.urn, recorded)
            raise PartialError(identity, inputs, state, str(error), error.refusal) from error

    def _replacing(self, target: Target, obj: objects.Object) -> tuple[str, ...]:
        return replacing_paths(
            obj, mutable_config_maps=target.mutable_config_maps, mutable_secrets=target.mutable_secrets
        )

    def _forbidden(self, target: Target, olds: objects.Object, obj: objects.Object) -> Iterable[str]:
        """What of a change the API server would refuse; nothing where the change makes another object."""
        before = objects.normal(olds, self._checker) if olds else {}
        replacing = self._replacing(target, obj)
        if before and not any(change.replaces for change in differences(before, obj, replacing)):
            for field in changed_immutable_fields(before, obj):
                yield f"{field}: cannot change so in an object that is there; keep it, or give the resource another name to have a new one"

    def _known(self, inputs: Mapping[str, Value]) -> objects.Object:
        obj = objects.normal(objects.bare(inputs), self._checker)
        if is_unknown(obj):
            raise ProviderError(f"{Reference.of(obj)} has unknown values; only a preview may have them")
        return obj


def _diff_response(
    changes: list[Change], live: Reference, new: objects.Object, *, always: bool
) -> provider_pb2.DiffResponse:
    replaces = [change.text for change in changes if change.replaces]
    wanted = Reference.of(new)
    # The new object would stand in the old one's place, which must be free first.
    same_place = (wanted.name, wanted.namespace) == (live.name, live.namespace) and not objects.is_autonamed(new)
    some = provider_pb2.DiffResponse.DIFF_SOME if changes or always else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=some,
        replaces=replaces,
        deleteBeforeReplace=bool(replaces) and bool(wanted.name) and same_place,
        hasDetailedDiff=True,
        detailedDiff={
            change.text: provider_pb2.PropertyDiff(
                kind=PROPERTY_KINDS[change.kind, change.replaces], inputDiff=change.kind == "delete"
            )
            for change in changes
        },
    )


def _named(obj: objects.Object, name: str) -> objects.Object:
    metadata: objects.Object = obj.get("metadata") or {}
    return {**obj, "metadata": {**metadata, "name": name}} if name and not metadata.get("name") else obj


@contextmanager
def _forgetting(target: Target) -> Generator[None]:
    """A cluster that does not answer is taken for gone, with all that was in it, where that is asked for."""
    try:
        yield
    except CloudError as error:
        if not (target.forgets_unreachable and error.code == UNREACHABLE):
            raise


def _outside(obj: objects.Object) -> objects.Object:
    metadata: objects.Object = obj.get("metadata") or {}
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}


def _unnamed_patch(metadata: Mapping[str, Any]) -> list[str]:
    return [] if metadata.get("name") else ["metadata.name: missing; a patch names the object that it is a part of"]


def _switch(config: Properties, key: str, variable: str) -> bool:
    return flag(config, key) if config.get(key) is not None else os.environ.get(variable) == "true"
