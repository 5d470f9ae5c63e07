"""Copies a folder of a bucket into a folder: `python3 fetch.py s3://bucket/prefix/ FOLDER`, or gs://.

It is what a model's Pod runs before its server where nothing mounts buckets: alone, on the standard library. Each file appears whole or not at
all; what is whole already is left, what is half there goes on. Of a folder with a file SHA256SUMS all that this lists must be there and match;
elsewhere sizes must, and MD5 where the store tells it. It waits for a folder that is empty or incomplete.

From the environment, as other clients have it: AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_CONTAINER_CREDENTIALS_FULL_URI with
AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE (who the Pod is; without, it is nobody), STORAGE_EMULATOR_HOST.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

SUMS: Final = "SHA256SUMS"
_CHUNK: Final = 1 << 20
_WAIT_SECONDS: Final = 900
_PAUSES_SECONDS: Final = (1, 2, 3, 5, 8)
_CALL_SECONDS: Final = 60
# The local clouds answer nobody who calls them by another name than this machine's, which pages in browsers cannot.
_HOST: Final = "localhost"
# The local cloud reads off a signature which service is meant, and checks none.
_NOBODY: Final = "nobody"


class FetchError(Exception):
    """It cannot be fetched, now or at all."""


class NotThereError(FetchError):
    """It is not whole in the store yet."""


class RefusedError(FetchError):
    """The store says no: waiting changes nothing."""


@dataclass(frozen=True)
class Item:
    """A file of the folder: its name below it, its size, and the MD5 of its bytes as hex where the store tells it."""

    name: str
    size_bytes: int
    md5: str | None


@dataclass(frozen=True)
class Place:
    """A folder of a bucket. The prefix ends with a slash, or is empty."""

    bucket: str
    prefix: str


@dataclass(frozen=True)
class Store:
    """How one cloud's store is asked: the list of a folder, and the bytes of an item from an offset."""

    items: Callable[[Place], Iterator[Item]]
    read: Callable[[Place, Item, int], http.client.HTTPResponse]


def main(arguments: list[str]) -> int:
    """Fetches, and says on standard error what it does. 1 where it cannot."""
    uri, target = arguments
    parts = urlsplit(uri)
    place = Place(parts.netloc, parts.path.lstrip("/"))
    until = time.monotonic() + _WAIT_SECONDS
    for attempt in range(sys.maxsize):
        try:
            count = fetch(STORES[parts.scheme], place, Path(target))
        except RefusedError as error:
            _say(f"{uri}: {error}")
            return 1
        except (FetchError, OSError, http.client.HTTPException) as error:
            pause = _PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS) - 1)]
            if time.monotonic() + pause > until:
                _say(f"{uri}: {error}; gave up after {_WAIT_SECONDS} s")
                return 1
            _say(f"{uri}: {error}; again in {pause} s")
            time.sleep(pause)
        else:
            _say(f"{uri}: {count} files in {target}")
            return 0
    return 1


def fetch(store: Store, place: Place, target: Path) -> int:
    """The folder's files in `target`; how many there are."""
    items = {item.name: item for item in store.items(place)}
    if not items:
        raise NotThereError("nothing lies there yet; upload the weights")
    sums: dict[str, str] = {}
    if (listed := items.pop(SUMS, None)) is not None:
        sums = _sums(store.read(place, listed, 0).read().decode())
        if missing := sorted(sums.keys() - items.keys()):
            raise NotThereError(f"{len(sums) - len(missing)} of {len(sums)} files are there, {missing[0]} is not")
    for item in items.values():
        path = target / item.name
        if not path.resolve().is_relative_to(target.resolve()):
            raise RefusedError(f"{item.name!r} would lie outside {target}; rename it")
        if not path.is_file():
            _fetch_one(store, place, item, path, sums.get(item.name))
    return len(items)


