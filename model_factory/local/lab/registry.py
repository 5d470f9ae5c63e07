"""The lab's image registry, and how images get into it.

A `distribution` registry on loopback, plain http. Every registry's name leads a real node to it, so a repository is called here as the path is
behind the registry's host: `embeddings` of an ECR address, `<project>/<repository>/embeddings` of an Artifact Registry one. Blobs are known by
their digest, so what is there already is not sent again.

API: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import io
import json
import shutil
import socket
import tarfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from model_factory.local import daemon
from model_factory.local.errors import LabError
from model_factory.local.folders import private, take_private

HOST: Final = "127.0.0.1"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05
_CALL_SECONDS: Final = 300.0
_CHUNK: Final = 1024 * 1024
_SOURCE: Final = Path(__file__).parents[3]
_PROCESS: Final = "process"


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry whose images and process lie in `folder`; `program` is distribution's `registry`. Every call may be repeated."""

    folder: Path
    program: Path

    def ensure(self) -> str:
        """Start it where it does not run, on the port that it had; return its URL once it answers. Raises LabError."""
        take_private(self.folder)
        with self._alone():
            running = daemon.recorded(self.folder / _PROCESS)
            # One that was killed a moment ago may still be found, and answers no more.
            if running is not None and self._answers(url := _url(running.facts["port"])):
                return url
            if running is not None:
                daemon.stop(running.process, seconds=_STOP_SECONDS)
            port = self._port()
            self._configure(port)
            command = [str(self.program), "serve", str(self._configuration)]
            daemon.spawn(command, self.folder / _PROCESS, source=_SOURCE, facts={"port": port})
            if not self._answers(url := _url(port)):
                raise LabError(
                    f"the lab's registry does not answer at {url}; the end of its log:\n{daemon.log_tail(self.folder / _PROCESS)}"
                )
            return url

    @property
    def url(self) -> str | None:
        """Where it answers, if it runs."""
        running = daemon.recorded(self.folder / _PROCESS)
        return None if running is None else _url(running.facts["port"])

    def stop(self) -> None:
        """End its process; images stay."""
        if not self.folder.exists():
            return
        with self._alone():
            if (running := daemon.recorded(self.folder / _PROCESS)) is not None:
                daemon.stop(running.process, seconds=_STOP_SECONDS)
            daemon.forget(self.folder / _PROCESS)

    def remove(self) -> None:
        """End its process, and remove all images."""
        self.stop()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    @property
    def _configuration(self) -> Path:
        return self.folder / "config.yml"

    def _port(self) -> int:
        """The one it had, where that gets free: nodes are told of it, and of a process that was killed threads still hold it for a moment."""
        with suppress(OSError, ValueError):
            port = int((self.folder / "port").read_text())
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline:
                if _is_free(port):
                    return port
                time.sleep(_POLL_SECONDS)
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        (self.folder / "port").write_text(str(port))
        return port

    def _configure(self, port: int) -> None:
        # JSON is YAML, too.
        document = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "images")}, "delete": {"enabled": True}},
            "http": {"addr": f"{HOST}:{port}"},
        }
        with open(self._configuration, "w", encoding="utf-8", opener=private) as file:
            json.dump(document, file, indent=1)

    def _answers(self, url: str) -> bool:
        """Whether it does before it ends, and in time."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with suppress(OSError, http.client.HTTPException):
                if _call(url, "GET", "/v2/")[0] == http.client.OK:
                    return True
            if daemon.recorded(self.folder / _PROCESS) is None or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)

    @contextmanager
    def _alone(self) -> Generator[None]:
        with open(self.folder / "lock", "w", encoding="utf-8", opener=private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: a tar file, not compressed. Its digest is both what it is fetched by and what is unpacked of it."""

    path: Path
    digest: str
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> Layer:
        """Reads the file once, for its digest."""
        with path.open("rb") as file:
            return cls(path, f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", path.stat().st_size)


def image_config(layers: Sequence[Layer], *, architecture: str, config: Mapping[str, Any]) -> bytes:
    """The image's configuration with its layers; `config` has Entrypoint, Cmd, Env, User, WorkingDir … The same input, the same bytes."""
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def manifest(config: bytes, layers: Sequence[Layer]) -> bytes:
    """The image's manifest, whose digest is the image's. The same input, the same bytes."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size_bytes} for layer in layers],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest_of(data: bytes) -> str:
    """As registries write it: `sha256:…`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push(url: str, repository: str, tag: str, config: bytes, layers: Sequence[Layer]) -> str:
    """Put an image into the registry at `url` (on loopback), and return its digest. What is there already is not sent.

    Raises:
        LabError: the registry refuses it, or does not answer.
    """
    document = manifest(config, layers)
    try:
        for layer in layers:
            if not _has(url, repository, layer.digest):
                with layer.path.open("rb") as file:
                    _upload(url, repository, layer.digest, file, layer.size_bytes)
        if not _has(url, repository, digest_of(config)):
            _upload(url, repository, digest_of(config), io.BytesIO(config), len(config))
        path = f"/v2/{quote(repository)}/manifests/{quote(tag)}"
        status, _, answer = _call(url, "PUT", path, document, {"Content-Type": MANIFEST})
    except (OSError, http.client.HTTPException) as error:
        raise LabError(
            f"the registry at {url} did not take {repository}:{tag}: {error}; is the lab up? `factory lab status`"
        ) from error
    if status != http.client.CREATED:
        raise LabError(
            f"the registry at {url} refuses {repository}:{tag} with {status}: {answer.decode(errors='replace')[:300]}"
        )
    return digest_of(document)


def holds(url: str, repository: str, reference: str) -> bool:
    """Whether the registry at `url` has the image of this tag or digest; False where it does not answer."""
    path = f"/v2/{quote(repository)}/manifests/{quote(reference)}"
    with suppress(OSError, http.client.HTTPException):
        return _call(url, "HEAD", path, headers={"Accept": MANIFEST})[0] == http.client.OK
    return False


def static_layer(path: Path, files: Mapping[str, Path]) -> Layer:
    """Write a layer of programs, by their names in the image: owned by root, executable, of no date. The same files, the same bytes."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, source in sorted(files.items()):
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode = source.stat().st_size, 0o755
            with source.open("rb") as file:
                archive.addfile(entry, file)
    return Layer.of(path)


def _has(url: str, repository: str, digest: str) -> bool:
    status, _, _ = _call(url, "HEAD", f"/v2/{quote(repository)}/blobs/{digest}")
    return status == http.client.OK


def _upload(url: str, repository: str, digest: str, body: io.IOBase | Any, size_bytes: int) -> None:
    status, headers, answer = _call(url, "POST", f"/v2/{quote(repository)}/blobs/uploads/")
    if status != http.client.ACCEPTED:
        raise LabError(
            f"the registry at {url} takes nothing for {repository}: {status} {answer.decode(errors='replace')[:300]}"
        )
    target = urlsplit(headers["location"])
    query = f"{target.query}&" if target.query else ""
    path = f"{target.path}?{query}{urlencode({'digest': digest})}"
    sent = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
    status, _, answer = _call(url, "PUT", path, body, sent)
    if status != http.client.CREATED:
        raise LabError(
            f"the registry at {url} refuses {digest} of {repository}: {status} {answer.decode(errors='replace')[:300]}"
        )


def _call(
    url: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """One request; the standard library's client asks no proxy and follows no redirect, so it stays on loopback."""
    connection = http.client.HTTPConnection(HOST, urlsplit(url).port or 80, timeout=_CALL_SECONDS, blocksize=_CHUNK)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
