"""`up --agreed` does what `preview --agreement` said, or stops before anything is changed, under both engines."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.harness import Ended, LocalStack
from tests.stacks.test_faults import small

pytestmark = pytest.mark.slow
NOT_AGREED = 4
HAS_CLI = shutil.which("pulumi") is not None and importlib.util.find_spec("pip") is not None
ENGINES = [
    "local",
    pytest.param(
        "pulumi", marks=[pytest.mark.cli, pytest.mark.skipif(not HAS_CLI, reason="needs the Pulumi CLI on PATH, and pip")]
    ),
]  # fmt: skip


SNEAKY = """
import pulumi, pulumi_aws
if not pulumi.runtime.is_dry_run():
    pulumi_aws.ecr.Repository("sneaky", name="sneaky", region="us-east-1")
"""


class Agreed:
    """A small stack that is up under one engine, as it was agreed to."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.engine = engine
        self.stack = LocalStack(folder)
        self.stack.edit(small)
        self.preview()
        ended = self.up()
        assert ended.code == 0, ended.out + ended.err

    def preview(self, *more: str) -> None:
        self.stack.factory("preview", "--engine", self.engine, "--agreement", "agreed.json", *more)

    def up(self, *more: str) -> Ended:
        return self.stack.factory("up", "--yes", "--engine", self.engine, "--agreed", "agreed.json", *more, check=False)

    @contextmanager
    def edited(self, replicas: int) -> Generator[None]:
        before = self.stack.stack_file.read_bytes()
        self.stack.edit(lambda config: most(config, replicas))
        yield
        self.stack.stack_file.write_bytes(before)

    def state(self) -> dict[str, bytes]:
        """The files that either engine keeps of the stack."""
        folder = self.stack.root / ".factory"
        files = [*folder.glob("stacks/dev.j*"), *folder.glob("pulumi/state/.pulumi/stacks/**/*.json")]
        assert files
        return {str(file): file.read_bytes() for file in files}


def most(config: dict[str, Any], replicas: int) -> None:
    config["model-factory:models"]["image-classifier"]["replicas"]["max"] = replicas


@pytest.fixture(scope="module", params=ENGINES)
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agreed]:
    made = Agreed(tmp_path_factory.mktemp("agreed"), request.param)
    yield made
    made.stack.close()


class TestAgreed:
    def test_is_not_done_after_another_edit_or_under_another_plan_lock(self, lived: Agreed) -> None:
        before, lock = lived.state(), lived.stack.lock_file.read_bytes()
        with lived.edited(7):
            lived.preview()
        with lived.edited(8):
            edited = lived.up()
        with lived.edited(7):
            assert b"g4dn.xlarge" in lock
            lived.stack.lock_file.write_bytes(lock.replace(b"g4dn.xlarge", b"g4dn.2xlarge"))
            locked = lived.up()
        lived.stack.lock_file.write_bytes(lock)
        assert lived.state() == before
        assert (edited.code, locked.code) == (NOT_AGREED, NOT_AGREED)
        assert "would not do what was agreed to, and nothing was changed" in edited.err
        assert (
            "changed: update kubernetes:autoscaling:HorizontalPodAutoscaler dev-aws-us-east-1-image-classifier"
            in edited.err
        )
        assert "the plan lock is another" not in edited.err
        assert "where the models run: the plan lock is another" in locked.err

    def test_is_done_once_and_nothing_when_a_cloud_has_drifted_since(self, lived: Agreed) -> None:
        with lived.edited(7):
            lived.preview("--refresh")
            agreed = lived.stack.root / "agreed.json"
            first = agreed.read_bytes()
            ecr = lived.stack.aws("ecr")
            name = next(each["repositoryName"] for each in ecr.describe_repositories()["repositories"])
            ecr.delete_repository(repositoryName=name, force=True)
            drifted = lived.up("--refresh")
            assert drifted.code == NOT_AGREED
            assert "new: create aws:ecr:Repository" in drifted.err
            lived.preview("--refresh")
            assert agreed.read_bytes() != first
            done = lived.up("--refresh")
            assert done.code == 0, done.out + done.err
            # The state is another now: what was agreed to is done.
            again = lived.up("--refresh")
            assert again.code == NOT_AGREED
            assert "gone: create aws:ecr:Repository" in again.err

    def test_what_the_program_says_only_in_the_end_is_not_done(self, lived: Agreed) -> None:
        program = lived.stack.root / "__main__.py"
        text = program.read_text(encoding="utf-8")
        program.write_text(f"{text}\n{SNEAKY}", encoding="utf-8")
        with lived.edited(9):
            lived.preview()
            assert "sneaky" not in (lived.stack.root / "agreed.json").read_text(encoding="utf-8")
            ended = lived.up()
        program.write_text(text, encoding="utf-8")
        found = lived.stack.aws("ecr").describe_repositories()["repositories"]
        assert "sneaky" not in [each["repositoryName"] for each in found]
        assert ended.code != 0, ended.out + ended.err
        if lived.engine == "local":
            assert ended.code == NOT_AGREED, ended.out + ended.err
            assert "stopped before what was not agreed to" in ended.err
            assert "new: create aws:ecr:Repository sneaky" in ended.err

    @pytest.mark.parametrize(
        ("more", "said"), [(["--skip-preview"], "leave out --skip-preview"), ([], "holds no agreement")]
    )
    def test_needs_a_file_and_a_preview(self, lived: Agreed, more: list[str], said: str) -> None:
        (lived.stack.root / "agreed.json").write_text("{}", encoding="utf-8")
        ended = lived.up(*more)
        assert ended.code == 2
        assert said in ended.err

    def test_is_not_written_of_a_preview_that_failed(self, lived: Agreed) -> None:
        program = lived.stack.root / "__main__.py"
        text = program.read_text(encoding="utf-8")
        program.write_text(f"{text}\nraise RuntimeError('no')\n", encoding="utf-8")
        ended = lived.stack.factory("preview", "--engine", lived.engine, "--agreement", "agreed.json", check=False)
        program.write_text(text, encoding="utf-8")
        assert ended.code == 1
        assert not (lived.stack.root / "agreed.json").exists()
