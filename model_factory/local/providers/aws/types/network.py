"""VPC, subnets and gateways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import declare, deletes
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.aws.types import ec2
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.diff import Change
from model_factory.local.providers.errors import Failure, NotFoundError, UnsupportedError
from model_factory.local.providers.values import text, texts
from model_factory.local.wire import Properties

VPC: Final = ec2.Kind.named("vpc", "Vpc")
SUBNET: Final = ec2.Kind.named("subnet", "Subnet")
INTERNET_GATEWAY: Final = ec2.Kind.named("internet-gateway", "InternetGateway")
ADDRESS: Final = ec2.Kind("elastic-ip", "Address", "Addresses", "AllocationId")
ENDPOINT: Final = ec2.Kind.named("vpc-endpoint", "VpcEndpoint")
NAT_GATEWAY: Final = ec2.Kind.named("natgateway", "NatGateway")

# VPC attributes and subnet attributes are set and read one by one.
_VPC_ATTRIBUTES: Final = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}
_SUBNET_ATTRIBUTES: Final = {
    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
    "enableDns64": "EnableDns64",
    "enableResourceNameDnsARecordOnLaunch": "EnableResourceNameDnsARecordOnLaunch",
    "enableResourceNameDnsAaaaRecordOnLaunch": "EnableResourceNameDnsAAAARecordOnLaunch",
}
_VPC_API: Final = Api(
    "ec2",
    "CreateVpc",
    names={"assignGeneratedIpv6CidrBlock": "AmazonProvidedIpv6CidrBlock"},
    ours=frozenset(_VPC_ATTRIBUTES),
)
_SUBNET_API: Final = Api("ec2", "CreateSubnet", ours=frozenset(_SUBNET_ATTRIBUTES))
_IGW_API: Final = Api("ec2", "CreateInternetGateway", ours=frozenset({"vpcId"}))
_EIP_API: Final = Api("ec2", "AllocateAddress")
_NAT_API: Final = Api(
    "ec2",
    "CreateNatGateway",
    names={"privateIp": "PrivateIpAddress"},
)
_ENDPOINT_API: Final = Api(
    "ec2",
    "CreateVpcEndpoint",
    names={"policy": "PolicyDocument"},
    ours=frozenset({"autoAccept"}),
)


def _create_vpc(call: Call[Aws], inputs: Properties) -> str:
    vpc_id = VPC.create(call, _VPC_API, inputs)
    for key in [key for key in inputs if key in _VPC_ATTRIBUTES]:
        wanted = bool(inputs[key])
        if (key == "enableDnsSupport") != wanted:  # Else it is as AWS makes it: DNS support on, the rest off.
            _set_vpc_attribute(call, vpc_id, key, value=wanted)
    return vpc_id


def _set_vpc_attribute(call: Call[Aws], vpc_id: str, key: str, *, value: bool) -> None:
    call.cloud.call("ec2", "ModifyVpcAttribute", VpcId=vpc_id, **{_VPC_ATTRIBUTES[key]: {"Value": value}})


def _describe_vpc(call: Call[Aws], vpc: dict[str, Any], _inputs: Properties) -> Properties:
    aws, vpc_id = call.cloud, vpc["VpcId"]
    in_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = aws.all("ec2", "DescribeRouteTables", "RouteTables", Filters=in_vpc)
    main = next((t["RouteTableId"] for t in tables if any(a.get("Main") for a in t.get("Associations", []))), None)
    acls = aws.all("ec2", "DescribeNetworkAcls", "NetworkAcls", Filters=in_vpc)
    groups = aws.all("ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=in_vpc)
    return {
        **{key: _vpc_attribute(aws, vpc_id, member) for key, member in _VPC_ATTRIBUTES.items()},
        "arn": ec2.arn(call, f"vpc/{vpc_id}", vpc),
        "ownerId": vpc.get("OwnerId") or aws.account_id,
        "mainRouteTableId": main,
        "defaultRouteTableId": main,
        "defaultNetworkAclId": next((acl["NetworkAclId"] for acl in acls if acl.get("IsDefault")), None),
        "defaultSecurityGroupId": next((g["GroupId"] for g in groups if g["GroupName"] == "default"), None),
        "assignGeneratedIpv6CidrBlock": bool(vpc.get("Ipv6CidrBlockAssociationSet")),
    }


def _vpc_attribute(aws: Aws, vpc_id: str, member: str) -> bool:
    answer = aws.call("ec2", "DescribeVpcAttribute", VpcId=vpc_id, Attribute=member[:1].lower() + member[1:])
    return bool(cast("dict[str, Any]", answer.get(member, {})).get("Value", False))


def _update_vpc(call: Call[Aws], change: Update) -> None:
    for key in _VPC_ATTRIBUTES:
        if change.changed(key):
            _set_vpc_attribute(call, change.id, key, value=bool(change.new.get(key, key == "enableDnsSupport")))
    if change.changed("instanceTenancy"):
        call.cloud.call("ec2", "ModifyVpcTenancy", VpcId=change.id, InstanceTenancy=change.new["instanceTenancy"])


def _refine_vpc(_olds: Properties, _news: Properties, changes: list[Change]) -> list[Change]:
    """Tenancy changes in place from dedicated to default alone."""
    return [
        Change(c.path, c.kind, c.old != "dedicated" or c.new != "default", c.old, c.new)
        if c.property == "instanceTenancy"
        else c
        for c in changes
    ]


def _check_vpc(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    if inputs.get("cidrBlock") is None and inputs.get("ipv4IpamPoolId") is None:
        yield Failure("cidrBlock", "missing; give a network from /16 to /28, or ipv4IpamPoolId")


def _create_subnet(call: Call[Aws], inputs: Properties) -> str:
    subnet_id = SUBNET.create(call, _SUBNET_API, inputs)
    for key in _SUBNET_ATTRIBUTES:
        if inputs.get(key):
            _set_subnet_attribute(call, subnet_id, key, value=True)
    return subnet_id


def _set_subnet_attribute(call: Call[Aws], subnet_id: str, key: str, *, value: bool) -> None:
    call.cloud.call("ec2", "ModifySubnetAttribute", SubnetId=subnet_id, **{_SUBNET_ATTRIBUTES[key]: {"Value": value}})


def _describe_subnet(call: Call[Aws], subnet: dict[str, Any], _inputs: Properties) -> Properties:
    launch = cast("dict[str, Any]", subnet.get("PrivateDnsNameOptionsOnLaunch") or {})
    return {
        "arn": subnet.get("SubnetArn") or ec2.arn(call, f"subnet/{subnet['SubnetId']}", subnet),
        "ipv6Native": bool(subnet.get("Ipv6Native", False)),
        "enableDns64": bool(subnet.get("EnableDns64", False)),
        "privateDnsHostnameTypeOnLaunch": launch.get("HostnameType"),
        "enableResourceNameDnsARecordOnLaunch": bool(launch.get("EnableResourceNameDnsARecord", False)),
        "enableResourceNameDnsAaaaRecordOnLaunch": bool(launch.get("EnableResourceNameDnsAAAARecord", False)),
    }


def _update_subnet(call: Call[Aws], change: Update) -> None:
    for key in _SUBNET_ATTRIBUTES:
        if change.changed(key):
            _set_subnet_attribute(call, change.id, key, value=bool(change.new.get(key, False)))


def _create_gateway(call: Call[Aws], inputs: Properties) -> str:
    gateway_id = INTERNET_GATEWAY.create(call, _IGW_API, inputs)
    if text(inputs, "vpcId"):
        call.cloud.call("ec2", "AttachInternetGateway", InternetGatewayId=gateway_id, VpcId=inputs["vpcId"])
    return gateway_id


def _describe_gateway(call: Call[Aws], gateway: dict[str, Any], _inputs: Properties) -> Properties:
    return {
        "vpcId": next((item["VpcId"] for item in gateway.get("Attachments", [])), ""),
        "ownerId": gateway.get("OwnerId") or call.cloud.account_id,
        "arn": ec2.arn(call, f"internet-gateway/{gateway['InternetGatewayId']}", gateway),
    }


_read_gateway: Final = INTERNET_GATEWAY.read(_IGW_API, _describe_gateway)


def _update_gateway(call: Call[Aws], change: Update) -> None:
    if change.changed("vpcId"):
        _detach(call, change.id, change.old)
        if text(change.new, "vpcId"):
            call.cloud.call("ec2", "AttachInternetGateway", InternetGatewayId=change.id, VpcId=change.new["vpcId"])


def _detach(call: Call[Aws], gateway_id: str, state: Properties) -> None:
    if not text(state, "vpcId"):
        return
    try:
        call.cloud.call("ec2", "DetachInternetGateway", InternetGatewayId=gateway_id, VpcId=state["vpcId"])
    except NotFoundError:
        return


def _delete_gateway(call: Call[Aws], gateway_id: str, _state: Properties) -> None:
    _detach(call, gateway_id, _read_gateway(call, gateway_id, {}) or {})
    call.cloud.call("ec2", "DeleteInternetGateway", InternetGatewayId=gateway_id)


def _create_address(call: Call[Aws], inputs: Properties) -> str:
    return ADDRESS.create(call, _EIP_API, {"domain": "vpc", **inputs})


def _describe_address(call: Call[Aws], address: dict[str, Any], _inputs: Properties) -> Properties:
    return {
        "instance": address.get("InstanceId") or "",
        "networkInterface": address.get("NetworkInterfaceId") or "",
        "privateIp": address.get("PrivateIpAddress"),
        "networkBorderGroup": address.get("NetworkBorderGroup") or call.cloud.region,
        "arn": ec2.arn(call, f"elastic-ip/{address['AllocationId']}", address),
    }


def _create_nat(call: Call[Aws], inputs: Properties) -> str:
    return NAT_GATEWAY.create(call, _NAT_API, inputs, ClientToken=call.urn_digest)


def _nat_ready(call: Call[Aws], nat_id: str, _inputs: Properties) -> None:
    def state() -> str:
        answer = call.cloud.call("ec2", "DescribeNatGateways", NatGatewayIds=[nat_id])["NatGateways"]
        return str(answer[0]["State"]) if answer else "deleted"

    call.wait_for_state(state, what=f"NAT gateway {nat_id}", ready=["available"], failed=["failed", "deleted"])


def _describe_nat(_call: Call[Aws], nat: dict[str, Any], _inputs: Properties) -> Properties:
    addresses = cast("list[dict[str, Any]]", nat.get("NatGatewayAddresses") or [{}])
    first = addresses[0]
    return {
        "allocationId": first.get("AllocationId"),
        "associationId": first.get("AssociationId"),
        "networkInterfaceId": first.get("NetworkInterfaceId"),
        "privateIp": first.get("PrivateIp"),
        "publicIp": first.get("PublicIp"),
        "connectivityType": nat.get("ConnectivityType") or "public",
    }


def _create_endpoint(call: Call[Aws], inputs: Properties) -> str:
    if text(inputs, "vpcEndpointType", "Gateway") != "Gateway":
        raise UnsupportedError(f"a VPC endpoint of type {inputs['vpcEndpointType']} is not known here; use a Gateway")
    return ENDPOINT.create(call, _ENDPOINT_API, inputs, ClientToken=call.urn_digest)


def _describe_endpoint(call: Call[Aws], endpoint: dict[str, Any], inputs: Properties) -> Properties:
    return {
        "arn": ec2.arn(call, f"vpc-endpoint/{endpoint['VpcEndpointId']}", endpoint),
        "ownerId": endpoint.get("OwnerId") or call.cloud.account_id,
        "autoAccept": inputs.get("autoAccept"),
    }


def _update_endpoint(call: Call[Aws], change: Update) -> None:
    have, want = texts(change.old, "routeTableIds"), texts(change.new, "routeTableIds")
    wanted: dict[str, Any] = {
        "AddRouteTableIds": [table for table in want if table not in have],
        "RemoveRouteTableIds": [table for table in have if table not in want],
    }
    if change.changed("policy"):
        wanted["PolicyDocument" if change.new.get("policy") else "ResetPolicy"] = change.new.get("policy") or True
    if wanted := {key: value for key, value in wanted.items() if value}:
        call.cloud.call("ec2", "ModifyVpcEndpoint", VpcEndpointId=change.id, **wanted)


def _delete_endpoint(call: Call[Aws], endpoint_id: str, _state: Properties) -> None:
    call.cloud.call("ec2", "DeleteVpcEndpoints", VpcEndpointIds=[endpoint_id])


def _check_nat(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    public = inputs.get("connectivityType", "public") == "public"
    if public and inputs.get("allocationId") is None and inputs.get("availabilityMode") != "regional":
        yield Failure("allocationId", "missing; a public NAT gateway needs an Elastic IP")
    if not public and inputs.get("allocationId") is not None:
        yield Failure("allocationId", "given; a private NAT gateway takes none")


TYPES: Final = (
    declare(
        "aws:ec2/vpc:Vpc",
        api=_VPC_API,
        create=_create_vpc,
        read=VPC.read(_VPC_API, _describe_vpc),
        update=_update_vpc,
        delete=deletes("ec2", "DeleteVpc", "VpcId"),
        find=VPC.find,
        refine=_refine_vpc,
        tagger=ec2.tagger,
        check=(_check_vpc, checks.cidr("cidrBlock", low=16, high=28)),
    ),
    declare(
        "aws:ec2/subnet:Subnet",
        api=_SUBNET_API,
        create=_create_subnet,
        read=SUBNET.read(_SUBNET_API, _describe_subnet),
        update=_update_subnet,
        delete=deletes("ec2", "DeleteSubnet", "SubnetId"),
        find=SUBNET.find,
        tagger=ec2.tagger,
        check=(checks.cidr("cidrBlock", low=16, high=28), checks.zone("availabilityZone")),
    ),
    declare(
        "aws:ec2/internetGateway:InternetGateway",
        api=_IGW_API,
        create=_create_gateway,
        read=_read_gateway,
        update=_update_gateway,
        delete=_delete_gateway,
        find=INTERNET_GATEWAY.find,
        tagger=ec2.tagger,
    ),
    declare(
        "aws:ec2/eip:Eip",
        api=_EIP_API,
        create=_create_address,
        read=ADDRESS.read(_EIP_API, _describe_address),
        delete=deletes("ec2", "ReleaseAddress", "AllocationId"),
        find=ADDRESS.find,
        tagger=ec2.tagger,
    ),
    declare(
        "aws:ec2/natGateway:NatGateway",
        api=_NAT_API,
        create=_create_nat,
        ready=_nat_ready,
        read=NAT_GATEWAY.read(_NAT_API, _describe_nat),
        delete=deletes("ec2", "DeleteNatGateway", "NatGatewayId"),
        find=NAT_GATEWAY.find,
        tagger=ec2.tagger,
        check=(_check_nat,),
    ),
    declare(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        api=_ENDPOINT_API,
        create=_create_endpoint,
        read=ENDPOINT.read(_ENDPOINT_API, _describe_endpoint),
        update=_update_endpoint,
        delete=_delete_endpoint,
        find=ENDPOINT.find,
        tagger=ec2.tagger,
    ),
)
