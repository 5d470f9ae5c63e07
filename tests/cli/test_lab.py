from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from model_factory.cli import lab
from model_factory.cli.lab import _Told
from model_factory.cli.main import app
from model_factory.local.lab import build as builds
from model_factory.local.lab.build import BuildStep
from model_factory.local.lab.modules import Module


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "model-factory" / "lab"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that a build was asked for; it builds the first, and has the others."""
    names: list[str] = []

    def build(modules: Sequence[Module], *_: object, **__: object) -> list[Module]:
        names.extend(module.name for module in modules)
        return list(modules)[:1]

    monkeypatch.setattr(builds, "build", build)
    return names


class TestBuild:
    def test_the_default_is_what_a_new_cluster_is_made_of(self, asked: list[str]) -> None:
        result = CliRunner().invoke(app, ["lab", "build"])
        assert result.exit_code == 0
        assert asked == ["v1.35", "kwok", "pause"]
        assert "Built v1.35 in 0.0 s" in result.output

    def test_what_two_minors_share_is_built_once(self, asked: list[str]) -> None:
        CliRunner().invoke(app, ["lab", "build", "--kubernetes", "1.35", "--kubernetes", "1.36"])
        assert asked == ["v1.35", "kwok", "pause", "v1.36"]

    def test_json_is_all_that_is_on_stdout(self, asked: list[str], own_cache: Path) -> None:
        result = CliRunner().invoke(app, ["lab", "build", "--json"])
        assert json.loads(result.stdout) == {"built": ["v1.35"], "seconds": 0, "folder": str(own_cache)}


class TestClean:
    def test_all_that_was_built_is_gone(self, own_cache: Path) -> None:
        (own_cache / "programs" / "v1.35").mkdir(parents=True)
        (own_cache / "programs" / "v1.35" / "etcd").write_bytes(b"0" * 2**20)
        result = CliRunner().invoke(app, ["lab", "clean"])
        assert result.output.replace("\n", "") == f"Removed {own_cache}, 1 MiB."
        assert not own_cache.exists()

    def test_a_cache_that_is_not_there_is_no_failure(self) -> None:
        result = CliRunner().invoke(app, ["lab", "clean"])
        assert (result.exit_code, result.output) == (0, "Nothing was built.\n")


class TestTold:
    def test_a_log_is_told_where_a_module_begins_and_then_now_and_then(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 0.0
        monkeypatch.setattr(lab.time, "monotonic", lambda: now)
        console = Console(file=StringIO(), width=200)
        with _Told(console, quiet=False) as told:
            told.step(BuildStep("v1.35", "k8s.io/api@v0.35.4", 1, 0))
            for done in range(1, 101):
                now += 0.5
                told.step(BuildStep("v1.35", "k8s.io/api/core/v1", done, 2310))
            told.step(BuildStep("kwok", "sigs.k8s.io/kwok@v0.8.0", 1, 0))
        assert console.file.getvalue().splitlines() == [  # pyright: ignore[reportAttributeAccessIssue]
            "Building the lab's v1.35: fetched 1 module, 0.0 s, k8s.io/api@v0.35.4",
            *(f"Building the lab's v1.35: {done} of 2,310 packages, {done // 2} s, k8s.io/api/core/v1" for done in (20, 40, 60, 80, 100)),
            "Building the lab's kwok: fetched 1 module, 50 s, sigs.k8s.io/kwok@v0.8.0",
        ]  # fmt: skip
