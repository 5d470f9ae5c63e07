"""What moto lacks outside EKS, and this stack would miss.

Before a call (`check`): things in use are not deleted, a subnet's zone is one of the region, trust policies are well formed,
public bucket policies are blocked.
After a call (`amend`): a bucket begins encrypted and private as S3's have since 2023; a log group's tags go with it; a
VPC endpoint's routes follow its tables; a launch template answers the tags that it has now.
NAT gateways that take time are in `nat_gateways`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from model_factory.local.clouds.aws.errors import AwsError
from model_factory.local.clouds.aws.moto_state import backends, groups_naming
from model_factory.local.clouds.aws.routing import Call

Users = Callable[[str, str], Iterable[str]]
"""Given a region and the id of a subnet or security group: what else uses it, in words."""


def check(call: Call, users: Users) -> None:
    """Raises AwsError where AWS would refuse the call and moto would not."""
    checker = _CHECKS.get(call.name)
    if checker is not None:
        checker(call, users)


def amend(call: Call) -> None:
    """Bring moto's state to what AWS's would be after the call, which succeeded."""
    amender = _AMENDS.get(call.name)
    if amender is not None:
        amender(call)


def _value(call: Call, name: str) -> str:
    return call.request.values.get(name, "")


def _in_use(kind: str, id_: str, users: Iterable[str]) -> None:
    named = sorted(set(users))
    if named:
        raise AwsError(
            "DependencyViolation",
            f"The {kind} '{id_}' has dependencies and cannot be deleted: {', '.join(named)}.",
        )


def _live_gateways(ec2: Any) -> list[Any]:
    return [gateway for gateway in ec2.nat_gateways.values() if gateway.state != "deleted"]


def _create_subnet(call: Call, _users: Users) -> None:
    zone = _value(call, "AvailabilityZone")
    if zone and zone.rstrip("abcdefgh") != call.region:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid: it is not a zone of {call.region}.",
        )


def _delete_subnet(call: Call, users: Users) -> None:
    id_ = _value(call, "SubnetId")
    ec2 = backends("ec2", call.region)
    interfaces = [interface.id for interface in ec2.enis.values() if interface.subnet.id == id_]
    gateways = [gateway.id for gateway in _live_gateways(ec2) if gateway.subnet_id == id_]
    _in_use("subnet", id_, [*interfaces, *gateways, *users(call.region, id_)])


def _delete_security_group(call: Call, users: Users) -> None:
    id_ = _value(call, "GroupId")
    ec2 = backends("ec2", call.region)
    interfaces = [interface.id for interface in ec2.enis.values() if id_ in {group.id for group in interface.group_set}]
    _in_use("security group", id_, [*groups_naming(call.region, id_), *interfaces, *users(call.region, id_)])


def _delete_vpc(call: Call, users: Users) -> None:
    id_ = _value(call, "VpcId")
    ec2 = backends("ec2", call.region)
    gateways = [gateway.id for gateway in ec2.internet_gateways.values() if gateway.vpc and gateway.vpc.id == id_]
    groups = [group.id for group in ec2.groups.get(id_, {}).values() if not group.is_default]
    nat_gateways = [gateway.id for gateway in _live_gateways(ec2) if gateway.vpc_id == id_]
    endpoints = [each.id for each in ec2.vpc_end_points.values() if each.vpc_id == id_ and each.state != "deleted"]
    _in_use("vpc", id_, [*gateways, *groups, *nat_gateways, *endpoints, *users(call.region, id_)])


def _detach_internet_gateway(call: Call, _users: Users) -> None:
    ec2 = backends("ec2", call.region)
    vpc_id = _value(call, "VpcId")
    mapped = [gateway for gateway in _live_gateways(ec2) if gateway.vpc_id == vpc_id]
    if any(gateway.connectivity_type != "private" for gateway in mapped):
        raise AwsError(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway.",
        )


def _release_address(call: Call, _users: Users) -> None:
    id_ = _value(call, "AllocationId")
    for address in backends("ec2", call.region).addresses:
        if address.allocation_id == id_ and address.association_id:
            raise AwsError("InvalidIPAddress.InUse", f"Address {id_} is in use by {address.network_interface_id}.")


def _create_nat_gateway(call: Call, _users: Users) -> None:
    id_ = _value(call, "AllocationId")
    for address in backends("ec2", call.region).addresses:
        if address.allocation_id == id_ and address.association_id:
            raise AwsError("Resource.AlreadyAssociated", f"Elastic IP address [{id_}] is already associated")


def _check_trust_policy(call: Call, _users: Users) -> None:
    document = _value(call, "AssumeRolePolicyDocument") or _value(call, "PolicyDocument")
    problem = _trust_policy_problem(document)
    if problem:
        raise AwsError("MalformedPolicyDocument", problem)


def _trust_policy_problem(text: str) -> str | None:
    try:
        document = json.loads(text)
    except ValueError:
        return "This policy contains invalid Json"
    if not isinstance(document, Mapping) or not document.get("Statement"):
        return "Syntax errors in policy: no Statement."
    statements = document["Statement"]
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        if not isinstance(statement, Mapping) or statement.get("Effect") not in {"Allow", "Deny"}:
            return "Syntax error: a statement's Effect is Allow or Deny."
        if not statement.get("Principal") and not statement.get("NotPrincipal"):
            return "AssumeRole policy must contain principals."
        if not statement.get("Action") and not statement.get("NotAction"):
            return "Policy statement must contain actions."
        if "Resource" in statement:
            return "Has prohibited field Resource."
    return None


def _delete_policy(call: Call, _users: Users) -> None:
    policy = backends("iam", "global").managed_policies.get(_value(call, "PolicyArn"))
    if policy is not None and policy.attachment_count > 0:
        raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)


def _bucket(call: Call) -> Any:
    return backends("s3", "global").buckets.get(call.path_parameters.get("Bucket", ""))


def _put_bucket_policy(call: Call, _users: Users) -> None:
    bucket = _bucket(call)
    if bucket is None:
        return
    try:
        document = json.loads(call.request.get_data(cache=True))
    except ValueError as error:
        raise AwsError("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'") from error
    block = bucket.public_access_block
    if block is not None and block.block_public_policy and _is_public(document):
        raise AwsError(
            "AccessDenied",
            "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
            403,
        )


def _is_public(document: Any) -> bool:
    statements = document.get("Statement", []) if isinstance(document, Mapping) else []
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        principal = statement.get("Principal")
        everyone = principal == "*" or (isinstance(principal, Mapping) and "*" in _list(principal.get("AWS")))
        if everyone and statement.get("Effect") == "Allow" and not statement.get("Condition"):
            return True
    return False


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_CHECKS: Final[Mapping[str, Callable[[Call, Users], None]]] = {
    "ec2:CreateNatGateway": _create_nat_gateway,
    "ec2:CreateSubnet": _create_subnet,
    "ec2:DeleteSecurityGroup": _delete_security_group,
    "ec2:DeleteSubnet": _delete_subnet,
    "ec2:DeleteVpc": _delete_vpc,
    "ec2:DetachInternetGateway": _detach_internet_gateway,
    "ec2:ReleaseAddress": _release_address,
    "iam:CreateRole": _check_trust_policy,
    "iam:DeletePolicy": _delete_policy,
    "iam:UpdateAssumeRolePolicy": _check_trust_policy,
    "s3:PutBucketPolicy": _put_bucket_policy,
}


DEFAULT_ENCRYPTION: Final = {
    "Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}
}
"""Source: AWS, "Setting default server-side encryption behavior for Amazon S3 buckets": SSE-S3 since 2023-01-05."""


def _bucket_created(call: Call) -> None:
    bucket = _bucket(call)
    if bucket is not None and bucket.encryption is None:
        bucket.encryption = DEFAULT_ENCRYPTION
        backends("s3", "global").put_public_access_block(
            bucket.name,
            dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), "true"
            ),
        )


def _bucket_encryption_deleted(call: Call) -> None:
    bucket = _bucket(call)
    if bucket is not None:
        bucket.encryption = DEFAULT_ENCRYPTION


def _log_group_deleted(call: Call) -> None:
    """Its tags go with it; moto would give them to the next one of the name."""
    logs: Any = backends("logs", call.region)
    body: Any = call.request.environ["wsgi.input"].getvalue()  # moto has read the request's own stream
    name = json.loads(body)["logGroupName"]
    for arn in [each for each in logs.tagger.tags if each.endswith(f":log-group:{name}")]:
        logs.tagger.delete_all_tags_for_resource(arn)


def _endpoint_modified(call: Call) -> None:
    """A gateway endpoint has a route in each of its tables; moto makes those of its first tables alone, and fails to delete others."""
    ec2: Any = backends("ec2", call.region)
    endpoint = ec2.vpc_end_points[_value(call, "VpcEndpointId")]
    prefix = endpoint.destination_prefix_list_id
    for table in [*ec2.route_tables.values()] if prefix else []:
        there = any(each.gateway and each.gateway.id == endpoint.id for each in table.routes)
        if there and table.id not in endpoint.route_table_ids:
            ec2.delete_route(table.id, prefix)
        elif not there and table.id in endpoint.route_table_ids:
            ec2.create_route(table.id, None, gateway_id=endpoint.id, destination_prefix_list_id=prefix)


def _tags_changed(call: Call) -> None:
    """A launch template's answers bring the tags that it was made with, of all of moto's kinds that a stack declares alone."""
    ec2: Any = backends("ec2", call.region)
    for id_ in {value for key, value in call.request.values.items() if key.startswith("ResourceId.")}:
        if template := ec2.launch_templates.get(id_):
            template.tags = template.get_tags()


_AMENDS: Final[Mapping[str, Callable[[Call], None]]] = {
    "ec2:CreateTags": _tags_changed,
    "ec2:DeleteTags": _tags_changed,
    "ec2:ModifyVpcEndpoint": _endpoint_modified,
    "logs:DeleteLogGroup": _log_group_deleted,
    "s3:CreateBucket": _bucket_created,
    "s3:DeleteBucketEncryption": _bucket_encryption_deleted,
}
