from __future__ import annotations

from typing import Any

import pytest

from components.gcp.network import PODS_RANGE, SERVICES_RANGE, GcpNetwork, SubnetRanges

RANGES = [
    SubnetRanges("us-central1", "10.64.0.0/20", "10.128.0.0/16", "10.96.0.0/20"),
    SubnetRanges("europe-west4", "10.64.16.0/20", "10.129.0.0/16", "10.96.16.0/20"),
]


@pytest.fixture(scope="module")
def network(run: Any) -> Any:
    return run(lambda: GcpNetwork("dev-gcp", {"project": "p", "subnets": RANGES}))


class TestSubnets:
    def test_a_region_has_one_with_ranges_for_pods_and_services(self, network: Any) -> None:
        ranges = {
            subnet.inputs["region"]: {
                each["rangeName"]: each["ipCidrRange"] for each in subnet.inputs["secondaryIpRanges"]
            }
            for subnet in network.of(":Subnetwork")
        }
        assert ranges == {
            each.region: {PODS_RANGE: each.pods_cidr, SERVICES_RANGE: each.services_cidr} for each in RANGES
        }

    def test_reach_google_and_the_internet_without_public_addresses(self, network: Any) -> None:
        assert all(subnet.inputs["privateIpGoogleAccess"] for subnet in network.of(":Subnetwork"))
        assert {nat.inputs["region"] for nat in network.of(":RouterNat")} == {"us-central1", "europe-west4"}

    def test_a_range_that_a_cluster_uses_is_not_changed_in_place(self, network: Any) -> None:
        assert {subnet.replace_on_changes for subnet in network.of(":Subnetwork")} == {("secondaryIpRanges",)}

    def test_log_their_flows(self, network: Any) -> None:
        assert all("logConfig" in subnet.inputs for subnet in network.of(":Subnetwork"))


class TestFirewall:
    def test_what_no_rule_lets_in_is_refused_and_logged(self, network: Any) -> None:
        rule = network.one(":Firewall").inputs
        assert rule["denies"] == [{"protocol": "all"}]
        assert rule["priority"] == 65534
        assert "allows" not in rule
        assert rule["logConfig"]
