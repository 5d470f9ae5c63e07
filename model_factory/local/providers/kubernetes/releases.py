"""Helm releases where no chart can be had: checked as far as they can be without it, and recorded, so that state and cluster agree.

A release is a Secret of the type `model-factory/helm-release` in its namespace, named `release.NAME`, with what was asked for in it. None of the
chart's objects is made, and nothing answers what they would be: `resourceNames` and `manifest` are not there. Its status says `recorded`
where Helm's would say `deployed`. The rules are Helm's: https://helm.sh/docs/helm/helm_install/, https://helm.sh/docs/chart_best_practices/.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from pulumi.runtime.proto import provider_pb2

from model_factory.graph.loopback import is_plain_url
from model_factory.graph.urn import name_of
from model_factory.local import wire
from model_factory.local.clouds.kubernetes.cluster import Reference
from model_factory.local.clouds.kubernetes.kinds import DNS_LABEL
from model_factory.local.providers.base import Call
from model_factory.local.providers.errors import WaitError
from model_factory.local.providers.kubernetes.changes import differences
from model_factory.local.providers.kubernetes.objects import field_manager, object_id
from model_factory.local.providers.kubernetes.store import Manner, Object, Store
from model_factory.local.providers.naming import unique_name
from model_factory.local.providers.provider import PROPERTY_KINDS
from model_factory.local.providers.retries import log
from model_factory.local.providers.values import mark_all
from model_factory.local.wire import Properties, Unknown, Value, is_unknown, reveal

RELEASE: Final = "kubernetes:helm.sh/v3:Release"
_TYPE: Final = "model-factory/helm-release"
_KEY: Final = "release"
_LONGEST_NAME: Final = 53
_NAME_DIGITS: Final = 8
_REPLACING: Final = ("name", "namespace")
_TEXTS: Final = frozenset({"chart", "compat", "description", "keyring", "name", "namespace", "postrender", "version"})
_FLAGS: Final = frozenset({
    "allowNullValues", "atomic", "cleanupOnFail", "createNamespace", "dependencyUpdate", "devel", "disableCRDHooks",
    "disableOpenapiValidation", "disableWebhooks", "forceUpdate", "lint", "recreatePods", "renderSubchartNotes", "replace",
    "resetValues", "reuseValues", "skipAwait", "skipCrds", "takeOwnership", "verify", "waitForJobs",
})  # fmt: skip
_NUMBERS: Final = frozenset({"maxHistory", "timeout"})
_OTHERS: Final = frozenset({"repositoryOpts", "values", "valueYamlFiles"})
_REPOSITORY: Final = frozenset({"caFile", "certFile", "keyFile", "password", "repo", "username"})
_CHARTS_OWN: Final = frozenset({"manifest", "resourceNames"})
# A version, or a range of them as Masterminds/semver reads it: `1.2.3`, `~1.2`, `>= 1.0.0, < 2`, `1.x`.
_PART: Final = r"(?:[0-9]+|[xX*])"
_OPERATOR: Final = re.compile(r"(=|!=|<|>|<=|=<|>=|=>|~|~>|\^)?")
_VERSION: Final = re.compile(rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_OPERATORS: Final = "=!<>~^"


class Releases:
    """The calls of Pulumi's protocol for releases, over the store that keeps their records."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._namespace = namespace

    def check(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        news, olds = wire.decode(request.news), wire.decode(request.olds)
        inputs: Properties = {key: value for key, value in news.items() if value is not None}
        if not inputs.get("name"):
            name = request.name or name_of(request.urn)
            made = unique_name(name, urn=request.urn, seed=request.randomSeed, length=_NAME_DIGITS)
            inputs["name"] = olds.get("name") or made
        inputs.setdefault("namespace", self._namespace)
        failures = [provider_pb2.CheckFailure(property=path, reason=why) for path, why in faults(_plain(inputs))]
        return provider_pb2.CheckResponse(inputs=wire.encode(inputs), failures=failures)

    def diff(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        olds = _plain(wire.decode(request.old_inputs) or _asked(wire.decode(request.olds)))
        found = differences(olds, _plain(wire.decode(request.news)), _REPLACING)
        changes = [change for change in found if not change.is_within(request.ignoreChanges)]
        kinds = {
            change.text: provider_pb2.PropertyDiff(kind=PROPERTY_KINDS[change.kind, change.replaces], inputDiff=True)
            for change in changes
        }
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=[change.text for change in changes if change.replaces],
            hasDetailedDiff=True,
            detailedDiff=kinds,
        )

    def create(self, call: Call[Any], request: provider_pb2.CreateRequest) -> provider_pb2.CreateResponse:
        inputs = wire.decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=wire.encode(inputs))
        manner = _manner(request.urn)
        if inputs.get("createNamespace") is True:
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": reveal(inputs["namespace"])}}
            self._store.ready(call, space, self._store.create(call, space, Manner(manner.manager, upsert=True)))
        record = _record(inputs, revision=1)
        self._store.create(call, record, manner)
        _tell(inputs)
        return provider_pb2.CreateResponse(id=_identity(inputs), properties=wire.encode(_outputs(inputs, revision=1)))

    def read(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:
        found = self._found(request.id)
        if found is None:
            return provider_pb2.ReadResponse()
        inputs, revision = found
        marked = {**wire.decode(request.properties), **wire.decode(request.inputs)}
        told = mark_all(inputs, marked)
        return provider_pb2.ReadResponse(
            id=request.id, properties=wire.encode(_outputs(told, revision)), inputs=wire.encode(told)
        )

    def update(self, call: Call[Any], request: provider_pb2.UpdateRequest) -> provider_pb2.UpdateResponse:
        news = wire.decode(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=wire.encode(news))
        found = self._found(request.id)
        if found is None:
            raise WaitError(f"release {request.id} is gone from the cluster; refresh, then run again to record it anew")
        revision = found[1] + 1
        self._store.update(call, _record(news, revision), _manner(request.urn))
        return provider_pb2.UpdateResponse(properties=wire.encode(_outputs(news, revision)))

    def delete(self, call: Call[Any], request: provider_pb2.DeleteRequest) -> None:
        self._store.delete(call, _reference(request.id), {}, _manner(request.urn))

    def left_behind(self, urn: str, inputs: Properties, known: frozenset[str]) -> str | None:
        """The id of the release that a killed create recorded."""
        identity = _identity(inputs)
        found = self._store.left_behind(_record(inputs, revision=1), _manner(urn), ())
        return identity if found is not None and identity not in known else None

    def _found(self, identity: str) -> tuple[Properties, int] | None:
        record = self._store.read(_reference(identity))
        if record is None or record.get("type") != _TYPE:
            return None
        document = json.loads(base64.b64decode(record["data"][_KEY]))
        return cast("Properties", document["asked"]), int(document["revision"])


def faults(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a release, as (path, reason). Unknown values pass."""
    for key, value in inputs.items():
        if isinstance(value, Unknown):
            continue
        if key in _CHARTS_OWN:
            yield key, "comes from the chart, which cannot be had here; leave it out"
        elif key in _TEXTS and not (isinstance(value, str) and value.strip()):
            yield key, f"{value!r} is no text; write one, or leave it out"
        elif key in _FLAGS and not isinstance(value, bool):
            yield key, f"{value!r} is neither true nor false"
        elif key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
            yield key, f"{value!r} is no number of 0 or more"
        elif key not in _TEXTS | _FLAGS | _NUMBERS | _OTHERS:
            yield key, "no property of a Release"
    yield from _name_faults(inputs)
    yield from _chart_faults(inputs)
    if not isinstance(inputs.get("values", {}), (Mapping, Unknown)):
        yield "values", "must be a mapping, as a chart's values.yaml is"
    if not isinstance(inputs.get("valueYamlFiles", []), (list, Unknown)):
        yield "valueYamlFiles", "must be a list of files"


def _name_faults(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name, namespace = inputs.get("name"), inputs.get("namespace")
    if isinstance(name, str) and (reason := DNS_LABEL.broken_by(name)):
        yield "name", reason
    elif isinstance(name, str) and len(name) > _LONGEST_NAME:
        yield "name", f"{name!r} has {len(name)} characters; Helm takes at most {_LONGEST_NAME}"
    if isinstance(namespace, str) and (reason := DNS_LABEL.broken_by(namespace)):
        yield "namespace", reason


def _chart_faults(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    chart, version, options = inputs.get("chart"), inputs.get("version"), inputs.get("repositoryOpts") or {}
    if chart is None:
        yield "chart", "missing; name the chart"
    if isinstance(version, str) and version.strip() and not _is_range(version):
        yield "version", f"{version!r} is no version and no range of them; write one such as 1.2.3"
    if isinstance(options, Unknown):
        return
    if not isinstance(options, Mapping):
        yield "repositoryOpts", "must be a mapping"
        return
    for key in options.keys() - _REPOSITORY:
        yield f"repositoryOpts.{key}", "no property of a repository's options"
    repo = options.get("repo")
    if isinstance(repo, str) and not is_plain_url(repo):
        yield "repositoryOpts.repo", f"{repo!r} is no address of a repository; write https://host/path"
    if not isinstance(chart, str) or isinstance(repo, Unknown):
        return
    alone = chart.startswith(("oci://", "https://", "http://"))
    if alone and repo:
        yield "repositoryOpts.repo", f"{chart!r} names its place by itself; leave the repository out"
    if not alone and not repo:
        yield "chart", f"{chart!r} needs a repository: give repositoryOpts.repo, or write oci://registry/{chart}"


def _is_range(text: str) -> bool:
    """A version, or a range of them as Masterminds/semver reads it: `1.2.3`, `~1.2`, `>= 1.0.0, < 2`, `1.x`, `1.2 - 2.3`."""
    together = re.sub(rf"([{_OPERATORS}])[ \t]+", r"\1", text.strip())
    terms = [term for part in re.split(r",|\|\|", together) for term in (part.split() or [""]) if term != "-"]
    return all(_is_term(term) for term in terms)


def _is_term(term: str) -> bool:
    version = term.lstrip(_OPERATORS)
    operator = term[: len(term) - len(version)]
    return _OPERATOR.fullmatch(operator) is not None and _VERSION.fullmatch(version) is not None


def _plain(properties: Mapping[str, Value]) -> dict[str, Any]:
    return {key: reveal(value) for key, value in properties.items() if not key.startswith("__")}


def _asked(state: Properties) -> Properties:
    return {key: value for key, value in state.items() if key != "status"}


def _outputs(inputs: Properties, revision: int) -> Properties:
    status: Properties = {
        key: reveal(inputs[key]) for key in ("chart", "name", "namespace", "version") if key in inputs
    }
    return {**inputs, "status": {**status, "revision": revision, "status": "recorded"}}


def _record(inputs: Properties, revision: int) -> Object:
    if is_unknown(inputs):
        raise WaitError("a release with unknown values; only a preview may have them")
    document = json.dumps({"asked": _plain(inputs), "revision": revision}, sort_keys=True, default=str)
    reference = _reference(_identity(inputs))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": _TYPE,
        "metadata": {"name": reference.name, "namespace": reference.namespace},
        "data": {_KEY: base64.b64encode(document.encode()).decode()},
    }


def _identity(inputs: Properties) -> str:
    return object_id(Reference("v1", "Secret", str(reveal(inputs["namespace"])), str(reveal(inputs["name"]))))


def _reference(identity: str) -> Reference:
    namespace, _, name = identity.rpartition("/")
    return Reference("v1", "Secret", namespace, f"release.{name}")


def _manner(urn: str) -> Manner:
    return Manner(field_manager({}, urn, {}))


def _tell(inputs: Properties) -> None:
    log.warning(
        "release %s is recorded and not installed: no chart can be had here, and %s is not looked for",
        _identity(inputs),
        reveal(inputs["chart"]),
    )
