"""Debian's packages, pinned by version and hash, as entries of layers. apt fetches them, from wherever this machine has it fetch."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from model_factory.local.errors import LabError
from model_factory.local.lab import apt
from model_factory.local.lab.images.layers import Entry, File, Link, merged

LOCK: Final = Path(__file__).with_name("debian.csv")
_LEFT_OUT: Final = (
    "usr/share/doc-base",
    "usr/share/lintian",
    "usr/share/man",
    "usr/share/menu",
    "usr/share/locale",
    "usr/share/info",
)
_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER_BYTES: Final = 60


@dataclass(frozen=True, slots=True)
class Package:
    """One package for amd64. What it depends on is no concern here: the list is whole."""

    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """As apt names it: an epoch's colon is escaped."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_amd64.deb"


def read_lock(path: Path = LOCK) -> tuple[Package, ...]:
    """The packages that images are made of."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(Package(**row) for row in csv.DictReader(file))


def fetch(packages: Sequence[Package], kept: Path) -> list[Path]:
    """The packages' files in the folder `kept`; what is there is not fetched again.

    Raises LabError where apt is missing, does not know a version any more, or brings other bytes.
    """
    kept.mkdir(parents=True, exist_ok=True)
    missing = [each for each in packages if not _is_whole(kept / each.file_name, each)]
    if missing:
        with TemporaryDirectory(dir=kept) as folder:
            _download(missing, Path(folder))
            for each in missing:
                (Path(folder) / each.file_name).replace(kept / each.file_name)
    return [kept / each.file_name for each in packages]


def entries(deb: Path) -> Iterator[Entry]:
    """What a package installs, without documentation but for its licence. Hard links become files."""
    # Debian's packages are ar archives of a version, the control files and the data: deb(5).
    with tarfile.open(fileobj=io.BytesIO(_member(deb.read_bytes(), "data.tar")), mode="r:*") as tar:
        for info in tar:
            path = merged(info.name.removeprefix("./").rstrip("/"))
            if path.startswith(_LEFT_OUT) or (path.startswith("usr/share/doc/") and not path.endswith("/copyright")):
                continue
            if info.issym():
                yield Link(path, info.linkname)
            elif (file := tar.extractfile(info)) is not None:
                yield File(path, file.read(), bool(info.mode & 0o100))


def _download(packages: Sequence[Package], folder: Path) -> None:
    asked = [f"{each.name}={each.version}" for each in packages]
    said = apt.download(asked, folder)
    for each in packages:
        if not (path := folder / each.file_name).is_file():
            reason = next((line for line in said.splitlines() if line.startswith("E:")), "it brought no file")
            message = (
                f"apt-get does not bring {each.name} {each.version} ({reason.removeprefix('E:').strip()}); run apt-get update, "
                "and where the version has gone python -m model_factory.local.lab.images.lock, which takes today's"
            )
            raise LabError(message)
        if not _is_whole(path, each):
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            message = f"{each.name} {each.version} has SHA-256 {found}, and {LOCK.name} says {each.sha256}; use a mirror that has Debian's own"
            raise LabError(message)


def _is_whole(path: Path, package: Package) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256


def _member(archive: bytes, prefix: str) -> bytes:
    at = len(_AR_MAGIC)
    while archive.startswith(_AR_MAGIC) and at + _AR_HEADER_BYTES <= len(archive):
        header = archive[at : at + _AR_HEADER_BYTES]
        size, start = int(header[48:58]), at + _AR_HEADER_BYTES
        if header[:16].decode().startswith(prefix):
            return archive[start : start + size]
        at = start + size + size % 2
    raise LabError(f"a package has no {prefix}; it is no Debian package: remove the lab's cache")
