"""The two ends of a real node's network: which names and addresses they have, and the commands that make them.

The node has a network namespace without a name, which lives as long as its processes, and one link to the host. It has no way out but to the
host's end of that link: there is no default route in it, and nothing on the host forwards.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

from model_factory.local.errors import LabError
from model_factory.local.lab.node import requirements

NODE_LINK: Final = "node0"
"""The node's end of the link, inside its namespace."""
_RANGE: Final = IPv4Network("10.208.0.0/12")
"""Where links come from: seldom used by offices, VPNs and Docker, which take 10.0, 10.8 and 172.16 to 172.31."""
_PREFIX: Final = 30
_TRIES: Final = 64
_LISTENING: Final = "0A"


@dataclass(frozen=True, slots=True)
class Link:
    """The link between the host and a node: the host's end by its name, and the address of each end."""

    name: str
    host: IPv4Address
    node: IPv4Address

    @property
    def network(self) -> IPv4Network:
        return IPv4Network((self.host, _PREFIX), strict=False)


def choose(folder: Path, taken: Iterable[IPv4Network]) -> Link:
    """The link of a node's folder: by its path, so that two clones have two, and beside the networks that the host has already.

    Raises:
        LabError: 64 networks were tried, and all are taken.
    """
    seed = hashlib.sha256(str(folder.resolve()).encode()).digest()
    busy = tuple(taken)
    count = _RANGE.num_addresses >> (32 - _PREFIX)
    start = int.from_bytes(seed[:4]) % count
    for step in range(_TRIES):
        # A prime step, so that neighbours of a taken network, which are likely taken too, are left behind.
        index = (start + step * 7919) % count
        network = IPv4Network((int(_RANGE.network_address) + (index << (32 - _PREFIX)), _PREFIX))
        if not any(network.overlaps(each) for each in busy):
            return Link(name_of(folder), network[1], network[2])
    raise LabError(
        f"no free network for the real node's link in {_RANGE}: {_TRIES} were tried; free one of the host's routes in it"
    )


def name_of(folder: Path) -> str:
    """What names what a node has on the host: its link and its control groups. At most 15 characters, the kernel's limit for links."""
    return f"mfnode{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def taken_networks() -> list[IPv4Network]:
    """Every network that the host has a route to, but the default one."""
    listed: list[dict[str, Any]] = json.loads(_output(["ip", "-json", "-4", "route", "show", "table", "all"]))
    networks: list[IPv4Network] = []
    for route in listed:
        destination = str(route.get("dst", ""))
        if destination != "default":
            networks.append(ipaddress.IPv4Network(destination, strict=False))
    return networks


def connect(link: Link, pid: int) -> None:
    """Make the link anew, with the node's end in the network namespace of the process `pid`, and give the host's end its address."""
    disconnect(link.name)
    _output(["ip", "link", "add", link.name, "type", "veth", "peer", "name", NODE_LINK, "netns", str(pid)])
    _output(["ip", "address", "add", f"{link.host}/{_PREFIX}", "dev", link.name])
    _output(["ip", "link", "set", link.name, "up"])


def disconnect(name: str) -> None:
    """Remove the link, where it is there; the other end goes with it."""
    if exists(name):
        # Its other end may go meanwhile, and this one with it.
        with suppress(LabError):
            _output(["ip", "link", "delete", name])


def exists(name: str) -> bool:
    """Whether the host has a link of this name."""
    return Path("/sys/class/net", name).exists()


def listens(pid: int, port: int) -> bool:
    """Whether something listens on the port in the network namespace of the process.

    https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
    """
    with suppress(OSError):
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    return True
    return False


def inside(link: Link) -> list[Sequence[str]]:
    """The commands that make the node's end ready, run in its namespace."""
    return [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{link.node}/{_PREFIX}", "dev", NODE_LINK],
        ["ip", "link", "set", NODE_LINK, "up"],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
        # Without it, traffic between two Pods of one bridge goes past the rules of Services and policies.
        ["sh", "-c", "test ! -e /proc/sys/net/bridge || sysctl -qw net.bridge.bridge-nf-call-iptables=1"],
    ]


def _output(command: Sequence[str]) -> str:
    program = requirements.path_of(command[0])
    done = subprocess.run([program, *command[1:]], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
