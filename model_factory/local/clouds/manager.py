"""Starts, finds and stops the local clouds that are processes (aws, gcp), one a port, on loopback.

A cloud's files lie under `<root>/.factory/clouds/<name>/`, or another `place`: those of `model_factory.local.daemon`, and `data/`. Starting a cloud that runs is
a no-op. The Kubernetes "cloud" is a folder, not a process: `model_factory.local.clouds.kubernetes` has the same calls for it.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import psutil

from model_factory.local import daemon, loopback
from model_factory.local.clouds import REFUSAL, TRANSITION_SECONDS, control_planes
from model_factory.local.errors import LocalCloudError, NotRunningError, PortBusyError
from model_factory.local.folders import private, take_private

HOST: Final = "127.0.0.1"
SOURCE: Final = Path(__file__).parents[3]
"""The directory that holds the package `local`: the clouds are started from this very code."""
CLOUDS_PLACE: Final = "clouds"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
CLUSTERS_SECONDS: Final = 120.0
CALL_SECONDS: Final = 30.0
ASK_SECONDS: Final = 3.0
"""A cloud that loads its state answers later than that; a program that is no cloud may never answer."""
POLL_SECONDS: Final = 0.03


@dataclass(frozen=True, slots=True)
class CloudSpec:
    """A local cloud to run: its name is its package under `model_factory.local.clouds`."""

    name: str
    port: int
    transition_seconds: float = TRANSITION_SECONDS
    arguments: tuple[str, ...] = ()
    """What its program takes besides: the projects of a Google Cloud (`--project`, ID)."""
    place: str = CLOUDS_PLACE
    """The folder of `.factory` that it keeps its files in: two stacks of one project that use the same share the clouds in it."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def directory(self, root: Path) -> Path:
        return root.resolve() / ".factory" / self.place / self.name

    def data(self, root: Path) -> Path:
        return self.directory(root) / "data"


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """What a cloud says of itself. `resources` counts what it holds, by kind."""

    name: str
    port: int
    running: bool
    pid: int | None = None
    version: str = ""
    uptime_seconds: float = 0.0
    resources: Mapping[str, int] | None = None
    faults: Sequence[Mapping[str, Any]] = ()
    latency_ms: float = 0.0
    transition_seconds: float = 0.0
    data: str = ""
    problem: str = ""
    """Why it could not start last time, where it does not run because of what it has stored."""
    clusters: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those whose control planes are not as they should be, and why; "" as long as they are being started."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def start(specs: Sequence[CloudSpec], root: Path, *, timeout_seconds: float = START_SECONDS) -> list[CloudStatus]:
    """Start those that do not run, all at once; return when each answers.

    Raises PortBusyError where another program (or another project's cloud) has the port, LocalCloudError with the end of the
    log where the process ends or stays silent; what this call had started is then stopped again.
    """
    with ExitStack() as stack:
        # Two commands at once: the second waits, and then finds the clouds running.
        for spec in sorted(specs, key=lambda spec: spec.name):
            stack.enter_context(_only_starter(spec, root))
        processes = {spec.name: _find(spec, root) for spec in specs}
        spawned: list[CloudSpec] = []
        try:
            for spec in specs:
                if processes[spec.name] is None:
                    processes[spec.name] = _spawn(spec, root)
                    spawned.append(spec)
            deadline = time.monotonic() + timeout_seconds
            found = [_wait_ready(spec, root, processes[spec.name], deadline) for spec in specs]
            deadline = time.monotonic() + CLUSTERS_SECONDS
            return [_wait_clusters(spec, status, deadline) for spec, status in zip(specs, found, strict=True)]
        except BaseException:
            stop(spawned, root)
            raise


def stop(specs: Sequence[CloudSpec], root: Path) -> list[str]:
    """Stop those that run, and return their names. State is kept. A cloud that ignores SIGTERM for 5 s is killed."""
    stopped = [spec.name for spec in specs if _stop_process(spec, root)]
    # After the clouds, which would start them again; also where those were killed and could not.
    control_planes.stop_all([spec.data(root) for spec in specs])
    return stopped


def status(specs: Sequence[CloudSpec], root: Path) -> list[CloudStatus]:
    """The state of each cloud of this root; one that another project runs on the port counts as not running here."""
    statuses: list[CloudStatus] = []
    for spec in specs:
        answer = _ask(spec)
        ours = answer is not None and answer.data == str(spec.data(root))
        stopped = CloudStatus(spec.name, spec.port, running=False, problem=_refusal(spec, root))
        statuses.append(answer if answer is not None and ours else stopped)
    return statuses


def reset(specs: Sequence[CloudSpec]) -> list[CloudStatus]:
    """Forget every resource, fault and latency in each."""
    return [_status(spec, call(spec, "POST", "reset")) for spec in specs]


