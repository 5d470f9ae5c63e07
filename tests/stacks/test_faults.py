"""Interruptions, kills and cloud errors leave a state from which the next run converges, with nothing orphaned."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from model_factory.local.clouds import manager
from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow

# Entries in the journal at which the run is killed: among the first networks, in the clusters' creation, in the objects.
KILL_POINTS = (1, 2, 5, 9, 16, 30, 60, 80, 100, 110, 118)
Held = dict[str, Mapping[str, int]]


def small(config: dict[str, Any]) -> None:
    """Two models, one a cloud, so that a run is short; every kind of resource is still there."""
    models = config["model-factory:models"]
    for name in ("object-detector", "assistant", "embeddings"):
        models.pop(name, None)
    models["image-classifier"]["clouds"] = ["aws"]
    models["text-classifier"]["clouds"] = ["gcp"]


@pytest.fixture
def small_stack(stack: LocalStack) -> LocalStack:
    stack.edit(small)
    stack.factory("clouds", "start")
    return stack


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalStack, Held, Held]]:
    """A small stack that was up once and is down again; what its clouds hold when empty, and when it is up."""
    made = LocalStack(tmp_path_factory.mktemp("killed"))
    made.edit(small)
    made.factory("clouds", "start")
    empty = made.held()
    made.factory("up", "--yes")
    whole = made.held()
    made.factory("destroy", "--yes")
    yield made, empty, whole
    made.close()


class TestKilled:
    @pytest.mark.parametrize("entries", KILL_POINTS)
    def test_the_next_up_converges_and_leaves_no_orphan(
        self, lived: tuple[LocalStack, Held, Held], entries: int
    ) -> None:
        stack, empty, whole = lived
        kept = stack.lock_file.read_text(encoding="utf-8")
        stack.lock_file.unlink()
        assert stack.kill_after(entries, "up", "--yes", "--skip-preview"), "the run was over before it could be killed"
        assert stack.lock_file.read_text(encoding="utf-8") == kept, "where models go is kept before the first change"
        stack.factory("up", "--yes", "--skip-preview", "--locked")
        assert stack.held() == whole
        stack.factory("destroy", "--yes")
        assert stack.held() == empty

    @pytest.mark.parametrize("entries", [3, 40, 120])
    def test_a_killed_destroy_is_finished_by_the_next(self, lived: tuple[LocalStack, Held, Held], entries: int) -> None:
        stack, empty, _ = lived
        stack.factory("up", "--yes", "--skip-preview")
        assert stack.kill_after(entries, "destroy", "--yes"), "the run was over before it could be killed"
        stack.factory("destroy", "--yes")
        assert stack.held() == empty


class TestInterrupted:
    def test_once_ends_cleanly_and_the_next_up_goes_on(self, small_stack: LocalStack) -> None:
        stack = small_stack
        process = stack.start("up", "--yes", "--skip-preview")
        journal = stack.root / ".factory" / "stacks" / "dev.journal"
        while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 40):
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 130, out
        assert "Interrupted. What was done is kept" in out
        assert not journal.exists(), "the run was folded into the state"
        kept = json.loads((stack.root / ".factory" / "stacks" / "dev.json").read_text())["deployment"]
        assert not kept.get("pending_operations")
        stack.factory("up", "--yes")
        assert set(stack.factory("up", "--yes", "--json").json["changeSummary"]) == {"same"}


class TestCloudErrors:
    def test_a_refusal_halfway_names_resource_cloud_and_cause_and_keeps_the_rest(self, small_stack: LocalStack) -> None:
        stack = small_stack
        stack.factory(
            "clouds", "fault", "aws", "eks:CreateNodegroup", "--error", "ResourceLimitExceededException", "--status", "400",
            "--message", "nodegroups per cluster: limit reached", "--count", "-1",
        )  # fmt: skip
        failed = stack.factory("up", "--yes", check=False)
        assert failed.code == 1
        said = failed.out + failed.err
        assert "ResourceLimitExceededException" in said
        assert "limit reached" in said
        assert "aws:eks:NodeGroup" in said
        assert stack.aws("eks").list_clusters()["clusters"], "what succeeded is kept"
        stack.factory("clouds", "clear")
        stack.factory("up", "--yes")
        assert set(stack.factory("up", "--yes", "--json").json["changeSummary"]) == {"same"}

    def test_dependents_of_a_failure_are_skipped(self, small_stack: LocalStack) -> None:
        stack = small_stack
        stack.factory(
            "clouds",
            "fault",
            "gcp",
            "container.*.clusters.create",
            "--error",
            "RESOURCE_EXHAUSTED",
            "--status",
            "429",
            "--count",
            "-1",
        )
        assert stack.factory("up", "--yes", check=False).code == 1
        calls = {name: dict(held) for name, held in stack.held().items()}
        assert "dev-gcp-us-central1" not in calls["kubernetes"]
        for spec in stack.specs:
            manager.call(spec, "PUT", "faults", [])
        stack.factory("up", "--yes")
        assert stack.rendered()["dev-gcp-us-central1"]
