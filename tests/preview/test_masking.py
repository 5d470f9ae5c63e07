"""What only looks like a secret, or is known to be one, is in no output, whoever said it and wherever it stands."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from model_factory.cli.progress import Progress
from model_factory.graph.masking import MASK, Masker
from model_factory.preview.comment import markdown
from model_factory.preview.digest import digest
from model_factory.preview.html import page
from model_factory.preview.review import Review
from model_factory.preview.terminal import print_messages, print_review
from tests.preview.samples import Event, error, policy, reviewed, step, urn

PLANTED = "planted-hunter2"
TOKEN = "ghp_" + "Zz9" * 12
KEY = "AKIAIOSFODNN7EXAMPLE"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def outputs(review: Review) -> dict[str, str]:
    """Every form in which a preview is told."""
    terminal = io.StringIO()
    console = Console(file=terminal, width=200)
    print_review(console, review, show_diff=True, show_same=True)
    print_messages(console, review)
    return {
        "terminal": terminal.getvalue(),
        "json": json.dumps(digest(review.report, show_same=True)),
        "markdown": markdown(review),
        "html": page(review),
    }


def server(password: str) -> dict[str, Any]:
    """A Pod's environment with a credential that nobody marked."""
    return {"spec": {"containers": [{"env": [{"name": "DB_TOKEN", "value": password}]}]}}


class TestUnmarked:
    """Nobody told an engine that these are secret: a name gives them away, or their shape."""

    EVENTS: tuple[Event, ...] = (
        step("create", DEPLOYMENT, "new", new={"env": {"DB_TOKEN": "correct-horse"}}),
        step(
            "update",
            DEPLOYMENT,
            "changed",
            server(f"before {TOKEN}"),
            server("after-battery-staple"),
            diffs=["spec"],
        ),
        step("same", DEPLOYMENT, "kept", server("staple"), server("staple")),
        step("refresh", DEPLOYMENT, "drifted", {"note": 1}, {"note": TOKEN}, diffs=["note"]),
        step("create", "kubernetes:core/v1:Secret", "sealed", new={"stringData": {"a": "in-a-secret"}}),
        {"diagnosticEvent": {"severity": "warning", "message": f"cannot clone with {TOKEN}", "color": "x"}},
        error(f"the cloud refused key {KEY}: not allowed", urn(DEPLOYMENT, "changed")),
        {"stdoutEvent": {"message": f"the program prints {TOKEN}", "color": "never"}},
        policy("mandatory", "no-tokens", f"found {TOKEN}", urn(DEPLOYMENT, "changed")),
        {"preludeEvent": {"config": {"registry:password": "of-the-registry"}}},
    )
    PLANTED = (TOKEN, KEY, "correct-horse", "battery-staple", "in-a-secret", "of-the-registry")

    @pytest.mark.parametrize("form", ["terminal", "json", "markdown", "html"])
    def test_are_in_no_output(self, form: str) -> None:
        text = outputs(reviewed(*self.EVENTS))[form]
        assert MASK in text
        assert [secret for secret in self.PLANTED if secret in text] == []
        for told in ("cannot clone with", "the cloud refused key", "no-tokens"):
            assert told in text or (form, told) == ("json", "no-tokens"), "what is told apart from secrets stays"

    def test_are_in_no_line_of_progress(self) -> None:
        out = io.StringIO()
        with Progress(Console(file=out, width=300, force_terminal=True), "Updating dev", Masker([PLANTED])) as progress:
            event = step("create", name=f"bucket-{PLANTED}", new={})["resOutputsEvent"]["metadata"]
            progress({"resourcePreEvent": {"metadata": event}})
        assert f"bucket-{MASK}" in out.getvalue()
        assert PLANTED not in out.getvalue()

    def test_a_report_keeps_no_raw_event(self) -> None:
        assert not any(secret in repr(reviewed(*self.EVENTS).report) for secret in self.PLANTED)

    def test_words_of_the_protocol_stay_though_a_secret_reads_like_one(self) -> None:
        found = reviewed(step("update", old={"a": 1}, new={"a": 2}), error("no"), secrets=("update", "error"))
        assert [change.op for group in found.groups for change in group.changes] == ["update"]
        assert [note.message for note in found.errors] == ["no"]


class TestNothingLeaks:
    """A secret planted wherever text comes from is in no report."""

    @pytest.fixture
    def texts(self) -> dict[str, str]:
        type_ = DEPLOYMENT
        found = reviewed(
            step("create", name="a", new={"note": f"x {PLANTED}"}),
            step("update", type_, "b", {"v": 1, "env": PLANTED}, {"v": 2, "env": f"{PLANTED}2"}, diffs=["env"]),
            step("delete", name=f"{PLANTED}", old={}, id=f"id-{PLANTED}"),
            step(
                "replace",
                name="c",
                old={"k": PLANTED},
                new={"k": "other"},
                keys=["k"],
                detailedDiff={"k": {"diffKind": "update-replace"}},
            ),
            step(
                "refresh",
                name="d",
                old={"k": 1},
                new={"k": PLANTED},
                detailedDiff={"k": {"diffKind": "update"}},
            ),
            policy("mandatory", "p", f"is {PLANTED}", "urn:pulumi:dev::p::a:b:C::n"),
            policy("advisory", "p", f"can't run policy 'p' from policy pack 'x' during preview: {PLANTED}"),
            {
                "policyRemediationEvent": {
                    "policyName": "r",
                    "resourceUrn": "",
                    "before": {"a": PLANTED},
                    "after": {"a": "b"},
                }
            },
            error(f"failed with {PLANTED}"),
            {"diagnosticEvent": {"severity": "warning", "message": PLANTED, "color": "never"}},
            secrets=(PLANTED,),
        )
        return outputs(found)

    def test_in_no_report(self, texts: dict[str, str]) -> None:
        for form, text in texts.items():
            assert PLANTED not in text, form
            assert MASK in text, form