def call(
    spec: CloudSpec, method: str, name: str, document: object = None, *, timeout_seconds: float = CALL_SECONDS
) -> Any:
    """One control call (see `model_factory.local.clouds.control`), as decoded JSON. Raises NotRunningError, LocalCloudError."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{spec.url}/_cloud/{name}", data=body, method=method)  # noqa: S310  always http on loopback
    request.add_header("Content-Type", "application/json")
    try:
        with _OPENER.open(request, timeout=timeout_seconds) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            reason = _reason(error.read())
        raise LocalCloudError(f"local cloud {spec.name} refused {method} {name}: {reason}") from error
    except (OSError, ValueError) as error:
        raise NotRunningError(
            f"local cloud {spec.name} does not answer at {spec.url} ({error}); start it with `factory clouds start`"
        ) from error


_OPENER: Final = loopback.opener()


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def _status(spec: CloudSpec, answer: Mapping[str, Any]) -> CloudStatus:
    return CloudStatus(
        name=answer["cloud"],
        port=spec.port,
        running=True,
        pid=answer["pid"],
        version=answer["version"],
        uptime_seconds=answer["uptime_seconds"],
        resources=answer["resources"],
        faults=answer["faults"],
        latency_ms=answer["latency_ms"],
        transition_seconds=answer["transition_seconds"],
        data=answer.get("data", ""),
        clusters=answer.get("clusters", {}),
    )


def _ask(spec: CloudSpec) -> CloudStatus | None:
    try:
        answer = call(spec, "GET", "status", timeout_seconds=ASK_SECONDS)
        return _status(spec, answer)
    except (LocalCloudError, KeyError, TypeError):
        return None


@contextmanager
def _only_starter(spec: CloudSpec, root: Path) -> Generator[None]:
    take_private(spec.directory(root))
    take_private(spec.data(root))
    with open(spec.directory(root) / "start.lock", "w", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find(spec: CloudSpec, root: Path) -> psutil.Process | None:
    """The process of this root's cloud, None where the port is free; anything else there is an error."""
    recorded = daemon.recorded(spec.directory(root))
    if recorded is not None and recorded.facts.get("port") != spec.port:
        raise LocalCloudError(
            f"local cloud {spec.name} runs already, on port {recorded.facts.get('port')} (pid {recorded.process.pid}), not "
            f"{spec.port}; stop it first with `factory clouds stop`"
        )
    if recorded is not None:
        return recorded.process
    holder = _holder(spec.port)
    if holder is None:
        return None
    answer = _ask(spec)
    if answer is None:
        raise PortBusyError(
            f"local cloud {spec.name} needs port {spec.port}, which {holder} holds; stop that, or choose another port"
        )
    if answer.name != spec.name or answer.data != str(spec.data(root)) or answer.pid is None:
        raise PortBusyError(
            f"local cloud {spec.name} needs port {spec.port}, where the cloud {answer.name} (pid {answer.pid}) serves "
            f"{answer.data or 'memory'}; run `factory clouds stop` there, or choose another port"
        )
    return psutil.Process(answer.pid)


def _holder(port: int) -> str | None:
    """Who listens on the port, in words; None where nobody does."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows other users' sockets to root alone
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and _keeps(connection.laddr, port):
            with suppress(psutil.Error):
                if connection.pid:
                    process = psutil.Process(connection.pid)
                    return f"process {connection.pid} ({' '.join(process.cmdline()[:4]) or process.name()})"
            return "another user's process"
    return None


def _keeps(address: Any, port: int) -> bool:
    """Whether nobody else can listen on the port at HOST while somebody does at this address. The lab's forwarder does at another one."""
    listens = ip_address(address.ip)
    return address.port == port and (listens.is_unspecified or str(listens) == HOST)


def _spawn(spec: CloudSpec, root: Path) -> psutil.Process:
    command = [sys.executable, "-m", f"model_factory.local.clouds.{spec.name}", "--port", str(spec.port)]
    command += ["--data", str(spec.data(root)), "--transition-seconds", str(spec.transition_seconds)]
    command += spec.arguments
    return daemon.spawn(command, spec.directory(root), source=SOURCE, facts={"port": spec.port}).process


def _wait_ready(spec: CloudSpec, root: Path, process: psutil.Process | None, deadline: float) -> CloudStatus:
    while process is not None and daemon.is_alive(process):
        answer = _ask(spec)
        if answer is not None and answer.pid == process.pid:
            return answer
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"local cloud {spec.name} did not answer in time at {spec.url}:\n{daemon.log_tail(spec.directory(root))}"
            )
        time.sleep(POLL_SECONDS)
    if refusal := _refusal(spec, root):
        raise LocalCloudError(f"local cloud {spec.name} {REFUSAL}{refusal}")
    raise LocalCloudError(f"local cloud {spec.name} ended while starting:\n{daemon.log_tail(spec.directory(root))}")


def _wait_clusters(spec: CloudSpec, status: CloudStatus, deadline: float) -> CloudStatus:
    """Wait for the control planes of a cloud that has just been started, so that the next command finds them. It tells of those that do not come."""
    while "" in status.clusters.values() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS * 5)
        status = _ask(spec) or status
    return status


def _refusal(spec: CloudSpec, root: Path) -> str:
    """Why it would not start, which is then the last thing it said; or empty."""
    try:
        last = daemon.log_tail(spec.directory(root)).rpartition("\n")[2]
    except OSError:
        return ""
    return last.removeprefix(REFUSAL) if last.startswith(REFUSAL) else ""


def _stop_process(spec: CloudSpec, root: Path) -> bool:
    recorded = daemon.recorded(spec.directory(root))
    process = recorded.process if recorded is not None else _unrecorded(spec, root)
    if process is not None:
        daemon.stop(process, seconds=STOP_SECONDS)
    daemon.forget(spec.directory(root))
    return process is not None


def _unrecorded(spec: CloudSpec, root: Path) -> psutil.Process | None:
    """This root's cloud where its record is gone, as after `rm -r .factory`."""
    answer = _ask(spec)
    if answer is None or answer.pid is None or answer.data != str(spec.data(root)):
        return None
    return psutil.Process(answer.pid)
