"""The local Google Cloud's own machinery: what a handler gets, and what all services share.

A handler takes a `Call` and returns the answer's body. It is registered under its API method's id with `@handles`. All of
Google's long waits are one thing here: an operation with a time it is due and an `Effect`, applied by `Cloud.settle` when a
later request finds it due. So nothing runs in the background, and a restart loses nothing.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from model_factory.facts.gcp import GCP
from model_factory.local.clouds import TRANSITION_SECONDS
from model_factory.local.clouds.control import Controls, Fault
from model_factory.local.clouds.control_planes import ClusterPrograms, ControlPlanes, Simulated
from model_factory.local.clouds.gcp import errors
from model_factory.local.clouds.gcp.autoscaler import Autoscaler
from model_factory.local.clouds.gcp.bodies import Body, links, matches, not_found_message, timestamp, visible
from model_factory.local.clouds.gcp.nodes import NodePools
from model_factory.local.clouds.gcp.routing import Match
from model_factory.local.clouds.gcp.store import Effect, Store, Stored, StoredOperation
from model_factory.local.discovery import Json
from model_factory.local.errors import ControlError
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.nodes.fleets import Fleets, NodePrograms


@dataclass(frozen=True, slots=True)
class Media:
    """An answer that is not JSON: an object's bytes."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Answer when this operation is done, or after the service's own limit."""

    operation_key: str
    limit_seconds: float = 120.0


TOKEN_PREFIX: Final = "ya29."  # noqa: S105  no token
"""What Google's access tokens begin with."""
ACCOUNT: Final = "local@model-factory.example"
ADMINISTRATORS: Final = "system:masters"

Answer = Body | Media | Wait | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, routed and checked against its method's schema."""

    cloud: Cloud
    match: Match
    query: Mapping[str, str]
    body: Body
    data: bytes = b""
    content_type: str = ""

    @property
    def method(self) -> str:
        return self.match.method.id

    @property
    def service(self) -> str:
        return self.match.method.service

    def parameter(self, name: str) -> str:
        """A path parameter."""
        return self.match.parameters[name]


Handler = Callable[[Call], Answer]
OperationWait = Callable[[StoredOperation], StoredOperation | None]
HANDLERS: Final[dict[str, Handler]] = {}


