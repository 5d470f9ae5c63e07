"""Resources of Google Cloud, one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pulumi_policy import ResourceValidationPolicy

from policies.packs import gcp
from tests.policies import clouds
from tests.policies.clouds import GKE, POOL, READ_POLICY, READER, READERS
from tests.policies.harness import UNKNOWN, UNKNOWN_LIST, UNKNOWN_OBJECT, Given, judged, remediated
from tests.policies.objects import GONE, Case, changed

POLICIES = gcp.theme.policies
NETS = "masterAuthorizedNetworksConfig"
WIDE = json.dumps({"bindings": [{"role": "roles/artifactregistry.reader", "members": ["allUsers"]}]})
SHIELD = "nodeConfig.shieldedInstanceConfig"
MODE = "nodeConfig.workloadMetadataConfig.mode"
ACCOUNT = "nodeConfig.serviceAccount"
DEFAULT = "123456-compute@developer.gserviceaccount.com"

CASES = [
    Case(
        "private-nodes", GKE, "privateClusterConfig", GONE, "privateClusterConfig.enablePrivateNodes is off"
    ),
    Case("private-nodes", GKE, "privateClusterConfig.enablePrivateNodes", False, "public addresses"),
    Case("private-nodes", POOL, "networkConfig.enablePrivateNodes", False, "this pool"),
    Case("authorized-networks", GKE, NETS, GONE, "whole internet"),
    Case("authorized-networks", GKE, f"{NETS}.gcpPublicCidrsAccessEnabled", True, "other customers"),
    Case("authorized-networks", GKE, f"{NETS}.cidrBlocks.0.cidrBlock", "0.0.0.0/0", "answers 0.0.0.0/0"),
    Case("authorized-networks", GKE, f"{NETS}.cidrBlocks.1", {"cidrBlock": "203.0.0.0/12"}, "wider than /16"),
    Case("metadata-server", GKE, "workloadIdentityConfig", GONE, "no identity of their own"),
    Case("metadata-server", GKE, MODE, "GCE_METADATA", "is GCE_METADATA"),
    Case("metadata-server", POOL, MODE, "GCE_METADATA", "is GCE_METADATA"),
    Case("metadata-server", POOL, "nodeConfig.workloadMetadataConfig", GONE, "is missing"),
    Case("metadata-server", POOL, "nodeConfig", GONE, "is missing"),
    Case("shielded", GKE, "enableShieldedNodes", False, "enableShieldedNodes is off"),
    Case("shielded", GKE, f"{SHIELD}.enableSecureBoot", False, "enableSecureBoot is off"),
    Case("shielded", POOL, f"{SHIELD}.enableSecureBoot", GONE, "enableSecureBoot is off"),
    Case("shielded", POOL, f"{SHIELD}.enableIntegrityMonitoring", False, "enableIntegrityMonitoring is off"),
    Case("shielded", POOL, SHIELD, GONE, "enableSecureBoot is off"),
    Case("shielded", POOL, "nodeConfig", GONE, "enableSecureBoot is off"),
    Case("release-channel", GKE, "releaseChannel", GONE, "is missing"),
    Case("release-channel", GKE, "releaseChannel.channel", "UNSPECIFIED", "is UNSPECIFIED"),
    Case("auto-upgrade-repair", POOL, "management", GONE, "management.autoRepair is off"),
    Case("auto-upgrade-repair", POOL, "management.autoRepair", False, "broken nodes stay"),
    Case("auto-upgrade-repair", POOL, "management.autoUpgrade", False, "old versions"),
    Case("binary-authorization", GKE, "binaryAuthorization", GONE, "is missing"),
    Case("binary-authorization", GKE, "binaryAuthorization.evaluationMode", "DISABLED", "is DISABLED"),
    Case("registry-not-public", READER, "member", "allUsers", "allUsers may roles/artifactregistry.reader"),
    Case("registry-not-public", READERS, "members.1", "allAuthenticatedUsers", "allAuthenticatedUsers may"),
    Case(
        "registry-not-public", READ_POLICY, "policyData", WIDE, "allUsers may roles/artifactregistry.reader"
    ),
    Case("no-legacy-abac", GKE, "enableLegacyAbac", True, "enableLegacyAbac"),
    Case("node-account", POOL, ACCOUNT, GONE, "none is given"),
    Case("node-account", POOL, ACCOUNT, "default", "default account (default)"),
    Case("node-account", POOL, ACCOUNT, DEFAULT, DEFAULT),
    Case("node-account", GKE, ACCOUNT, DEFAULT, DEFAULT),
]


class TestChecks:
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_passes_what_is_right(self, case: Case) -> None:
        assert judged(POLICIES, case.policy, case.given).passed

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_finds_what_is_wrong(self, case: Case) -> None:
        verdict = judged(POLICIES, case.policy, case.broken)
        assert any(case.says in each for each in verdict.violations), verdict
        assert not verdict.not_evaluated

    @pytest.mark.parametrize("case", CASES, ids=str)
    @pytest.mark.parametrize("unknown", [UNKNOWN, UNKNOWN_LIST, UNKNOWN_OBJECT])
    def test_does_not_pass_what_is_not_known(self, case: Case, unknown: str) -> None:
        verdict = judged(POLICIES, case.policy, changed(case.given, case.veiled, unknown))
        assert verdict.not_evaluated
        assert not verdict.violations

    @pytest.mark.parametrize("case", [each for each in CASES if each.policy == "shielded"], ids=str)
    def test_passes_what_it_mended(self, case: Case) -> None:
        mended = replace(case.broken, props=remediated(POLICIES, case.policy, case.broken))
        assert judged(POLICIES, case.policy, mended).passed

    @pytest.mark.parametrize("case", [each for each in CASES if each.policy == "shielded"], ids=str)
    def test_mends_nothing_that_is_right_or_not_known(self, case: Case) -> None:
        assert remediated(POLICIES, case.policy, case.given) == case.given.props
        veiled = changed(case.given, case.veiled, UNKNOWN)
        assert remediated(POLICIES, case.policy, veiled) == veiled.props

    def test_every_check_is_broken_by_some_case(self) -> None:
        assert {each.name for each in POLICIES} == {each.policy for each in CASES}

    def test_every_resource_that_is_right_passes_all(self) -> None:
        for given in clouds.GOOD:
            for policy in POLICIES:
                assert isinstance(policy, ResourceValidationPolicy)
                verdict = judged(POLICIES, policy.name, given)
                assert verdict.passed or verdict.not_applicable, (given.name, policy.name, verdict)


class TestClustersWithoutNodesOfTheirOwn:
    @pytest.mark.parametrize("policy", ["metadata-server", "shielded", "node-account"])
    def test_pools_answer_for_their_nodes(self, policy: str) -> None:
        assert judged(POLICIES, policy, changed(GKE, "nodeConfig", GONE)).passed

    @pytest.mark.parametrize("policy", ["metadata-server", "shielded", "node-account"])
    def test_a_default_pool_that_stays_is_judged(self, policy: str) -> None:
        given = changed(changed(GKE, "nodeConfig", GONE), "removeDefaultNodePool", False)
        assert judged(POLICIES, policy, given).violations

    def test_a_default_pool_that_stays_is_mended(self) -> None:
        given = changed(changed(GKE, "nodeConfig", GONE), "removeDefaultNodePool", GONE)
        mended = remediated(POLICIES, "shielded", given)
        assert mended["nodeConfig"] == {"shieldedInstanceConfig": {"enableSecureBoot": True}}
        assert judged(POLICIES, "shielded", replace(given, props=mended)).passed

    @pytest.mark.parametrize("policy", ["metadata-server", "shielded", "node-account"])
    def test_autopilot_hardens_its_nodes_itself(self, policy: str) -> None:
        autopilot: Any = {"location": "us-central1", "enableAutopilot": True}
        assert judged(POLICIES, policy, Given(GKE.type, autopilot)).passed
        assert remediated(POLICIES, "shielded", Given(GKE.type, autopilot)) == autopilot


class TestNetworks:
    def test_a_private_endpoint_needs_no_ranges(self) -> None:
        given = changed(changed(GKE, NETS, GONE), "privateClusterConfig.enablePrivateEndpoint", True)
        assert judged(POLICIES, "authorized-networks", given).passed

    def test_how_wide_is_too_wide_is_configured(self) -> None:
        assert judged(POLICIES, "authorized-networks", GKE, leastPrefix=28).violations

    def test_an_unknown_block_hides_no_wide_one(self) -> None:
        given = changed(GKE, f"{NETS}.cidrBlocks", [{"cidrBlock": UNKNOWN}, {"cidrBlock": "0.0.0.0/0"}])
        verdict = judged(POLICIES, "authorized-networks", given)
        assert len(verdict.violations) == 1
        assert verdict.not_evaluated


class TestChannels:
    def test_which_ones_are_followed_is_configured(self) -> None:
        assert judged(POLICIES, "release-channel", GKE, channels=["REGULAR"]).violations
