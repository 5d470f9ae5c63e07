"""Control calls of a local cloud: status, reset, seed, latency, faults, transition time.

The core (`Controls`) knows no web framework: a server asks it before each call (`before`) and hands it every request under
`/_cloud/`. `wsgi` and `asgi` are the two thin adapters. All of it lives in memory: a restarted cloud has no faults and no
latency. What a cloud stores, and how it words an error, is the cloud's own business (`Cloud`).

    GET  /_cloud/status      {cloud, version, pid, data, uptime_seconds, resources, faults, latency_ms, transition_seconds}
    POST /_cloud/reset       forget every resource, fault and latency; the transition time is kept
    POST /_cloud/seed        {…} facts about the world: capacity and what else the cloud offers
    GET, PUT /_cloud/faults      [{operation, error, status, message, count, skip}]: replaces the list
    GET, PUT /_cloud/latency     {milliseconds, operation?}; 0 milliseconds without an operation removes all of it
    GET, PUT /_cloud/transition  {seconds}
    GET  /_cloud/nodes       {cluster: [Node]}: the simulated nodes of real clusters
    PUT  /_cloud/capacity    {place, machine, available}: how many machines of a type a place has; places are regions, on Google zones
    POST /_cloud/nodes       {node, fault: notice | loss | silence | recovery, seconds?}: what happens to one; seconds go with a notice

A request that a web page makes a browser send is refused, whatever it asks for (`stranger`).

Operations are matched with shell-style patterns, letter case counts: `eks:Create*`, `container.projects.*.clusters.create`.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from model_factory.access.errors import AccessError
from model_factory.graph.loopback import is_loopback_host
from model_factory.local.clouds import TRANSITION_SECONDS
from model_factory.local.errors import ControlError
from model_factory.local.lab.nodes.fleets import Fleets

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX: Final = "/_cloud/"
AUTHENTICATE: Final = "authenticate/"
"""What follows names the cluster whose API server asks; asked as Kubernetes asks (TokenReview), so it needs no client of ours."""
ALWAYS: Final = -1
"""A fault's `count` that never runs out."""
MAXIMUM_BODY_BYTES: Final = 8 * 2**20
NOTICE_SECONDS: Final = 120.0
"""From the notice that a spot machine is taken back until it is: AWS's two minutes; Google Cloud gives 30 seconds."""

JsonObject = dict[str, Any]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApplication = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error to answer instead of doing the call.

    The first `skip` calls that match pass, the next `count` get the error; `ALWAYS` (-1) never runs out.
    """

    operation: str
    error: str
    status: int = 500
    message: str = "injected fault"
    count: int = 1
    skip: int = 0

    def __post_init__(self) -> None:
        if not self.operation or not self.error:
            raise ControlError("a fault needs an operation (a pattern such as eks:Create*) and an error code")
        if not 400 <= self.status <= 599:
            raise ControlError(f"fault status {self.status} is not an HTTP error; use 400 to 599")
        if self.count < ALWAYS or self.skip < 0:
            raise ControlError(f"fault count {self.count} or skip {self.skip} is negative; use count -1 for always")

    @classmethod
    def parse(cls, value: object) -> Fault:
        if not isinstance(value, Mapping):
            raise ControlError(f"a fault is an object with an operation and an error, not {value!r}")
        return cls(**_fields(value, _FAULT_FIELDS, "fault"))


_FAULT_FIELDS: Final[Mapping[str, type]] = {
    "operation": str,
    "error": str,
    "status": int,
    "message": str,
    "count": int,
    "skip": int,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a control call."""

    status: int
    body: bytes


class Cloud(Protocol):
    """What a local cloud tells its control calls. The methods are called from several threads."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def fleets(self) -> Fleets:
        """The nodes of its clusters that are real."""
        ...

    @property
    def data(self) -> str:
        """The directory that holds the state, or "" where it is in memory only."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many resources of each kind there are; kinds without any are left out."""
        ...

    def reset(self) -> None: ...

    def limit_machines(self, place: str, machine: str, available: int) -> None:
        """Say how many machines of a type a place has. Raises ControlError for a place that it does not know."""
        ...

    def seed(self, document: JsonObject) -> None:
        """Take facts about the world. Raises ControlError naming what it does not understand."""
        ...

    def lacking(self) -> Mapping[str, str]:
        """The clusters whose control planes are not as they should be, and why; "" as long as they are being started."""
        ...

    def authenticate(self, cluster: str, token: str) -> JsonObject | None:
        """Whose token it is, as a cluster's API server wants to know it: `username`, `groups`. None: nobody's there."""
        ...


