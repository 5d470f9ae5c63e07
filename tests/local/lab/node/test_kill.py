"""Whatever of a node is killed, the next `ensure` mends it, and `remove` leaves nothing on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

import psutil
import pytest

from model_factory.local.errors import LabError
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.node import control_groups, network
from model_factory.local.lab.node.real_node import NodeSpec, RealNode
from model_factory.local.lab.programs import Programs
from model_factory.local.lab.registry import Registry
from tests.local.lab.node.conftest import SPEC
from tests.local.lab.node.pods import Pods, until

pytestmark = [pytest.mark.lab, pytest.mark.realnode]

SERVICES = ("containerd", "kubelet", "kube-proxy", "kube-router", "metrics-server")
OWN = NodeSpec(name="real-2", pods=IPv4Network("10.99.0.0/24"))


class TestServices:
    @pytest.mark.parametrize("name", SERVICES)
    def test_one_that_is_killed_runs_again_by_itself(self, running: RealNode, name: str) -> None:
        before = running.processes[name]
        before.kill()
        until(lambda: name in running.processes and running.processes[name].pid != before.pid)

    def test_pods_outlive_their_kubelet_and_containerd(self, pods: Pods, running: RealNode) -> None:
        pods.serve("steady")
        for name in ("kubelet", "containerd"):
            before = running.processes[name]
            before.kill()
            until(lambda name=name, before=before: running.processes.get(name, before).pid != before.pid)
        until(lambda: _answers(pods))
        assert pods.status("steady")["restartCount"] == 0


class TestTheWholeNode:
    def test_one_that_lost_its_supervisor_comes_up_as_after_a_reboot(
        self, pods: Pods, running: RealNode, control_plane: ControlPlane, registry: Registry, programs: Programs
    ) -> None:
        pods.serve("again")
        container = pods.status("again")["containerID"]
        services = [running.processes[name] for name in SERVICES]
        running.processes["supervisor"].kill()
        psutil.wait_procs(services)
        running.ensure(SPEC, control_plane, registry.ensure(), programs)
        until(lambda: pods.status("again").get("ready") and pods.status("again")["containerID"] != container)
        assert _answers(pods, "again")

    def test_all_of_it_killed_at_once_is_mended(
        self, running: RealNode, control_plane: ControlPlane, registry: Registry, programs: Programs
    ) -> None:
        killed = list(running.processes.values())
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        # A namespace ends when all in it have: until then there is somebody to be found.
        psutil.wait_procs(killed)
        running.ensure(SPEC, control_plane, registry.ensure(), programs)
        assert {*SERVICES, "supervisor", "forwarder"} == set(running.processes)

    def test_a_link_that_is_gone_is_mended(
        self, running: RealNode, control_plane: ControlPlane, registry: Registry, programs: Programs
    ) -> None:
        name = network.name_of(running.folder)
        subprocess.run(["ip", "link", "delete", name], check=True)  # noqa: S607
        running.ensure(SPEC, control_plane, registry.ensure(), programs)
        assert network.exists(name)

    def test_ensure_once_more_changes_nothing(
        self, running: RealNode, control_plane: ControlPlane, registry: Registry, programs: Programs
    ) -> None:
        before = {name: process.pid for name, process in running.processes.items()}
        running.ensure(SPEC, control_plane, registry.ensure(), programs)
        assert {name: process.pid for name, process in running.processes.items()} == before


class TestRemove:
    @pytest.fixture
    def own(self, programs: Programs, tmp_path: Path) -> Iterator[RealNode]:
        made = RealNode(tmp_path / "own-node")
        yield made
        made.remove()

    @pytest.mark.parametrize("killed", ["nothing", "supervisor", "forwarder", "records"])
    def test_nothing_is_left_on_the_machine(
        self,
        own: RealNode,
        own_plane: ControlPlane,
        registry: Registry,
        programs: Programs,
        probe_image: str,
        killed: str,
    ) -> None:
        own_plane.ensure("1.35")
        before = _machine(own.folder)
        own.ensure(OWN, own_plane, registry.ensure(), programs)
        assert len(_machine(own.folder)["processes"]) > len(SERVICES)
        match killed:
            case "records":
                for record in own.folder.rglob("process.json"):
                    record.unlink()
            case "nothing":
                pass
            case name:
                os.kill(own.processes[name].pid, signal.SIGKILL)
        own.remove()
        assert _machine(own.folder) == before
        assert not own.folder.exists()

    def test_one_that_never_was_is_no_error(self, own: RealNode) -> None:
        own.stop()
        own.remove()
        with pytest.raises(LabError, match="no real node"):
            _ = own.address

    def test_the_node_leaves_its_cluster(
        self, own: RealNode, own_plane: ControlPlane, registry: Registry, programs: Programs
    ) -> None:
        own_plane.ensure("1.35")
        own.ensure(OWN, own_plane, registry.ensure(), programs)
        own.remove()
        own.leave(OWN.name, own_plane)


class TestTwoNodes:
    def test_their_links_do_not_meet(self, running: RealNode, tmp_path: Path) -> None:
        other = network.choose(tmp_path / "another", network.taken_networks())
        assert running.address not in other.network
        assert other.name != network.name_of(running.folder)


def _answers(pods: Pods, name: str = "steady") -> bool:
    with suppress(Exception):
        return pods.call(name, "http://127.0.0.1:8000/healthz").ok
    return False


def _machine(folder: Path) -> dict[str, object]:
    """What the machine has of a node: its processes, mounts, links, routes, control groups, named namespaces and rules."""
    name = network.name_of(folder)
    return {
        "processes": sorted(pid for pid in _pids() if _belongs(pid, folder, name)),
        "mounts": Path("/proc/self/mountinfo").read_text().count(str(folder)),
        "links": network.exists(name),
        "named namespaces": _told("ip", "netns"),
        "routes": [line for line in _told("ip", "route", "show", "table", "all").splitlines() if name in line],
        "control groups": control_groups.left(name),
        "rules": (_told("iptables-save"), _told("nft", "list", "tables"), _told("ipset", "list", "-n")),
        "kernel": [Path("/proc/sys", each).read_text() for each in ("vm/overcommit_memory", "kernel/panic")],
    }


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _belongs(pid: int, folder: Path, name: str) -> bool:
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        return str(folder) in command or name in Path(f"/proc/{pid}/cgroup").read_text()
    return False


def _told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
