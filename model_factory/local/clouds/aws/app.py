"""The pipeline of a call: resolve, delay, fault, do, record, answer.

Calls are done one at a time, in the order of their times; only a latency is waited for outside. A mutating call that
succeeded is recorded before it is answered, with the time it was done at, the seed it drew ids from and the transition time
that held; done again with these, at start, it gives the same answer, which a checksum confirms.
"""

from __future__ import annotations

import base64
import importlib
import io
import logging
import secrets
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moto.moto_server.werkzeug_app import create_backend_app

from model_factory.facts.aws import AWS
from model_factory.facts.aws.services import SERVICES
from model_factory.local.clouds import TRANSITION_SECONDS
from model_factory.local.clouds.aws import (
    added_operations,
    clock,
    moto_patches,
    pod_identity,
    resource_counts,
    routing,
    s3_access,
)
from model_factory.local.clouds.aws.call_log import CallLog, Entry
from model_factory.local.clouds.aws.clock import CLOCK
from model_factory.local.clouds.aws.eks import Eks
from model_factory.local.clouds.aws.eks.nodes import cluster_key
from model_factory.local.clouds.aws.errors import AwsError, NotImplementedHereError, Response, render
from model_factory.local.clouds.aws.moto_state import load
from model_factory.local.clouds.aws.routing import Call
from model_factory.local.clouds.control import Controls, JsonObject
from model_factory.local.clouds.control_planes import ClusterPrograms, ControlPlanes, Simulated
from model_factory.local.errors import CloudDataError, ControlError
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.node.join import Place
from model_factory.local.lab.nodes.fleets import Fleets, NodePrograms
from model_factory.local.lab.nodes.pools import Pool

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

VERSION: Final = "1"
_LOG: Final = logging.getLogger(__name__)
_LINE_BYTES: Final = 1 << 20
_DROPPED: Final = frozenset(
    {"HTTP_USER_AGENT", "HTTP_X_AMZ_USER_AGENT", "HTTP_AMZ_SDK_INVOCATION_ID", "HTTP_AMZ_SDK_REQUEST"}
)
_KEPT: Final = frozenset(
    {
        "REQUEST_METHOD",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
        "REQUEST_URI",
        "SERVER_NAME",
        "SERVER_PORT",
        "CONTENT_TYPE",
    }
)

Environ = dict[str, Any]


def warm() -> None:
    """Import what the first calls would otherwise wait for. It makes no state, so calls may be done meanwhile."""
    for service in ("ec2", *sorted(SERVICES.keys() - {"ec2", "eks"})):
        importlib.import_module(f"moto.{service}.responses")
    for service in SERVICES:
        routing.load(service)