@dataclass(frozen=True, slots=True)
class Plans:
    """What is to go wrong, or slowly: faults in their order; latency of all operations, and by pattern."""

    faults: tuple[Fault, ...] = ()
    milliseconds: float = 0.0
    operations: Mapping[str, float] = field(default_factory=dict[str, float])

    def after(self, operation: str) -> tuple[Fault | None, Plans]:
        """The fault that a call must answer, None where it should be done, and what is planned once that was asked."""
        left = list(self.faults)
        found: Fault | None = None
        for index, fault in enumerate(self.faults):
            if not fnmatch.fnmatchcase(operation, fault.operation):
                continue
            if fault.skip:
                left[index] = replace(fault, skip=fault.skip - 1)
                continue
            found = fault
            if fault.count == 1:
                del left[index]
            elif fault.count != ALWAYS:
                left[index] = replace(fault, count=fault.count - 1)
            break
        return found, replace(self, faults=tuple(left))

    def delay_seconds(self, operation: str) -> float:
        """How long to wait before a call is done: the general latency plus those that match."""
        matching = (slow for key, slow in self.operations.items() if fnmatch.fnmatchcase(operation, key))
        return (self.milliseconds + sum(matching)) / 1000

    def slowed(self, milliseconds: float, operation: str | None) -> Plans:
        """With every operation slowed, or those that match; 0 removes it, without an operation all of it."""
        if operation is None:
            return replace(self, milliseconds=milliseconds, operations=self.operations if milliseconds else {})
        others = {key: slow for key, slow in self.operations.items() if key != operation}
        return replace(self, operations={**others, operation: milliseconds} if milliseconds else others)

    def with_faults(self, faults: Iterable[Fault]) -> Plans:
        """With these in place of the others; those that never happen (count 0) are left out."""
        return replace(self, faults=tuple(fault for fault in faults if fault.count))

    def latency(self) -> JsonObject:
        return {"milliseconds": self.milliseconds, "operations": dict(self.operations)}

    def fault_list(self) -> list[JsonObject]:
        return [asdict(fault) for fault in self.faults]


