"""Google's APIs on loopback alone: configuration, calls by method id, operations, errors in our own terms."""

from __future__ import annotations

import http.client
import json
import re
import threading
import warnings
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import grpc
import httplib2

from model_factory.facts.gcp.services import OPTIONAL, SERVICES
from model_factory.graph.loopback import on_loopback
from model_factory.local import discovery
from model_factory.local.discovery import Document, Json
from model_factory.local.errors import LeavesLoopbackError
from model_factory.local.providers.base import Call
from model_factory.local.providers.errors import (
    AnswerLostError,
    BusyError,
    CloudError,
    ConfigurationError,
    NotFoundError,
    kind_of,
)
from model_factory.local.providers.gcp.causes import CAUSES
from model_factory.local.providers.gcp.transport import Http
from model_factory.local.providers.retries import persistently
from model_factory.local.providers.values import flag, text
from model_factory.local.wire import Properties, Value

ATTRIBUTION_LABEL: Final = "goog-pulumi-provisioned"
REQUEST_SECONDS: Final = 150.0
UNREACHABLE: Final = "UNREACHABLE"
_READS: Final = re.compile(r"(get|list|test|aggregatedList)[A-Z]?.*")
_CODES: Final[Mapping[int, str]] = {each.value[0]: each.name for each in grpc.StatusCode}

with warnings.catch_warnings():
    # Google's client announces when it will drop this Python; that is for those who pin it, not for every run.
    warnings.simplefilter("ignore", FutureWarning)
    from googleapiclient import discovery as google_discovery
    from googleapiclient.errors import HttpError

Body = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API is, and which version of it: the path of a custom endpoint names both."""

    url: str
    version: str


@dataclass(frozen=True, slots=True)
class GcpConfig:
    """The provider's configuration, read once."""

    project: str
    region: str
    endpoints: Mapping[str, Endpoint]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Put on every object with labels: the default labels and Pulumi's mark."""


def read_config(config: Properties) -> GcpConfig:
    """The configuration from provider inputs, where nested values may be JSON text. Raises ConfigurationError."""
    project = text(config, "project")
    if not project:
        raise ConfigurationError("gcp:project is missing; set it to the id of the project")
    endpoints: dict[str, Endpoint] = {}
    for key, value in config.items():
        if key.endswith("CustomEndpoint") and value and not on_loopback(str(value)):
            raise ConfigurationError(
                f"gcp:{key} is {value!r}: the local provider only talks to loopback; use the Pulumi CLI for real accounts"
            )
    for service, keys in SERVICES.items():
        url = next((text(config, key) for key in keys if text(config, key)), "")
        if url:
            endpoints[service] = _endpoint(service, keys[0], url)
        elif service not in OPTIONAL:
            raise ConfigurationError(
                f"gcp:{keys[0]} is missing: the local provider only talks to loopback; use the Pulumi CLI for real accounts"
            )
    given = config.get("defaultLabels")
    parsed = cast("Value", json.loads(given)) if isinstance(given, str) and given else given
    labels = {key: str(value) for key, value in parsed.items()} if isinstance(parsed, dict) else {}
    if flag(config, "addPulumiAttributionLabel", default=True):
        labels[ATTRIBUTION_LABEL] = "true"
    return GcpConfig(project, text(config, "region"), endpoints, labels)


def _endpoint(service: str, key: str, url: str) -> Endpoint:
    base = url.rstrip("/")
    version = base.rpartition("/")[2]
    try:
        document = discovery.load(service, version)
    except LookupError as error:
        raise ConfigurationError(
            f"gcp:{key} is {url!r}: its path must end in a version of the API such as v1/"
        ) from error
    # Where the document puts the version into every method's path, the client must not have it in the base.
    root = f"{base}/" if document.service_path else base.removesuffix(version)
    return Endpoint(root, version)


