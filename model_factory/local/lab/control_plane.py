"""A Kubernetes control plane on this machine: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, one a cluster.

All four listen on 127.0.0.1 alone, on ports of their own that are chosen once, and with TLS. Nodes and what runs on them are not here.
Everything of a cluster lies in its folder: `settings.json`, `pki/`, `etcd/`, kubeconfigs, and a folder a process with its record and log.
What is there is compared with what should be, so `ensure` ends what was begun and mends what was killed.

`python -m model_factory.local.lab.control_plane FOLDER up|down [--programs DIR] [--version 1.35]` runs one by hand.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import hashlib
import json
import random
import shutil
import signal
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import psutil

from model_factory.local import daemon
from model_factory.local.errors import LabError
from model_factory.local.folders import private, take_private
from model_factory.local.lab.modules import DEFAULT_MINOR

if TYPE_CHECKING:
    from model_factory.local.lab.certificates import Authority, Issued

HOST: Final = "127.0.0.1"
HOST_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
"""What the API server's certificate is good for, besides 127.0.0.1 and the address of the Service `kubernetes`."""
SERVICE_RANGE: Final = "10.96.0.0/16"
READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 10.0
ASK_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.1
# Below what systems give to outgoing connections, so that a port that is kept is not somebody's when the cluster starts again.
_PORTS: Final = range(20_000, 32_000)
_ETCD: Final = "etcd"
_API_SERVER: Final = "kube-apiserver"
_CONTROLLERS: Final = "kube-controller-manager"
_SCHEDULER: Final = "kube-scheduler"
_INTERNAL_PORTS: Final = (_ETCD, "etcd-peer", _CONTROLLERS, _SCHEDULER)


