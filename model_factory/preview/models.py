"""What a change does to each model at each site: where it runs and as what, before and after; whether it restarts, whether requests
are lost, and what it costs.

Read from the graphs before and after, as the engine tells of them: it holds for any stack whose Pods ask for GPUs, and under both
engines. Of a model whose Pods and pools stay as they are nothing is told, though its share of what is idle may change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from model_factory.cost.clouds import capacity_of
from model_factory.cost.pools import Workload, workloads_of
from model_factory.cost.values import Change, Delta, Span, Sums, site_name
from model_factory.facts.machines import machines
from model_factory.graph import paths
from model_factory.graph.declared import is_a
from model_factory.graph.graph import Graph
from model_factory.graph.masking import UNKNOWN_TEXT
from model_factory.graph.objects import covers, namespace_of
from model_factory.graph.pods import REVISION, accelerators_of, pod_path, pod_spec
from model_factory.graph.pools import NodePool, by_preference
from model_factory.graph.resource import Resource, before_and_after
from model_factory.graph.urn import name_of, provider_urn
from model_factory.graph.values import UNKNOWNS, at, listed, mapping, number, text
from model_factory.preview.changes import PropertyChange, leaves, old_goes_first, telling
from model_factory.preview.events import LOGICAL_REPLACE, Report, Step
from model_factory.preview.nodes import NodesChange
from model_factory.preview.wording import count, join_first, op_of

_BUDGETS: Final = "kubernetes:policy/*:PodDisruptionBudget"
_SETTINGS_NAMED: Final = 3
_DIGEST_SHOWN: Final = 7
# kubernetes.io/docs/concepts/workloads/controllers/deployment: the default of maxUnavailable.
_MAX_UNAVAILABLE: Final = "25%"
Key = tuple[str, str, str]
"""Model, cloud, region."""


@dataclass(frozen=True, slots=True)
class Place:
    """A model at a site. `machines` are those of its pools, the one that it likes best first; what is not known yet is told as such."""

    site: str
    machines: str
    replicas: str
    image: str
    revision: str
    settings: Mapping[str, Any]
    """The Pod's template, as the program gives it."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing about a model; without a name (`what`) it is one more of the kind before it. Both sides are the same where what matters is not a value, as for the settings that differ."""

    what: str
    before: str
    after: str

    @property
    def sides(self) -> tuple[str, ...]:
        """What is to be shown, with an arrow between two: of a model that is new or goes, and of what stays, one."""
        return tuple(dict.fromkeys((self.before, self.after)))


@dataclass(frozen=True, slots=True)
class Requests:
    """What becomes of those that are on their way, or come meanwhile. The gravest is what counts."""

    lost: bool
    told: str


