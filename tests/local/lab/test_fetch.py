"""The program by which a Pod fetches its weights, run as the Pod runs it, against the local clouds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config

from model_factory.local.clouds import manager
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.lab.images import fetch
from tests.local.gcp_server import gcp_server
from tests.stacks.harness import free_ports

FILES = {"config.pbtxt": b"backend", "1/model.onnx": bytes(range(256)) * 9000, "1/a b&c.json": b"{}", "1/empty": b""}
SUMS = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in FILES.items()).encode()


@pytest.fixture(scope="module")
def session_keeps_servers() -> bool:
    return True


@dataclass
class Store:
    """A bucket of a local cloud, and how the fetcher is told of it."""

    scheme: str
    put: Callable[[str, bytes], object]
    env: Mapping[str, str]

    def fetch(self, prefix: str, target: Path, *, patient: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, fetch.__file__, f"{self.scheme}://weights/{prefix}", str(target)]
        if not patient:
            # As the program is, but for how long it waits.
            text = f"import sys; from model_factory.local.lab.images import fetch; fetch._WAIT_SECONDS = 0; sys.exit(fetch.main({command[2:]!r}))"
            command[1:] = ["-c", text]
        return subprocess.run(command, env={**os.environ, **self.env}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    root = tmp_path_factory.mktemp("aws")
    spec = CloudSpec("aws", free_ports(1)[0])
    manager.start([spec], root)
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=spec.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="weights")

    def put(key: str, data: bytes) -> object:
        return client.put_object(Bucket="weights", Key=key, Body=data)

    yield Store("s3", put, {"AWS_ENDPOINT_URL_S3": spec.url})
    client.close()
    manager.stop([spec], root)


@pytest.fixture(scope="module")
def gcs() -> Iterator[Store]:
    with gcp_server("models", transition_seconds=0) as (url, _), requests.Session() as session:
        session.trust_env = False
        session.post(f"{url}/storage/v1/b?project=models", json={"name": "weights"}, timeout=20).raise_for_status()

        def put(key: str, data: bytes) -> object:
            query = {"uploadType": "media", "name": key}
            session.post(f"{url}/upload/storage/v1/b/weights/o", params=query, data=data, timeout=20).raise_for_status()
            return None

        yield Store("gs", put, {"STORAGE_EMULATOR_HOST": url})


@pytest.fixture(params=["s3", "gcs"])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(request.param)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
class TestFetching:
    def test_brings_a_folder_as_it_lies_there_and_nothing_beside_it(self, store: Store, tmp_path: Path) -> None:
        for name, data in FILES.items():
            store.put(f"m/1/{name}", data)
        store.put("m/2/other", b"another revision")
        done = store.fetch("m/1/", tmp_path)
        assert done.returncode == 0, done.stderr
        assert files_in(tmp_path) == FILES

    def test_goes_on_where_it_was_cut_off(self, store: Store, tmp_path: Path) -> None:
        for name, data in FILES.items():
            store.put(f"cut/{name}", data)
        (tmp_path / "1").mkdir()
        (tmp_path / "1/model.onnx.part").write_bytes(FILES["1/model.onnx"][:100_000])
        (tmp_path / "config.pbtxt").write_bytes(FILES["config.pbtxt"])
        assert store.fetch("cut/", tmp_path).returncode == 0
        assert files_in(tmp_path) == FILES

    def test_takes_what_a_sum_vouches_for_and_not_what_it_denies(self, store: Store, tmp_path: Path) -> None:
        for name, data in FILES.items():
            store.put(f"sums/{name}", data)
        store.put(f"sums/{fetch.SUMS}", SUMS)
        assert store.fetch("sums/", tmp_path / "right").returncode == 0
        assert files_in(tmp_path / "right") == FILES
        store.put("sums/config.pbtxt", b"changed")
        wrong = store.fetch("sums/", tmp_path / "wrong", patient=False)
        assert wrong.returncode == 1
        assert "config.pbtxt came with sha256" in wrong.stderr
        assert not (tmp_path / "wrong/config.pbtxt").exists()

    def test_waits_for_a_folder_until_all_that_its_sums_list_is_there(self, store: Store, tmp_path: Path) -> None:
        assert "nothing lies there yet" in store.fetch("late/", tmp_path, patient=False).stderr
        store.put(f"late/{fetch.SUMS}", SUMS)
        store.put("late/config.pbtxt", FILES["config.pbtxt"])
        half = store.fetch("late/", tmp_path, patient=False)
        assert half.returncode == 1
        assert "1 of 4 files are there" in half.stderr
        assert files_in(tmp_path) == {}

    def test_takes_no_name_that_leads_out_of_the_folder(self, store: Store, tmp_path: Path) -> None:
        store.put("out/../../escaped", b"x")
        done = store.fetch("out/", tmp_path / "inside")
        assert done.returncode == 1
        assert "would lie outside" in done.stderr
        assert files_in(tmp_path) == {}
