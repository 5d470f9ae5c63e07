"""One preview, told in every form at once, by the real command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_factory.preview.comment import MAX_BYTES, is_comment_of, runs_in
from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    found = LocalStack(tmp_path)
    yield found
    found.close()


def test_comment_page_and_digest_come_of_one_run(stack: LocalStack, tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = (
        "--markdown",
        str(out / "c.md"),
        "--html",
        str(out / "c.html"),
        "--json-file",
        str(out / "c.json"),
    )
    first = stack.factory("preview", *files, "--json", "--commit", "abc1234", "--run-url", "https://ci.example.com/1")
    comment = (out / "c.md").read_text(encoding="utf-8")
    assert is_comment_of(comment, "model-factory", "dev")
    assert len(comment.encode()) <= MAX_BYTES
    assert "`abc1234`" in comment
    assert "**Cost** +$" in comment
    assert json.loads((out / "c.json").read_text(encoding="utf-8")) == first.json
    assert "what changes, and what depends on it" in comment
    states = {step["urn"]: step["newState"] for step in first.json["steps"]}
    needed = {urn for state in states.values() for urn in state.get("dependencies", ())}
    assert needed
    assert needed <= states.keys(), "what a resource depends on is told, as `pulumi preview --json` does"
    page = (out / "c.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "abc1234" in page

    previous = tmp_path / "previous.md"
    previous.write_text(comment, encoding="utf-8")
    stack.factory("preview", *files, "--previous", str(previous), "--run-url", "https://ci.example.com/2")
    runs = runs_in((out / "c.md").read_text(encoding="utf-8"))
    assert [run.url for run in runs] == ["https://ci.example.com/2", "https://ci.example.com/1"]


def test_two_files_in_one_place_are_refused_before_anything_runs(stack: LocalStack, tmp_path: Path) -> None:
    file = str(tmp_path / "x")
    ended = stack.factory("preview", "--markdown", file, "--html", file, check=False)
    assert ended.code != 0
    assert "two are the same" in ended.err
    assert not Path(file).exists()
    assert not (stack.root / ".factory" / "clouds").exists()