_NONE: Final = Requests(lost=False, told="none")


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One model at one site, or one that moves from a site to another. `before` is None for a new one, `after` for one that goes."""

    model: str
    before: Place | None
    after: Place | None
    restarts: str
    """`no`, or why and how."""
    requests: Requests
    cost: Change
    """Its share of machines and of what else is its own; zeros where no cost was asked for."""

    @property
    def site(self) -> str:
        """`aws/us-east-1`, or for one that moves, both with an arrow."""
        return " → ".join(dict.fromkeys(place.site for place in (self.before, self.after) if place))

    @property
    def kind(self) -> str:
        """As an operation: create, delete or update."""
        return "create" if self.before is None else "delete" if self.after is None else "update"

    @property
    def is_restarted(self) -> bool:
        """Whether Pods of it that run go and others come."""
        return self.restarts.startswith("yes")

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """What differs; of a model that is new or goes, all that it is."""
        return tuple(_aspects(self.before, self.after))


def model_changes(report: Report, nodes: Sequence[NodesChange], cost: Delta | None = None) -> tuple[ModelChange, ...]:
    """The models that a change touches, by name and site. `nodes` is what becomes of the nodes."""
    before, after = (
        _Side(resources)
        for resources in before_and_after((step.op, step.old, step.new) for step in report.steps.values())
    )
    fates = _Fates(report, nodes)
    found: list[ModelChange] = []
    for old, new in _pairs(before, after):
        change = _change(before, after, old, new, fates)
        if change is not None:
            found.append(_priced(change, old, new, cost))
    return tuple(sorted(found, key=lambda each: (each.model, each.site)))


class _Side:
    """The models of a graph by name and site, each with the pools that it may be on."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.graph = Graph(resources)
        self.by_urn = {each.urn: each for each in self.graph.resources}
        self.models: dict[Key, Workload] = {}
        self._budgets: dict[tuple[str, str], list[Resource]] = {}
        for each in self.graph.resources:
            if is_a(each, _BUDGETS):
                self._budgets.setdefault((each.provider, namespace_of(each)), []).append(each)
        for each in workloads_of(self.graph):
            cloud, region = self.graph.place_of(each.resource) or ("", "")
            known = (each.model, cloud, region) in self.models
            self.models[each.resource.name if known else each.model, cloud, region] = each

    def pools(self, workload: Workload) -> list[NodePool]:
        """The pools that it may be on, by rank; of several in one rank the nearest."""
        ranks = by_preference(workload.cluster.pools, pod_spec(workload.resource))
        named = [{pool.resource.urn: pool for pool in rank} for rank in ranks]
        nearest = [self.graph.nearest(workload.resource, [self.by_urn[urn] for urn in rank]) for rank in named]
        return [rank[each.urn] for rank, each in zip(named, nearest, strict=True) if each is not None]

    def budget(self, workload: Workload) -> Resource | None:
        """The disruption budget that covers it, if any does."""
        beside = self._budgets.get((workload.resource.provider, namespace_of(workload.resource)), ())
        return next((each for each in beside if covers(each, workload.resource)), None)

    def place(self, key: Key) -> Place:
        workload = self.models[key]
        resource = workload.resource
        template = _template(resource)
        container = _server(listed(at(template, "spec", "containers")))
        return Place(
            site=site_name(*key[1:]),
            machines=self._machines(workload),
            replicas=_replicas(workload.replicas),
            image=_image(at(container, "image")),
            revision=_known(at(resource.inputs, "metadata", "annotations", REVISION)),
            settings=template,
        )

    def _machines(self, workload: Workload) -> str:
        """`g6e.xlarge (1 × l40s), spot then on-demand`, the machines after one another."""
        bought: dict[str, list[str]] = {}
        for pool in self.pools(workload):
            machine = next(iter(pool.machine_types), "unknown machine")
            how = capacity_of(self.graph, pool.cloud, self.by_urn[pool.resource.urn], is_spot=pool.is_spot)
            bought.setdefault(machine, []).append(how)
        return "; ".join(f"{_machine(name)}, {' then '.join(dict.fromkeys(how))}" for name, how in bought.items())


class _Fates:
    """What becomes of each resource."""

    def __init__(self, report: Report, nodes: Sequence[NodesChange]) -> None:
        self.nodes = {each.urn: each for each in nodes if each.recycles}
        """The clusters and pools of which nodes go."""
        self._steps = report.steps
        self._old_first = old_goes_first(report)

    def replacement(self, urn: str) -> Step | None:
        """The step that replaces it, with what forces that; None where it stays."""
        return self._steps.get((urn, "create-replacement")) or self._steps.get((urn, LOGICAL_REPLACE))

    def old_goes_first(self, urn: str) -> bool:
        return urn in self._old_first


def _pairs(before: _Side, after: _Side) -> Iterator[tuple[Key | None, Key | None]]:
    """Each model at its site as it was and as it will be. One that leaves its one site for one other has moved."""
    gone = [key for key in before.models if key not in after.models]
    new = [key for key in after.models if key not in before.models]
    for name in dict.fromkeys(key[0] for key in (*gone, *new)):
        left, come = ([key for key in keys if key[0] == name] for keys in (gone, new))
        if len(left) == len(come) == 1:
            yield left[0], come[0]
        else:
            yield from ((key, None) for key in left)
            yield from ((None, key) for key in come)
    yield from ((key, key) for key in before.models if key in after.models)


def _change(before: _Side, after: _Side, old: Key | None, new: Key | None, fates: _Fates) -> ModelChange | None:
    was = before.place(old) if old else None
    will = after.place(new) if new else None
    model = (old or new or ("",))[0]
    if was is None or will is None or old is None or new is None:
        gone = Requests(lost=True, told="all that still come")
        return ModelChange(
            model,
            was,
            will,
            "starts" if was is None else "stops",
            _NONE if was is None else gone,
            Change(Sums(), Sums()),
        )
    causes = list(_causes(before, after, old, new, fates))
    if not causes and not any(_aspects(was, will)):
        return None
    return ModelChange(
        model, was, will,
        f"yes: {'; '.join(cause for cause, _ in causes)}" if causes else "no",
        max((told for _, told in causes), key=lambda each: (each.lost, each != _NONE), default=_NONE),
        Change(Sums(), Sums()),
    )  # fmt: skip


