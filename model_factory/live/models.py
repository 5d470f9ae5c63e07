"""The models of a stack as its clusters have them: how many replicas are wanted and ready, what the others wait for, what is served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from model_factory.graph.pods import KIND, MODEL, MODEL_SERVER, POOL, REVISION, SERVER_CONTAINER, SIMULATED
from model_factory.graph.values import at, listed, mapping
from model_factory.live import reasons

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient

_DIGEST_LETTERS: Final = 12
_NOT_DEPLOYED: Final = "not deployed"
_SIMULATED_NOTE: Final = "on a simulated node, which runs nothing"
_SCHEDULING: Final = "FailedScheduling"
"""An event of the time before a Pod had a node."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One Pod of a model. `reason` is why it does not serve, empty where it does; `note` what is worth knowing of one that does."""

    pod: str
    namespace: str
    node: str
    pool: str
    ready: bool
    reason: str
    note: str
    ports: Mapping[str, int]
    created: datetime | None
    containers: tuple[str, ...]
    simulated: bool
    """On a node that runs nothing: it is ready, and answers nobody."""
    restarts: Mapping[str, int]
    """How often each container was started anew."""

    @property
    def ends(self) -> bool:
        return self.reason == reasons.ENDING


@dataclass(frozen=True, slots=True)
class Serving:
    """A model at a site. `wanted` is what its autoscaler, or whoever scales it, asks for now; where it is not deployed, what is planned.
    `pending` are the reasons of those that are wanted and not ready, each with their number."""

    model: str
    site: str
    wanted: int
    ready: int
    pending: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    revision: str = ""
    image: str = ""
    replicas: tuple[Replica, ...] = ()

    @property
    def is_served(self) -> bool:
        """Are all replicas that are wanted ready?"""
        return not self.pending and self.ready >= self.wanted

    @property
    def since(self) -> datetime | None:
        """When the oldest of its Pods was made."""
        return min((each.created for each in self.replicas if each.created and not each.ends), default=None)

    @property
    def where(self) -> tuple[tuple[str, int], ...]:
        """The pools that its Pods stand in, with their number in each; a node's own name where that is in no pool."""
        return tuple(Counter(each.pool or each.node for each in self.replicas if each.node and not each.ends).items())


def unreached(model: str, site: str, planned: int, why: str) -> Serving:
    """A model at a site that does not answer."""
    return Serving(model, site, planned, 0, ((why, max(planned, 1)),))


def read(client: ClusterClient, site: str, planned: Mapping[str, int], only: str = "") -> list[Serving]:
    """The models of one site, by name: those that are planned there with their least replicas, and those that are there besides.

    Raises AccessError.
    """
    selector = f"{KIND}={MODEL_SERVER}" + (f",{MODEL}={only}" if only else "")
    deployments = {_model(each): each for each in client.list("apps/v1", "Deployment", labels=selector)}
    pods: dict[str, list[Mapping[str, Any]]] = {}
    for each in client.list("v1", "Pod", labels=selector):
        pods.setdefault(_model(each), []).append(each)
    nodes = {str(at(each, "metadata", "name")): each for each in client.list("v1", "Node")} if pods else {}
    names = sorted({*planned, *deployments, *pods})
    return [
        serving(
            name,
            site,
            planned.get(name),
            deployments.get(name),
            [replica(each, nodes, _warnings(client, each)) for each in pods.get(name, ())],
        )
        for name in names
        if not only or name == only
    ]


def serving(
    model: str, site: str, planned: int | None, deployment: Mapping[str, Any] | None, replicas: Sequence[Replica]
) -> Serving:
    """A model from its objects; `planned` is None where no plan has it here."""
    notes = [] if planned is not None else ["not in the plan of this stack"]
    if deployment is None:
        wanted = planned or 0
        waiting = ((_NOT_DEPLOYED, wanted),) if wanted else ()
        return Serving(model, site, wanted, 0, waiting, tuple(notes), replicas=tuple(replicas))
    spec = mapping(deployment.get("spec"))
    wanted = int(spec.get("replicas", 1))
    ready = sum(each.ready for each in replicas)
    updated = int(at(deployment, "status", "updatedReplicas") or 0)
    if updated < len([each for each in replicas if not each.ends]):
        notes.append(", ".join([f"rolling out: {updated} of {wanted} are new", *_waiting(replicas)]))
    notes += sorted({each.note for each in replicas if each.note})
    return Serving(
        model,
        site,
        wanted,
        ready,
        _pending(wanted, ready, replicas, reasons.of_deployment(deployment)),
        tuple(notes),
        str(at(deployment, "metadata", "annotations", REVISION) or ""),
        _image(deployment),
        tuple(sorted(replicas, key=lambda each: each.pod)),
    )


