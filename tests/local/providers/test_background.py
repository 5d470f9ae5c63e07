"""The providers' server outlives the command that starts it, is started once, and is found and stopped by its record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2_grpc

from model_factory.local import daemon
from model_factory.local.errors import ServerError
from model_factory.local.providers import background

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    background.stop(tmp_path)


def folder(root: Path) -> Path:
    return root / ".factory" / "clouds" / "providers"


def version(port: int) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return provider_pb2_grpc.ResourceProviderStub(channel).GetPluginInfo(empty_pb2.Empty()).version


class TestServer:
    def test_serves_every_provider_until_it_is_stopped(self, root: Path) -> None:
        ports = background.start(root)
        assert sorted(ports) == ["aws", "gcp", "kubernetes"]
        assert [version(ports[name]).split(".")[0] for name in sorted(ports)] == ["7", "10", "4"]
        running = daemon.recorded(folder(root))
        assert running is not None
        assert background.start(root) == ports, "the second call finds it"
        assert background.stop(root)
        assert not daemon.is_alive(running.process)
        assert not background.stop(root)

    def test_a_killed_one_is_started_again(self, root: Path) -> None:
        background.start(root)
        record = json.loads((folder(root) / "process.json").read_text())
        process = psutil.Process(record["pid"])
        process.kill()
        process.wait()
        assert version(background.start(root)["kubernetes"])

    def test_one_that_cannot_start_shows_the_end_of_its_log(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(background, "PROVIDERS", ("aws", "azure"))
        with pytest.raises(ServerError, match="'azure' is not NAME or NAME=PORT"):
            background.start(root)
        assert not (folder(root) / "process.json").exists()
