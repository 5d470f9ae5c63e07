"""What the lab makes once and every clone of this user uses: outside the repository, each thing in a folder named after what it is made from.

A folder appears under its name when it is whole, so what a killed build leaves is never taken for built, and goes with the next build.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from model_factory.local.lab.modules import Module

_UNDER_WAY: Final = ".building"
_LOCK: Final = ".lock"


def root() -> Path:
    """`$XDG_CACHE_HOME/model-factory/lab`, or `~/.cache/model-factory/lab`. A relative XDG_CACHE_HOME does not count:
    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "model-factory" / "lab"


def folder_of(module: Module) -> Path:
    """Where the module's programs are, or will be."""
    return root() / "programs" / f"{module.name}-{module.digest}"


def made_once(folder: Path, make: Callable[[Path, int], None], *, waits: Callable[[], None] = lambda: None) -> bool:
    """Have `make` fill a folder that is then renamed to `folder`; false where it is there already.

    Two that want the same folder come one after the other: the second calls `waits`, waits, and finds it made. `make` gets the folder to
    fill, and the descriptor of the lock: a process that inherits it and outlives this one keeps others away until it ends. What `make`
    leaves when it raises is removed.
    """
    if folder.is_dir():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder, waits) as lock:
        if folder.is_dir():
            return False
        under_way = folder.with_name(folder.name + _UNDER_WAY)
        remove(under_way)
        under_way.mkdir()
        try:
            make(under_way, lock)
            under_way.rename(folder)
        finally:
            remove(under_way)
    return True


def remove(folder: Path) -> None:
    """Delete a folder and all in it, if it is there, and also where some of it is write-protected, as Go's modules are."""
    if not folder.is_dir():
        return
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path, waits: Callable[[], None]) -> Generator[int]:
    # The lock's file stays: were it removed, two could each hold a lock on a file of that name.
    descriptor = os.open(folder.with_name(folder.name + _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
