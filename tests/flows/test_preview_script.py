"""ci/preview as CI runs it: an empty environment, no cloud, an exported state; for a stack on local clouds and one on real accounts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.aws.eks import eks_kubeconfig
from components.gcp.gke import gke_kubeconfig
from tests.stacks.harness import ROOT, LocalStack

pytestmark = pytest.mark.slow
TIMEOUT_SECONDS = 240
_OF_LOCAL_CLOUDS = (
    "endpoints",
    "accessKey",
    "secretKey",
    "accessToken",
    "skipMetadataApiCheck",
    "s3UsePathStyle",
)


class Checkout:
    """A copy of the project as a CI run has it: the stack's files, the script, the environment; no state, no passphrase."""

    def __init__(self, folder: Path, stack: LocalStack, state: dict[str, Any]) -> None:
        self.root = folder
        self.name = stack.name
        for file in ("Pulumi.yaml", "__main__.py", stack.stack_file.name, stack.lock_file.name):
            shutil.copy(stack.root / file, folder / file)
        shutil.copytree(ROOT / "ci", folder / "ci")
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.state = folder / "state.json"
        self.state.write_text(json.dumps(state), encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        file = self.root / f"Pulumi.{self.name}.yaml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    def preview(
        self, *more: str, state: bool = True, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/env", "bash", str(self.root / "ci" / "preview"), self.name, "--out", "out"]
            + (["--state", "state.json"] if state else [])
            + [*more],
            cwd=self.root,
            env=dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def made(self, kind: str) -> str:
        return (self.root / "out" / f"{self.name}.{kind}").read_text(encoding="utf-8")

    @property
    def changes(self) -> dict[str, int]:
        return json.loads(self.made("json")).get("changeSummary", {})


def stripped(stack: LocalStack) -> dict[str, Any]:
    exported = stack.root / "export.json"
    stack.factory("stack", "export", "--stack", stack.name, "--file", str(exported))
    return stack.factory("stack", "strip", "--file", str(exported)).json


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStack, dict[str, Any]]:
    """The dev stack as it was brought up; its clouds are stopped."""
    stack = LocalStack(tmp_path_factory.mktemp("dev"))
    try:
        stack.factory("up", "--yes", "--json")
        state = stripped(stack)
    finally:
        stack.close()
    return stack, state


@pytest.fixture
def checkout(dev: tuple[LocalStack, dict[str, Any]], tmp_path: Path) -> Checkout:
    stack, state = dev
    return Checkout(tmp_path, stack, state)


class TestDev:
    def test_needs_no_environment_and_no_cloud(self, checkout: Checkout) -> None:
        checkout.edit("        max: 6\n", "        max: 7\n")
        ended = checkout.preview()
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert checkout.changes == {
            "update": 3,
            "same": checkout.changes["same"],
        }  # the autoscaler, its pool and that of its fall-back
        comment = checkout.made("md")
        assert comment.startswith("<!-- model-factory preview: model-factory/dev -->\n")
        assert len(comment.encode()) <= 60_000
        assert "<html" in checkout.made("html")
        assert not (checkout.root / ".factory").exists(), "no state, no passphrase, no cloud"

    def test_is_told_the_same_by_who_trusts_it_in_nothing(self, checkout: Checkout) -> None:
        checkout.edit("        max: 6\n", "        max: 7\n")
        head = ("--commit", "a" * 40, "--run-url", "https://github.com/o/r/actions/runs/7")
        ended = checkout.preview(*head, "--artifact", "preview-dev")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (checkout.root / "previews").mkdir()
        (checkout.root / "out").rename(checkout.root / "previews" / "preview-dev")
        told = subprocess.run(
            ["/usr/bin/env", "bash", "ci/comments", "previews", "comments", *head, "dev", "staging"],
            cwd=checkout.root, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        assert [file.name for file in (checkout.root / "comments").iterdir()] == ["dev.md"]
        ours, theirs = (
            re.sub(
                r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "NOW", (checkout.root / folder / "dev.md").read_text(encoding="utf-8")
            )
            for folder in ("comments", "previews/preview-dev")
        )
        assert ours == theirs

    def test_of_no_change_says_so(self, checkout: Checkout) -> None:
        ended = checkout.preview("--locked")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(checkout.changes) == {"same"}
        assert "Nothing would change." in checkout.made("log")

    def test_without_a_state_everything_is_created(self, checkout: Checkout) -> None:
        ended = checkout.preview(state=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(checkout.changes) == {"create"}

    def test_sees_nothing_of_the_caller_s_environment(self, checkout: Checkout) -> None:
        planted = "AKIA-PLANTED-0123456789"
        seen = checkout.root / "seen.txt"
        main = checkout.root / "__main__.py"
        spy = f"import os, pathlib\npathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))\n"
        main.write_text(f"{spy}{main.read_text(encoding='utf-8')}", encoding="utf-8")
        ended = checkout.preview(
            env={
                "AWS_SECRET_ACCESS_KEY": planted,
                "GITHUB_TOKEN": planted,
                "PULUMI_CONFIG_PASSPHRASE": planted,
            }
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "PULUMI_" in seen.read_text(encoding="utf-8"), "the program ran, and looked"
        for file in [seen, *(checkout.root / "out").iterdir()]:
            assert planted not in file.read_text(encoding="utf-8"), file.name

    def test_of_a_wrong_stack_file_is_a_comment_too(self, checkout: Checkout) -> None:
        checkout.edit("        max: 6\n", "        max: -6\n")
        ended = checkout.preview()
        assert ended.returncode == 2
        comment = checkout.made("md")
        assert comment.startswith(
            "<!-- model-factory preview: model-factory/dev -->\n### 🛑 `model-factory/dev`: no preview"
        )
        assert "Pulumi.dev.yaml" in comment
        assert not (checkout.root / "out" / "dev.measured.json").exists()

    def test_locked_without_a_lock_is_a_comment_with_the_remedy(self, checkout: Checkout) -> None:
        (checkout.root / "Pulumi.dev.plan.yaml").unlink()
        ended = checkout.preview("--locked")
        assert ended.returncode == 2
        assert "factory plan --keep --apply --stack dev" in checkout.made("md")
        assert not (checkout.root / "Pulumi.dev.plan.yaml").exists()

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            (["--nope"], "unknown option --nope"),
            (["second"], "one stack at a time"),
            (["--commit"], "needs a value"),
        ],
    )
    def test_refuses_what_it_does_not_know(self, checkout: Checkout, more: list[str], said: str) -> None:
        ended = checkout.preview(*more)
        assert ended.returncode == 2
        assert said in ended.stderr
        assert not (checkout.root / "out").exists()


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStack, dict[str, Any]]:
    stack = LocalStack(tmp_path_factory.mktemp("staging"))
    local = stack.stack_file.read_text(encoding="utf-8")
    stack.name = "staging"
    real = (ROOT / "Pulumi.staging.yaml").read_text(encoding="utf-8")
    # The project and the versions that the local Google Cloud has.
    real = real.replace("example-model-factory-staging", "model-factory-dev").replace("STABLE", "REGULAR")
    start, end = local.index("  aws:accessKey"), local.index("  model-factory:environment")
    kept = [
        line for line in local[start:end].splitlines(keepends=True)
        if not line.startswith(("  gcp:project", "  gcp:region"))
    ]  # fmt: skip
    stack.stack_file.write_text(real.replace("config:\n", f"config:\n{''.join(kept).rstrip()}\n", 1), encoding="utf-8")
    try:
        stack.factory("up", "--stack", "staging", "--yes", "--json")
        state = as_in_real_accounts(stripped(stack))
    finally:
        stack.close()
    stack.stack_file.write_text(real, encoding="utf-8")
    return stack, state


