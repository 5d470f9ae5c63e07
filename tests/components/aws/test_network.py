from __future__ import annotations

from typing import Any

import pytest

from components.aws.network import AwsNetwork, AwsNetworkArgs

ARGS: AwsNetworkArgs = {"region": "us-east-1", "cidr": "10.0.0.0/16", "zones": [], "tags": {"team": "a"}}


@pytest.fixture(scope="module")
def network(run: Any) -> Any:
    return run(lambda: AwsNetwork("net", ARGS))


class TestPrivateSubnets:
    def test_leave_by_the_nat_gateway_of_their_own_zone(self, network: Any) -> None:
        for number in (1, 2, 3):
            route = network.one(":Route", f"net-private-{number}-default").inputs
            assert route["natGatewayId"] == f"net-nat-{number}-id"
            public = network.one(":Subnet", f"net-public-{number}").inputs
            private = network.one(":Subnet", f"net-private-{number}").inputs
            assert network.one(":NatGateway", f"net-nat-{number}").inputs["subnetId"] == f"net-public-{number}-id"
            assert public["availabilityZone"] == private["availabilityZone"] == f"us-east-1{'abc'[number - 1]}"

    def test_have_no_route_to_the_internet_gateway(self, network: Any) -> None:
        through = [route.name for route in network.of(":Route") if "gatewayId" in route.inputs]
        assert through == ["net-public-default"]


class TestS3:
    def test_is_reached_from_every_private_subnet_without_a_nat_gateway(self, network: Any) -> None:
        endpoint = network.one(":VpcEndpoint").inputs
        assert (endpoint["vpcEndpointType"], endpoint["serviceName"]) == ("Gateway", "com.amazonaws.us-east-1.s3")
        joined = {
            each.inputs["routeTableId"] for each in network.of(":RouteTableAssociation") if "-private-" in each.name
        }
        assert set(endpoint["routeTableIds"]) == joined
        assert len(joined) == 3


class TestSubnets:
    def test_none_gives_public_addresses(self, network: Any) -> None:
        assert not any(subnet.inputs.get("mapPublicIpOnLaunch") for subnet in network.of(":Subnet"))

    def test_tell_load_balancers_where_to_go(self, network: Any) -> None:
        roles = [key for subnet in network.of(":Subnet") for key in subnet.inputs["tags"] if "/role/" in key]
        assert sorted(set(roles)) == ["kubernetes.io/role/elb", "kubernetes.io/role/internal-elb"]
        assert len(roles) == 6

    def test_given_zones_are_used_and_nothing_is_asked(self, run: Any) -> None:
        zones = ["us-east-1d", "us-east-1c", "us-east-1b"]
        seen = run(lambda: AwsNetwork("net", {**ARGS, "zones": zones}))
        assert {subnet.inputs["availabilityZone"] for subnet in seen.of(":Subnet")} == set(zones)
        assert seen.invokes == []


class TestControlPlaneSecurityGroup:
    def test_lets_in_https_from_the_vpc_only(self, network: Any) -> None:
        rule = network.one(":SecurityGroupIngressRule").inputs
        assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.0.0.0/16", 443, 443)

    def test_lets_nothing_out_of_the_vpc(self, network: Any) -> None:
        assert {rule.inputs["cidrIpv4"] for rule in network.of(":SecurityGroupEgressRule")} == {"10.0.0.0/16"}


class TestEveryResource:
    def test_is_in_the_region_asked_for(self, network: Any) -> None:
        assert {each.inputs["region"] for each in network.resources if each.custom} == {"us-east-1"}
