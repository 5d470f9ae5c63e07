"""Secrets that a caller knows are in no report."""

from __future__ import annotations

import pytest

from model_factory.graph.masking import MASK
from model_factory.preview.comment import markdown
from model_factory.preview.html import page
from tests.preview.samples import error, policy, reviewed, step

PLANTED = "planted-hunter2"


class TestNothingLeaks:
    """A secret planted wherever text comes from is in no report."""

    @pytest.fixture
    def texts(self) -> list[str]:
        type_ = "kubernetes:apps/v1:Deployment"
        found = reviewed(
            step("create", name="a", new={"note": f"x {PLANTED}"}),
            step(
                "update", type_, "b", {"v": 1, "env": PLANTED}, {"v": 2, "env": f"{PLANTED}2"}, diffs=["env"]
            ),
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
        return [markdown(found), page(found)]

    def test_in_no_report(self, texts: list[str]) -> None:
        for text in texts:
            assert PLANTED not in text
            assert MASK in text