class Gcp:
    """Calls of one provider. Thread safe: a connection serves one thread at a time, API descriptions are shared."""

    def __init__(self, config: GcpConfig) -> None:
        self.config = config
        self._services: dict[str, Any] = {}
        self._building = threading.Lock()
        self._idle: list[httplib2.Http] = []
        # Whoever drops the provider need not know that there are connections to close.
        weakref.finalize(self, _close_all, self._idle)
        self._locks: dict[str, threading.Lock] = {}
        self.released: set[str] = set()
        """Ids of objects that Google never deletes (key rings): the provider let go of them."""

    def document(self, service: str) -> Document:
        """The published model of the API version that the endpoint names."""
        return discovery.load(service, self._where(service).version)

    def call(self, method: str, **parameters: Json) -> Body:
        """Do one API call, by method id (`compute.networks.insert`), again where `persistently` allows. A list comes with all its pages.

        Raises NotFoundError, BusyError, AnswerLostError, CloudError.
        """
        service, *path, verb = method.split(".")
        resource = self._service(service)
        for step in path:
            resource = getattr(resource, step)()
        request = getattr(resource, verb)(**parameters)
        repeatable = request.method != "POST" or _READS.fullmatch(verb) is not None
        answer = persistently(lambda: self._attempt(service, method, request), repeatable=repeatable)
        if token := answer.pop("nextPageToken", ""):
            more = self.call(method, **{**parameters, "pageToken": token})
            answer |= {key: [*answer.get(key, []), *value] for key, value in more.items() if isinstance(value, list)}
        return answer

    def _attempt(self, service: str, method: str, request: Any) -> Body:
        try:
            answer = self._send(request)
        except HttpError as error:
            raise _refusal(method, error) from error
        except LeavesLoopbackError as error:
            raise ConfigurationError(f"{method}: {error}") from error
        except (OSError, httplib2.HttpLib2Error, http.client.HTTPException) as error:
            cause = f"{self._where(service).url} does not answer ({error})"
            kind = BusyError if isinstance(error, ConnectionRefusedError) else AnswerLostError
            raise kind(cloud="gcp", operation=method, code=UNREACHABLE, message=cause, causes=CAUSES) from error
        if wrong := self._wrong(service, method, answer):
            cause = f"{self._where(service).url} answers {wrong}; what stands at this address?"
            raise AnswerLostError(cloud="gcp", operation=method, code="MALFORMED", message=cause)
        return cast("Body", answer or {})

    def _wrong(self, service: str, method: str, answer: object) -> str:
        """What of an answer is none of the method's; "" where it may be one. Nothing at all is how some methods answer."""
        if not answer and not method.endswith(".get"):
            return ""
        if not isinstance(answer, dict):  # as Google's client leaves what it cannot read
            return f"no JSON object: {str(answer)[:60]!r}"
        document = self.document(service)
        schema = document.methods[method].response
        known = document.schema(schema).get("properties", {}) if schema else {}
        return (
            "" if answer.keys() & known.keys() else f"with nothing that {schema or 'it'} has: {json.dumps(answer)[:60]}"
        )

    @contextmanager
    def exclusive(self, name: str) -> Generator[None]:
        """One thread at a time for an object that is changed by reading and writing it back (a router, a policy)."""
        with self._building:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            yield

    def _where(self, service: str) -> Endpoint:
        endpoint = self.config.endpoints.get(service)
        if endpoint is None:
            raise ConfigurationError(f"gcp:{SERVICES[service][0]} is missing, and this resource needs it")
        return endpoint

    def _service(self, service: str) -> Any:
        endpoint = self._where(service)
        with self._building:
            if service not in self._services:
                self._services[service] = google_discovery.build(
                    service,
                    endpoint.version,
                    http=Http(),
                    client_options={"api_endpoint": endpoint.url},
                    static_discovery=True,
                    cache_discovery=False,
                )
            return self._services[service]

    def _send(self, request: Any) -> Any:
        """Over a kept-alive connection that no other thread has.

        One that the server closed while it was idle shows when the request is written: nothing was done, another one serves.
        """
        while True:
            kept = True
            try:
                http = self._idle.pop()
            except IndexError:
                kept = False
                http = Http(REQUEST_SECONDS)
            try:
                answer = request.execute(http=http)
            except HttpError:
                self._idle.append(http)
                raise
            except BrokenPipeError:
                http.close()
                if kept:
                    continue
                raise
            except BaseException:
                http.close()
                raise
            self._idle.append(http)
            return answer


