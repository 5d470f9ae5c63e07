from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from model_factory.cli import lab, laboratory
from model_factory.cli.errors import BadInputError
from model_factory.cli.lab import _Told
from model_factory.cli.main import app
from model_factory.cli.request import Answered, Way
from model_factory.live.load import Sample, figures
from model_factory.local.errors import LabError
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


class TestUp:
    """What each step does is held elsewhere; here it only says that it was done."""

    @pytest.fixture
    def done(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        steps: list[str] = []
        answered = Answered(
            Way("aws/us-east-1", ("llm-0",), ()), "Chat", (), "Hello!", figures([Sample(0.25, None)], 1.0)
        )

        def does(name: str, result: object = None) -> Callable[..., object]:
            return lambda *_, **__: steps.append(name) or result

        monkeypatch.setattr(
            lab.Session, "open", does("open", SimpleNamespace(stack="lab", kubernetes_minors=["1.35"], project=None))
        )
        monkeypatch.setattr(lab, "build_programs", does("programs"))
        monkeypatch.setattr(
            laboratory, "registry", does("registry", SimpleNamespace(ensure=lambda: "http://127.0.0.1:5000"))
        )
        monkeypatch.setattr(lab, "ensure_running", does("clouds"))
        monkeypatch.setattr(laboratory, "require_lab", does("require"))
        monkeypatch.setattr(laboratory, "model_to_ask", does("choose", "llm"))
        monkeypatch.setattr(laboratory, "prepare_machine", does("machine", ""))
        monkeypatch.setattr(laboratory, "make_models", does("models"))
        monkeypatch.setattr(laboratory, "bring_up", does("stack"))
        monkeypatch.setattr(laboratory, "ask", does("request", answered))
        return steps

    ORDER = ("open", "require", "choose", "machine", "programs", "models", "registry", "clouds", "stack", "request")

    def test_it_ends_with_an_answer_its_latency_and_the_line_to_repeat_it(self, done: list[str]) -> None:
        result = CliRunner().invoke(app, ["lab", "up"])
        assert result.exit_code == 0, result.output
        assert done == [*self.ORDER]
        assert "llm: Hello!" in result.output
        assert "250.0 ms at aws/us-east-1" in result.output
        assert "request llm --stack lab" in result.output

    def test_where_no_node_is_real_nobody_is_asked(self, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(laboratory, "prepare_machine", lambda _: "needs root")
        result = CliRunner().invoke(app, ["lab", "up", "--json"])
        assert "request" not in done
        document = json.loads(result.stdout)
        assert (document["realNode"], document["answer"]) == ("needs root", None)

    def test_json_is_for_machines_alone(self, done: list[str]) -> None:
        document = json.loads(CliRunner().invoke(app, ["lab", "up", "--json"]).stdout)
        assert document["latencyMs"] == 250.0
        assert (document["model"], document["site"], document["answer"]) == ("llm", "aws/us-east-1", "Hello!")
        assert list(document["steps"]) == ["machine", "programs", "models", "clouds", "stack", "request"]

    def test_what_fails_ends_it(self, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: object, **__: object) -> None:
            raise LabError("no images")

        monkeypatch.setattr(laboratory, "make_models", fails)
        result = CliRunner().invoke(app, ["lab", "up"])
        assert isinstance(result.exception, LabError)
        assert "stack" not in done


class TestMinors:
    def test_a_minor_that_the_lab_has_not_is_bad_input(self) -> None:
        result = CliRunner().invoke(app, ["lab", "build", "--kubernetes", "1.2"])
        assert isinstance(result.exception, BadInputError)
        assert "choose from 1.35, 1.36" in str(result.exception)


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