class AwsCloud:
    """The local AWS as a WSGI application and as a `control.Cloud`. One a process: moto's state is global."""

    name = "aws"
    version = VERSION

    def __init__(
        self,
        data: Path | None,
        *,
        transition_seconds: float = TRANSITION_SECONDS,
        planes: ControlPlanes = Simulated(),  # noqa: B008  it is frozen, and holds nothing
        place: Place | None = None,
    ) -> None:
        """`data` None keeps the state in memory; with a `place` this machine is a node, too. Raises CloudDataError where the recorded state cannot be used."""
        self.data = "" if data is None else str(data)
        self.controls = Controls(self, transition_seconds=transition_seconds)
        self._lock = threading.Lock()
        self._log = None if data is None else CallLog(data)
        self._planes = planes
        self._eks = Eks(CLOCK, planes)
        self._eks.fleets.join(place)
        clock.take_over_backends()
        CLOCK.reset()
        self.restored_calls, self.differing_calls = self._restore()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(pod_identity.PATH):
            response = self._credentials(environ["PATH_INFO"].removeprefix(pod_identity.PATH), environ)
        else:
            response = self._answer(_whole(environ))
        headers = list(response.headers)
        # An answer to HEAD has no body, but the length of the object it tells of.
        if not any(key.lower() == "content-length" for key, _ in headers):
            headers.append(("Content-Length", str(len(response.body))))
        start_response(f"{response.status} {'OK' if response.status < 300 else 'Answer'}", headers)
        return [response.body]

    def _credentials(self, name: str, environ: WSGIEnvironment) -> Response:
        """What a Pod of a cluster gets for its token: see `pod_identity`."""
        region = name.partition(".")[0]
        plane = self._planes.plane(name)
        if plane is None:
            return pod_identity.answer({"message": f"no cluster {name} runs here"}, HTTPStatus.NOT_FOUND)
        try:
            # Not under the lock: the API server may ask back whose the token is.
            account = pod_identity.account_of(plane, environ.get("HTTP_AUTHORIZATION", ""))
            with self._lock:
                CLOCK.settle(time.time())
                association = self._eks.association(name, *account)
                if association is None:
                    raise pod_identity.RefusedError(f"no association is for {':'.join(account)}")
                return pod_identity.answer(pod_identity.credentials(association, region))
        except pod_identity.RefusedError as error:
            return pod_identity.answer({"message": str(error)}, HTTPStatus.FORBIDDEN)

    def counts(self) -> Mapping[str, int]:
        with self._lock:
            CLOCK.settle(time.time())
            return self._counts()

    def _counts(self) -> Mapping[str, int]:
        counter = Counter(resource_counts.count())
        counter.update(self._eks.counts())
        return {kind: number for kind, number in counter.items() if number}

    def reset(self) -> None:
        with self._lock:
            CLOCK.reset()
            self._eks.reset()
            if self._log is not None:
                self._log.rewrite([])

    def seed(self, document: JsonObject) -> None:
        """{"capacity": [{region, instanceType, capacityType?, available}]}; see `eks.capacity`. It survives a restart."""
        with self._lock:
            self._eks.seed(document)
            self._append({"at": CLOCK.begin(time.time(), 0), "seeded": document})

    def limit_machines(self, place: str, machine: str, available: int) -> None:
        if place not in AWS.regions:
            raise ControlError(f"AWS has no region {place!r}; name one such as us-east-1")
        self.seed({"capacity": [{"region": place, "instanceType": machine, "available": available}]})

    @property
    def fleets(self) -> Fleets:
        return self._eks.fleets

    def look_after_nodes(self, region: str, name: str, folder: Path, kubeconfig: Path, programs: NodePrograms) -> None:
        """Give an EKS cluster that is real its nodes, from now on. Raises LabError, AccessError."""

        def wanted() -> list[Pool]:
            with self._lock:
                return self._eks.pools(region, name)

        self.fleets.open(
            cluster_key(region, name), folder, kubeconfig, programs, wanted, lambda: self.controls.transition_seconds
        )

    def forget_nodes(self, region: str, name: str) -> None:
        """Leave the nodes of an EKS cluster as they are: its control plane stops, or is gone."""
        self.fleets.close(cluster_key(region, name))

    def come(self, name: str, plane: ControlPlane, programs: ClusterPrograms) -> None:
        """A cluster's control plane is ready: its nodes can come."""
        region, _, cluster = name.partition(".")
        self.look_after_nodes(region, cluster, plane.folder, plane.admin_kubeconfig, programs)

    def go(self, name: str) -> None:
        region, _, cluster = name.partition(".")
        self.forget_nodes(region, cluster)

    def lacking(self) -> Mapping[str, str]:
        return self._planes.lacking()

    def authenticate(self, cluster: str, token: str) -> JsonObject | None:
        """Whose token it is there; see `eks.authenticator`."""
        with self._lock:
            CLOCK.settle(time.time())
            return self._eks.authenticate(cluster, token)

    def close(self) -> None:
        self.fleets.close_all()
        with self._lock:
            if self._log is not None:
                self._log.close()

    def _answer(self, environ: Environ) -> Response:
        request_id = secrets.token_hex(16)
        protocol = routing.guess_protocol(environ)
        try:
            call = routing.resolve(environ)
            protocol = call.protocol
            delay = self.controls.delay_seconds(call.name)
            if delay:
                time.sleep(delay)
            fault = self.controls.fault(call.name)
            if fault is not None:
                raise AwsError(fault.error, fault.message, fault.status)
            with self._lock:
                return self._do_now(call, environ)
        except AwsError as error:
            return render(error, protocol, request_id)
        except (CloudDataError, OSError) as error:
            _LOG.exception("the call was done, but could not be recorded")
            return render(AwsError("InternalFailure", str(error), 500), protocol, request_id)
        except Exception:  # noqa: BLE001  a bug here or in moto must answer, and leave its trace, not drop the connection
            _LOG.exception("%s %s failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            message = "the local AWS failed; its log has the reason"
            return render(AwsError("InternalFailure", message, 500), protocol, request_id)

    def _do_now(self, call: Call, environ: Environ) -> Response:
        seed = secrets.randbits(63)
        transition_seconds = self.controls.transition_seconds
        at = CLOCK.begin(time.time(), seed, transition_seconds)
        response = self._do(call, environ)
        if not call.reads and response.status < 400:
            self._append(
                {
                    "at": at,
                    "seed": seed,
                    "transition": transition_seconds,
                    "call": call.name,
                    "environ": _kept(environ),
                    **self._recorded_body(environ["wsgi.input"].getvalue()),
                    "answer": zlib.crc32(response.body),
                }
            )
            self.fleets.poke()
        return response

    def _recorded_body(self, body: bytes) -> Entry:
        # Weights would make a line of the log that is read whole, and as text larger by a third.
        if self._log is not None and len(body) > _LINE_BYTES:
            return {"bodyIn": self._log.keep(body)}
        return {"body": base64.b64encode(body).decode()}

    def _append(self, entry: Entry) -> None:
        if self._log is not None:
            self._log.append(entry)

    def _do(self, call: Call, environ: Environ) -> Response:
        if call.service == "eks":
            return self._eks.answer(call)
        moto_patches.check(call, self._eks.users)
        if call.service == "s3":
            s3_access.check(call)
        response = added_operations.answer(call) or _ask_moto(call, environ)
        if response.status < 400:
            moto_patches.amend(call)
        return response

    def _restore(self) -> tuple[int, int]:
        """Do the recorded calls again. Returns how many there were, and how many gave another answer."""
        if self._log is None:
            self._planes.begin(self)
            return 0, 0
        entries = self._log.read()
        differing = 0
        for entry in entries:
            if "seeded" in entry:
                CLOCK.begin(entry["at"], 0)
                self._eks.seed(entry["seeded"])
                continue
            body = self._log.body(entry["bodyIn"]) if "bodyIn" in entry else base64.b64decode(entry["body"])
            environ = _whole(entry["environ"] | {"wsgi.input": io.BytesIO(body)})
            CLOCK.begin(entry["at"], entry["seed"], entry["transition"])
            try:
                response = self._do(routing.resolve(environ), environ)
            except AwsError as error:
                response = Response(error.status, (), str(error).encode())
            if zlib.crc32(response.body) != entry["answer"]:
                differing += 1
                _LOG.warning("%s gave another answer than when it was recorded", entry["call"])
        # Before what is due by now: a cluster that was being made when the cloud ended is not ready for that.
        self._planes.begin(self)
        CLOCK.settle(time.time())
        if entries and not self._counts():
            # Nothing is left of all that was done: forget the calls, keep the facts about the world.
            self._log.rewrite([entry for entry in entries if "seeded" in entry])
            CLOCK.reset()
        return len(entries), differing


@cache
def _flask(service: str) -> Callable[..., Iterable[bytes]]:
    """moto's application for a service."""
    load(service)
    create: Any = create_backend_app
    return create(service)


def _ask_moto(call: Call, environ: Environ) -> Response:
    answered: list[tuple[int, tuple[tuple[str, str], ...]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        dropped = {"connection"} if call.request.method == "HEAD" else {"connection", "content-length"}
        kept = tuple((key, value) for key, value in headers if key.lower() not in dropped)
        answered.append((int(status.split()[0]), kept))

    environ["wsgi.input"].seek(0)
    try:
        body = b"".join(_flask(call.service)(environ | {"wsgi.errors": io.StringIO()}, start_response))
    except NotImplementedError as error:
        raise NotImplementedHereError(call.name) from error
    status, headers = answered[0]
    is_page = any(key.lower() == "content-type" and "html" in value for key, value in headers)
    if status == 404 and is_page and call.service != "s3":
        raise NotImplementedHereError(call.name)
    return Response(status, headers, body)


def _whole(environ: Mapping[str, Any]) -> Environ:
    """The request with its body in memory, to be read more than once and recorded."""
    source = environ["wsgi.input"]
    body = source.getvalue() if isinstance(source, io.BytesIO) else _read(source, environ)
    return dict(environ) | {
        "wsgi.input": io.BytesIO(body),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
    }


def _read(source: Any, environ: Mapping[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    if length:
        return source.read(int(length))
    return source.read() if environ.get("wsgi.input_terminated") else b""


def _kept(environ: Environ) -> Environ:
    """What of a request decides its answer, without the signature."""
    kept = {
        key: value
        for key, value in environ.items()
        if (key in _KEPT or key.startswith("HTTP_") or key == "moto.preserved_header_names") and key not in _DROPPED
    }
    authorization = kept.get("HTTP_AUTHORIZATION")
    if authorization:
        kept["HTTP_AUTHORIZATION"] = authorization.split("Signature=")[0] + "Signature=0"
    return kept
