"""What a real node asks of the machine: Linux, root, and a few programs of the distribution."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

PACKAGES: Final[Mapping[str, str]] = {
    "unshare": "util-linux", "mount": "mount", "ip": "iproute2", "sysctl": "procps", "runc": "runc", "nft": "nftables",
    "iptables": "iptables", "iptables-restore": "iptables", "ipset": "ipset", "conntrack": "conntrack",
}  # fmt: skip
"""The programs, and the Debian package of each."""
_FOLDERS: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def missing_programs() -> list[str]:
    """The names of the programs that the machine lacks."""
    return [program for program in PACKAGES if shutil.which(program, path=search_path()) is None]


def path_of(program: str) -> str:
    """Where the program is; its mere name where the machine lacks it, so that the start of it says so."""
    return shutil.which(program, path=search_path()) or program


def search_path() -> str:
    """PATH, and where programs of administration are, which few users have on it."""
    return os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])


def packages_of(programs: list[str]) -> list[str]:
    """The Debian packages that bring these programs, each once."""
    return sorted({PACKAGES[program] for program in programs})


def obstacle() -> str:
    """Why this machine cannot be a node, with the remedy; "" where it can."""
    if sys.platform != "linux":
        return f"a real node needs Linux, and this is {sys.platform}; its nodes are simulated here"
    if os.geteuid() != 0:
        return "a real node needs root, for namespaces and mounts of its own; run the lab as root to have one"
    if missing := missing_programs():
        packages = " ".join(packages_of(missing))
        return f"a real node needs {', '.join(missing)}, which this machine lacks; `apt-get install {packages}` brings them"
    return ""
