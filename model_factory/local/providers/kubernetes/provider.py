"""pulumi-kubernetes' protocol over rendered clusters.

A provider with `renderYamlToDirectory` keeps its objects in that folder (`model_factory.local.clouds.kubernetes.cluster`). Unlike Pulumi's
plugin in that mode, a refresh reads the files back, so a changed or deleted file is drift, and what an API server would
refuse is refused. A kubeconfig is refused: real clusters are the Pulumi CLI's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from model_factory.graph.urn import name_of
from model_factory.local import wire
from model_factory.local.clouds.kubernetes.cluster import Cluster, ClusterError, Reference, changed_immutable_fields
from model_factory.local.clouds.kubernetes.kinds import is_namespaced
from model_factory.local.clouds.kubernetes.place import cluster_refusal
from model_factory.local.providers.base import Function, ResourceType
from model_factory.local.providers.diff import Change
from model_factory.local.providers.errors import (
    CloudError,
    ConfigurationError,
    Failure,
    ProviderError,
    UnsupportedError,
)
from model_factory.local.providers.kubernetes import objects
from model_factory.local.providers.kubernetes.causes import CAUSES
from model_factory.local.providers.kubernetes.changes import differences, replacing_paths
from model_factory.local.providers.kubernetes.tokens import kind_of
from model_factory.local.providers.provider import PROPERTY_KINDS, Provider, type_token
from model_factory.local.providers.values import flag, text
from model_factory.local.wire import Properties, Unknown, Value, is_unknown, reveal

R = TypeVar("R")
RENDER: Final = "renderYamlToDirectory"
_CLI: Final = "use the Pulumi CLI for real clusters"


@dataclass(frozen=True, slots=True)
class Target:
    """What one configured provider works on, and how."""

    cluster: Cluster
    namespace: str = "default"
    mutable_config_maps: bool = False
    mutable_secrets: bool = False
    always_render: bool = False
    upsert: bool = False


class KubernetesProvider(Provider[Target]):
    """Any kind of the published schemas, in rendered clusters. Relative render folders are taken from `root`."""

    name = "kubernetes"
    version = "4.34.2"

    def __init__(self, root: Path | None = None) -> None:
        super().__init__()
        self._root = root
        self._checker = objects.validator()

    # Configuration

    def check_config(self, config: Properties) -> Iterable[Failure]:
        folder = config.get(RENDER)
        if isinstance(folder, Unknown):
            return
        if not folder:
            yield Failure(
                RENDER,
                f"missing: the local provider renders objects to a folder, it talks to no cluster; {_CLI}",
            )
        elif refusal := cluster_refusal(self._root or Path.cwd(), str(folder)):
            yield Failure(RENDER, refusal)
        for key in ("cluster", "context", "kubeconfig"):
            # The SDK fills kubeconfig in from $KUBECONFIG: that one nobody asked for.
            ambient = key == "kubeconfig" and config.get(key) == os.environ.get("KUBECONFIG")
            if config.get(key) and not ambient:
                yield Failure(key, f"not compatible with {RENDER}; {_CLI}")

    def configure(self, config: Properties) -> Target:
        problems = [f"{failure.property}: {failure.reason}" for failure in self.check_config(config)]
        folder = text(config, RENDER)
        if problems or not folder:
            raise ConfigurationError(f"kubernetes provider: {'; '.join(problems)}")
        return Target(
            Cluster((self._root or Path.cwd()) / folder),
            namespace=text(config, "namespace") or "default",
            mutable_config_maps=_switch(config, "enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
            mutable_secrets=_switch(config, "enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
            always_render=flag(config, "alwaysRender"),
            upsert=_switch(config, "upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
        )

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: Any) -> provider_pb2.DiffResponse:
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
        return response

    # Resources

    def Check(self, request: provider_pb2.CheckRequest, context: Any) -> provider_pb2.CheckResponse:
        def run() -> provider_pb2.CheckResponse:
            api_version, kind = kind_of(type_token(request))
            target, news = self._configured(), wire.decode(request.news)
            name = request.name or name_of(request.urn)
            obj: objects.Object = {**objects.bare(news), "apiVersion": api_version, "kind": kind}
            metadata = objects.metadata_for_change(obj)
            failures: list[str] = []
            if metadata is not None:
                olds = objects.bare(wire.decode(request.olds))
                objects.set_name(metadata, olds, name=name, urn=request.urn, seed=request.randomSeed)
                failures += _generated_name(metadata)
                if is_namespaced(kind) and not metadata.get("namespace"):
                    metadata["namespace"] = target.namespace
            obj = objects.normal(obj, self._checker)
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
            kind_of(type_token(request))
            target = self._configured()
            old, live = objects.parse_state(wire.decode(request.olds), wire.decode(request.old_inputs))
            new = objects.normal(objects.bare(wire.decode(request.news)), self._checker)
            before = objects.normal(objects.pruned(live, old), self._checker)
            if Reference.of(new).name and Reference.of(live).name:
                before["metadata"] = {**(before.get("metadata") or {}), "name": Reference.of(live).name}
            replacing = replacing_paths(
                new, mutable_config_maps=target.mutable_config_maps, mutable_secrets=target.mutable_secrets
            )
            changes = [
                change for change in differences(before, new, replacing) if not change.is_within(request.ignoreChanges)
            ]
            return _diff_response(changes, Reference.of(live), new, always=target.always_render)

        return self._guard(context, run)

    def Create(self, request: provider_pb2.CreateRequest, context: Any) -> provider_pb2.CreateResponse:
        def run() -> provider_pb2.CreateResponse:
            inputs = wire.decode(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=wire.encode(inputs))
            target, obj = self._configured(), self._known(inputs)
            reference = Reference.of(obj)
            _cluster_call(target, lambda: target.cluster.update(obj) if target.upsert else target.cluster.create(obj))
            state = objects.state(obj, obj, inputs, request.urn, {})
            return provider_pb2.CreateResponse(id=objects.object_id(reference), properties=wire.encode(state))

        return self._guard(context, run)

    def Read(self, request: provider_pb2.ReadRequest, context: Any) -> provider_pb2.ReadResponse:
        def run() -> provider_pb2.ReadResponse:
            api_version, kind = kind_of(type_token(request))
            target = self._configured()
            reference = objects.reference_of(api_version, kind, request.id)
            if is_namespaced(kind) and not reference.namespace:
                reference = Reference(api_version, kind, target.namespace, reference.name)
            found = _cluster_call(target, lambda: target.cluster.read(reference))
            if found is None:
                return provider_pb2.ReadResponse()
            old_inputs, recorded = wire.decode(request.inputs), wire.decode(request.properties)
            live = objects.normal(found, self._checker)
            asked = objects.bare(old_inputs)
            inputs = objects.pruned(live, asked) if asked else {k: v for k, v in live.items() if k != "status"}
            marked = old_inputs or recorded
            return provider_pb2.ReadResponse(
                id=objects.object_id(reference),
                properties=wire.encode(objects.state(inputs, live, marked, request.urn, recorded)),
                inputs=wire.encode(objects.properties(inputs, marked)),
            )

        return self._guard(context, run)

    def Update(self, request: provider_pb2.UpdateRequest, context: Any) -> provider_pb2.UpdateResponse:
        def run() -> provider_pb2.UpdateResponse:
            news = wire.decode(request.news)
            if request.preview:
                return provider_pb2.UpdateResponse(properties=wire.encode(news))
            target, obj = self._configured(), self._known(news)
            _cluster_call(target, lambda: target.cluster.update(obj))
            state = objects.state(obj, obj, news, request.urn, wire.decode(request.olds))
            return provider_pb2.UpdateResponse(properties=wire.encode(state))

        return self._guard(context, run)

    def Delete(self, request: provider_pb2.DeleteRequest, context: Any) -> empty_pb2.Empty:
        def run() -> empty_pb2.Empty:
            api_version, kind = kind_of(type_token(request))
            target = self._configured()
            reference = objects.reference_of(api_version, kind, request.id)
            _cluster_call(target, lambda: target.cluster.delete(reference))
            return empty_pb2.Empty()

        return self._guard(context, run)

    def adopt(self, type_token: str, urn: str, inputs: Properties, known: Collection[str] = ()) -> str | None:
        """The id of the object that a killed create with these inputs wrote: the file of that name, if it holds them.

        The name settles it, so the URN is not needed.
        """
        del urn
        kind_of(type_token)
        target, obj = self._configured(), self._known(inputs)
        reference = Reference.of(obj)
        found = _cluster_call(target, lambda: target.cluster.find(reference))
        identity = objects.object_id(reference)
        return identity if found == obj and identity not in known else None

    # Registry: kinds come from the schemas, so there are no declarations

    def resource_type(self, token: str) -> ResourceType[Target]:
        kind_of(token)
        raise UnsupportedError(f"{token} has no declaration: its kind's schema is all there is")

    def function(self, token: str) -> Function[Target]:
        raise UnsupportedError(
            f"the local kubernetes provider has no function {token}; describe the objects as resources"
        )

    def _forbidden(self, target: Target, olds: objects.Object, obj: objects.Object) -> Iterable[str]:
        """What of a change the API server would refuse; nothing where the change makes another object."""
        before = objects.normal(olds, self._checker) if olds else {}
        replacing = replacing_paths(
            obj, mutable_config_maps=target.mutable_config_maps, mutable_secrets=target.mutable_secrets
        )
        if before and not any(change.replaces for change in differences(before, obj, replacing)):
            for field in changed_immutable_fields(before, obj):
                yield f"{field}: cannot change so in an object that is there; keep it, or give the resource another name to have a new one"

    def _known(self, inputs: Mapping[str, Value]) -> objects.Object:
        obj = objects.normal(objects.bare(inputs), self._checker)
        if is_unknown(obj):
            raise ProviderError(f"{Reference.of(obj)} has unknown values; only a preview may have them")
        return obj


def _cluster_call(target: Target, call: Callable[[], R]) -> R:
    try:
        return call()
    except ClusterError as error:
        _refuse(target, error)


def _refuse(target: Target, error: ClusterError) -> NoReturn:
    cloud = f"kubernetes cluster {target.cluster.folder.name}"
    raise CloudError(
        cloud=cloud,
        operation=error.operation,
        code=error.reason,
        message=error.message,
        status=error.status,
        causes=CAUSES,
    ) from error


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


def _generated_name(metadata: Mapping[str, Any]) -> list[str]:
    if metadata.get("generateName"):
        return ["metadata.generateName: not supported when objects are rendered; leave the name out for an auto-name"]
    return []


def _switch(config: Properties, key: str, variable: str) -> bool:
    return flag(config, key) if config.get(key) is not None else os.environ.get(variable) == "true"
