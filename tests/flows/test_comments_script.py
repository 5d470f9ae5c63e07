"""ci/comments over what a stranger's job left: only stacks that are asked for, only data, whatever stands in the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_factory.graph.masking import Masker
from model_factory.preview.events import Report
from model_factory.preview.measured import written
from tests.preview.hostile import NASTY, faults
from tests.preview.samples import Event, error, step, urn

ROOT = Path(__file__).parents[2]
FACTORY = str(Path(sys.executable).parent / "factory")
MARKER = "<!-- model-factory preview: model-factory/dev -->"
RUN = "https://github.com/o/r/actions/runs/7"


def told(folder: Path, *stacks: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "ci" / "comments"), str(folder / "previews"), str(folder / "comments"), "--commit", "a" * 40,
         "--run-url", RUN, "--previous", str(folder / "before"), *stacks],
        env={"PATH": os.environ["PATH"], "FACTORY": FACTORY, "GITHUB_ACTIONS": "true"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def leave(folder: Path, name: str, data: bytes, stack: str = "dev") -> Path:
    file = folder / "previews" / f"preview-{stack}" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def measured(*events: Event) -> bytes:
    def ours(event: Event) -> Event:
        return json.loads(json.dumps(event).replace("urn:pulumi:dev::p::", "urn:pulumi:dev::model-factory::"))

    return written(Report.of(map(ours, events), Masker()), "local")


@pytest.fixture
def comment(tmp_path: Path) -> Path:
    return tmp_path / "comments" / "dev.md"


class TestComments:
    def test_are_made_of_what_was_measured_and_of_no_text_that_was_left(self, tmp_path: Path, comment: Path) -> None:
        leave(tmp_path, "dev.measured.json", measured(step("create", new={"a": 1})))
        leave(tmp_path, "dev.md", f"{MARKER}\n# all is well @user".encode())
        leave(tmp_path, "prod.measured.json", measured(step("create", new={})), "prod-of-mine")
        ended = told(tmp_path, "dev", "staging")
        assert ended.returncode == 0, ended.stderr
        text = comment.read_text(encoding="utf-8")
        assert "1 created" in text
        assert "all is well" not in text
        assert f"<!-- run: {RUN} {'a' * 40} " in text
        assert [file.name for file in comment.parent.iterdir()] == ["dev.md"]

    def test_keep_the_runs_of_the_comment_before(self, tmp_path: Path, comment: Path) -> None:
        leave(tmp_path, "dev.measured.json", measured(step("create", new={"a": 1})))
        before = tmp_path / "before" / "dev.md"
        before.parent.mkdir()
        before.write_text(
            f"{MARKER}\n<!-- run: https://github.com/o/r/actions/runs/6 abc 2026-01-01 12:00 UTC -->\n",
            encoding="utf-8",
        )
        assert told(tmp_path, "dev").returncode == 0
        assert "[abc 2026-01-01 12:00 UTC](https://github.com/o/r/actions/runs/6)" in comment.read_text(
            encoding="utf-8"
        )

    @pytest.mark.parametrize(
        "text", ["{}", "[1]", "@user", '{"version": 1, "@user ![x](//evil.example)": 1}', '{"version": 9}']
    )
    def test_say_so_where_what_was_measured_is_refused(self, tmp_path: Path, comment: Path, text: str) -> None:
        leave(tmp_path, "dev.measured.json", text.encode())
        ended = told(tmp_path, "dev")
        assert ended.returncode == 0, ended.stderr
        assert "dev.measured.json is refused: " in ended.stdout
        found = comment.read_text(encoding="utf-8")
        assert "no preview" in found
        assert faults(found, RUN, hidden=2) == []

    def test_say_so_where_data_of_the_right_shape_breaks_who_reads_it(self, tmp_path: Path, comment: Path) -> None:
        document = json.loads(
            measured(step("update", "kubernetes:apps/v1:Deployment", "d", {"a": 1}, {"a": 2}, diffs=["a"]))
        )
        document["steps"][0]["new"]["inputs"] = {"a": "[" * 90_000, "b": {"c": "{" * 90_000}}
        leave(tmp_path, "dev.measured.json", json.dumps(document).encode())
        ended = told(tmp_path, "dev")
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stdout + ended.stderr
        assert comment.read_text(encoding="utf-8").startswith(MARKER)

    @pytest.mark.parametrize("name", ["dev.measured.json", "dev.log"])
    @pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
    def test_of_the_other_stacks_are_made_whatever_is_in_the_place_of_a_file(
        self, tmp_path: Path, comment: Path, name: str, kind: str
    ) -> None:
        leave(tmp_path, "prod.log", b"error: no", "prod")
        file = leave(tmp_path, name, b"")
        file.unlink()
        if kind == "folder":
            file.mkdir()
        elif kind == "pipe":
            os.mkfifo(file)
        else:
            file.symlink_to("nowhere")
        ended = told(tmp_path, "dev", "prod")
        assert ended.returncode == 0, ended.stderr
        assert "`model-factory/dev`: no preview" in comment.read_text(encoding="utf-8")
        assert "it is no plain file" in comment.read_text(encoding="utf-8")
        assert "error: no" in comment.with_name("prod.md").read_text(encoding="utf-8")

    def test_of_a_stack_whose_reader_dies_say_that(
        self, tmp_path: Path, comment: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leave(tmp_path, "dev.measured.json", b"")
        leave(tmp_path, "prod.log", b"error: no", "prod")
        reader = tmp_path / "factory"
        reader.write_text(
            f'#!/bin/sh\ncase "$*" in *dev.measured*) kill -9 $$;; esac\nexec {FACTORY} "$@"\n', encoding="utf-8"
        )
        reader.chmod(0o755)
        monkeypatch.setattr(f"{__name__}.FACTORY", str(reader))
        ended = told(tmp_path, "dev", "prod")
        assert ended.returncode == 0, ended.stderr
        assert "could not be read: factory comment ended with status 137" in comment.read_text(encoding="utf-8")
        assert "error: no" in comment.with_name("prod.md").read_text(encoding="utf-8")

    def test_show_the_log_where_it_came_to_no_preview(self, tmp_path: Path, comment: Path) -> None:
        leave(
            tmp_path, "dev.log", "\n".join(["error: Pulumi.dev.yaml:3: ...", *NASTY]).encode("utf-8", "surrogatepass")
        )
        assert told(tmp_path, "dev").returncode == 0
        found = comment.read_text(encoding="utf-8")
        assert "Pulumi.dev.yaml:3" in found
        assert faults(found, RUN, hidden=2) == []

    def test_are_short_whatever_was_left(self, tmp_path: Path, comment: Path) -> None:
        leave(tmp_path, "dev.log", ("ü" * 50 + "\n").encode() * 100_000)
        assert told(tmp_path, "dev").returncode == 0
        assert comment.stat().st_size < 60_000
        events = [step("create", name=f"n{number}", new={"a": "x" * 90}) for number in range(2_000)]
        leave(tmp_path, "dev.measured.json", measured(*events, error("x" * 90_000, urn("a:b:C", "n1"))))
        assert told(tmp_path, "dev").returncode == 0
        assert comment.stat().st_size < 60_000

    @pytest.mark.parametrize("name", ["dev.measured.json", "dev.log"])
    def test_never_follow_a_link_out_of_the_artifact(self, tmp_path: Path, comment: Path, name: str) -> None:
        secret = tmp_path / "secret"
        secret.write_text("xyzzy", encoding="utf-8")
        file = leave(tmp_path, name, b"")
        file.unlink()
        file.symlink_to(secret)
        ended = told(tmp_path, "dev")
        assert "xyzzy" not in ended.stdout + ended.stderr
        assert not comment.exists() or "xyzzy" not in comment.read_text(encoding="utf-8")

    def test_print_no_command_to_the_runner(self, tmp_path: Path) -> None:
        leave(
            tmp_path,
            "dev.measured.json",
            json.dumps(json.loads(measured()) | {"::error::x": 1, "##[error]y": 2}).encode(),
        )
        ended = told(tmp_path, "dev")
        assert "error]y" in ended.stdout
        assert "##[" not in ended.stdout
        assert not any(line.lstrip().startswith("::") for line in ended.stdout.splitlines())
