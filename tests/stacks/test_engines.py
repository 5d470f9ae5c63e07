"""The local engine and the Pulumi CLI do the same with the project's program: same steps, same state, and each goes on from the
other's state."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stacks import normal
from tests.stacks.harness import FACTORY, Ended, LocalStack
from tests.stacks.test_faults import small

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cli,
    pytest.mark.skipif(
        shutil.which("pulumi") is None or importlib.util.find_spec("pip") is None,
        reason="needs the Pulumi CLI on PATH, and pip, by which its Python host lists a program's packages",
    ),
]

ENGINES = ("local", "pulumi")
Digest = dict[str, Any]
State = dict[str, dict[str, Any]]
Step = tuple[str, str, str]
EKS_POOL, GKE_POOL = "aws:eks/nodeGroup:NodeGroup", "gcp:container/nodePool:NodePool"


# A model a cloud, each pinned to one machine type of two that bear the same GPU.
SIZES = {
    "smaller": {"image-classifier": "g6.xlarge", "text-classifier": "g2-standard-4"},
    "larger": {"image-classifier": "g6.2xlarge", "text-classifier": "g2-standard-8"},
}


def pin(config: dict[str, Any], size: str) -> None:
    for model, machine_type in SIZES[size].items():
        config["model-factory:models"][model]["machineTypes"] = [machine_type]


class Pair:
    """The dev stack twice, each with clouds of its own; one is driven by the local engine, one by the CLI."""

    def __init__(self, folder: Path) -> None:
        self.stacks: dict[str, LocalStack] = {}
        for engine in ENGINES:
            (folder / engine).mkdir()
            self.stacks[engine] = LocalStack(folder / engine)

    def both(self, action: Callable[[LocalStack, str], Any]) -> dict[str, Any]:
        """The answer of each, by engine; at the same time, as each waits for its clouds a good part of it."""
        with ThreadPoolExecutor(len(ENGINES)) as pool:
            answers = {name: pool.submit(action, self.stacks[name], name) for name in ENGINES}
            return {name: answer.result() for name, answer in answers.items()}

    def previews(self) -> dict[str, Digest]:
        return self.both(
            lambda stack, engine: stack.factory("preview", "--engine", engine, "--json", "--show-same").json
        )

    @contextmanager
    def edited(self, change: Callable[[dict[str, Any]], None]) -> Generator[None]:
        """Both stack files changed while the block runs."""
        before = self.both(lambda stack, _: stack.stack_file.read_bytes())
        self.both(lambda stack, _: stack.edit(change))
        try:
            yield
        finally:
            self.both(lambda stack, engine: stack.stack_file.write_bytes(before[engine]))


def by_hand(stack: LocalStack, *command: str) -> Ended:
    """What a user gets who types the command in a shell after `eval "$(factory clouds env)"`."""
    factory = shlex.quote(str(FACTORY))
    script = f'set -e; exported="$({factory} clouds env)"; eval "$exported"; {shlex.join(command)}'
    return stack.command("bash", "-c", script)


def steps(digest: Digest) -> dict[Step, dict[str, Any]]:
    """What is said of each step, by operation, type and name."""
    found: dict[Step, dict[str, Any]] = {}
    for step in digest["steps"]:
        _, _, types, name = step["urn"].split("::", 3)
        key = (step["op"], types.rpartition("$")[2], name)
        assert key not in found, f"{key} is there twice"
        found[key] = {
            "replaceReasons": sorted(step.get("replaceReasons") or ()),
            "diffReasons": sorted(step.get("diffReasons") or ()),
            "detailedDiff": step.get("detailedDiff") or {},
        }
    return found


def changed(found: Mapping[Step, Any]) -> set[tuple[str, str]]:
    return {(op, type_) for op, type_, _ in found if op != "same"}


def said(digest: Digest) -> set[tuple[str, str]]:
    """By severity; the CLI's own JSON has that in front of the text, too."""
    notes = digest.get("diagnostics", ())
    return {(each["severity"], each["message"].strip().removeprefix(f"{each['severity']}: ")) for each in notes}


def assert_same_previews(digests: Mapping[str, Digest]) -> dict[Step, dict[str, Any]]:
    """Compare the steps, their count and the diagnostics; the steps."""
    ours, theirs = (digests[engine] for engine in ENGINES)
    left, right = ({str(key): step for key, step in steps(each).items()} for each in (ours, theirs))
    assert not list(normal.differences(left, right))
    assert ours["changeSummary"] == theirs["changeSummary"]
    assert said(ours) == said(theirs)
    return steps(ours)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("engines"))
    yield made
    made.both(lambda stack, _: stack.close())


