"""`factory doctor`: what of a stack would not do on a real account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from model_factory.cli.main import app


def found(project: Path, stack: str) -> tuple[int, list[dict[str, Any]]]:
    result = CliRunner().invoke(app, ["doctor", "--stack", stack, "--cwd", str(project), "--json"])
    return result.exit_code, json.loads(result.stdout)


class TestPlaceholders:
    def test_each_is_a_problem_with_its_remedy_on_real_accounts(self, project: Path) -> None:
        code, findings = found(project, "prod")
        told = [each for each in findings if each["what"].startswith("Pulumi.prod.yaml:")]
        assert code == 1
        assert any("example-model-factory-prod is an example's project" in each["found"] for each in told)
        assert all(each["verdict"] == "problem" and each["remedy"] for each in told)

    def test_local_clouds_take_them(self, project: Path) -> None:
        _, findings = found(project, "dev")
        (values,) = [each for each in findings if each["what"] == "values"]
        assert values["verdict"] == "note"
        assert "made-up digest" in values["found"]


class TestEntry:
    def test_who_may_enter_a_cluster_of_eks_is_told_on_real_accounts(self, project: Path) -> None:
        told = [each for each in found(project, "prod")[1] if each["what"] == "who enters clusters"]
        assert [(each["verdict"], "create-access-entry" in each["remedy"]) for each in told] == [("note", True)]
        assert not [each for each in found(project, "dev")[1] if each["what"] == "who enters clusters"]


class TestLines:
    def test_a_finding_that_is_wrapped_stands_beside_its_mark(self, project: Path) -> None:
        told = CliRunner().invoke(app, ["doctor", "--cwd", str(project)], env={"COLUMNS": "60"}).stdout
        assert {line[:2] for line in told.splitlines()} <= {"✓ ", "· ", "✗ ", "  "}
        assert any(line.startswith("  ") for line in told.splitlines())
