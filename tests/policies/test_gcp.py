"""Resources of Google Cloud, one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policies.packs import gcp
from tests.policies import clouds
from tests.policies.clouds import GKE, POOL, READ_POLICY, READER, READERS
from tests.policies.harness import UNKNOWN, Given, judged, remediated
from tests.policies.objects import GONE, Case, changed
from tests.policies.table import AllRight, Remedies

POLICIES = gcp.theme.policies
NETS = "masterAuthorizedNetworksConfig"
WIDE = json.dumps({"bindings": [{"role": "roles/artifactregistry.reader", "members": ["allUsers"]}]})
SHIELD = "nodeConfig.shieldedInstanceConfig"
MODE = "nodeConfig.workloadMetadataConfig.mode"
ACCOUNT = "nodeConfig.serviceAccount"
DEFAULT = "123456-compute@developer.gserviceaccount.com"

CASES = [
    Case("private-nodes", GKE, "privateClusterConfig", GONE, "privateClusterConfig.enablePrivateNodes is off"),
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
    Case("registry-not-public", READ_POLICY, "policyData", WIDE, "allUsers may roles/artifactregistry.reader"),
    Case("no-legacy-abac", GKE, "enableLegacyAbac", True, "enableLegacyAbac"),
    Case("node-account", POOL, ACCOUNT, GONE, "none is given"),
    Case("node-account", POOL, ACCOUNT, "default", "default account (default)"),
    Case("node-account", POOL, ACCOUNT, DEFAULT, DEFAULT),
    Case("node-account", GKE, ACCOUNT, DEFAULT, DEFAULT),
]


class TestChecks(Remedies, AllRight):
    POLICIES = POLICIES
    CASES = CASES
    REMEDIABLE = frozenset({"shielded"})
    GOOD = clouds.GOOD


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