@pytest.fixture(scope="module")
def created(pair: Pair) -> dict[str, Digest]:
    """The previews of the whole dev stack on empty clouds."""
    return pair.previews()


@pytest.fixture(scope="module")
def lived(pair: Pair, created: dict[str, Digest]) -> Iterator[Pair]:
    """Both stacks are up, with two models."""

    def few(config: dict[str, Any]) -> None:
        small(config)
        pin(config, "smaller")

    up = ("--yes", "--skip-preview", "--json")
    with pair.edited(few):
        summaries = pair.both(lambda stack, engine: stack.factory("up", "--engine", engine, *up).json)
        assert summaries["local"]["changeSummary"] == summaries["pulumi"]["changeSummary"]
        yield pair


@pytest.fixture(scope="module")
def states(lived: Pair) -> dict[str, dict[str, Any]]:
    """What each engine exports, secrets in plain text."""
    ours, theirs = (lived.stacks[engine] for engine in ENGINES)
    return {
        "local": ours.factory("stack", "export", "--show-secrets").json,
        "pulumi": by_hand(theirs, "pulumi", "stack", "export", "-s", "dev", "--show-secrets").json,
    }


class TestSteps:
    def test_creating_everything(self, created: dict[str, Digest]) -> None:
        found = assert_same_previews(created)
        assert {op for op, _, _ in found} == {"create"}
        assert len(found) >= 150

    def test_of_a_changed_replica_count(self, lived: Pair) -> None:
        def more(config: dict[str, Any]) -> None:
            config["model-factory:models"]["image-classifier"]["replicas"]["min"] += 1

        with lived.edited(more):
            found = assert_same_previews(lived.previews())
        assert changed(found) == {
            ("update", "aws:eks/nodeGroup:NodeGroup"),
            ("update", "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"),
        }

    def test_of_changed_machine_types(self, lived: Pair) -> None:
        """The EKS node group is replaced, the GKE pool updated."""
        with lived.edited(lambda config: pin(config, "larger")):
            digests = lived.previews()
        found = assert_same_previews(digests)
        for told in ("modelChanges", "nodeChanges"):
            # Images are in repositories whose names end at random.
            ours, theirs = (re.sub(r"-[0-9a-f]{7}\b", "", str(digests[engine][told])) for engine in ENGINES)
            assert ours.count("'aws/us-east-1'") >= 1
            assert ours == theirs
        assert {(op, type_) for op, type_ in changed(found) if type_ in (EKS_POOL, GKE_POOL)} == {
            ("create-replacement", EKS_POOL),
            ("replace", EKS_POOL),
            ("delete-replaced", EKS_POOL),
            ("update", GKE_POOL),
        }


class TestState:
    def test_is_the_same_after_up(self, states: dict[str, dict[str, Any]]) -> None:
        ours, theirs = (normal.resources(states[engine]["deployment"]) for engine in ENGINES)
        assert not list(normal.differences(ours, theirs))

    def test_is_written_in_the_same_shape(self, states: dict[str, dict[str, Any]]) -> None:
        ours, theirs = (states[engine] for engine in ENGINES)
        assert ours["version"] == theirs["version"]
        # Plugins: the CLI lists what it has installed, which is nothing of what is attached.
        left_out = {"resources", "manifest", "secrets_providers"}
        rest = [{k: v for k, v in each["deployment"].items() if k not in left_out} for each in (ours, theirs)]
        assert rest[0] == rest[1]
        assert ours["deployment"]["secrets_providers"]["type"] == "passphrase"


class TestStateTravels:
    """Each way, as a user would do it, and encrypted as it is exported."""

    def test_to_the_cli_which_then_previews_no_change(self, lived: Pair) -> None:
        stack = lived.stacks["local"]
        exported = stack.root / "exported.json"
        stack.factory("stack", "export", "--file", str(exported))
        by_hand(stack, "pulumi", "stack", "import", "-s", "dev", "--file", str(exported))
        shown = by_hand(stack, "pulumi", "preview", "-s", "dev", "--json", "--show-sames", "--expect-no-changes").json
        assert set(shown["changeSummary"]) == {"same"}
        ours = stack.factory("preview", "--json", "--show-same").json
        assert_same_previews({"local": ours, "pulumi": shown})

    def test_from_the_cli_and_the_local_engine_then_previews_no_change(self, lived: Pair) -> None:
        stack = lived.stacks["pulumi"]
        exported = stack.root / "exported.json"
        by_hand(stack, "pulumi", "stack", "export", "-s", "dev", "--file", str(exported))
        stack.factory("stack", "import", "--file", str(exported))
        # Would change no resource, no output, and nothing of what the state says of them.
        assert "All resources are unchanged." in stack.factory("up", "--yes").out
