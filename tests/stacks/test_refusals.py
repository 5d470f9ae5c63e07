"""What a cloud refuses reaches terminal, comment, page and JSON with its cause and what helps, whichever the cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import NamedTuple

import pytest
from rich.console import Console

from model_factory.cli.engine import opened
from model_factory.cli.session import EngineName, Session
from model_factory.graph.refusal import Cause
from model_factory.local.clouds import manager
from model_factory.local.engine.request import Request
from model_factory.preview.comment import markdown
from model_factory.preview.digest import digest
from model_factory.preview.events import Report
from model_factory.preview.html import page
from model_factory.preview.review import Heading, review_of
from model_factory.preview.terminal import print_review
from tests.stacks.harness import LocalStack

pytestmark = pytest.mark.slow

PROGRAMS = {
    "aws": """
import pulumi_aws as aws

aws.cloudwatch.LogGroup("logs")
""",
    "gcp": """
import pulumi_gcp as gcp

gcp.artifactregistry.Repository("images", location="us-central1", repository_id="images", format="DOCKER")
""",
}
AWS, GCP = "logs:CreateLogGroup", "artifactregistry.projects.locations.repositories.create"


class Case(NamedTuple):
    cloud: str
    operation: str
    code: str
    status: int
    cause: Cause
    remedy: str


CASES = [
    Case("aws", AWS, "LimitExceededException", 400, "quota", "Service Quotas"),
    Case("aws", AWS, "AccessDeniedException", 400, "permission", "do logs:CreateLogGroup"),
    Case("aws", AWS, "ThrottlingException", 400, "throttling", "--parallel"),
    Case("aws", AWS, "ResourceNotFoundException", 400, "not-found", "factory refresh"),
    Case("aws", AWS, "InvalidParameterException", 400, "bad-input", "mend the value"),
    Case("gcp", GCP, "RESOURCE_EXHAUSTED", 429, "quota", "Quotas"),
    Case("gcp", GCP, "PERMISSION_DENIED", 403, "permission", f"permission for {GCP}"),
    Case("gcp", GCP, "RATE_LIMIT_EXCEEDED", 429, "throttling", "--parallel"),
    Case("gcp", GCP, "NOT_FOUND", 404, "not-found", "factory refresh"),
    Case("gcp", GCP, "INVALID_ARGUMENT", 400, "bad-input", "mend the value"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("refused"))
    manager.start(made.specs, made.root)
    yield made
    made.close()


def refused(stack: LocalStack, case: Case) -> Report:
    """An `up` of one resource, whose creation is refused."""
    (stack.root / "__main__.py").write_text(PROGRAMS[case.cloud], encoding="utf-8")
    spec = next(each for each in stack.specs if each.name == case.cloud)
    fault = {
        "operation": case.operation,
        "error": case.code,
        "status": case.status,
        "message": "no",
        "count": -1,
    }
    manager.call(spec, "PUT", "faults", [fault])
    report = Report()
    try:
        with opened(Session.open(stack.name, stack.root), EngineName.LOCAL) as engine:
            outcome = engine.run(Request("up"), lambda event: void(report.add(event)))
            assert not outcome.ok
    finally:
        manager.call(spec, "PUT", "faults", [])
    return report


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.cloud}-{case.cause}")
def test_a_refusal_is_shown_with_cause_and_remedy(stack: LocalStack, case: Case) -> None:
    report = refused(stack, case)
    (note,) = [each for each in report.errors if each.error]
    error = note.error
    assert error is not None
    assert (error.cloud, error.operation, error.code) == (case.cloud, case.operation, case.code)
    assert (error.status, error.reason, error.cause) == (case.status, "no", case.cause)
    assert case.remedy in error.remedy
    assert bool(error.request_id) == (case.cloud == "aws")

    review = review_of(report, Heading("model-factory", "dev", time=datetime(2026, 1, 1, tzinfo=UTC)))
    terminal = StringIO()
    print_review(Console(file=terminal, width=200), review)
    comment = markdown(review).replace("\\", "")
    for shown in (terminal.getvalue(), comment, page(review)):
        assert f"{case.cause}: {case.cloud} {case.operation}, {case.code}, HTTP {case.status}" in shown
        assert f"remedy: {error.remedy}" in shown.replace("&amp;", "&")
    (found,) = [each["error"] for each in digest(report)["diagnostics"] if "error" in each]
    assert json.loads(json.dumps(found)) == error.document


def void(_: object) -> None:
    """The report keeps what it is given."""
