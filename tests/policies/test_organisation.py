"""Rules of the organisation, over both clouds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.packs import budget, labels, protection, versions
from policies.packs.labels import LABELS as LABELLED
from tests.policies import clouds
from tests.policies.clouds import BUCKET, ECR, EKS, GCS, GKE, KMS, LABELS, NODES, POOL, STACK, TEMPLATE, VPC
from tests.policies.harness import (
    UNKNOWN,
    Given,
    judged,
    judged_stack,
    remediated,
    secret,
)
from tests.policies.objects import GONE, Case, changed
from tests.policies.table import AllRight

POLICIES = (
    *budget.theme.policies,
    *labels.theme.policies,
    *protection.theme.policies,
    *versions.theme.policies,
)
OURS = {key: value for key, value in LABELS.items() if key in ("environment", "managed-by", "stack")}
SPEC = "tagSpecifications"
LABEL_CASES = [
    Case("cost-labels", BUCKET, "tags", GONE, "it lacks the labels environment, managed-by, stack"),
    Case("cost-labels", BUCKET, "tags.stack", "", "it lacks the labels stack"),
    Case("cost-labels", BUCKET, "tags.environment", GONE, "it lacks the labels environment"),
    Case("cost-labels", GCS, "labels.stack", GONE, "it lacks the labels stack"),
    Case("cost-labels", GKE, "resourceLabels", GONE, "it lacks the labels"),
    Case("cost-labels", POOL, "nodeConfig.resourceLabels.stack", GONE, "it lacks the labels stack"),
    Case("cost-labels", POOL, "nodeConfig", GONE, "it lacks the labels"),
    Case("cost-labels", TEMPLATE, SPEC, GONE, "each instance it makes lacks the labels"),
    Case("cost-labels", TEMPLATE, f"{SPEC}.1.tags.stack", GONE, "each volume it makes lacks the labels stack"),
    Case("cost-labels", TEMPLATE, f"{SPEC}.1.resourceType", "spot-instances-request", "each volume"),
]
CASES = [
    *LABEL_CASES,
    Case("protect-stateful", BUCKET, "forceDestroy", True, "forceDestroy lets it be deleted"),
    Case("protect-stateful", ECR, "forceDelete", True, "forceDelete lets it be deleted"),
    Case("allowed-regions", EKS, "region", "me-south-1", "region me-south-1 is not allowed"),
    Case("allowed-regions", GKE, "location", "asia-southeast1", "location asia-southeast1 is not allowed"),
    Case("allowed-regions", GCS, "location", "ASIA", "location ASIA is not allowed"),
    Case("allowed-regions", clouds.INSTANCE, "availabilityZone", "ap-south-1a", "ap-south-1a is not allowed"),
]
COST = "usd_per_month"
GPUS = "what the GPUs of nodes, pool cost is not told"


class TestChecks(AllRight):
    POLICIES = POLICIES
    CASES = CASES
    ELSEWHERE = frozenset({"cross-cloud-version-skew", "monthly-budget"})
    GOOD = clouds.GOOD


class TestLabels:
    @pytest.mark.parametrize("case", LABEL_CASES, ids=str)
    def test_what_is_mended_passes(self, case: Case) -> None:
        props = remediated(POLICIES, "cost-labels", case.broken, values=OURS)
        assert judged(POLICIES, "cost-labels", replace(case.broken, props=props)).passed

    @pytest.mark.parametrize("case", LABEL_CASES, ids=str)
    def test_nothing_is_mended_that_is_right_or_not_known(self, case: Case) -> None:
        assert remediated(POLICIES, "cost-labels", case.given, values=OURS) == case.given.props
        veiled = changed(case.given, case.veiled, UNKNOWN)
        assert remediated(POLICIES, "cost-labels", veiled, values=OURS) == veiled.props

    @pytest.mark.parametrize("kind", LABELLED)
    def test_every_type_is_mended_where_it_has_its_labels(self, kind: str) -> None:
        bare = Given(kind, {"region": "us-east-1"})
        assert judged(POLICIES, "cost-labels", bare).violations
        mended = replace(bare, props=remediated(POLICIES, "cost-labels", bare, values=OURS))
        assert judged(POLICIES, "cost-labels", mended).passed

    def test_stack_and_project_are_known_by_themselves(self) -> None:
        mended = remediated(POLICIES, "cost-labels", changed(BUCKET, "tags", {"environment": "dev"}))
        assert mended["tags"] == {"environment": "dev", "managed-by": "model-factory", "stack": "test"}

    def test_the_sum_of_tags_that_providers_go_by_has_them_too(self) -> None:
        given = changed(changed(BUCKET, "tags", {"environment": "dev"}), "tagsAll", {"environment": "dev", "org": "x"})
        mended = remediated(POLICIES, "cost-labels", given)
        assert mended["tagsAll"] == {**mended["tags"], "org": "x"}
        bare = remediated(POLICIES, "cost-labels", changed(BUCKET, "tags", GONE), values=OURS)
        assert bare["tagsAll"] == bare["tags"] == OURS

    def test_what_the_configuration_has_no_value_for_stays_missing(self) -> None:
        bare = changed(BUCKET, "tags", GONE)
        mended = replace(bare, props=remediated(POLICIES, "cost-labels", bare))
        assert judged(POLICIES, "cost-labels", mended).violations == ("it lacks the labels environment",)

    def test_what_is_there_is_kept(self) -> None:
        given = changed(BUCKET, "tags", {"stack": secret("mine"), "environment": UNKNOWN})
        mended = remediated(POLICIES, "cost-labels", given, values=OURS)
        assert mended["tags"] == {
            "stack": secret("mine"),
            "environment": UNKNOWN,
            "managed-by": "model-factory",
        }

    def test_the_providers_default_tags_count(self) -> None:
        given = changed(changed(BUCKET, "tags", {"stack": "prod"}), "tagsAll", LABELS)
        assert judged(POLICIES, "cost-labels", given).passed
        assert remediated(POLICIES, "cost-labels", given, values={**OURS}) == given.props

    def test_which_ones_are_needed_is_configured(self) -> None:
        assert judged(POLICIES, "cost-labels", BUCKET, required=["owner"]).violations
        assert judged(POLICIES, "cost-labels", changed(BUCKET, "tags", {"owner": "x"}), required=["owner"]).passed

    def test_machines_are_asked_for_those_that_do_not_change_only(self) -> None:
        template = changed(TEMPLATE, "tags", {**LABELS, "owner": "x"})
        assert judged(POLICIES, "cost-labels", template, required=["stack", "owner"]).passed
        named = judged(POLICIES, "cost-labels", template, required=["owner"], machines=["owner"]).violations
        assert [each.split()[1] for each in named] == ["instance", "volume"]
        bare = changed(template, SPEC, GONE)
        (one, *_) = remediated(POLICIES, "cost-labels", bare, values={**OURS, "owner": "x"})[SPEC]
        assert one["tags"] == OURS


class TestProtection:
    @pytest.mark.parametrize("given", [BUCKET, GCS, KMS, ECR, EKS, GKE], ids=lambda each: each.type)
    def test_what_holds_state_is_protected(self, given: Given) -> None:
        verdict = judged(POLICIES, "protect-stateful", replace(given, protect=False))
        assert verdict.violations == ("it holds what cannot be made again, and is not protected",)

    def test_an_unknown_does_not_hide_missing_protection(self) -> None:
        given = replace(changed(BUCKET, "forceDestroy", UNKNOWN), protect=False)
        verdict = judged(POLICIES, "protect-stateful", given)
        assert len(verdict.violations) == 1
        assert verdict.not_evaluated

    def test_nodes_come_and_go(self) -> None:
        assert judged(POLICIES, "protect-stateful", NODES).not_applicable


class TestRegions:
    def test_the_providers_region_counts_where_the_resource_has_none(self) -> None:
        bare = replace(changed(VPC, "region", GONE), provider="aws")
        inside, outside, unknown = (
            judged(POLICIES, "allowed-regions", replace(bare, provider_props={"region": region}))
            for region in ("eu-west-1", "cn-north-1", UNKNOWN)
        )
        assert inside.passed
        assert outside.violations
        assert unknown.not_evaluated

    def test_providers_themselves_are_judged(self) -> None:
        assert judged(POLICIES, "allowed-regions", Given("pulumi:providers:gcp", {"region": "me-west1"})).violations

    def test_which_ones_are_allowed_is_configured(self) -> None:
        assert judged(POLICIES, "allowed-regions", EKS, allowed=["eu-*"]).violations
        assert judged(POLICIES, "allowed-regions", GCS, allowed=["us-central1"]).passed


class TestBudget:
    @pytest.mark.parametrize(
        "amount",
        [
            {"least": "4000.00", "most": "30000.00"},
            {"idle": 4000, "peak": 29999.5},
            "30000",
            12,
        ],
    )
    def test_what_fits_passes(self, amount: Any) -> None:
        assert judged_stack(POLICIES, "monthly-budget", [changed(STACK, COST, amount), NODES, POOL]).passed

    @pytest.mark.parametrize("amount", [{"least": "1", "most": "30000.01"}, {"peak": 31000}, "30001", 1e9])
    def test_what_does_not_fit_is_told_with_both_sums(self, amount: Any) -> None:
        verdict = judged_stack(POLICIES, "monthly-budget", [changed(STACK, COST, amount)])
        (said,) = verdict.violations
        assert said.startswith("the stack costs ")
        assert said.endswith(" USD a month at peak, and may cost 30,000")
        assert verdict.urns == (STACK.urn,)

    def test_rest_or_peak_and_the_limit_are_configured(self) -> None:
        assert judged_stack(POLICIES, "monthly-budget", [STACK], basis="rest", usdPerMonth=4000).passed
        verdict = judged_stack(POLICIES, "monthly-budget", [STACK], basis="rest", usdPerMonth=3999)
        assert verdict.violations == ("the stack costs 4,000 USD a month at rest, and may cost 3,999",)

    @pytest.mark.parametrize(
        ("budget", "told"),
        [
            ({"usd_per_month": "24999", "basis": "peak"}, "25,000 USD a month at peak, and may cost 24,999"),
            ({"usd_per_month": "3999.4", "basis": "rest"}, "4,000 USD a month at rest, and may cost 3,999"),
            ({"usd_per_month": "4000", "basis": "rest"}, ""),
            ({"usd_per_month": "25000", "basis": "peak"}, ""),
        ],
    )
    def test_the_stack_s_own_budget_holds_as_well_as_the_configured(self, budget: dict[str, str], told: str) -> None:
        stack = changed(STACK, "budget", budget)
        own = (f"the stack costs {told}",) if told else ()
        roomy = judged_stack(POLICIES, "monthly-budget", [stack], usdPerMonth=1_000_000, basis="rest")
        assert roomy.violations == own
        tight = judged_stack(POLICIES, "monthly-budget", [stack], usdPerMonth=1)
        assert tight.violations == ("the stack costs 25,000 USD a month at peak, and may cost 1", *own)

    @pytest.mark.parametrize(
        "budget", [{}, "much", {"usd_per_month": "x", "basis": "peak"}, {"usd_per_month": "9e9", "basis": "x"}]
    )
    def test_a_budget_that_cannot_be_read_lifts_no_limit(self, budget: Any) -> None:
        stack = changed(STACK, "budget", budget)
        assert judged_stack(POLICIES, "monthly-budget", [stack], usdPerMonth=1).violations

    def test_an_unknown_budget_is_not_evaluated(self) -> None:
        assert judged_stack(
            POLICIES, "monthly-budget", [changed(STACK, "budget", UNKNOWN)], usdPerMonth=1
        ).not_evaluated

    def test_an_hourly_sum_is_paid_730_times(self) -> None:
        stack = replace(STACK, props={"usd_per_hour": {"least": "1", "most": "41.10"}})
        (said,) = judged_stack(POLICIES, "monthly-budget", [stack]).violations
        assert "30,003 USD" in said
        assert judged_stack(POLICIES, "monthly-budget", [changed(stack, COST, "29000")]).passed

    @pytest.mark.parametrize("props", [{}, {"clusters": {}}, {COST: "much"}, {COST: {"most": "NaN"}}, {COST: True}])
    def test_gpus_whose_cost_nobody_tells_do_not_pass(self, props: dict[str, Any]) -> None:
        verdict = judged_stack(POLICIES, "monthly-budget", [replace(STACK, props=props), NODES, POOL])
        assert len(verdict.violations) == 1
        assert verdict.violations[0].startswith(GPUS)

    def test_a_stack_without_gpus_need_not_tell(self) -> None:
        plain = changed(changed(NODES, "amiType", "BOTTLEROCKET_x86_64"), "instanceTypes", ["m7i.large"])
        assert judged_stack(POLICIES, "monthly-budget", [replace(STACK, props={}), plain]).passed

    @pytest.mark.parametrize("path", [COST, f"{COST}.most"])
    def test_an_unknown_sum_is_not_evaluated(self, path: str) -> None:
        verdict = judged_stack(POLICIES, "monthly-budget", [changed(STACK, path, UNKNOWN), NODES])
        assert verdict.not_evaluated
        assert not verdict.violations


class TestVersionSkew:
    @pytest.mark.parametrize(("eks", "gke"), [("1.35", "1.35"), ("1.34", "1.35"), ("1.35", "1.34.2-gke.100")])
    def test_one_minor_version_apart_is_fine(self, eks: str, gke: str) -> None:
        stack = [changed(EKS, "version", eks), changed(GKE, "minMasterVersion", gke)]
        assert judged_stack(POLICIES, "cross-cloud-version-skew", stack).passed

    def test_the_one_behind_is_named(self) -> None:
        old = changed(EKS, "version", "1.33")
        verdict = judged_stack(POLICIES, "cross-cloud-version-skew", [old, GKE])
        assert "Kubernetes 1.33 is more than 1 minor versions behind the newest cluster's 1.35" in verdict.violations[0]
        assert verdict.urns == (EKS.urn,)
        assert judged_stack(POLICIES, "cross-cloud-version-skew", [old, GKE], minorVersions=2).passed

    def test_what_runs_counts_more_than_what_was_asked_for(self) -> None:
        ran = changed(GKE, "masterVersion", "1.37.1-gke.1")
        assert judged_stack(POLICIES, "cross-cloud-version-skew", [EKS, ran]).violations

    def test_while_that_is_unknown_what_was_asked_for_counts(self) -> None:
        made = changed(GKE, "masterVersion", UNKNOWN)
        assert judged_stack(POLICIES, "cross-cloud-version-skew", [EKS, made]).passed

    def test_neither_known_is_not_evaluated(self) -> None:
        for given in (
            changed(changed(GKE, "masterVersion", UNKNOWN), "minMasterVersion", GONE),
            changed(EKS, "version", UNKNOWN),
        ):
            assert judged_stack(POLICIES, "cross-cloud-version-skew", [given]).not_evaluated

    def test_one_cluster_is_never_apart(self) -> None:
        assert judged_stack(POLICIES, "cross-cloud-version-skew", [GKE]).passed
        assert judged_stack(POLICIES, "cross-cloud-version-skew", []).passed
