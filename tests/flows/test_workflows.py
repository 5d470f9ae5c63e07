"""The workflows are valid, safe by zizmor's judgement, pinned to commits, and let code of a pull request see no secret."""

from __future__ import annotations

import json
import os
import re
import shutil
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
LISTS = ("all", "local", "real", "before-prod", "prod")


def _read(file: Path) -> dict[str, Any]:
    # YAML 1.2, as GitHub reads it: `on` is text.
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def _jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in FILES:
        for name, job in _read(file)["jobs"].items():
            yield file.name, name, job


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)


def _before(jobs: dict[str, Any], name: str) -> set[str]:
    """The jobs that must have succeeded before one starts."""
    needs = jobs[name].get("needs", [])
    direct = [needs] if isinstance(needs, str) else needs
    return set(direct).union(*(_before(jobs, each) for each in direct))


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
            line
            for run in runs
            for line in run.splitlines()
            if re.search(r"factory (up|preview)|make up|ci/preview", line)
        ]
        assert len(planning) == 4
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
        assert called == {"ci/preview", "ci/comments", "ci/report.py", "ci/drift", "ci/stacks.py"}
        for name in called:
            assert (ROOT / name).stat().st_mode & 0o111, name

    def test_names_no_stack_itself(self) -> None:
        """The list of stacks is that of their files: ci/stacks.py reads it, and each matrix is one of its lists."""
        for file, name, job in _jobs():
            matrix = job.get("strategy", {}).get("matrix", {})
            if "stack" in matrix:
                used = re.fullmatch(r"\$\{\{ fromJSON\(needs\.stacks\.outputs\.([\w-]+)\) \}\}", matrix["stack"])
                assert used, f"{file} {name}"
                assert "stacks" in job["needs"]
                listed = _read(FOLDER / file)["jobs"]["stacks"]
                assert listed["outputs"][used[1]] == f"${{{{ steps.list.outputs.{used[1]} }}}}"
                assert used[1] in LISTS
        text = "\n".join(re.sub("#.*", "", file.read_text(encoding="utf-8")) for file in FILES)
        assert not re.search(r"(?<![\w./-])(dev|staging)(?![\w.-])", text)
        assert not re.search(r"stack[s]?: *\[|stacks[ =]+[a-z]+,", text)


