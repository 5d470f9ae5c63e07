"""The control group above all containers of a node, in whichever versions and hierarchies the machine has mounted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_CONTROLLERS: Final = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


def make(name: str) -> None:
    """Make it in each hierarchy: a kubelet starts only where its root group is there."""
    for root in _roots():
        delegated = root / "cgroup.subtree_control"
        if delegated.exists():
            # Version 2: a group has those controllers alone that the one above hands down.
            for controller in _CONTROLLERS:
                with suppress(OSError):
                    delegated.write_text(f"+{controller}")
        group = root / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # Version 1: a new group has no CPU and no memory, and then takes no process.
            if not delegated.exists() and (group / setting).exists():
                (group / setting).write_text((root / setting).read_text())


def remove(name: str) -> None:
    """Remove it and those in it, in each hierarchy. Their processes have ended."""
    for root in _roots():
        for folder, _, _ in os.walk(root / name, topdown=False):
            with suppress(FileNotFoundError):
                Path(folder).rmdir()


def left(name: str) -> list[Path]:
    """Where it still is."""
    return [root / name for root in _roots() if (root / name).exists()]


def _roots() -> list[Path]:
    roots: list[Path] = []
    for line in _MOUNTS.read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split()[0] in ("cgroup", "cgroup2"):
            roots.append(Path(fields.split()[4]))
    return roots