def _close_all(connections: list[httplib2.Http]) -> None:
    for connection in connections:
        connection.close()


def _refusal(method: str, error: HttpError) -> CloudError:
    status = int(error.resp.status)
    code, message = str(status), str(error.reason)
    try:
        answer: Body = json.loads(error.content).get("error", {})
    except (ValueError, AttributeError):
        answer = {}
    message = answer.get("message", message)
    reasons = [item.get("reason") for item in answer.get("errors", []) if item.get("reason")]
    code = answer.get("status") or (reasons[0] if reasons else code)
    if reasons and method.startswith("compute."):
        code = reasons[0]
    details: list[Body] = answer.get("details") or []
    more = tuple(str(each["reason"]) for each in details if each.get("reason"))
    kind = kind_of(CAUSES.cause((*more, *reasons, str(code)), status), status, gone=status == 404)
    if kind is NotFoundError and not answer:
        kind, message = AnswerLostError, "404 without the API's own error; what stands at this address?"
    return kind(
        cloud="gcp",
        operation=method,
        code=code,
        message=message,
        status=status,
        request_id=next((str(each["requestId"]) for each in details if each.get("requestId")), ""),
        causes=CAUSES,
        reasons=(*more, *reasons),
    )


# Calls that may have to wait their turn, and operations


def patiently(call: Call[Gcp], method: str, **parameters: Json) -> Body:
    """A call that the cloud may refuse for now: the cluster is busy, or a resource it names is not ready yet."""

    def attempt() -> Body | None:
        try:
            return call.cloud.call(method, **parameters)
        except CloudError as error:
            if _for_now(error):
                return None
            raise

    return call.wait(attempt, what=f"{method} (the cloud is busy with another operation)")


def _for_now(error: CloudError) -> bool:
    return (
        (error.status == 400 and "incompatible operation" in error.message)
        or error.code == "resourceNotReady"
        or (error.status == 409 and error.code == "ABORTED")
    )


def creating(call: Call[Gcp], object_id: str, attempt: Callable[[], Body]) -> Body:
    """Do the call that makes an object."""
    call.cloud.released.discard(object_id)
    answer = attempt()
    call.created(object_id)
    return answer


def finish(call: Call[Gcp], service: str, operation: Body, *, location: str = "", method: str) -> None:
    """Wait until an operation is over. Raises CloudError with its error. `location` is projects/p/locations/l for container."""

    def ended() -> Body | None:
        # Other servers than the one that began an operation may not know it yet.
        current = call.visible(lambda: _current(call.cloud, service, operation, location)) or {}
        return current if current.get("status") == "DONE" or current.get("done") else None

    over = operation if operation.get("done") or operation.get("status") == "DONE" else call.wait(ended, what=method)
    error: Body | None = over.get("error")
    if not error:
        return
    first: Body = error["errors"][0] if "errors" in error else error
    code = first.get("code", "")
    raise CloudError(
        cloud="gcp",
        operation=method,
        # Operations of some services have google.rpc.Code as a number.
        code=_CODES.get(code, str(code)) if isinstance(code, int) else str(code),
        message=str(first.get("message", over.get("statusMessage", ""))),
        status=int(over.get("httpErrorStatusCode", 0)),
        causes=CAUSES,
    )


def _current(cloud: Gcp, service: str, operation: Body, location: str) -> Body:
    name = operation["name"]
    if service == "compute":
        scope = operation["selfLink"].partition("/projects/")[2].split("/")
        parameters: Body = {"project": scope[0], "operation": name}
        if scope[1] == "global":
            return cloud.call("compute.globalOperations.get", **parameters)
        kind = scope[1].removesuffix("s")
        return cloud.call(f"compute.{kind}Operations.get", **parameters, **{kind: scope[2]})
    if service == "container":
        return cloud.call("container.projects.locations.operations.get", name=f"{location}/operations/{name}")
    if service == "serviceusage":
        return cloud.call("serviceusage.operations.get", name=name)
    return cloud.call(f"{service}.projects.locations.operations.get", name=name)