def handles(*method_ids: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for method_id in method_ids:
            HANDLERS[method_id] = handler
        return handler

    return register


@dataclass(slots=True)
class Cloud:
    """State, clock and world facts of one local Google Cloud. It is the `Cloud` that control calls speak to."""

    store: Store
    path: Path | None = None
    projects: tuple[str, ...] = ()
    """Those that are there from the start; `seed` adds others."""
    clock: Callable[[], float] = time.time
    transition_seconds: InitVar[float] = TRANSITION_SECONDS
    planes: ControlPlanes = field(default_factory=Simulated)
    controls: Controls = field(init=False)
    name: str = "gcp"
    fleets: Fleets = field(default_factory=Fleets)
    """The nodes of its clusters, of those that are real."""
    waits: list[OperationWait] = field(default_factory=list[OperationWait])
    """What operations that are due wait for besides: each gives the operation to finish, or None where it is not over."""
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self, transition_seconds: float) -> None:
        self.controls = Controls(self, transition_seconds=transition_seconds)
        self.waits.append(self._planned)
        self.waits.append(NodePools(self.store, self.fleets).finished)
        self._furnish()

    # What control calls ask

    @property
    def version(self) -> str:
        return version("google-api-python-client")

    @property
    def data(self) -> str:
        return "" if self.path is None else str(self.path)

    def counts(self) -> Mapping[str, int]:
        self.settle()
        return self.store.counts()

    def lacking(self) -> Mapping[str, str]:
        return self.planes.lacking()

    def authenticate(self, cluster: str, token: str) -> Body | None:  # noqa: ARG002  Google's tokens are good for every cluster
        """Whose token it is there: whoever has one of Google's form is the local account, which may do all.

        As everywhere here, credentials are not checked. Others, such as a Pod's that has expired, are nobody's.
        """
        if not token.startswith(TOKEN_PREFIX):
            return None
        return {"username": ACCOUNT, "groups": [ADMINISTRATORS]}

    def reset(self) -> None:
        self.planes.reset()
        self.store.clear()
        self._furnish()

    def seed(self, document: Body) -> None:
        """`projects`: ids. `disabled_services`: project → services. `quotas`: region → metric → limit.
        `capacity`: zone → accelerator or machine type → free units. `autoscaler`: `unneeded_seconds` until an empty node goes."""
        known = {"projects": list, "disabled_services": dict, "quotas": dict, "capacity": dict, "autoscaler": dict}
        for key, value in document.items():
            if key not in known:
                raise ControlError(f"seed has no field {key!r}; it has {', '.join(known)}")
            if not isinstance(value, known[key]):
                raise ControlError(f"seed field {key} is {value!r}, not a {known[key].__name__}")
        with self.store.transaction():
            for project in document.get("projects", ()):
                self._add_project(str(project))
            for key in ("disabled_services", "quotas", "capacity", "autoscaler"):
                if key in document:
                    self.store.put_setting(key, {**(self.store.setting(key) or {}), **document[key]})

    def limit_machines(self, place: str, machine: str, available: int) -> None:
        """The machine may be an accelerator, too."""
        if GCP.region_of(place) == "":
            raise ControlError(f"Google Cloud has no zone {place!r}; name one such as us-central1-a")
        there: Mapping[str, Mapping[str, int]] = self.store.setting("capacity") or {}
        self.seed({"capacity": {place: {**there.get(place, {}), machine: available}}})

    def _furnish(self) -> None:
        with self.store.transaction():
            for project in self.projects:
                self._add_project(project)

    def _add_project(self, project: str) -> None:
        numbers = self.store.setting("projects") or {}
        numbers.setdefault(
            project, str(10**11 + int(hashlib.sha256(project.encode()).hexdigest()[:9], 16) % (9 * 10**11))
        )
        self.store.put_setting("projects", numbers)

    # Projects and services

    def project_number(self, project: str) -> str:
        """Raises ApiError 403 for a project that is not there: Google does not tell absent from forbidden."""
        numbers: Mapping[str, str] = self.store.setting("projects") or {}
        for identifier, number in numbers.items():
            if project in (identifier, number):
                return number
        raise errors.denied(
            f"Permission denied on resource project {project}.",
            [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "CONSUMER_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"consumer": f"projects/{project}"},
                }
            ],
        )

    def disabled_services(self, project: str) -> list[str]:
        return list((self.store.setting("disabled_services") or {}).get(project, ()))

    # Nodes

    def look_after_nodes(self, cluster_key: str, folder: Path, kubeconfig: Path, programs: NodePrograms) -> None:
        """Give a GKE cluster that is real its nodes, and its pools their autoscaler, from now on. Raises LabError, AccessError."""
        pools = NodePools(self.store, self.fleets)
        self.fleets.open(
            cluster_key,
            folder,
            kubeconfig,
            programs,
            lambda: pools.of_cluster(cluster_key),
            lambda: self.controls.transition_seconds,
            after=Autoscaler(self.store, cluster_key, self._resize, self.clock).look,
        )

    def come(self, name: str, plane: ControlPlane, programs: ClusterPrograms) -> None:
        """A cluster's control plane is ready: its nodes can come."""
        self.look_after_nodes(_cluster_key(name), plane.folder, plane.admin_kubeconfig, programs)

    def go(self, name: str) -> None:
        self.fleets.close(_cluster_key(name))

    def _resize(self, key: str, changes: Mapping[str, Json]) -> None:
        """What the autoscaler makes of a pool, unless a call changes that now."""
        with self.store.transaction():
            stored = self.store.get(key)
            if stored is not None and stored.body["status"] == "RUNNING":
                self.merge(key, changes)

    # Resources

    def require(self, key: str, message: str = "") -> Stored:
        """The resource, or ApiError 404 in its service's words."""
        stored = self.store.get(key)
        if stored is None:
            raise errors.not_found(message or not_found_message(key))
        return stored

    def put(self, key: str, kind: str, body: Body, *, ready: bool = True) -> None:
        """Write a resource; what it refers to is read from its body."""
        parent = key.rsplit("/", 2)[0]
        own = body.get("selfLink")
        targets = frozenset(target for target in links(body) if target != key and target != own)
        self.store.put(key, kind, parent, body, targets, ready=ready)

    def merge(self, key: str, changes: Mapping[str, Json]) -> None:
        """Merge top-level fields into a resource; None removes one. A resource that is gone is left alone."""
        stored = self.store.get(key)
        if stored is not None:
            body = {**stored.body, **changes}
            self.put(key, stored.kind, {k: v for k, v in body.items() if v is not None}, ready=True)

    # Operations

    def start(self, key: str, subject: str, body: Body, effect: Effect, *, share: float = 1.0) -> StoredOperation:
        """Write an operation that is due after `share` of the transition time."""
        due = self.clock() + self.controls.transition_seconds * share
        operation = StoredOperation(key, subject, due, False, body, effect)
        self.store.put_operation(operation)
        return operation

    def failure(self, method: str) -> Fault | None:
        """The fault that the operation this method starts must end with (`<method id>/operation`)."""
        return self.controls.fault(f"{method}/operation")

    def settle(self) -> None:
        """Finish every operation that is due, in the order of their times."""
        now = self.clock()
        with self.store.transaction():
            for due in self.store.due(now):
                operation = self._over(due)
                if operation is None:
                    continue
                for key in operation.effect.remove:
                    self.store.remove(key)
                for key, changes in operation.effect.merge.items():
                    self.merge(key, changes)
                body = _finished(operation, self.store, timestamp(operation.due))
                self.store.put_operation(
                    StoredOperation(operation.key, operation.subject, operation.due, True, body, Effect())
                )

    def _over(self, due: StoredOperation) -> StoredOperation | None:
        operation: StoredOperation | None = due
        for wait in self.waits:
            if operation is not None:
                operation = wait(operation)
        return operation

    def _planned(self, operation: StoredOperation) -> StoredOperation | None:
        """The operation on a control plane, to be finished; None as long as that is not as it wants it, with its error where it cannot be."""
        plane = operation.body.get("_plane")
        if plane is None:
            return operation
        name = plane["name"]
        if plane["goes"]:
            return operation if self.planes.is_gone(name) else None
        if problem := self.planes.problem(name):
            error = {"code": 13, "reason": "INTERNAL", "message": problem, "http": 500}
            return replace(operation, body={**operation.body, "_error": error}, effect=Effect(plane["failure"]))
        return operation if self.planes.is_ready(name) else None

    def serial(self) -> str:
        """A name part that no other request of this process gets."""
        return f"{int(self.clock() * 1000)}-{next(self._serial):08x}"


