from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from model_factory.local.errors import LabError
from model_factory.local.lab.images.fetch import SUMS
from model_factory.local.lab.seed import LocalAws, LocalGcp, Seed, seed, upload
from tests.local.gcp_server import gcp_server

SITE = "lab-gcp-us-central1"


@dataclass
class Kept:
    """A store that `up` makes the bucket of on the second look."""

    objects: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    looks: int = 0

    def bucket(self, site: str) -> str | None:
        self.looks += 1
        return f"{site}-weights-0123abc" if self.looks > 1 else None

    def repository(self, site: str, model: str) -> str | None:
        return f"{site}-{model}-0123abc"

    def size_bytes(self, bucket: str, key: str) -> int | None:
        return len(self.objects[key]) if key in self.objects else None

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.order.append(key)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()
    (tmp_path / "1/model.onnx").write_bytes(b"weights")
    (tmp_path / "config.pbtxt").write_bytes(b"backend")
    return tmp_path


class TestSeeding:
    def test_waits_for_what_up_makes(self, files: Path) -> None:
        store = Kept()
        seed([Seed(store, SITE, "m", "m/1/", files, ())], "http://127.0.0.1:1", threading.Event())
        assert store.objects["m/1/1/model.onnx"] == b"weights"

    def test_ends_when_up_has_failed(self, files: Path) -> None:
        store, ended = Kept(), threading.Event()
        ended.set()
        seed([Seed(store, SITE, "m", "m/1/", files, ())], "http://127.0.0.1:1", ended)
        assert not store.objects

    def test_tells_first_what_is_to_come(self, files: Path) -> None:
        upload(store := Kept(), "b", "m/1/", files)
        assert store.order[0] == f"m/1/{SUMS}"
        listed = dict(line.split("  ")[::-1] for line in store.objects[f"m/1/{SUMS}"].decode().splitlines())
        assert listed == {
            name: hashlib.sha256((files / name).read_bytes()).hexdigest() for name in ("1/model.onnx", "config.pbtxt")
        }

    def test_sends_no_file_twice(self, files: Path) -> None:
        store = Kept()
        upload(store, "b", "m/1/", files)
        upload(store, "b", "m/1/", files)
        assert store.order.count("m/1/1/model.onnx") == 1


class TestLocalGcp:
    @pytest.fixture
    def store(self) -> Iterator[LocalGcp]:
        with gcp_server("models", transition_seconds=0) as (url, _):
            yield LocalGcp(url, "models")

    def test_finds_the_bucket_that_pulumi_named(self, store: LocalGcp) -> None:
        assert store.bucket(SITE) is None
        self._make(store, f"{SITE}-weights-0123abc")
        self._make(store, f"{SITE}-weights-of-another")
        assert store.bucket(SITE) == f"{SITE}-weights-0123abc"

    def test_knows_how_large_an_object_is(self, store: LocalGcp) -> None:
        self._make(store, "sizes")
        assert store.size_bytes("sizes", "a/b c") is None
        store.put("sizes", "a/b c", b"weights")
        assert store.size_bytes("sizes", "a/b c") == len(b"weights")

    @staticmethod
    def _make(store: LocalGcp, name: str) -> None:
        import requests

        with requests.Session() as session:
            session.trust_env = False
            session.post(f"{store.url}/storage/v1/b?project=models", json={"name": name}, timeout=20).raise_for_status()


class TestLocalAws:
    def test_that_does_not_answer_is_told_with_the_way_to_find_out(self) -> None:
        with pytest.raises(LabError, match="factory clouds status"):
            LocalAws("http://127.0.0.1:1", "us-east-1").bucket(SITE)