class TestRealAccounts:
    """Staging was brought up once on local clouds; its state is then as Pulumi's own plugins leave it in real accounts."""

    @pytest.fixture
    def checkout(self, staging: tuple[LocalStack, dict[str, Any]], tmp_path: Path) -> Checkout:
        return Checkout(tmp_path, *staging)

    def test_unchanged_are_unchanged(self, checkout: Checkout) -> None:
        ended = checkout.preview()
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(checkout.changes) == {"same"}, checkout.made("log")
        assert "assumed" not in checkout.made("log")

    def test_a_replica_more_is_the_autoscaler_and_its_pools(self, checkout: Checkout) -> None:
        checkout.edit("        max: 12\n", "        max: 13\n")
        ended = checkout.preview()
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert checkout.changes["update"] == 3
        assert set(checkout.changes) == {"same", "update"}

    def test_an_address_range_that_moves_replaces_the_network_and_what_stands_on_it(self, checkout: Checkout) -> None:
        checkout.edit("10.16.0.0/16", "10.17.0.0/16")
        ended = checkout.preview()
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (step,) = (
            step
            for step in json.loads(checkout.made("json"))["steps"]
            if step["op"] == "replace" and step["urn"].endswith("::staging-aws-us-east-1-vpc")
        )
        assert step["replaceReasons"] == ["cidrBlock"]


def as_in_real_accounts(state: dict[str, Any]) -> dict[str, Any]:
    """Providers without endpoints, and clusters behind a kubeconfig instead of rendered files."""
    resources = state["deployment"]["resources"]
    outputs = {resource["type"]: resource.get("outputs", {}) for resource in resources}
    eks, gke = outputs["aws:eks/cluster:Cluster"], outputs["gcp:container/cluster:Cluster"]
    authority = eks["certificateAuthority"]["data"], gke["masterAuth"]["clusterCaCertificate"]
    kubeconfigs = {
        "aws": eks_kubeconfig(eks["name"], eks["endpoint"], authority[0], region="us-east-1"),
        "gcp": gke_kubeconfig(gke["name"], gke["endpoint"], authority[1]),
    }
    for resource in resources:
        for side in (resource.get("inputs", {}), resource.get("outputs", {})):
            if resource["type"] == "pulumi:providers:kubernetes":
                side.pop("renderYamlToDirectory")
                side["kubeconfig"] = kubeconfigs["aws" if "-aws-" in resource["urn"] else "gcp"]
                side["enableServerSideApply"] = "true"
            elif resource["type"].startswith("pulumi:providers:"):
                for key in [key for key in side if key in _OF_LOCAL_CLOUDS or key.endswith("CustomEndpoint")]:
                    del side[key]
    return state
