"""Debian's packages by apt, from wherever this machine has them come. A machine whose lists of packages are missing or old gets today's first."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from model_factory.local.errors import LabError

_TOLD_LINES: Final = 5


def program(name: str) -> str:
    """The path of one of apt's programs. LabError where there is none."""
    if (path := shutil.which(name)) is not None:
        return path
    raise LabError(f"{name} is not on PATH, and the lab's images are made of Debian's packages; run it on Debian 12")


def install(packages: Sequence[str]) -> str:
    """Install packages, which takes root; the end of what apt said where that failed, else ""."""
    done = _run(["install", "--yes", "--no-install-recommends", *packages])
    return "\n".join((done.stdout + done.stderr).splitlines()[-_TOLD_LINES:]) if done.returncode else ""


def download(packages: Sequence[str], folder: Path) -> str:
    """Fetch the files of packages, each as NAME=VERSION, into a folder; what apt complained of. Which came is to be looked at there."""
    return _run(["download", "-q", *packages], folder).stderr


def _run(arguments: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = _once(arguments, folder)
    if done.returncode and os.geteuid() == 0 and _once(["update", "-q"]).returncode == 0:
        return _once(arguments, folder)
    return done


def _once(arguments: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("apt-get"), *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
