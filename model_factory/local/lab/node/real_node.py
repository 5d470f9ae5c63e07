"""A real node of one cluster on this machine: kubelet, containerd, runc, kube-proxy, network policies and metrics, in namespaces of its own.

Everything of it lies in its folder, and runs below one supervisor: when that ends, however it ends, the kernel ends all services and containers
and takes mounts and network with them, as when a machine loses power. `ensure` is then the machine starting again. On the host there are only
the other end of its link, a process that forwards a few ports of that, and a control group.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import psutil

from model_factory.access.client import ClusterClient, Object
from model_factory.access.errors import AccessError
from model_factory.local import daemon
from model_factory.local.errors import LabError
from model_factory.local.folders import private, take_private
from model_factory.local.lab.node import addons, configuration, control_groups, network, requirements
from model_factory.local.lab.node.configuration import METRICS_PORT, Folders, Names
from model_factory.local.lab.node.images import Image

MANAGER: Final = "model-factory-lab"
READY_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 10.0
_CHILD_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1
_DNS_INDEX: Final = 10
"""Clouds give the cluster's DNS the tenth address of the Services' range."""
_SOURCE: Final = Path(__file__).parents[4]
_UNSHARE: Final = ("--fork", "--kill-child", "--pid", "--mount", "--net", "--uts", "--ipc", "--mount-proc")
_FORWARD: Final = "model_factory.local.lab.forward"
_NOT_OVERLAID: Final = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs"})
"""File systems that cannot be the upper one of an overlay."""


class IssuedCertificate(Protocol):
    """A certificate and its key, in PEM."""

    @property
    def certificate_pem(self) -> str: ...
    @property
    def key_pem(self) -> str: ...


class Cluster(Protocol):
    """What a node needs of its control plane, which listens on 127.0.0.1."""

    @property
    def endpoint(self) -> str: ...
    @property
    def authority_pem(self) -> str: ...
    @property
    def admin_kubeconfig(self) -> Path: ...
    def issue_client(self, name: str, groups: Sequence[str] = ()) -> IssuedCertificate: ...
    def issue_server(self, name: str, hosts: Sequence[str], addresses: Sequence[str]) -> IssuedCertificate: ...


class NodePrograms(Protocol):
    """Where the node's programs are."""

    @property
    def kubelet(self) -> Path: ...
    @property
    def kube_proxy(self) -> Path: ...
    @property
    def containerd(self) -> Path: ...
    @property
    def cni(self) -> Path: ...
    @property
    def coredns(self) -> Path: ...
    @property
    def kube_router(self) -> Path: ...
    @property
    def metrics_server(self) -> Path: ...
    @property
    def pause(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What the node is in its cluster. `clouds` are the ports of the local clouds by name, which Pods reach by a Service."""

    name: str
    pods: IPv4Network
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: Sequence[tuple[str, str, str]] = ()
    provider_id: str = ""
    clouds: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class RealNode:
    """The node whose files lie in `folder`. Every call may be repeated; two processes that call at once wait for each other."""

    folder: Path

    def ensure(
        self,
        spec: NodeSpec,
        cluster: Cluster,
        registry_url: str,
        programs: NodePrograms,
        *,
        timeout_seconds: float = READY_SECONDS,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Start what does not run as it should, and return when the cluster calls the node Ready, and its DNS and metrics API answer.

        `wanted` is asked while it waits; once that says no, it is not waited for any more.

        Raises:
            LabError: the machine cannot be a node, or the node does not become Ready; with the remedy, or the end of its log.
        """
        if problem := requirements.obstacle():
            raise LabError(problem)
        deadline = time.monotonic() + timeout_seconds
        take_private(self.folder)
        client = ClusterClient.of(str(cluster.admin_kubeconfig))
        with self._alone():
            try:
                link = self._link()
                names = self._names(spec, client)
                ports = sorted({_port(cluster.endpoint), _port(registry_url), *spec.clouds.values()})
                pause = Image("pause", programs.pause).push(registry_url, self._images)
                coredns = Image("coredns", programs.coredns).push(registry_url, self._images)
                self._configure(cluster, names, link, pause, registry_url, programs)
                self._ensure_forwarder(link, ports)
                for each in addons.before_services(
                    node=spec.name, host=link.host, address=link.node, dns=names.dns, api_port=_port(cluster.endpoint),
                    clouds=spec.clouds, coredns_image=coredns,
                ):  # fmt: skip
                    client.apply(each, manager=MANAGER, force=True)
                self._ensure_supervisor(names, link)
                self._await(client, spec, cluster, deadline, wanted)
            except AccessError as error:
                raise LabError(f"the real node {spec.name} cannot join its cluster: {error}") from error
            finally:
                client.close()

    def stop(self) -> None:
        """End all of its processes, as when the machine is switched off; its images, volumes and the Node object stay."""
        if not self.folder.exists():
            return
        with self._alone():
            self._end()

    def remove(self) -> None:
        """End all of its processes and remove its files. The Node object is its cluster's, and stays: `leave` removes that."""
        if not self.folder.exists():
            self._clear_host()
            return
        with self._alone():
            self._end()
            # The lock's file goes last: who waits for it then finds an empty folder, and makes the node anew.
            for each in self.folder.iterdir():
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                elif each.name != "lock":
                    each.unlink()
            (self.folder / "lock").unlink()
        with suppress(OSError):  # another call makes the node again meanwhile
            self.folder.rmdir()

    @staticmethod
    def leave(name: str, cluster: Cluster) -> None:
        """Remove the Node object, and so the Pods that were bound to it. Raises AccessError where the cluster does not answer."""
        client = ClusterClient.of(str(cluster.admin_kubeconfig))
        try:
            client.delete("v1", "Node", name)
        finally:
            client.close()

    @property
    def runs(self) -> bool:
        """Whether its supervisor and its forwarder run; the node may not be Ready."""
        return all(daemon.recorded(each) is not None for each in (self._folders.supervisor, self._folders.forwarder))

    @property
    def processes(self) -> Mapping[str, psutil.Process]:
        """What runs of it, by name: `supervisor`, `forwarder` and the services. Containers are not here."""
        found: dict[str, psutil.Process] = {}
        if (forwarder := daemon.recorded(self._folders.forwarder)) is not None:
            found["forwarder"] = forwarder.process
        if (unshared := daemon.recorded(self._folders.supervisor)) is not None:
            names = {str(each["command"][0]): str(each["name"]) for each in self._services()}
            with suppress(psutil.Error):
                for supervisor in unshared.process.children():
                    found["supervisor"] = supervisor
                    for child in supervisor.children():
                        with suppress(psutil.Error, IndexError):
                            if (name := names.get(child.cmdline()[0])) is not None:
                                found[name] = child
        return found

    @property
    def address(self) -> IPv4Address:
        """The node's, on its link. Raises LabError where there is no node."""
        return self._recorded_link().node

    @property
    def host_address(self) -> IPv4Address:
        """The host's end of the link: where the node and its Pods reach the forwarded ports. Raises LabError where there is no node."""
        return self._recorded_link().host

    # What it is made of

    @property
    def _folders(self) -> Folders:
        return Folders(self.folder.resolve())

    @property
    def _images(self) -> Path:
        return self.folder / "images.json"

    @property
    def _service_file(self) -> Path:
        return self._folders.file("services.json")

    def _services(self) -> Sequence[Mapping[str, Any]]:
        try:
            return json.loads(self._service_file.read_text())["services"]
        except (OSError, ValueError, KeyError):
            return ()

    def _recorded_link(self) -> network.Link:
        try:
            stored = json.loads((self.folder / "link.json").read_text())
            return network.Link(str(stored["name"]), IPv4Address(stored["host"]), IPv4Address(stored["node"]))
        except (OSError, ValueError, KeyError) as error:
            raise LabError(f"there is no real node in {self.folder}; start the lab with `factory lab up`") from error

    def _link(self) -> network.Link:
        """The one it has had, so that what was told of its addresses stays true."""
        with suppress(LabError):
            return self._recorded_link()
        link = network.choose(self.folder, network.taken_networks())
        stored = {"name": link.name, "host": str(link.host), "node": str(link.node)}
        _write(self.folder / "link.json", json.dumps(stored))
        return link

    def _names(self, spec: NodeSpec, client: ClusterClient) -> Names:
        ranges = client.get("networking.k8s.io/v1", "ServiceCIDR", "kubernetes")
        if ranges is None:
            raise LabError(
                "the cluster has no ServiceCIDR `kubernetes` yet, which tells its range of Services; try again when it is ready"
            )
        services = IPv4Network(ranges["spec"]["cidrs"][0])
        return Names(
            node=spec.name,
            labels=spec.labels,
            taints=spec.taints,
            provider_id=spec.provider_id,
            pods=spec.pods,
            services=services,
            dns=services[_DNS_INDEX],
            group=network.name_of(self.folder),
        )

    def _configure(
        self,
        cluster: Cluster,
        names: Names,
        link: network.Link,
        pause: str,
        registry_url: str,
        programs: NodePrograms,
    ) -> None:
        folders = self._folders
        for each in (
            folders.configuration, folders.logs, folders.kubelet, folders.containerd, folders.kernel, folders.root / "var-log",
            folders.root / "pod-logs", folders.file("registries") / "_default", folders.file("cni"),
        ):  # fmt: skip
            each.mkdir(parents=True, exist_ok=True)
        self._link_plugins(programs.cni)
        overlaid = _file_system(folders.root) not in _NOT_OVERLAID
        registry = f"http://{link.host}:{_port(registry_url)}"
        texts = {
            "containerd.toml": configuration.containerd(
                folders, pause=pause, snapshotter="overlayfs" if overlaid else "native"
            ),
            "registries/_default/hosts.toml": configuration.registry_hosts(registry),
            "cni/10-pods.conflist": configuration.cni(names.pods),
            "kubelet.yaml": configuration.kubelet(folders, names, link.node),
            "kube-proxy.yaml": configuration.kube_proxy(folders, names, link.node),
            "resolv.conf": "",
            "hosts": configuration.hosts(link),
            "ca.crt": cluster.authority_pem,
            **{
                f"{user}.kubeconfig": configuration.kubeconfig(folders, user, api_port=_port(cluster.endpoint))
                for user in ("kubelet", "kube-proxy", "kube-router", "metrics-server")
            },
            **{
                f"kernel/{name.replace('/', '.')}": f"{value}\n" for name, value in configuration.kernel_files().items()
            },
        }
        for name, text in texts.items():
            _write(folders.file(name), text)
        self._issue(cluster, names, link)
        commands = {
            "containerd": programs.containerd,
            "kubelet": programs.kubelet,
            "kube-proxy": programs.kube_proxy,
            "kube-router": programs.kube_router,
            "metrics-server": programs.metrics_server,
        }
        document = {
            "link": network.NODE_LINK,
            "pids": str(folders.pids),
            "setup": configuration.setup(folders, link),
            "services": configuration.services(folders, names, link, commands),
        }
        _write(self._service_file, json.dumps(document, indent=1))

    def _link_plugins(self, plugins: Path) -> None:
        """The CNI plugins in a folder of their own, under the names that the network's configuration calls them by."""
        folder = self._folders.file("cni-programs")
        folder.mkdir(exist_ok=True)
        for name in ("bridge", "host-local", "loopback", "portmap"):
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(plugins.resolve() / name)

    def _issue(self, cluster: Cluster, names: Names, link: network.Link) -> None:
        """Certificates, made once a node and cluster: they are good for years, and a new one would restart every service."""
        folders = self._folders
        about = hashlib.sha256(f"{cluster.authority_pem} {names.node} {link}".encode()).hexdigest()
        memory = folders.file("certificates")
        if memory.exists() and memory.read_text() == about:
            return
        node = f"system:node:{names.node}"
        issued = {
            "kubelet": cluster.issue_client(node, ["system:nodes"]),
            "kube-proxy": cluster.issue_client("system:kube-proxy"),
            "kube-router": cluster.issue_client(addons.KUBE_ROUTER),
            "metrics-server": cluster.issue_client(addons.METRICS_SERVER),
            "serving": cluster.issue_server(node, [names.node], [str(link.node)]),
            "metrics-serving": cluster.issue_server(addons.METRICS_SERVER, [addons.METRICS_HOST], [str(link.node)]),
        }
        for name, each in issued.items():
            _write(folders.file(f"{name}.crt"), each.certificate_pem)
            _write(folders.file(f"{name}.key"), each.key_pem)
        _write(memory, about)

    # Its processes

    def _ensure_forwarder(self, link: network.Link, ports: Sequence[int]) -> None:
        folder = self._folders.forwarder
        arguments = [str(folder), str(link.host), str(link.node), *map(str, ports)]
        if (running := daemon.recorded(folder)) is not None:
            if running.facts.get("arguments") == arguments:
                return
            daemon.stop(running.process, seconds=_STOP_SECONDS)
        command = [sys.executable, "-m", _FORWARD, *arguments]
        daemon.spawn(command, folder, source=_SOURCE, facts={"arguments": arguments})

    def _ensure_supervisor(self, names: Names, link: network.Link) -> None:
        digest = self._digest()
        folder = self._folders.supervisor
        running = daemon.recorded(folder)
        if (
            running is not None
            and running.facts.get("digest") == digest
            and network.exists(link.name)
            and _has_child(running.process)
        ):
            return
        self._end_supervisor()
        # As after a start of a machine: groups of containers that are gone would be taken for running ones.
        control_groups.remove(names.group)
        control_groups.make(names.group)
        module = ["-m", "model_factory.local.lab.node.supervisor", str(self._service_file)]
        command = [requirements.path_of("unshare"), *_UNSHARE, sys.executable, *module]
        started = daemon.spawn(command, folder, source=_SOURCE, facts={"digest": digest})
        network.connect(link, self._child_of(started.process).pid)

    def _child_of(self, unshared: psutil.Process) -> psutil.Process:
        """The supervisor: the process in the namespaces that `unshare` waits for."""
        deadline = time.monotonic() + _CHILD_SECONDS
        while time.monotonic() < deadline:
            with suppress(psutil.Error):
                if children := unshared.children():
                    return children[0]
            if not daemon.is_alive(unshared):
                break
            time.sleep(_POLL_SECONDS)
        raise LabError(f"the real node's namespaces cannot be made:\n{daemon.log_tail(self._folders.supervisor)}")

    def _digest(self) -> str:
        """Of all that services are told: another one is a reason to start them again."""
        found = hashlib.sha256()
        for each in sorted(self._folders.configuration.rglob("*")):
            if each.is_file() and "cni-programs" not in each.parts:
                found.update(f"{each}\0".encode() + each.read_bytes())
        return found.hexdigest()

    def _end(self) -> None:
        self._end_supervisor()
        if (running := daemon.recorded(self._folders.forwarder)) is not None:
            daemon.stop(running.process, seconds=_STOP_SECONDS)
        daemon.forget(self._folders.forwarder)
        self._end_strays()
        self._clear_host()

    def _end_supervisor(self) -> None:
        folder = self._folders.supervisor
        if (running := daemon.recorded(folder)) is not None:
            # `unshare` keeps SIGTERM from itself while it waits; its child ends the services in order.
            children: list[psutil.Process] = []
            with suppress(psutil.Error):
                children = running.process.children()
            for child in children:
                daemon.stop(child, seconds=_STOP_SECONDS)
            daemon.stop(running.process, seconds=_STOP_SECONDS)
        daemon.forget(folder)

    def _end_strays(self) -> None:
        """Processes of this node that no record names: their starter was killed before it wrote one."""
        marks = [(_UNSHARE[-1], str(self._service_file))]
        with suppress(LabError):
            marks.append((_FORWARD, str(self._recorded_link().host)))
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = process.cmdline()
                if any(all(mark in words for mark in each) for each in marks):
                    daemon.stop(process, seconds=_STOP_SECONDS)

    def _clear_host(self) -> None:
        name = network.name_of(self.folder)
        network.disconnect(name)
        control_groups.remove(name)

    # Its cluster

    def _await(
        self, client: ClusterClient, spec: NodeSpec, cluster: Cluster, deadline: float, wanted: Callable[[], bool]
    ) -> None:
        served, problem = False, ""
        while wanted() and time.monotonic() < deadline:
            running = daemon.recorded(self._folders.supervisor)
            if running is None:
                raise LabError(f"the real node {spec.name} ended:\n{daemon.log_tail(self._folders.supervisor)}")
            # Kubernetes tells whole seconds.
            since = datetime.fromtimestamp(int(running.process.create_time()), UTC)
            if not served and self._serves_metrics():
                api = addons.metrics_api(cluster.authority_pem, since.isoformat())
                client.apply(api, manager=MANAGER, force=True)
                served = True
            problem = _problem(client, spec.name, since) or ("" if served else "metrics-server does not listen")
            if not problem:
                client.patch("v1", "Node", spec.name, {"metadata": {"labels": dict(spec.labels)}}, manager=MANAGER)
                return
            time.sleep(_POLL_SECONDS * 3)
        if not wanted():
            return
        raise LabError(
            f"the real node {spec.name} is not ready in time: {problem}; its logs are in {self._folders.logs}, and the kubelet's end with:\n"
            f"{_tail(self._folders.logs / 'kubelet.log')}"
        )

    def _serves_metrics(self) -> bool:
        found = self.processes.get("metrics-server")
        return found is not None and network.listens(found.pid, METRICS_PORT)

    @contextmanager
    def _alone(self) -> Generator[None]:
        with open(self.folder / "lock", "w", encoding="utf-8", opener=private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _problem(client: ClusterClient, node: str, since: datetime) -> str:
    """What the node still lacks; "" for nothing. What the cluster last heard before `since`, when its services started, does not count."""
    found = client.get("v1", "Node", node)
    if found is None:
        return "the cluster knows no such node yet"
    if lacking := _false_condition(found, "Ready"):
        return lacking
    if _time(_conditions(found)["Ready"]["lastHeartbeatTime"]) < since:
        return f"Node {node} has not been heard of since it started"
    if not any(
        _serves(pod, since) for pod in client.list("v1", "Pod", namespace=addons.SYSTEM, labels=addons.DNS_LABEL)
    ):
        return "no Pod of the cluster's DNS is ready"
    metrics = client.get("apiregistration.k8s.io/v1", "APIService", addons.METRICS_API)
    return "its metrics API is gone" if metrics is None else _false_condition(metrics, "Available")


def _serves(pod: Object, since: datetime) -> bool:
    """Whether it is Ready with containers that were started since then."""
    running = [each.get("state", {}).get("running") for each in pod.get("status", {}).get("containerStatuses") or ()]
    fresh = bool(running) and all(each is not None and _time(each["startedAt"]) >= since for each in running)
    return fresh and not _false_condition(pod, "Ready")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _conditions(found: Object) -> Mapping[str, Object]:
    return {each["type"]: each for each in found.get("status", {}).get("conditions") or ()}


def _false_condition(found: Object, kind: str) -> str:
    """Why the condition does not hold; "" where it does."""
    about = f"{found['kind']} {found['metadata']['name']}"
    condition = _conditions(found).get(kind)
    if condition is None:
        return f"{about} has no condition {kind} yet"
    return "" if condition["status"] == "True" else f"{about}: {condition.get('message') or condition.get('reason')}"


def _has_child(unshared: psutil.Process) -> bool:
    """Whether the supervisor still runs: `unshare` outlives it by a moment."""
    try:
        return any(map(daemon.is_alive, unshared.children()))
    except psutil.NoSuchProcess:
        return False


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise LabError(f"{url} names no port; write it as http://127.0.0.1:<port>")
    return port


def _file_system(folder: Path) -> str:
    """The kind of the file system that holds the folder."""
    holders = [each for each in psutil.disk_partitions(all=True) if folder.is_relative_to(each.mountpoint)]
    return max(holders, key=lambda each: len(each.mountpoint)).fstype if holders else ""


def _write(path: Path, text: str) -> None:
    """Write it whole or not at all, for the owner only; a file that says so already is left alone."""
    temporary = path.with_name(f"{path.name}.new")
    with open(temporary, "w", encoding="utf-8", opener=private) as file:
        file.write(text)
    temporary.replace(path)


def _tail(path: Path) -> str:
    with suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-daemon.LOG_TAIL_LINES :])
    return "(nothing)"