class TestListOfStacks:
    @staticmethod
    def listed(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
        (root / "ci").mkdir()
        script = root / "ci" / "stacks.py"
        script.write_text((ROOT / "ci" / "stacks.py").read_text(encoding="utf-8"), encoding="utf-8")
        return subprocess.run(
            [sys.executable, str(script), *options],
            env={**os.environ, "FACTORY": str(BIN / "factory")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for file in (ROOT / "Pulumi.yaml", *ROOT.glob("Pulumi.*.yaml")):
            shutil.copy(file, tmp_path / file.name)
        (tmp_path / "components").symlink_to(ROOT / "components")
        return tmp_path

    def test_is_that_of_their_files(self, root: Path) -> None:
        shutil.copy(root / "Pulumi.prod.yaml", root / "Pulumi.prod-eu.yaml")
        ended = self.listed(root, "--sound")
        assert ended.returncode == 0, ended.stderr
        found = {
            name: json.loads(text) for name, _, text in (line.partition("=") for line in ended.stdout.splitlines())
        }
        assert set(found) == set(LISTS)
        assert found == {
            "all": ["dev", "lab", "prod", "prod-eu", "staging"],
            "local": ["dev"],
            "real": ["prod", "prod-eu", "staging"],
            "before-prod": ["staging"],
            "prod": ["prod", "prod-eu"],
        }

    def test_has_a_stack_with_a_wrong_file_previewed_and_not_brought_up(self, root: Path) -> None:
        (root / "Pulumi.dev.yaml").write_text("config: [", encoding="utf-8")
        ended = self.listed(root)
        assert ended.returncode == 0, ended.stderr
        assert 'all=["dev", "lab", "prod", "staging"]' in ended.stdout
        assert "local=[]" in ended.stdout
        shutil.rmtree(root / "ci")
        ended = self.listed(root, "--sound")
        assert ended.returncode == 1
        assert "Pulumi.dev.yaml is wrong; `factory preview --stack dev` says why" in ended.stderr
        assert ended.stdout == ""

    @pytest.mark.parametrize("name", ["-x", "a b", "$(id)", "a\nall=[]"])
    def test_takes_no_name_that_could_be_more_than_a_name(self, root: Path, name: str) -> None:
        (root / f"Pulumi.{name}.yaml").write_text("config: {}", encoding="utf-8")
        ended = self.listed(root)
        assert ended.returncode == 1
        assert "is no name of a stack for CI" in ended.stderr
        assert ended.stdout == ""


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
        for job in _read(FOLDER / "preview.yml")["jobs"].values():
            assert set(job["permissions"].values()) == {"read"}
            assert "environment" not in job

    def test_the_token_is_used_before_that_code_is_there(self) -> None:
        jobs = _read(FOLDER / "preview.yml")["jobs"]
        assert "github.token" not in str(jobs["stacks"])
        steps = jobs["preview"]["steps"]
        checkout = next(at for at, step in enumerate(steps) if "checkout" in step.get("uses", ""))
        with_token = [at for at, step in enumerate(steps) if "github.token" in str(step)]
        assert with_token == [0]
        assert checkout > 0
        assert steps[checkout]["with"]["persist-credentials"] is False
        assert steps[0]["run"].splitlines()[1].startswith('[[ "$STACK" =~ ^[A-Za-z0-9_]'), "a name from that code"


class TestComment:
    JOB = _read(FOLDER / "comment.yml")["jobs"]["comment"]

    def test_comes_from_a_workflow_without_code_of_the_pull_request(self) -> None:
        workflow = _read(FOLDER / "comment.yml")
        assert list(workflow["on"]) == ["workflow_run"]
        assert workflow["on"]["workflow_run"]["workflows"] == [_read(FOLDER / "preview.yml")["name"]]
        assert list(workflow["jobs"]) == ["comment"]
        (checkout,) = (step for step in self.JOB["steps"] if "checkout" in step.get("uses", ""))
        assert not {"ref", "repository", "path"} & checkout["with"].keys(), (
            "the default branch, never the pull request's"
        )
        (download,) = (step for step in self.JOB["steps"] if "download-artifact" in step.get("uses", ""))
        assert download["with"]["path"] == "${{ runner.temp }}/previews", "not over the code"
        assert download["with"]["run-id"] == "${{ github.event.workflow_run.id }}"

    def test_reads_what_was_measured_where_there_is_no_token(self) -> None:
        for step in self.JOB["steps"]:
            reads = "RUNNER_TEMP/previews" in step.get("run", "")
            holds = "github.token" in str(step) or "secrets" in str(step)
            assert not (reads and holds), step["name"]
        (told,) = (step for step in self.JOB["steps"] if "RUNNER_TEMP/previews" in step.get("run", ""))
        assert "ci/comments " in told["run"]
        assert "GITHUB_TOKEN" not in str(self.JOB.get("env", {})) + str(_read(FOLDER / "comment.yml").get("env", {}))

    def test_says_by_the_event_alone_where_it_belongs(self) -> None:
        given = {
            "GH_TOKEN": "${{ github.token }}",
            "GH_REPO": "${{ github.repository }}",
            "HEAD_OWNER": "${{ github.event.workflow_run.head_repository.owner.login }}",
            "HEAD_BRANCH": "${{ github.event.workflow_run.head_branch }}",
            "HEAD_SHA": "${{ github.event.workflow_run.head_sha }}",
            "RUN_URL": "${{ github.event.workflow_run.html_url }}",
        }
        for step in self.JOB["steps"]:
            for name, value in step.get("env", {}).items():
                assert value == given.get(name) or (name == "STACKS" and "steps.list.outputs.all" in value), name
            assert "${{" not in step.get("run", "")
        (listing,) = (step for step in self.JOB["steps"] if step.get("id") == "list")
        assert listing["run"] == 'ci/stacks.py >>"$GITHUB_OUTPUT"'


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
            ["check", "test", "test-alone", "lab-test"],
            ["check", "test-fast", "lab-test"],
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
            assert name in {"ci", "stacks"} or "ci" in _before(jobs, name), name

    def test_nothing_but_a_push_to_main_starts_it(self) -> None:
        assert list(_read(FOLDER / "up.yml")["on"]) == ["push"]
        assert _read(FOLDER / "up.yml")["on"]["push"]["branches"] == ["main"]
        assert list(_read(FOLDER / "deploy.yml")["on"]) == ["workflow_call"]
        callers = [(file, name) for file, name, job in _jobs() if job.get("uses", "").endswith("/deploy.yml")]
        assert callers == [("up.yml", "before-prod"), ("up.yml", "prod")]

    def test_every_stack_of_real_accounts_waits_for_its_environment(self) -> None:
        job = _read(FOLDER / "deploy.yml")["jobs"]["up"]
        assert job["environment"] == "${{ inputs.stack }}"
        assert job["concurrency"] == {"group": "stack-${{ inputs.stack }}", "cancel-in-progress": False}
        assert job["permissions"]["id-token"] == "write"

    def test_who_approves_sees_a_fresh_preview_and_that_is_done_or_nothing(self) -> None:
        jobs = _read(FOLDER / "deploy.yml")["jobs"]
        assert list(jobs) == ["preview", "up"]
        assert jobs["up"]["needs"] == "preview"
        assert "if" not in jobs["up"]
        preview, up = jobs["preview"], jobs["up"]
        assert preview["environment"] == "${{ inputs.stack }}-read", (
            "of those who can change nothing, and nobody is waited for"
        )
        run = {step["name"]: step["run"] for job in jobs.values() for step in job["steps"] if "run" in step}
        assert '--agreement "reviewed/$STACK.agreement.json"' in run["Preview"]
        assert '--agreed "$RUNNER_TEMP/reviewed/$STACK.agreement.json"' in run["Up"]
        assert "GITHUB_STEP_SUMMARY" in run["Show it to who approves"]
        (left,) = (step["with"] for step in preview["steps"] if "upload-artifact" in step.get("uses", ""))
        (taken,) = (step["with"] for step in up["steps"] if "download-artifact" in step.get("uses", ""))
        assert left["name"] == taken["name"] == "reviewed-${{ inputs.stack }}"
        # One commit, one engine, the same options: only what has changed since can make a difference.
        same = re.compile(r"--(?:stack|engine|locked|refresh|policy-pack|no-policies)\b(?: [^- ]\S*)?")
        assert same.findall(run["Preview"]) == same.findall(run["Up"])

    def test_prod_comes_after_all_others(self) -> None:
        jobs = _read(FOLDER / "up.yml")["jobs"]
        assert _before(jobs, "prod") == {"before-prod", "local", "stacks", "ci"}
        assert _before(jobs, "before-prod") == {"local", "stacks", "ci"}
        matrices = {name: job["strategy"]["matrix"]["stack"] for name, job in jobs.items() if "strategy" in job}
        assert matrices == {
            name: f"${{{{ fromJSON(needs.stacks.outputs.{name}) }}}}" for name in ("local", "before-prod", "prod")
        }

    def test_a_change_that_has_begun_ends(self) -> None:
        for name, job in _read(FOLDER / "up.yml")["jobs"].items():
            assert job.get("strategy", {"fail-fast": False})["fail-fast"] is False, name

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