def _causes(before: _Side, after: _Side, old: Key, new: Key, fates: _Fates) -> Iterator[tuple[str, Requests]]:
    """Why its Pods are made anew, each with what becomes of requests."""
    was, will = before.models[old], after.models[new]
    if old != new:
        yield (
            "it moves",
            Requests(lost=True, told="those of callers that do not follow: its address is in another cluster"),
        )
        return
    cluster = before.graph.cluster_of(was.resource)
    if cluster is not None and cluster.urn in fates.nodes:
        yield (
            f"its cluster {cluster.name} is replaced",
            Requests(lost=True, told="all until it serves in the new cluster, at another address"),
        )
        return
    revised = before.place(old).revision != after.place(new).revision
    changed = _pod_changes(was.resource, will.resource, revised=revised)
    replacement = fates.replacement(will.resource.urn)
    if replacement is not None:
        yield from _replaced(will, replacement, fates)
    elif changed:
        yield ", ".join(changed), _rolled(will)
    kept = {pool.resource.urn for pool in after.pools(will)}
    gone: dict[str, list[str]] = {}
    for pool in before.pools(was):
        found = fates.nodes.get(pool.resource.urn)
        # Where its Pods change, they are on other pools before one goes that they no longer choose.
        if found is not None and (found.urn in kept or not changed):
            gone.setdefault(found.kind, []).append(found.name)
    for kind, names in gone.items():
        pools = f"its pool{'s' if len(names) > 1 else ''} {' and '.join(names)}"
        fate = f"{'are' if len(names) > 1 else 'is'} {op_of(kind).done}"
        told = f"the nodes of {pools} are replaced one after another" if kind == "update" else f"{pools} {fate}"
        yield told, _drained(will, after.budget(will))


def _replaced(workload: Workload, step: Step, fates: _Fates) -> Iterator[tuple[str, Requests]]:
    kind, provider = workload.resource.kind, provider_urn(workload.resource.provider)
    if fates.replacement(provider) is not None:
        # Of the same name, in the same place, it could not be made before the old one goes: a provider is replaced for another place.
        elsewhere = Requests(
            lost=True, told="those of callers that do not follow: it is made where its new provider writes"
        )
        yield f"its {kind} goes with its provider {name_of(provider)}", elsewhere
        return
    forced = f" for {join_first(step.keys, _SETTINGS_NAMED)}" if step.keys else ""
    lost = Requests(lost=True, told="all until the new one serves: the old one goes first")
    yield f"its {kind} is replaced{forced}", lost if fates.old_goes_first(step.urn) else _NONE


_VOLUMES: Final = "other volumes"
_ANNOTATIONS: Final = "other annotations of its Pods"
_OF_REVISION: Final = (_VOLUMES, _ANNOTATIONS)
# What of the Pods' template is called what, the first that fits.
_PARTS: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"spec\.containers\[\d+\]\.image$", "a new image"),
        (r".*\.(args|command)\b", "other arguments"),
        (r".*\.env(From)?\b", "another environment"),
        (r".*\.resources\b", "other requests and limits"),
        (r".*\.(\w+Probe|lifecycle)\b", "other probes"),
        (r"(.*\.volumeMounts|spec\.volumes)\b", _VOLUMES),
        (r".*\.securityContext\b", "other rights"),
        (r"metadata\.labels\b", "other labels of its Pods"),
        (r"metadata\.annotations\b", _ANNOTATIONS),
        (r"spec\.(nodeSelector|affinity)\b", "another choice of nodes"),
    )
)


def _pod_changes(before: Resource, after: Resource, *, revised: bool) -> list[str]:
    """What differs in the Pods' template, and so makes them anew: in words, the rest by its path. A new revision stands for its note and its
    volume."""
    told = [item.path for item in leaves((), _template(before), _template(after))]
    parts = {path: next((name for part, name in _PARTS if part.match(path)), "") for path in told}
    named = [name for _, name in _PARTS if name in parts.values() and not (revised and name in _OF_REVISION)]
    others = [path for path, name in parts.items() if not name]
    first = ["a new revision"] if revised and parts else []
    return [*first, *named, *([join_first(others, _SETTINGS_NAMED)] if others else [])]