class Controls:
    """Faults, latency and transition time of one cloud, and the control calls over them. Thread safe."""

    def __init__(self, cloud: Cloud, *, transition_seconds: float = TRANSITION_SECONDS) -> None:
        self._cloud = cloud
        self._transition_seconds = transition_seconds
        self._plans = Plans()
        self._lock = threading.Lock()
        self._started = time.monotonic()

    @property
    def transition_seconds(self) -> float:
        """How long a resource stays CREATING, UPDATING or DELETING, from now on."""
        return self._transition_seconds

    def fault(self, operation: str) -> Fault | None:
        """The fault this call must answer, used up by asking; None where it should be done."""
        with self._lock:
            found, self._plans = self._plans.after(operation)
        return found

    def delay_seconds(self, operation: str) -> float:
        """How long to wait before this call is done: the general latency plus those that match."""
        return self._plans.delay_seconds(operation)

    def handle(self, method: str, path: str, body: bytes) -> Reply:
        """Answer a control call. `path` begins with `PREFIX`."""
        try:
            return _reply(HTTPStatus.OK, self._route(method, path.removeprefix(PREFIX), body))
        except ControlError as error:
            return _reply(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except LookupError as error:
            return _reply(HTTPStatus.NOT_FOUND, {"error": str(error.args[0])})

    def _route(self, method: str, name: str, body: bytes) -> object:
        match method, name:
            case "GET", "status":
                return self._status()
            case "POST", "reset":
                self._cloud.reset()
                with self._lock:
                    self._plans = Plans()
                return self._status()
            case "POST", "seed":
                self._cloud.seed(_object(body))
                return self._status()
            case "PUT", "faults":
                document: object = _document(body)
                if not isinstance(document, Sequence) or isinstance(document, str):
                    raise ControlError("faults are a list of objects; an empty list removes them")
                faults = [Fault.parse(item) for item in document]
                with self._lock:
                    self._plans = self._plans.with_faults(faults)
                return self._plans.fault_list()
            case "GET", "faults":
                return self._plans.fault_list()
            case "PUT", "latency":
                self._set_latency(_object(body))
                return self._plans.latency()
            case "GET", "latency":
                return self._plans.latency()
            case "PUT", "transition":
                self._transition_seconds = _duration(_object(body), "seconds")
                return {"seconds": self._transition_seconds}
            case "GET", "transition":
                return {"seconds": self._transition_seconds}
            case "PUT", "capacity":
                self._set_capacity(_object(body))
                return self._status()
            case "GET", "nodes":
                return self._nodes()
            case "POST", "nodes":
                self._befall(_object(body))
                return self._nodes()
            case "POST", name if name.startswith(AUTHENTICATE):
                review = _object(body)
                token = review.get("spec", {}).get("token", "")
                return token_review(self._cloud.authenticate(name.removeprefix(AUTHENTICATE), token))
            case _:
                raise LookupError(
                    f"no control call {method} {PREFIX}{name}; there are GET status, POST reset, POST seed, "
                    "PUT capacity, GET and POST nodes, GET and PUT faults, latency, transition, POST authenticate/<cluster>"
                )

    def _set_capacity(self, document: JsonObject) -> None:
        asked = {key: document.get(key) for key in ("place", "machine", "available")}
        if set(document) != set(asked):
            raise ControlError(f"capacity has place, machine and available, not {', '.join(document) or 'nothing'}")
        place, machine, available = asked.values()
        if not isinstance(place, str) or not isinstance(machine, str):
            raise ControlError(f"capacity of {machine!r} in {place!r}: give both as text")
        if isinstance(available, bool) or not isinstance(available, int) or available < 0:
            raise ControlError(f"capacity available is {available!r}; give a number of machines, 0 or more")
        self._cloud.limit_machines(place, machine, available)
        self._cloud.fleets.poke()

    def _nodes(self) -> JsonObject:
        try:
            return dict(self._cloud.fleets.nodes())
        except AccessError as error:
            raise ControlError(f"the nodes cannot be told: {error}") from error

    def _befall(self, document: JsonObject) -> None:
        """Let something happen to a node."""
        unknown = set(document) - {"node", "fault", "seconds"}
        if unknown:
            raise ControlError(f"nodes have no field {min(unknown)!r}; there are node, fault and seconds")
        node, fault = str(document.get("node", "")), document.get("fault")
        if "seconds" in document and fault != "notice":
            raise ControlError(f"seconds go with the fault notice, not with {fault!r}")
        try:
            fleet = self._cloud.fleets.fleet_of(node)
            match fault:
                case "notice":
                    seconds = _duration(document, "seconds") if "seconds" in document else NOTICE_SECONDS
                    fleet.give_notice(node, seconds)
                case "loss":
                    fleet.lose(node)
                case "silence":
                    fleet.silence(node)
                case "recovery":
                    fleet.recover(node)
                case _:
                    raise ControlError(f"nodes know no fault {fault!r}; there are notice, loss, silence and recovery")
        except AccessError as error:
            raise ControlError(f"node {node}: {error}") from error

    def _set_latency(self, document: JsonObject) -> None:
        unknown = set(document) - {"milliseconds", "operation"}
        if unknown:
            raise ControlError(f"latency has no field {min(unknown)!r}; it has milliseconds and operation")
        milliseconds, operation = _duration(document, "milliseconds"), document.get("operation")
        if operation is not None and not isinstance(operation, str):
            raise ControlError(f"latency operation {operation!r} is not a pattern such as eks:Create*")
        with self._lock:
            self._plans = self._plans.slowed(milliseconds, operation)

    def _status(self) -> JsonObject:
        return {
            "cloud": self._cloud.name,
            "version": self._cloud.version,
            "pid": os.getpid(),
            "data": self._cloud.data,
            "uptime_seconds": round(time.monotonic() - self._started, 3),
            "resources": dict(sorted(self._cloud.counts().items())),
            "faults": self._plans.fault_list(),
            "latency_ms": self._plans.milliseconds,
            "transition_seconds": self._transition_seconds,
            "clusters": dict(self._cloud.lacking()),
        }


def token_review(user: JsonObject | None) -> JsonObject:
    """The answer to an API server that asks whose a token is; None: nobody's.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
    """
    status: JsonObject = {"authenticated": False} if user is None else {"authenticated": True, "user": user}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}


