"""The workflows are valid, safe by zizmor's judgement, pinned to commits, and let code of a pull request see no secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
BIN = Path(sys.executable).parent


def _read(file: Path) -> dict[str, Any]:
    # YAML 1.2, as GitHub reads it: `on` is text.
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def _jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in FILES:
        for name, job in _read(file)["jobs"].items():
            yield file.name, name, job


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)


class TestEveryWorkflow:
    def test_has_the_published_shape(self) -> None:
        ended = _run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FILES)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def test_passes_zizmor_at_its_strictest_for_projects(self) -> None:
        ended = _run(BIN / "zizmor", "--offline", "--no-progress", "--persona=pedantic", FOLDER)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def test_ignores_one_finding_and_says_why(self) -> None:
        ignored = [line for file in FILES for line in file.read_text().splitlines() if "zizmor: ignore" in line]
        assert len(ignored) == 1
        assert re.search(r"ignore\[dangerous-triggers\] \w+", ignored[0])

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_pins_actions_to_a_commit_and_names_its_version(self, file: Path) -> None:
        used = re.findall(r"uses: (\S+)(.*)", file.read_text(encoding="utf-8"))
        for action, rest in used:
            if not action.startswith("$/"):
                assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
                assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), action

    def test_pins_an_action_to_the_same_commit_everywhere(self) -> None:
        pins: dict[str, set[str]] = {}
        for file in FILES:
            for action, commit in re.findall(r"uses: ([\w./-]+)@(.+)", file.read_text(encoding="utf-8")):
                pins.setdefault(action, set()).add(commit)
        assert {action: found for action, found in pins.items() if len(found) > 1} == {}

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_grants_nothing_by_default_and_each_job_what_it_needs(self, file: Path) -> None:
        workflow = _read(file)
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert job["permissions"]
            assert set(job["permissions"].values()) <= {"read", "write"}

    def test_takes_the_plan_lock_as_it_is(self) -> None:
        """A run cannot commit one."""
        runs = [step["run"] for _, _, job in _jobs() for step in job.get("steps", ()) if "run" in step]
        planning = [
            line for run in runs for line in run.splitlines() if re.search(r"factory up|make up|ci/preview", line)
        ]
        assert len(planning) == 3
        assert all("--locked" in line for line in planning)

    def test_ends_every_job_in_time(self) -> None:
        for file, name, job in _jobs():
            assert "uses" in job or 0 < job["timeout-minutes"] <= 120, f"{file} {name}"

    def test_uses_no_long_lived_key(self) -> None:
        for file in FILES:
            text = file.read_text(encoding="utf-8")
            assert "secrets." not in text, file.name
            assert "secrets: inherit" not in text, file.name

    def test_calls_scripts_that_are_there(self) -> None:
        called = {name for file in FILES for name in re.findall(r"\bci/[\w.]+", file.read_text(encoding="utf-8"))}
        assert called == {"ci/preview", "ci/report.py", "ci/drift"}
        for name in called:
            assert (ROOT / name).stat().st_mode & 0o111, name

    def test_names_stacks_that_are_there(self) -> None:
        for _, _, job in _jobs():
            stacks = job.get("strategy", {}).get("matrix", {}).get("stack", [])
            stacks += [job["with"]["stack"]] if "stack" in job.get("with", {}) else []
            for stack in stacks:
                assert (ROOT / f"Pulumi.{stack}.yaml").exists()


class TestIssueForms:
    @pytest.mark.parametrize(
        ("schema", "files"), [("github-issue-forms", ("bug", "idea")), ("github-issue-config", ("config",))]
    )
    def test_have_the_published_shape(self, schema: str, files: tuple[str, ...]) -> None:
        forms = [ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml" for name in files]
        ended = _run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *forms)
        assert ended.returncode == 0, ended.stdout + ended.stderr


class TestPreview:
    def test_code_of_a_pull_request_runs_with_a_token_that_only_reads(self) -> None:
        (job,) = _read(FOLDER / "preview.yml")["jobs"].values()
        assert set(job["permissions"].values()) == {"read"}
        assert "environment" not in job

    def test_the_token_is_used_before_that_code_is_there(self) -> None:
        (job,) = _read(FOLDER / "preview.yml")["jobs"].values()
        steps = job["steps"]
        checkout = next(at for at, step in enumerate(steps) if "checkout" in step.get("uses", ""))
        with_token = [at for at, step in enumerate(steps) if "github.token" in str(step)]
        assert with_token == [0]
        assert checkout > 0
        assert steps[checkout]["with"]["persist-credentials"] is False

    def test_comments_come_from_a_workflow_without_that_code(self) -> None:
        workflow = _read(FOLDER / "comment.yml")
        assert list(workflow["on"]) == ["workflow_run"]
        assert workflow["on"]["workflow_run"]["workflows"] == [_read(FOLDER / "preview.yml")["name"]]
        (job,) = workflow["jobs"].values()
        checkout = next(step for step in job["steps"] if "checkout" in step.get("uses", ""))
        assert "ref" not in checkout["with"], "the default branch, never the pull request's"
        assert "make" not in str(job["steps"])
        download = next(step for step in job["steps"] if "download-artifact" in step.get("uses", ""))
        assert download["with"]["path"].startswith("${{ runner.temp }}"), "not over the scripts"


class TestCi:
    def test_checks_and_tests_every_pull_request_and_all_that_reaches_main(self) -> None:
        workflow = _read(FOLDER / "ci.yml")
        assert workflow["on"]["pull_request"] is None
        assert workflow["on"]["push"] == {"branches": ["main"]}
        (job,) = workflow["jobs"].values()
        targets = re.fullmatch(
            r"\$\{\{ fromJSON\(inputs\.every-test && '(.*)' \|\| '(.*)'\) \}\}",
            job["strategy"]["matrix"]["target"],
        )
        assert targets
        assert [json.loads(each) for each in targets.groups()] == [
            ["check", "test", "test-alone"],
            ["check", "test-fast"],
        ]
        assert job["steps"][-1]["run"] == 'make "$TARGET"'

    def test_runs_foreign_code_with_a_token_that_only_reads_the_repository(self) -> None:
        (job,) = _read(FOLDER / "ci.yml")["jobs"].values()
        assert job["permissions"] == {"contents": "read"}
        assert "environment" not in job
        assert "github.token" not in (FOLDER / "ci.yml").read_text(encoding="utf-8")

    def test_cannot_pass_without_having_run(self) -> None:
        (job,) = _read(FOLDER / "ci.yml")["jobs"].values()
        assert "if" not in job
        assert "continue-on-error" not in str(job)
        assert not any("if" in step for step in job["steps"])


class TestUp:
    def test_nothing_goes_out_unless_every_test_of_that_commit_passed(self) -> None:
        jobs = _read(FOLDER / "up.yml")["jobs"]
        assert jobs["ci"]["uses"] == "$/.github/workflows/ci.yml", "of the commit that runs"
        assert jobs["ci"]["with"] == {"every-test": True}
        for name, job in jobs.items():
            # A condition of its own could run a job after one that failed, was cancelled or skipped.
            assert "if" not in job, name
            assert "continue-on-error" not in job, name
            first = name
            while first != "ci":
                first = jobs[first]["needs"]

    def test_nothing_but_a_push_to_main_starts_it(self) -> None:
        assert list(_read(FOLDER / "up.yml")["on"]) == ["push"]
        assert _read(FOLDER / "up.yml")["on"]["push"]["branches"] == ["main"]
        assert list(_read(FOLDER / "deploy.yml")["on"]) == ["workflow_call"]
        callers = [(file, name) for file, name, job in _jobs() if job.get("uses", "").endswith("/deploy.yml")]
        assert callers == [("up.yml", "staging"), ("up.yml", "prod")]

    def test_every_stack_of_real_accounts_waits_for_its_environment(self) -> None:
        (job,) = _read(FOLDER / "deploy.yml")["jobs"].values()
        assert job["environment"] == "${{ inputs.stack }}"
        assert job["concurrency"] == {"group": "stack-${{ inputs.stack }}", "cancel-in-progress": False}
        assert job["permissions"]["id-token"] == "write"

    def test_prod_comes_after_staging(self) -> None:
        jobs = _read(FOLDER / "up.yml")["jobs"]
        assert (jobs["staging"]["needs"], jobs["prod"]["needs"]) == ("dev", "staging")

    def test_installs_the_cli_of_the_sdk(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        sdk = next(each for each in project["dependencies"] if each.startswith("pulumi=="))
        found = {
            step["with"]["pulumi-version"]
            for _, _, job in _jobs()
            for step in job.get("steps", [])
            if step.get("uses", "").startswith("pulumi/actions")
        }
        assert found == {sdk.removeprefix("pulumi==")}


class TestDrift:
    def test_never_runs_beside_an_up_of_its_stack(self) -> None:
        look = _read(FOLDER / "drift.yml")["jobs"]["look"]
        assert look["concurrency"]["group"] == "stack-${{ matrix.stack }}"
        assert look["environment"] == "${{ matrix.stack }}-read"