def _waiting(replicas: Sequence[Replica]) -> Iterator[str]:
    """What replicas wait for that are not ready, and how many do: those that are may hide them."""
    reasons_of = Counter(each.reason for each in replicas if not each.ready and not each.ends)
    return (f"{count} not ready: {reason}" for reason, count in reasons_of.items())


def replica(
    pod: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]] | None = None, warnings: Iterable[str] = ()
) -> Replica:
    """One Pod; `nodes` are the cluster's by name."""
    reason = reasons.of_pod(pod, warnings)
    node = str(at(pod, "spec", "nodeName") or "")
    server, host = _server(pod), (nodes or {}).get(node, {})
    simulated = at(host, "metadata", "annotations", SIMULATED) is not None
    return Replica(
        pod=str(at(pod, "metadata", "name")),
        namespace=str(at(pod, "metadata", "namespace")),
        node=node,
        pool=str(at(host, "metadata", "labels", POOL) or ""),
        simulated=simulated,
        ready=not reason,
        reason=reason,
        note="" if reason else _SIMULATED_NOTE if simulated else reasons.of_restarts(pod),
        ports={str(at(each, "name")): int(at(each, "containerPort")) for each in listed(at(server, "ports"))},
        created=_time(at(pod, "metadata", "creationTimestamp")),
        containers=tuple(
            str(at(each, "name")) for key in ("containers", "initContainers") for each in listed(at(pod, "spec", key))
        ),
        restarts={
            str(at(each, "name")): int(at(each, "restartCount") or 0)
            for key in ("containerStatuses", "initContainerStatuses")
            for each in listed(at(pod, "status", key))
        },
    )


def short_image(image: str) -> str:
    """`tag@sha256:0123456789ab` of an image's whole name; the last part of its path where it has no tag."""
    path, _, digest = image.partition("@")
    _, colon, tag = path.rpartition("/")[2].partition(":")
    named = tag if colon else path.rpartition("/")[2]
    kind, _, letters = digest.partition(":")
    return f"{named}@{kind}:{letters[:_DIGEST_LETTERS]}" if letters else named


def _pending(wanted: int, ready: int, replicas: Sequence[Replica], of_all: str) -> tuple[tuple[str, int], ...]:
    lacking = wanted - ready
    if lacking <= 0:
        return ()
    counted = Counter(each.reason for each in replicas if each.reason and not each.ends)
    found: list[tuple[str, int]] = []
    for reason, count in counted.most_common():
        if lacking > 0:
            found.append((reason, min(count, lacking)))
            lacking -= count
    if lacking > 0:
        found.append((of_all or reasons.NO_POD, lacking))
    elif of_all:
        found = [(f"{reason}; {of_all}", count) for reason, count in found[:1]] + found[1:]
    return tuple(found)


def _model(obj: Mapping[str, Any]) -> str:
    return str(at(obj, "metadata", "labels", MODEL) or "")


def _server(pod: Mapping[str, Any]) -> Any:
    containers = listed(at(pod, "spec", "containers"))
    return next((each for each in containers if at(each, "name") == SERVER_CONTAINER), next(iter(containers), {}))


def _image(deployment: Mapping[str, Any]) -> str:
    return str(at(_server(mapping(at(deployment, "spec", "template"))), "image") or "")


def _warnings(client: ClusterClient, pod: Mapping[str, Any]) -> list[str]:
    """What events warn of a Pod that has a node and is not ready: volumes, addresses, probes."""
    if not at(pod, "spec", "nodeName") or not reasons.of_pod(pod) or at(pod, "metadata", "deletionTimestamp"):
        return []
    fields = f"involvedObject.uid={at(pod, 'metadata', 'uid')},type=Warning"
    events = client.list("v1", "Event", namespace=str(at(pod, "metadata", "namespace")), fields=fields)
    told = sorted(events, key=lambda each: str(at(each, "lastTimestamp") or at(each, "eventTime") or ""))
    return [str(at(each, "message")) for each in told if at(each, "message") and at(each, "reason") != _SCHEDULING]


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None
