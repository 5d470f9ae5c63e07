from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_factory.local.errors import LabError
from model_factory.local.lab.programs import Programs
from model_factory.local.lab.registry import Registry, holds, image_config, push, static_layer


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF" + bytes(3_000_000))
    return path


class TestStaticLayer:
    def test_the_same_files_make_the_same_bytes(self, program: Path, tmp_path: Path) -> None:
        first = static_layer(tmp_path / "one.tar", {"program": program})
        os.utime(program, (1, 1))
        program.chmod(0o600)
        assert static_layer(tmp_path / "two.tar", {"program": program}).digest == first.digest


class TestPush:
    def test_a_registry_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(LabError, match=r"did not take none:1.*factory lab status"):
            push("http://127.0.0.1:1", "none", "1", image_config([], architecture="amd64", config={}), [])


@pytest.mark.lab
class TestRegistry:
    @pytest.fixture
    def made(self, programs: Programs, tmp_path: Path) -> Iterator[Registry]:
        registry = Registry(tmp_path / "registry", programs.registry)
        yield registry
        registry.remove()

    def test_an_image_is_there_by_tag_and_digest_also_after_a_kill(
        self, made: Registry, program: Path, tmp_path: Path
    ) -> None:
        url = made.ensure()
        layer = static_layer(tmp_path / "layer.tar", {"program": program})
        config = image_config([layer], architecture="amd64", config={"Entrypoint": ["/program"]})
        digest = push(url, "project/models/one", "1", config, [layer])
        assert push(url, "project/models/one", "1", config, [layer]) == digest
        pid = next(iter((made.folder / "process").glob("process.json"))).read_text()
        os.kill(int(pid.partition('"pid": ')[2].partition(",")[0]), signal.SIGKILL)
        assert made.ensure() == url
        assert holds(url, "project/models/one", digest)
        assert holds(url, "project/models/one", "1")
        assert not holds(url, "project/models/two", "1")

    def test_a_removal_leaves_nothing(self, made: Registry) -> None:
        made.ensure()
        made.remove()
        assert made.url is None
        assert not made.folder.exists()