class ControlPlanePrograms(Protocol):
    """Where the four programs of one Kubernetes minor lie."""

    @property
    def etcd(self) -> Path: ...
    @property
    def kube_apiserver(self) -> Path: ...
    @property
    def kube_controller_manager(self) -> Path: ...
    @property
    def kube_scheduler(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class FolderPrograms:
    """The programs of a folder that holds them by their own names."""

    folder: Path

    @property
    def etcd(self) -> Path:
        return self.folder / _ETCD

    @property
    def kube_apiserver(self) -> Path:
        return self.folder / _API_SERVER

    @property
    def kube_controller_manager(self) -> Path:
        return self.folder / _CONTROLLERS

    @property
    def kube_scheduler(self) -> Path:
        return self.folder / _SCHEDULER


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a cluster was made with, and keeps."""

    version: str
    ports: Mapping[str, int]
    service_range: str
    issuer: str
    authenticator_url: str


@dataclass(frozen=True, slots=True)
class _Process:
    """One of the four as it should run: `path` is what it answers GET with 200 once it is ready."""

    name: str
    command: tuple[str, ...]
    port: int
    path: str
    authority: Path
    client: str
    reads: str = ""
    """What it reads from a file when it starts, and nobody tells it again."""

    @property
    def digest(self) -> str:
        return hashlib.sha256("\0".join([*self.command, self.reads]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The control plane whose files lie in `folder`. `programs` finds those of a minor such as 1.35, and may raise LabError.

    Every call may be repeated, and two processes may call at once: the second waits.
    """

    folder: Path
    programs: Callable[[str], ControlPlanePrograms]

    def ensure(
        self,
        version: str,
        *,
        authenticator_url: str = "",
        service_range: str = SERVICE_RANGE,
        issuer: str = "https://kubernetes.default.svc.cluster.local",
        timeout_seconds: float = READY_SECONDS,
    ) -> None:
        """Make the cluster if it is not there, and start what does not run as it should; return when all four are ready.

        `version` is a minor; a newer one than the cluster's upgrades it, an older one is refused. `authenticator_url` is asked about bearer
        tokens (TokenReview, authentication.k8s.io/v1); "" has none. `service_range` and `issuer` (of service accounts' tokens) are taken
        when the cluster is made, and kept. Raises LabError with the end of the log of what does not start.
        """
        with self._alone():
            settings = self._settings() or _Settings(
                version, _free_ports((_API_SERVER, *_INTERNAL_PORTS)), service_range, issuer, authenticator_url
            )
            if _minor(version) < _minor(settings.version):
                raise LabError(
                    f"cluster {self.folder.name} runs Kubernetes {settings.version} and cannot go back to {version}; "
                    "delete the cluster and create it again"
                )
            self._write_settings(replace(settings, version=version, authenticator_url=authenticator_url))
            self._start(timeout_seconds)

    def upgrade(self, version: str, *, timeout_seconds: float = READY_SECONDS) -> None:
        """Go to the next minor, all four at once. Raises LabError for one that is not the next, and where it does not start; the cluster
        then runs as before."""
        with self._alone():
            settings = self._required()
            if _minor(version) not in (_minor(settings.version), _minor(settings.version) + 1):
                raise LabError(
                    f"cluster {self.folder.name} runs Kubernetes {settings.version} and cannot go to {version}; "
                    "go up one minor version at a time"
                )
            # Asked for before anything is written: a minor that cannot be had must not keep the cluster from starting again.
            self.programs(version)
            self._write_settings(replace(settings, version=version))
            try:
                self._start(timeout_seconds)
            except LabError:
                self._write_settings(settings)
                self._start(timeout_seconds)
                raise

    def resume(self, *, timeout_seconds: float = READY_SECONDS) -> None:
        """Start again, as it last ran, what does not run. Raises LabError where there is no cluster."""
        with self._alone():
            self._required()
            self._start(timeout_seconds)

    def stop(self) -> None:
        """End the four processes; the cluster's objects stay."""
        if self.folder.exists():
            with self._alone():
                self._end()

    def remove(self) -> None:
        """End the four processes, and remove the folder with all that the cluster held."""
        if not self.folder.exists():
            return
        with self._alone():
            self._end()
            # The lock's file goes last: who waits for it then finds an empty folder, and makes the cluster anew.
            for each in self.folder.iterdir():
                if each.is_dir():
                    shutil.rmtree(each)
                else:
                    each.unlink()
        with suppress(OSError):  # another call makes the cluster again meanwhile
            self.folder.rmdir()

    @property
    def exists(self) -> bool:
        """Whether a cluster was made here, however far."""
        return self._settings() is not None

    @property
    def version(self) -> str:
        """The minor that it should run."""
        return self._required().version

    @property
    def endpoint(self) -> str:
        """The URL of the API server. Raises LabError where there is no cluster."""
        return f"https://{HOST}:{self._required().ports[_API_SERVER]}"

    @property
    def authority_pem(self) -> str:
        """The certificate that the API server's is signed by."""
        return (self._pki / "ca.crt").read_text(encoding="ascii")

    @property
    def admin_kubeconfig(self) -> Path:
        """A kubeconfig with a client certificate of system:masters: for this machine's own use, and a secret."""
        return self.folder / "admin.kubeconfig"

    @property
    def processes(self) -> Mapping[str, psutil.Process | None]:
        """The four by name, None for one that does not run."""
        found = {name: daemon.recorded(self.folder / name) for name in (_ETCD, _API_SERVER, _CONTROLLERS, _SCHEDULER)}
        return {name: None if each is None else each.process for name, each in found.items()}

    @property
    def runs(self) -> bool:
        """Whether all four run; they may not be ready."""
        return all(self.processes.values())

    def issue_client(self, name: str, groups: Sequence[str] = ()) -> Issued:
        """A client certificate that the cluster takes for this user, in these groups: `system:node:NAME` in `system:nodes` for a kubelet."""
        return self._authority("ca").client(name, groups)

    def issue_server(self, name: str, hosts: Sequence[str], addresses: Sequence[str]) -> Issued:
        """A serving certificate that the API server trusts, as a kubelet needs one (name system:node:NAME)."""
        return self._authority("ca").server(name, hosts, addresses, groups=["system:nodes"])

    def kubeconfig(self, issued: Issued, *, server: str = "", server_name: str = "") -> str:
        """A kubeconfig for a client certificate. `server` stands for `endpoint` where that is reached by another address; the certificate is then
        checked for `server_name`, one of `HOST_NAMES`."""
        cluster: dict[str, Any] = {
            "server": server or self.endpoint,
            "certificate-authority-data": _base64(self.authority_pem),
        }
        if server_name:
            cluster["tls-server-name"] = server_name
        user = {"client-certificate-data": _base64(issued.certificate_pem), "client-key-data": _base64(issued.key_pem)}
        return _kubeconfig(self.folder.name, cluster, user)

    # The folder

    @property
    def _pki(self) -> Path:
        return self.folder / "pki"

    @contextmanager
    def _alone(self) -> Generator[None]:
        take_private(self.folder)
        with open(self.folder / "lock", "w", opener=private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # The folder may have been removed while this waited.
            take_private(self.folder)
            yield

    def _settings(self) -> _Settings | None:
        try:
            return _Settings(**json.loads((self.folder / "settings.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _required(self) -> _Settings:
        settings = self._settings()
        if settings is None:
            raise LabError(f"there is no cluster {self.folder.name}; create it first")
        return settings

    def _write_settings(self, settings: _Settings) -> None:
        _write(self.folder / "settings.json", json.dumps(asdict(settings), indent=2))

    def _authority(self, name: str) -> Authority:
        from model_factory.local.lab.certificates import Authority

        return Authority(*((self._pki / f"{name}.{end}").read_text(encoding="ascii") for end in ("crt", "key")))

    def _make_pki(self, settings: _Settings) -> None:
        """All of it or nothing: it is made beside its place, and moved there whole."""
        if self._pki.exists():
            return
        # Most of what asks for a control plane needs no new certificates, and their library takes a twentieth of a second.
        from model_factory.local.lab.certificates import Authority, KeyPair

        made = self.folder / "pki.new"
        shutil.rmtree(made, ignore_errors=True)
        take_private(made)
        authority, etcd, front_proxy = (Authority.new(f"{name}-ca") for name in ("kubernetes", "etcd", "front-proxy"))
        service_address = str(IPv4Network(settings.service_range)[1])
        issued: dict[str, Issued] = {
            "ca": authority,
            "etcd-ca": etcd,
            "front-proxy-ca": front_proxy,
            # etcd asks its own authority alone: a certificate of the cluster's, such as a node's, opens nothing there.
            "etcd": etcd.peer("etcd", ["localhost"], [HOST]),
            "etcd-client": etcd.client(_API_SERVER),
            "front-proxy": front_proxy.client("front-proxy-client"),
            _API_SERVER: authority.server(_API_SERVER, HOST_NAMES, [HOST, service_address]),
            "kubelet-client": authority.client("kube-apiserver-kubelet-client", ["system:masters"]),
            "admin": authority.client("kubernetes-admin", ["system:masters"]),
        }
        for name in (_CONTROLLERS, _SCHEDULER):
            issued[name] = authority.client(f"system:{name}")
            issued[f"{name}-server"] = authority.server(name, ["localhost"], [HOST])
        for name, each in issued.items():
            _write(made / f"{name}.crt", each.certificate_pem)
            _write(made / f"{name}.key", each.key_pem)
        accounts = KeyPair.new()
        _write(made / "service-accounts.key", accounts.private_pem)
        _write(made / "service-accounts.pub", accounts.public_pem)
        made.rename(self._pki)

    def _write_kubeconfigs(self, settings: _Settings) -> None:
        from model_factory.local.lab.certificates import Issued

        for name in ("admin", _CONTROLLERS, _SCHEDULER):
            pair = ((self._pki / f"{name}.{end}").read_text(encoding="ascii") for end in ("crt", "key"))
            _write(self.folder / f"{name}.kubeconfig", self.kubeconfig(Issued(*pair)))
        # No credentials: whoever asks it already holds the token that it asks about.
        cluster = {"server": settings.authenticator_url}
        _write(self.folder / "authenticator.kubeconfig", _kubeconfig("authenticator", cluster, {}))

    # The processes

    def _start(self, timeout_seconds: float) -> None:
        settings = self._with_free_ports(self._required())
        self._make_pki(settings)
        self._write_kubeconfigs(settings)
        deadline = time.monotonic() + timeout_seconds
        wanted = self._wanted(settings)
        self._end_strays()
        # Each needs the one before it: the last two end by themselves where no API server answers.
        for process in wanted[:2]:
            self._spawn(process)
            self._wait_ready(process, deadline)
        for process in wanted[2:]:
            self._spawn(process)
        for process in wanted[2:]:
            self._wait_ready(process, deadline)

    def _with_free_ports(self, settings: _Settings) -> _Settings:
        """The settings, with other ports in place of those that another program took meanwhile. The API server's stays: kubeconfigs hold it."""
        running = self.processes
        stopped = [name for name in _INTERNAL_PORTS if running[name.removesuffix("-peer")] is None]
        taken = [name for name in stopped if not _is_free(settings.ports[name])]
        if running[_API_SERVER] is None and not _is_free(settings.ports[_API_SERVER]) and not self._strays():
            raise LabError(
                f"port {settings.ports[_API_SERVER]} of cluster {self.folder.name} is held by another program; stop that "
                "program, or delete the cluster and create it again"
            )
        if taken and not self._strays():
            settings = replace(settings, ports={**settings.ports, **_free_ports(taken)})
            self._write_settings(settings)
        return settings

    def _spawn(self, process: _Process) -> None:
        directory = self.folder / process.name
        found = daemon.recorded(directory)
        if found is not None and found.facts.get("digest") == process.digest:
            return
        if found is not None:
            _stop([found.process])
        if not Path(process.command[0]).exists():
            raise LabError(f"there is no program {process.command[0]}; build it with `factory lab build`")
        daemon.spawn(process.command, directory, source=self.folder, facts={"digest": process.digest})

    def _wait_ready(self, process: _Process, deadline: float) -> None:
        directory = self.folder / process.name
        context = ssl.create_default_context(cafile=process.authority)
        context.load_cert_chain(self._pki / f"{process.client}.crt", self._pki / f"{process.client}.key")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        problem = "it does not listen yet"
        while time.monotonic() < deadline:
            if daemon.recorded(directory) is None:
                raise LabError(f"{process.name} of cluster {self.folder.name} ended:\n{daemon.log_tail(directory)}")
            try:
                with opener.open(f"https://{HOST}:{process.port}{process.path}", timeout=ASK_SECONDS):
                    return
            except OSError as error:
                problem = str(error)
            time.sleep(POLL_SECONDS)
        raise LabError(
            f"{process.name} of cluster {self.folder.name} is not ready in time ({problem}):\n{daemon.log_tail(directory)}"
        )

    def _end(self) -> None:
        for names in ((_SCHEDULER, _CONTROLLERS, _API_SERVER), (_ETCD,)):
            running = self.processes
            _stop([process for name in names if (process := running[name]) is not None])
            for name in names:
                daemon.forget(self.folder / name)
        self._end_strays()

    def _end_strays(self) -> None:
        """Processes of this cluster that no record names: their starter was killed before it wrote one."""
        _stop(self._strays())

    def _strays(self) -> list[psutil.Process]:
        known = {process.pid for process in self.processes.values() if process is not None}
        mark = f"{self.folder}/"
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = process.cmdline()
                ours = Path(command[0]).name in self.processes if command else False
                if ours and process.pid not in known and any(mark in argument for argument in command):
                    found.append(process)
        return found

    def _wanted(self, settings: _Settings) -> list[_Process]:
        programs, pki, ports = self.programs(settings.version), self._pki, settings.ports
        etcd_url, peer_url = (f"https://{HOST}:{ports[name]}" for name in (_ETCD, "etcd-peer"))
        etcd = (
            str(programs.etcd),
            f"--data-dir={self.folder / 'etcd' / 'data'}",
            "--name=default",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--client-cert-auth=true",
            "--peer-client-cert-auth=true",
            f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
            f"--cert-file={pki / 'etcd.crt'}",
            f"--key-file={pki / 'etcd.key'}",
            f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
            f"--peer-cert-file={pki / 'etcd.crt'}",
            f"--peer-key-file={pki / 'etcd.key'}",
            "--log-level=warn",
        )
        api_server = [
            str(programs.kube_apiserver),
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--secure-port={ports[_API_SERVER]}",
            f"--tls-cert-file={pki / _API_SERVER}.crt",
            f"--tls-private-key-file={pki / _API_SERVER}.key",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            # No address of loopback can be an endpoint; whoever adds a node makes it known where the node reaches the server.
            "--endpoint-reconciler-type=none",
            f"--etcd-servers={etcd_url}",
            f"--etcd-cafile={pki / 'etcd-ca.crt'}",
            f"--etcd-certfile={pki / 'etcd-client.crt'}",
            f"--etcd-keyfile={pki / 'etcd-client.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP,Hostname",
            f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy.key'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            # The server is on no node, so a Service's own address leads nowhere from it.
            "--enable-aggregator-routing=true",
            f"--service-account-issuer={settings.issuer}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            f"--service-account-key-file={pki / 'service-accounts.pub'}",
            f"--service-cluster-ip-range={settings.service_range}",
            "--profiling=false",
        ]
        if settings.authenticator_url:
            api_server += [
                f"--authentication-token-webhook-config-file={self.folder / 'authenticator.kubeconfig'}",
                "--authentication-token-webhook-version=v1",
                "--authentication-token-webhook-cache-ttl=5s",
            ]
        controllers = (
            str(programs.kube_controller_manager),
            *self._client_flags(_CONTROLLERS, ports[_CONTROLLERS]),
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki / 'service-accounts.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            f"--service-cluster-ip-range={settings.service_range}",
        )
        scheduler = (str(programs.kube_scheduler), *self._client_flags(_SCHEDULER, ports[_SCHEDULER]))
        authority, etcd_authority = pki / "ca.crt", pki / "etcd-ca.crt"
        return [
            _Process(_ETCD, etcd, ports[_ETCD], "/readyz", etcd_authority, "etcd-client"),
            _Process(
                _API_SERVER,
                tuple(api_server),
                ports[_API_SERVER],
                "/readyz",
                authority,
                "admin",
                settings.authenticator_url,
            ),
            _Process(_CONTROLLERS, controllers, ports[_CONTROLLERS], "/healthz", authority, "admin"),
            _Process(_SCHEDULER, scheduler, ports[_SCHEDULER], "/readyz", authority, "admin"),
        ]

    def _client_flags(self, name: str, port: int) -> tuple[str, ...]:
        kubeconfig = self.folder / f"{name}.kubeconfig"
        return (
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--tls-cert-file={self._pki / name}-server.crt",
            f"--tls-private-key-file={self._pki / name}-server.key",
            "--leader-elect=false",
            "--profiling=false",
        )


def _stop(processes: Sequence[psutil.Process]) -> None:
    """End them, all at once. The second signal, of `daemon.stop`, has Kubernetes' programs drop what they wait for.

    It is another than the first: two of one kind may arrive as one.
    """
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    for process in processes:
        daemon.stop(process, seconds=STOP_SECONDS)


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers set it: what a closed connection leaves behind for a while is no holder.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_ports(names: Sequence[str]) -> dict[str, int]:
    candidates = random.sample(_PORTS, len(_PORTS))
    free = (port for port in candidates if _is_free(port))
    return {name: next(free) for name in names}


def _write(path: Path, text: str) -> None:
    """Write it whole or not at all, for the owner only."""
    temporary = path.with_name(f"{path.name}.new")
    with open(temporary, "w", encoding="utf-8", opener=private) as file:
        file.write(text)
    temporary.replace(path)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _kubeconfig(name: str, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> str:
    """JSON, which is YAML as well."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(document, indent=2)


def main() -> int:
    """Starts a control plane or removes it, and says where its kubeconfig lies."""
    parser = argparse.ArgumentParser(prog="python -m model_factory.local.lab.control_plane", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--programs", type=Path, required=True, help="the folder with the four programs")
    parser.add_argument("--version", default=DEFAULT_MINOR, help="the Kubernetes minor that they are")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    plane = ControlPlane(folder, lambda _version: FolderPrograms(arguments.programs.resolve()))
    if arguments.action == "down":
        plane.remove()
        return 0
    try:
        plane.ensure(arguments.version)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{plane.endpoint} KUBECONFIG={plane.admin_kubeconfig}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
