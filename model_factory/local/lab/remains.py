"""What is left of a lab in its folder, found by name alone: however its records were lost, a program of the lab's names the folder in its command
line, and what is mounted is mounted below it. Others' programs, such as an editor that has a file of it open, are let be.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from model_factory.local.errors import LabError
from model_factory.local.lab import cache
from model_factory.local.lab.modules import MINORS

_TERMINATION_SECONDS: Final = 10
_PROGRAMS: Final = frozenset(
    {*(name for modules in MINORS.values() for module in modules for name in module.programs), "unshare", "runc"}
)
_OURS: Final = "model_factory.local."
_MOUNTS: Final = Path("/proc/self/mountinfo")
_MOUNT_POINT: Final = 4
"""The field of a line of mountinfo: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html"""


@dataclass(frozen=True, slots=True)
class Remains:
    """Processes, deepest mounts first, and whether the folder is there."""

    processes: tuple[psutil.Process, ...]
    names: tuple[str, ...]
    """Those of the processes, in their order: one that ended has none any more."""
    mounts: tuple[Path, ...]
    folder: Path | None

    def __bool__(self) -> bool:
        return bool(self.processes or self.mounts or self.folder)

    def described(self) -> list[str]:
        """Each in a few words."""
        told = [f"process {process.pid} {name}" for process, name in zip(self.processes, self.names, strict=True)]
        told += [f"mount {mount}" for mount in self.mounts]
        return told + ([f"folder {self.folder}"] if self.folder else [])


def find(folder: Path) -> Remains:
    """What is left of the lab whose files are in `folder`; looks, and changes nothing."""
    folder = folder.resolve()
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    processes = [each for each in psutil.process_iter() if each.pid not in ours and _names(each, folder)]
    names = tuple(_name(process) for process in processes)
    return Remains(tuple(processes), names, tuple(_mounts(folder)), folder if folder.exists() else None)


def sweep(folder: Path) -> Remains:
    """End, unmount and delete what is left, and return what that was.

    Raises:
        LabError: something of it cannot be taken away, with what is left.
    """
    found = find(folder)
    for process in found.processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(found.processes, _TERMINATION_SECONDS)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, _TERMINATION_SECONDS)
    for mount in found.mounts:
        # Lazily: what still has a file of it open loses nothing but its name.
        subprocess.run(["umount", "--lazy", str(mount)], check=False, capture_output=True)  # noqa: S607
    with suppress(FileNotFoundError):
        if not _mounts(folder.resolve()):
            cache.remove(folder)
    if left := find(folder):
        raise LabError(
            f"not all of the lab could be taken away; left are {', '.join(left.described())}. Run this again as the user that started the lab"
        )
    return found


def _names(process: psutil.Process, folder: Path) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    if not words or not (Path(words[0]).name in _PROGRAMS or any(word.startswith(_OURS) for word in words)):
        return False
    # A path may be a part of an argument, as in --config=PATH. A zombie has no command line.
    return any(f"{folder}/" in f"{word}/" for word in words)


def _mounts(folder: Path) -> list[Path]:
    if not _MOUNTS.exists():
        return []
    points = [Path(_unescaped(line.split()[_MOUNT_POINT])) for line in _MOUNTS.read_text().splitlines()]
    return sorted({point for point in points if point.is_relative_to(folder)}, key=lambda each: -len(each.parts))


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "(ended)"