def stranger(host: str, origin: str | None, site: str | None) -> Reply | None:
    """The refusal of a request that a web page may have made a browser send; None for a client of this machine.

    `host`, `origin` and `site` are the headers Host, Origin and Sec-Fetch-Site. The clouds check no credentials, and serve no pages: a host
    name that is not this machine's is a page whose name server said 127.0.0.1, and only browsers tell an origin.
    """
    if not is_loopback_host(host):
        why = f"host {host!r} is not this machine; call http://127.0.0.1:<port>"
    elif origin is not None or site not in (None, "none"):
        why = f"a web page ({origin or site}) may not call a local cloud; call it from a program of this machine"
    else:
        return None
    return _reply(HTTPStatus.FORBIDDEN, {"error": why})


def wsgi(controls: Controls, app: WSGIApplication) -> WSGIApplication:
    """`app`, with the control calls in front of it."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        refusal = stranger(environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE"))
        if refusal is None and not path.startswith(PREFIX):
            return app(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if refusal is not None:
            reply = refusal
        elif length > MAXIMUM_BODY_BYTES:
            reply = _too_large()
        else:
            reply = controls.handle(environ["REQUEST_METHOD"], path, environ["wsgi.input"].read(length))
        status = HTTPStatus(reply.status)
        start_response(
            f"{status.value} {status.phrase}",
            [("Content-Type", "application/json"), ("Content-Length", str(len(reply.body)))],
        )
        return [reply.body]

    return application


def asgi(controls: Controls, app: AsgiApplication) -> AsgiApplication:
    """`app`, with the control calls in front of it. A control call runs on a worker thread: a reset may take a while."""

    async def application(
        scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        refusal = _stranger(scope["headers"]) if scope["type"] == "http" else None
        if refusal is not None:
            await _send(send, refusal)
            return
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await app(scope, receive, send)
            return
        body = b""
        more = True
        while more and len(body) <= MAXIMUM_BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > MAXIMUM_BODY_BYTES:
            reply = _too_large()
        else:
            reply = await asyncio.to_thread(controls.handle, scope["method"], scope["path"], body)
        await _send(send, reply)

    return application


def _stranger(headers: Iterable[tuple[bytes, bytes]]) -> Reply | None:
    told = {name.lower(): value.decode("latin-1") for name, value in headers}
    return stranger(told.get(b"host", ""), told.get(b"origin"), told.get(b"sec-fetch-site"))


async def _send(send: Callable[[Message], Awaitable[None]], reply: Reply) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(reply.body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _reply(status: int, document: object) -> Reply:
    return Reply(int(status), json.dumps(document).encode() + b"\n")


def _too_large() -> Reply:
    message = f"the body is over {MAXIMUM_BODY_BYTES // 2**20} MiB"
    return _reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": message})


def _document(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError as error:
        raise ControlError(f"the body is not JSON: {error}") from error


def _object(body: bytes) -> JsonObject:
    document = _document(body)
    if not isinstance(document, dict):
        raise ControlError(f"the body is not a JSON object but {document!r}")
    return document


def _fields(value: Mapping[Any, Any], known: Mapping[str, type], what: str) -> dict[str, Any]:
    for key, item in value.items():
        expected = known.get(key)
        if expected is None:
            raise ControlError(f"a {what} has no field {key!r}; it has {', '.join(known)}")
        if not isinstance(item, expected) or isinstance(item, bool):
            raise ControlError(f"{what} field {key} is {item!r}, not of type {expected.__name__}")
    missing = [key for key in ("operation", "error") if key not in value]
    if missing:
        raise ControlError(f"a {what} needs the field {missing[0]}")
    return dict(value)


def _duration(document: JsonObject, key: str) -> float:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ControlError(f"{key} is {value!r}; give a number of {key}, 0 or more")
    return float(value)