def _cluster_key(plane: str) -> str:
    """The key of the cluster whose control plane has the name that `container.plane_name` gives."""
    project, location, name = plane.split(".")
    return f"container/projects/{project}/locations/{location}/clusters/{name}"


def _finished(operation: StoredOperation, store: Store, now: str) -> Body:
    body = dict(operation.body)
    error: Body | None = body.pop("_error", None)
    response: str | None = body.pop("_response", None)
    type_: str = body.pop("_type", "")
    body.pop("_plane", None)
    service = operation.key.partition("/")[0]
    if service in ("container", "compute"):
        body |= {"status": "DONE", "endTime": now}
        if service == "compute":
            body["progress"] = 100
        if error and service == "container":
            body |= {
                "error": {"code": error["code"], "message": error["message"]},
                "statusMessage": error["message"],
            }
        elif error:
            body["error"] = {"errors": [{"code": error["reason"], "message": error["message"]}]}
            body |= {"httpErrorStatusCode": error["http"], "httpErrorMessage": error["reason"]}
        return body
    body["done"] = True
    if error:
        body["error"] = {"code": error["code"], "message": error["message"]}
    elif response is None:
        body["response"] = {"@type": "type.googleapis.com/google.protobuf.Empty"}
    else:
        stored = store.get(response)
        body["response"] = {"@type": type_, **visible(stored.body if stored else {})}
    return body


def fault_error(fault: Fault) -> Body:
    """A fault as the `_error` of an operation."""
    return {
        "code": 8 if fault.status == 429 else 13,
        "reason": fault.error,
        "message": fault.message,
        "http": fault.status,
    }


def page(
    call: Call,
    items: Sequence[Body],
    field_name: str,
    *,
    size_names: tuple[str, ...] = ("pageSize", "maxResults"),
) -> Body:
    """One page of `items`, filtered as the call asks, with `nextPageToken` where more follow."""
    selected = [visible(item) for item in items if matches(item, call.query.get("filter", ""))]
    size = next((int(call.query[name]) for name in size_names if call.query.get(name, "").isdigit()), 0) or 500
    start = _token_offset(call.query.get("pageToken", ""))
    body: Body = {}
    chunk = selected[start : start + size]
    if chunk:
        body[field_name] = chunk
    if start + size < len(selected):
        body["nextPageToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return body


def _token_offset(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise errors.invalid(f"Invalid page token '{token}'") from error
