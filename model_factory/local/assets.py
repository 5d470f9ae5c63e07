"""Assets and archives: files and texts that a program hands to a resource, and the SHA-256 by which a change of them is seen.

The hashes are Pulumi's (pulumi/pulumi, sdk/go/common/resource/asset and …/archive): of an asset its bytes, of an archive file its
bytes, of a folder or a map of assets the tar that Go's archive/tar writes of it. What lies on the network is refused by name.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from posixpath import join, normpath, split
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from model_factory.local.wire import ARCHIVE_SIGNATURE, Asset, Output, Secret, Value, is_unknown

_ARCHIVES: Final = (".tar", ".tgz", ".tar.gz", ".zip", ".jar")
_BOOKKEEPING: Final = ".pulumi"


def hashed(value: Value, root: Path) -> Value:
    """The value with the hash of each asset in it. Relative paths start at `root`.

    Raises ValueError, with the path and what to do, for one that cannot be read, and for one on the network.
    """
    if isinstance(value, Asset):
        fields = {key: hashed(item, root) for key, item in value.fields.items() if item or key == "assets"}
        if not fields.get("hash") and not is_unknown(value):
            fields["hash"] = _digest(Asset(value.signature, fields), root)
        return Asset(value.signature, fields)
    if isinstance(value, dict):
        return {key: hashed(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [hashed(item, root) for item in value]
    if isinstance(value, Secret):
        return Secret(hashed(value.value, root))
    if isinstance(value, Output):
        return Output(hashed(value.value, root), value.secret, value.dependencies)
    return value


def _digest(asset: Asset, root: Path) -> str:
    try:
        path = _path(asset, root)
        if asset.signature != ARCHIVE_SIGNATURE or (path is not None and path.name.endswith(_ARCHIVES)):
            return hashlib.sha256(_bytes(asset, path)).hexdigest()
        digest, seen = hashlib.sha256(), set[str]()
        for name, data in _members(asset, root):
            if name not in seen:
                seen.add(name)
                digest.update(_tar_header(name, len(data)) + data + bytes(-len(data) % tarfile.BLOCKSIZE))
        digest.update(bytes(2 * tarfile.BLOCKSIZE))
        return digest.hexdigest()
    except OSError as error:
        raise ValueError(
            f"asset {error.filename}: {error.strerror}; a file that a program hands over is there when it is; correct the path"
        ) from error


def _bytes(asset: Asset, path: Path | None) -> bytes:
    if path is None:
        return str(asset.fields.get("text", "")).encode()
    if path.is_dir():
        raise ValueError(f"asset {path}: it is a folder; use an archive")
    return path.read_bytes()


def _path(asset: Asset, root: Path) -> Path | None:
    if uri := str(asset.fields.get("uri", "")):
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            raise ValueError(f"asset {uri}: the local engine reads nothing from the network; use a file, or the Pulumi CLI "
                             "(--engine pulumi)")  # fmt: skip
        return Path(url2pathname(parts.path))
    path = str(asset.fields.get("path", ""))
    return root / path if path else None


def _members(archive: Asset, root: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a folder or of a map of assets by their names, in Pulumi's order."""
    path = _path(archive, root)
    if path is not None:
        if path.is_file():
            raise ValueError(f"archive {path}: it is neither a folder nor one of {', '.join(_ARCHIVES)}; use an asset")
        yield from _files(path, "")
        return
    assets = archive.fields.get("assets", {})
    for name, member in sorted(assets.items()) if isinstance(assets, dict) else ():
        if not isinstance(member, Asset):
            raise ValueError(f"archive: its member {name} is neither an asset nor an archive; make it one")  # noqa: TRY004 - a value of the program
        inner = _path(member, root)
        if member.signature != ARCHIVE_SIGNATURE:
            yield name, _bytes(member, inner)
        elif inner is not None and inner.name.endswith(_ARCHIVES):
            raise ValueError(
                f"archive {inner}: the local engine does not look into an archive file inside an archive; unpack it"
            )
        else:
            yield from ((normpath(join(name, below)), data) for below, data in _members(member, root))


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name.encode()):
        if entry.name == _BOOKKEEPING or (entry.is_symlink() and entry.is_dir()):
            continue
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()


def _tar_header(name: str, size: int) -> bytes:
    """As Go's archive/tar writes it for a file of mode 0600: ustar, and PAX where the name does not fit."""
    prefix, short = _split(name)
    if short:
        return _block(short, size, b"0", mode=0o600, prefix=prefix)
    record = _record("path", name)
    above, last = split(name)
    extended = _block(_ascii(join(above, "PaxHeaders.0", last)).rstrip("/"), len(record), b"x", devices=False)
    return extended + record + bytes(-len(record) % tarfile.BLOCKSIZE) + _block(_ascii(name), size, b"0", mode=0o600)


def _split(name: str) -> tuple[str, str]:
    if not name.isascii():
        return "", ""
    if len(name) <= tarfile.LENGTH_NAME:
        return "", name
    prefix, _, short = name[: tarfile.LENGTH_PREFIX + 1].rpartition("/")
    short += name[tarfile.LENGTH_PREFIX + 1 :]
    return (prefix, short) if prefix and 0 < len(short) <= tarfile.LENGTH_NAME else ("", "")


def _ascii(name: str) -> str:
    return name.encode("ascii", "ignore").decode()[: tarfile.LENGTH_NAME]


def _record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def _block(name: str, size: int, kind: bytes, *, mode: int = 0, prefix: str = "", devices: bool = True) -> bytes:
    device = b"0000000\0" if devices else bytes(8)
    head = b"%-100b%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.encode().ljust(100, b"\0"), mode, 0, 0, size, 0)
    tail = kind + bytes(100) + b"ustar\x0000" + bytes(64) + device * 2 + prefix.encode().ljust(155, b"\0") + bytes(12)
    return head + b"%06o\0 " % (sum(head) + 8 * 0x20 + sum(tail)) + tail
