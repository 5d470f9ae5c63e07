"""Puts what the lab's models are made of where their Pods look for it: weights into the local clouds' buckets, images into the lab's registry.

It runs beside the `up` that makes buckets and repositories, and brings to each what belongs there as soon as it is there. What is there already
is not sent again.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from model_factory.local.errors import LabError
from model_factory.local.lab.images.fetch import SUMS
from model_factory.local.lab.images.image import Image

Report = Callable[[str], None]
_POLL_SECONDS: Final = 0.5
_CALL_SECONDS: Final = 120.0
_MADE_UP: Final = "-[0-9a-f]{7}"
"""What Pulumi adds to a name that it makes: https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming"""


@dataclass(frozen=True, slots=True)
class Tagged:
    """An image, and the tag that it is to have beside its digest."""

    image: Image
    tag: str


@dataclass(frozen=True, slots=True)
class Seed:
    """What one model needs at one site, whose logical name is `site`: files below a prefix of the site's bucket, images in its repository."""

    store: Store
    site: str
    model: str
    prefix: str
    """Ends with a slash."""
    files: Path
    images: tuple[Tagged, ...]


class Store(Protocol):
    """One local cloud as far as models get things from it. Names are None until `up` has made what they name."""

    def bucket(self, site: str) -> str | None:
        """The name of the site's bucket of weights."""
        ...

    def repository(self, site: str, model: str) -> str | None:
        """The path, behind the registry's host, of the model's repository."""
        ...

    def size_bytes(self, bucket: str, key: str) -> int | None:
        """How large an object is; None where there is none."""
        ...

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Stores an object."""
        ...


@dataclass(frozen=True, slots=True)
class LocalAws:
    """The local AWS at a URL on loopback, in one region."""

    url: str
    region: str

    def bucket(self, site: str) -> str | None:
        """The name of the site's bucket of weights."""
        found = ElementTree.fromstring(self._ask("s3", "GET", "/"))  # noqa: S314 (the local cloud's own answer)
        return _named(f"{site}-weights", (each.text or "" for each in found.iter() if each.tag.endswith("}Name")))

    def repository(self, site: str, model: str) -> str | None:
        """The path, behind the registry's host, of the model's repository."""
        headers = {
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
            "Content-Type": "application/x-amz-json-1.1",
        }
        found: dict[str, Any] = json.loads(self._ask("ecr", "POST", "/", b'{"maxResults":1000}', headers))
        return _named(f"{site}-{model}", (each["repositoryName"] for each in found["repositories"]))

    def size_bytes(self, bucket: str, key: str) -> int | None:
        """How large an object is; None where there is none."""
        status, headers, _ = _call(self.url, "HEAD", f"/{bucket}/{quote(key)}", headers=self._signed("s3"))
        return int(headers["content-length"]) if status == http.client.OK else None

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Stores an object."""
        self._ask("s3", "PUT", f"/{bucket}/{quote(key)}", data)

    def _ask(
        self, service: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        return _done(self.url, method, path, body, {**self._signed(service), **(headers or {})})

    def _signed(self, service: str) -> dict[str, str]:
        # The local cloud reads off a signature which service and region are meant, and checks none.
        scope = f"Credential=lab/20260101/{self.region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        return {"Authorization": f"AWS4-HMAC-SHA256 {scope}"}


@dataclass(frozen=True, slots=True)
class LocalGcp:
    """The local Google Cloud at a URL on loopback, and the project."""

    url: str
    project: str

    def bucket(self, site: str) -> str | None:
        """The name of the site's bucket of weights."""
        found = json.loads(_done(self.url, "GET", f"/storage/v1/b?{urlencode({'project': self.project})}"))
        return _named(f"{site}-weights", (each["name"] for each in found.get("items", ())))

    def repository(self, site: str, model: str) -> str | None:
        """The path, behind the registry's host, of the model's repository. Repositories of a project are folders of one."""
        return f"{self.project}/{site}/{model}"

    def size_bytes(self, bucket: str, key: str) -> int | None:
        """How large an object is; None where there is none."""
        status, _, body = _call(self.url, "GET", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}")
        return int(json.loads(body)["size"]) if status == http.client.OK else None

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Stores an object."""
        query = urlencode({"uploadType": "media", "name": key})
        _done(self.url, "POST", f"/upload/storage/v1/b/{bucket}/o?{query}", data)


def seed(seeds: Iterable[Seed], registry_url: str, ended: threading.Event, report: Report = lambda _: None) -> None:
    """Brings everything to its place, waiting for what is not there yet, until all is done or the event is set. LabError where it fails."""
    waiting = [*seeds]
    while waiting:
        waiting = [each for each in waiting if not _planted(each, registry_url, report)]
        if waiting and ended.wait(_POLL_SECONDS):
            return


def _planted(each: Seed, registry_url: str, report: Report) -> bool:
    bucket, repository = each.store.bucket(each.site), each.store.repository(each.site, each.model)
    if bucket is None or repository is None:
        return False
    for tagged in each.images:
        tagged.image.push(registry_url, repository, tagged.tag)
    upload(each.store, bucket, each.prefix, each.files)
    report(f"image and weights of {each.model} are at {each.site}")
    return True


def upload(store: Store, bucket: str, prefix: str, files: Path) -> None:
    """A folder's files below a prefix. The list of their sums comes first: whoever finds it knows what is missing yet."""
    found = {str(path.relative_to(files)): path for path in sorted(files.rglob("*")) if path.is_file()}
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in found.items())
    store.put(bucket, f"{prefix}{SUMS}", sums.encode())
    for name, path in found.items():
        if store.size_bytes(bucket, f"{prefix}{name}") != path.stat().st_size:
            store.put(bucket, f"{prefix}{name}", path.read_bytes())


def _named(name: str, among: Iterable[str]) -> str | None:
    return next((each for each in among if re.fullmatch(re.escape(name) + _MADE_UP, each)), None)


def _done(url: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    try:
        status, _, answer = _call(url, method, path, body, headers)
    except (OSError, http.client.HTTPException) as error:
        raise LabError(
            f"the local cloud at {url} does not answer ({error}); `factory clouds status` says why"
        ) from error
    if status >= http.client.BAD_REQUEST:
        told = answer.decode(errors="replace")[:300]
        raise LabError(f"the local cloud at {url} refuses {method} {path}: {status} {told}")
    return answer


def _call(
    url: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """One request; the standard library's client asks no proxy and follows no redirect, so it stays on loopback."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=_CALL_SECONDS)) as connection:
        connection.request(method, path, body or None, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