def _rolled(workload: Workload) -> Requests:
    """kubernetes.io/docs/concepts/workloads/controllers/deployment, strategy: what a roll-out leaves to serve."""
    least = int(workload.replicas.idle)
    if workload.resource.kind == "StatefulSet":
        away = 1
    elif workload.resource.at("spec", "strategy", "type") == "Recreate":
        away = least
    else:
        away = _part(
            workload.resource.at("spec", "strategy", "rollingUpdate", "maxUnavailable") or _MAX_UNAVAILABLE, least
        )
    if not least or away <= 0:
        return _NONE
    if away >= least:
        return Requests(lost=True, told="may be: none of its replicas serves while it rolls")
    return Requests(lost=False, told=f"none; at rest {count(least - away, 'replica')} of {least} serve meanwhile")


def _drained(workload: Workload, budget: Resource | None) -> Requests:
    """kubernetes.io/docs/tasks/run-application/configure-pdb: how many replicas a drain may take at once."""
    least = int(workload.replicas.idle)
    if budget is None:
        return Requests(lost=True, told="may be: no disruption budget holds back the drain of its nodes")
    most, kept = (budget.at("spec", key) for key in ("maxUnavailable", "minAvailable"))
    away = _part(most, least) if most is not None else least - _part(kept, least)
    if away <= 0:
        return Requests(
            lost=True, told="may be: its disruption budget lets no replica go, until the cloud forces the drain"
        )
    if least <= away:
        whole = "its only replica moves" if least <= 1 else "all its replicas may move at once"
        return Requests(lost=True, told=f"may be at rest, while {whole}")
    return Requests(lost=False, told=f"none: {count(away, 'replica')} of {least} move at a time")


def _part(value: Any, of: int) -> int:
    """A count, or a percentage rounded down."""
    given = str(value)
    part = number(given.removesuffix("%"))
    if part is None:
        return of
    return int(part * of / 100) if given.endswith("%") else int(part)


def _priced(change: ModelChange, old: Key | None, new: Key | None, cost: Delta | None) -> ModelChange:
    if cost is None:
        return change
    before = cost.before.by_site.get(old, Sums()) if old else Sums()
    after = cost.after.by_site.get(new, Sums()) if new else Sums()
    return replace(change, cost=Change(before, after))


def _aspects(before: Place | None, after: Place | None) -> Iterator[Aspect]:
    one, other = before or after, after or before
    if one is None or other is None:
        return
    stays, moved = one is not other, one.site != other.site
    for what, a, b in (
        ("machine", one.machines, other.machines),
        ("replicas", one.replicas, other.replicas),
        ("image", one.image, other.image),
        ("revision", one.revision, other.revision),
    ):
        if a != b or (a and not stays) or (moved and what == "machine"):
            yield Aspect(what, a or "none", b or "none")
    if stays and not moved:
        differing = [item for item in _settings(one.settings, other.settings) if not item.path.startswith(_TOLD)]
        what = "Pod settings"
        for item in differing[:_SETTINGS_NAMED]:
            yield Aspect(what, f"{item.path}: {item.before or 'none'}", item.after or "none")
            what = ""
        if len(differing) > _SETTINGS_NAMED:
            more = f"and {len(differing) - _SETTINGS_NAMED} more"
            yield Aspect(what, more, more)


# What the rows of machine, image and revision say already.
_TOLD: Final = ("image", "nodeSelector", "affinity", paths.to_text(("metadata", "annotations", REVISION)))


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PropertyChange]:
    """What differs in the template, what is looked for first; its paths without what all of them begin with."""
    found = (
        replace(item, path=item.path.removeprefix("spec.").removeprefix("containers[0]."))
        for item in leaves((), before, after)
    )
    return sorted(found, key=telling)


def _template(resource: Resource) -> Mapping[str, Any]:
    return mapping(at(resource.inputs, *pod_path(resource.type)))


def _server(containers: Sequence[Any]) -> Any:
    """The container that has the GPUs; where none has, the first."""
    return next((each for each in containers if accelerators_of(each)), next(iter(containers), None))


def _machine(name: str) -> str:
    known = machines().get(name)
    if known is None or not known.accelerator:
        return name
    return f"{name} ({known.accelerator_count} × {known.accelerator})"


def _replicas(replicas: Span) -> str:
    least, most = (f"{amount:f}" for amount in (replicas.idle, replicas.peak))
    return least if least == most else f"{least}–{most}"


def _image(value: Any) -> str:
    """`assistant:1.4.0@6681256`: the name without its registry, the tag, and the digest's beginning."""
    image = _known(value)
    name, _, digest = image.partition("@sha256:")
    short = name.rpartition("/")[2]
    return f"{short}@{digest[:_DIGEST_SHOWN]}" if digest else short


def _known(value: Any) -> str:
    return UNKNOWN_TEXT if isinstance(value, str) and value in UNKNOWNS else text(value)