def _fetch_one(store: Store, place: Place, item: Item, path: Path, sha256: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.part")
    done = half.stat().st_size if half.is_file() else 0
    if done > item.size_bytes:
        half.unlink()
        done = 0
    with half.open("ab") as file:
        if done < item.size_bytes:
            answer = store.read(place, item, done)
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
    wrong = _difference(half, item, sha256)
    if wrong:
        half.unlink()
        raise FetchError(f"{item.name} came with {wrong}")
    half.replace(path)


def _difference(path: Path, item: Item, sha256: str | None) -> str:
    if (size := path.stat().st_size) != item.size_bytes:
        return f"{size} bytes instead of {item.size_bytes}"
    kind, wanted = ("sha256", sha256) if sha256 else ("md5", item.md5)
    if wanted is None:
        return ""
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return "" if digest.hexdigest() == wanted else f"{kind} {digest.hexdigest()} instead of {wanted}"


def _sums(text: str) -> dict[str, str]:
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return {name.lstrip("*"): digest for digest, name in lines}


# S3: https://docs.aws.amazon.com/AmazonS3/latest/API


def _s3_items(place: Place) -> Iterator[Item]:
    token = ""
    while True:
        query = {"list-type": "2", "prefix": place.prefix, **({"continuation-token": token} if token else {})}
        # The store is trusted with the weights themselves.
        found = ElementTree.fromstring(_s3(place.bucket, "", query).read())  # noqa: S314
        space = {"s3": found.tag[1:].partition("}")[0]}
        for each in found.findall("s3:Contents", space):
            key, tag = each.findtext("s3:Key", "", space), each.findtext("s3:ETag", "", space).strip('"')
            # With a key of KMS, or in parts, the tag is no MD5; those of parts have a hyphen.
            md5 = tag if re.fullmatch("[0-9a-f]{32}", tag) and not _has_kms(place, key) else None
            if not key.endswith("/"):
                yield Item(key[len(place.prefix) :], int(each.findtext("s3:Size", "0", space)), md5)
        token = found.findtext("s3:NextContinuationToken", "", space)
        if not token:
            return


def _has_kms(place: Place, key: str) -> bool:
    answer = _s3(place.bucket, key, {}, method="HEAD")
    answer.read()
    return answer.headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")


def _s3_read(place: Place, item: Item, offset: int) -> http.client.HTTPResponse:
    return _s3(place.bucket, place.prefix + item.name, {}, {"Range": f"bytes={offset}-"} if offset else {})


def _s3(
    bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None, method: str = "GET"
) -> http.client.HTTPResponse:
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    path = f"/{quote(bucket)}" + (f"/{quote(key)}" if key else "")
    asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    signed = _signed(_aws_identity(), method, path, asked)
    return _call(endpoint, method, f"{path}?{asked}" if asked else path, {**signed, **(headers or {})})


@cache
def _aws_identity() -> dict[str, str]:
    """As the SDKs get it from EKS Pod Identity: docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html."""
    uri = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if uri is None:
        return {"AccessKeyId": _NOBODY, "SecretAccessKey": _NOBODY}
    token = Path(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read_text(encoding="utf-8")
    parts = urlsplit(uri)
    return json.load(_call(uri, "GET", parts.path, {"Authorization": token}))


def _signed(identity: Mapping[str, str], method: str, path: str, query: str) -> dict[str, str]:
    """The headers of a call without a body: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    region, empty = os.environ.get("AWS_REGION", "us-east-1"), hashlib.sha256(b"").hexdigest()
    headers = {"host": _HOST, "x-amz-content-sha256": empty, "x-amz-date": now}
    if "Token" in identity:
        headers["x-amz-security-token"] = identity["Token"]
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = hashlib.sha256("\n".join((method, path, query, lines, names, empty)).encode()).hexdigest()
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    key = f"AWS4{identity['SecretAccessKey']}".encode()
    for part in (*scope.split("/"), "\n".join(("AWS4-HMAC-SHA256", now, scope, asked))):
        key = hmac.new(key, part.encode(), "sha256").digest()
    credential = f"Credential={identity['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return {
        **{name: text for name, text in headers.items() if name != "host"},
        "Authorization": f"AWS4-HMAC-SHA256 {credential}",
    }


# Cloud Storage: https://cloud.google.com/storage/docs/json_api/v1


def _gcs_items(place: Place) -> Iterator[Item]:
    token = ""
    while True:
        query = f"prefix={quote(place.prefix, safe='')}" + (f"&pageToken={quote(token, safe='')}" if token else "")
        found: dict[str, Any] = json.load(_gcs(f"/storage/v1/b/{quote(place.bucket)}/o?{query}"))
        for each in found.get("items", ()):
            md5 = base64.b64decode(each["md5Hash"]).hex() if "md5Hash" in each else None
            if not each["name"].endswith("/"):
                yield Item(each["name"][len(place.prefix) :], int(each["size"]), md5)
        token = found.get("nextPageToken", "")
        if not token:
            return


def _gcs_read(place: Place, item: Item, offset: int) -> http.client.HTTPResponse:
    path = f"/storage/v1/b/{quote(place.bucket)}/o/{quote(place.prefix + item.name, safe='')}?alt=media"
    return _gcs(path, {"Range": f"bytes={offset}-"} if offset else {})


def _gcs(path: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    host = os.environ["STORAGE_EMULATOR_HOST"]
    return _call(host if "://" in host else f"http://{host}", "GET", path, headers or {})


def _call(endpoint: str, method: str, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_CALL_SECONDS)
    connection.request(method, path, headers={**headers, "Host": _HOST})
    answer = connection.getresponse()
    if answer.status in (200, 206):
        if "Range" in headers and answer.status == 200:
            # A store without ranges starts from the first byte, and so the file would have its beginning twice.
            answer.read(int(headers["Range"].removeprefix("bytes=").rstrip("-")))
        return answer
    told = answer.read(_CHUNK).decode(errors="replace").strip()[:300]
    kind = RefusedError if answer.status in (401, 403) else NotThereError if answer.status == 404 else FetchError
    raise kind(f"{method} {parts.netloc}{path}: {answer.status} {told}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


STORES: Final[Mapping[str, Store]] = {"s3": Store(_s3_items, _s3_read), "gs": Store(_gcs_items, _gcs_read)}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
