"""Layers of images: uncompressed tars whose bytes hang on nothing but the names, modes and contents of what is in them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname
from typing import Final

_MERGED: Final = ("bin", "lib", "lib32", "lib64", "sbin")
"""Folders that are links into usr: https://wiki.debian.org/UsrMerge. Debian's own packages of bookworm still name them."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a layer. `path` has no leading slash."""

    path: str
    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of a layer."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a layer that no file in it brings about, or that has another mode than 0755."""

    path: str
    mode: int = 0o755


Entry = File | Link | Folder


def merged(path: str) -> str:
    """A path with Debian's folders where they really are: lib/x → usr/lib/x."""
    first, slash, rest = path.partition("/")
    return f"usr/{first}/{rest}" if slash and first in _MERGED else path


def write_layer(path: Path, entries: Iterable[Entry]) -> None:
    """Writes the tar. Of a path that comes twice the last entry counts.

    All belongs to root and is readable by everyone: no server runs as root, and none may write here.
    """
    last = {entry.path: entry for entry in entries}
    folders = {parent: Folder(parent) for each in last for parent in _parents(each)}
    with tarfile.open(path, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for _, entry in sorted({**folders, **last}.items()):
            _add(tar, entry)


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    match entry:
        case File(_, data, executable):
            info.size, info.mode = len(data), 0o755 if executable else 0o644
            tar.addfile(info, io.BytesIO(data))
        case Link(_, target):
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(info)
        case Folder(_, mode):
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)


def _parents(path: str) -> Iterable[str]:
    while path := dirname(path):
        yield path
