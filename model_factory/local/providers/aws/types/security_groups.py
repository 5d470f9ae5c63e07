"""Security groups, and ingress and egress rules as resources of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import declare
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.aws.types import ec2
from model_factory.local.providers.base import Call, ResourceType, Update
from model_factory.local.providers.diff import Change
from model_factory.local.providers.errors import Failure, NotFoundError
from model_factory.local.providers.values import number, objects, text, texts
from model_factory.local.wire import Properties, Value

GROUP: Final = ec2.Kind("security-group", "SecurityGroup", "SecurityGroups", "GroupId")
RULE: Final = ec2.Kind.named("security-group-rule", "SecurityGroupRule")

_GROUP_API: Final = Api(
    "ec2",
    "CreateSecurityGroup",
    names={"name": "GroupName"},
    ours=frozenset({"ingress", "egress", "revokeRulesOnDelete"}),
)
_RULE_API: Final = Api(
    "ec2",
    "SecurityGroupRuleRequest",
    names={"referencedSecurityGroupId": "ReferencedGroupId"},
    ours=frozenset({"securityGroupId"}),
)
_SOURCES: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
_EVERYTHING: Final = "-1"
_PORTS: Final = range(-1, 65536)


def _create_group(call: Call[Aws], inputs: Properties) -> str:
    group_id = GROUP.create(call, _GROUP_API, inputs)
    # AWS opens all egress; a group without rules is what was asked for.
    made = call.visible(lambda: GROUP.one(call.cloud, group_id)) or {}
    if made.get("IpPermissionsEgress"):
        _change_rules(call, "RevokeSecurityGroupEgress", group_id, made["IpPermissionsEgress"])
    for direction in ("Ingress", "Egress"):
        wanted = [_permission(group_id, block) for block in objects(inputs, direction.lower())]
        _change_rules(call, f"AuthorizeSecurityGroup{direction}", group_id, wanted)
    return group_id


def _change_rules(call: Call[Aws], operation: str, group_id: str, permissions: list[dict[str, Any]]) -> None:
    if permissions:
        call.cloud.call("ec2", operation, GroupId=group_id, IpPermissions=permissions)


def _permission(group_id: str, block: Properties) -> dict[str, Any]:
    """An inline rule as AWS has it."""
    about = {"Description": text(block, "description")} if text(block, "description") else {}
    groups = [*texts(block, "securityGroups"), *([group_id] if block.get("self") else [])]
    permission: dict[str, Any] = {
        "IpProtocol": text(block, "protocol"),
        "IpRanges": [{"CidrIp": cidr, **about} for cidr in texts(block, "cidrBlocks")],
        "Ipv6Ranges": [{"CidrIpv6": cidr, **about} for cidr in texts(block, "ipv6CidrBlocks")],
        "PrefixListIds": [{"PrefixListId": item, **about} for item in texts(block, "prefixListIds")],
        "UserIdGroupPairs": [{"GroupId": group, **about} for group in groups],
    }
    if permission["IpProtocol"] != _EVERYTHING:
        permission |= {"FromPort": number(block, "fromPort"), "ToPort": number(block, "toPort")}
    return {key: value for key, value in permission.items() if value != []}


def _block(group_id: str, permission: dict[str, Any]) -> Properties:
    """The reverse: a rule of AWS's as an inline block, empty parts left out."""

    def column(key: str, member: str) -> list[Value]:
        return [item[member] for item in cast("list[dict[str, Any]]", permission.get(key, []))]

    groups = column("UserIdGroupPairs", "GroupId")
    described = (
        item.get("Description", "")
        for key in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
        for item in permission.get(key, [])
    )
    block: Properties = {
        "protocol": permission["IpProtocol"],
        "fromPort": permission.get("FromPort", 0),
        "toPort": permission.get("ToPort", 0),
        "cidrBlocks": column("IpRanges", "CidrIp"),
        "ipv6CidrBlocks": column("Ipv6Ranges", "CidrIpv6"),
        "prefixListIds": column("PrefixListIds", "PrefixListId"),
        "securityGroups": [group for group in groups if group != group_id],
        "description": next(described, ""),
    }
    return {
        **{key: value for key, value in block.items() if value not in ([], "")},
        "self": group_id in groups,
    }


def _describe_group(call: Call[Aws], group: dict[str, Any], inputs: Properties) -> Properties:
    group_id = group["GroupId"]
    rules: Properties = {}
    for key, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        # Without inline rules, a group leaves them to rule resources: theirs are no drift.
        rules[key] = [_block(group_id, item) for item in group.get(member, [])] if key in inputs else []
    return {
        **rules,
        "ownerId": group.get("OwnerId") or call.cloud.account_id,
        "arn": ec2.arn(call, f"security-group/{group_id}", group),
    }


def _update_group(call: Call[Aws], change: Update) -> None:
    for direction in ("Ingress", "Egress"):
        key = direction.lower()
        if not change.changed(key):
            continue
        have = [_permission(change.id, block) for block in objects(change.old, key)]
        want = [_permission(change.id, block) for block in objects(change.new, key)]
        _change_rules(call, f"RevokeSecurityGroup{direction}", change.id, [p for p in have if p not in want])
        _change_rules(call, f"AuthorizeSecurityGroup{direction}", change.id, [p for p in want if p not in have])


def _delete_group(call: Call[Aws], group_id: str, state: Properties) -> None:
    if state.get("revokeRulesOnDelete"):
        group = GROUP.one(call.cloud, group_id) or {}
        _change_rules(call, "RevokeSecurityGroupIngress", group_id, group.get("IpPermissions", []))
        _change_rules(call, "RevokeSecurityGroupEgress", group_id, group.get("IpPermissionsEgress", []))
    call.cloud.call("ec2", "DeleteSecurityGroup", GroupId=group_id)


def _check_inline(aws: Aws, inputs: Properties) -> Iterable[Failure]:
    for key in ("ingress", "egress"):
        for index, block in enumerate(objects(inputs, key)):
            path = f"{key}[{index}]"
            for failure in checks.cidr("cidrBlocks")(aws, block):
                yield Failure(f"{path}.{failure.property}", failure.reason)
            yield from _check_ports(block, f"{path}.", protocol="protocol")


def _check_ports(block: Properties, prefix: str, *, protocol: str) -> Iterable[Failure]:
    ports = {key: block.get(key) for key in ("fromPort", "toPort")}
    known = {key: port for key, port in ports.items() if isinstance(port, int)}
    for key, port in known.items():
        if port not in _PORTS:
            yield Failure(f"{prefix}{key}", f"{port} is no port; 0 to 65535, or -1 for all")
    if len(known) == len(ports) and known["fromPort"] > known["toPort"]:
        yield Failure(f"{prefix}fromPort", f"{known['fromPort']} is more than toPort ({known['toPort']})")
    if text(block, protocol) in ("tcp", "udp", "6", "17") and any(port is None for port in ports.values()):
        yield Failure(f"{prefix}fromPort", f"missing with toPort; {text(block, protocol)} rules have ports")


def _check_rule(_aws: Aws, inputs: Properties) -> Iterable[Failure]:
    yield from _check_ports(inputs, "", protocol="ipProtocol")


def _refine_rule(olds: Properties, news: Properties, changes: list[Change]) -> list[Change]:
    """A rule changes in place as long as its source stays of the same kind."""
    kinds = [next((name for name in _SOURCES if inputs.get(name) is not None), "") for inputs in (olds, news)]
    if kinds[0] == kinds[1]:
        return changes
    return [Change(c.path, c.kind, c.replaces or c.property in _SOURCES, c.old, c.new) for c in changes]


def _request(call: Call[Aws], inputs: Properties) -> dict[str, Any]:
    return _RULE_API.request(call.cloud, inputs)


def _rule_type(token: str, direction: str) -> ResourceType[Aws]:
    egress = direction == "Egress"

    def create(call: Call[Aws], inputs: Properties) -> str:
        made = call.cloud.call(
            "ec2",
            f"AuthorizeSecurityGroup{direction}",
            GroupId=inputs["securityGroupId"],
            IpPermissions=[_rule_permission(inputs)],
            TagSpecifications=RULE.tag_specifications(call, inputs),
        )
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def find(call: Call[Aws], inputs: Properties) -> str | None:
        filters = [{"Name": "group-id", "Values": [text(inputs, "securityGroupId")]}]
        wanted = _request(call, inputs)
        for rule in call.cloud.all("ec2", "DescribeSecurityGroupRules", "SecurityGroupRules", Filters=filters):
            found = _rule_properties(call, rule)
            if rule.get("IsEgress") == egress and _request(call, _asked(found, inputs)) == wanted:
                return str(rule["SecurityGroupRuleId"])
        return None

    def update(call: Call[Aws], change: Update) -> None:
        if change.changed("description", "fromPort", "toPort", "ipProtocol", *_SOURCES):
            rule = {"SecurityGroupRuleId": change.id, "SecurityGroupRule": _request(call, change.new)}
            call.cloud.call(
                "ec2",
                "ModifySecurityGroupRules",
                GroupId=change.new["securityGroupId"],
                SecurityGroupRules=[rule],
            )

    def delete(call: Call[Aws], rule_id: str, state: Properties) -> None:
        call.cloud.call(
            "ec2",
            f"RevokeSecurityGroup{direction}",
            GroupId=state["securityGroupId"],
            SecurityGroupRuleIds=[rule_id],
        )

    return declare(
        token,
        api=_RULE_API,
        create=create,
        read=_read_rule,
        update=update,
        delete=delete,
        find=find,
        refine=_refine_rule,
        tagger=ec2.tagger,
        check=(checks.exactly_one(*_SOURCES), checks.cidr("cidrIpv4"), _check_rule),
    )


def _rule_permission(inputs: Properties) -> dict[str, Any]:
    block: Properties = {
        "protocol": inputs["ipProtocol"],
        "fromPort": inputs.get("fromPort"),
        "toPort": inputs.get("toPort"),
        "description": inputs.get("description"),
    }
    lists = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups")
    block |= {key: [inputs[source]] for key, source in zip(lists, _SOURCES, strict=True) if inputs.get(source)}
    return _permission("", block)


def _asked(found: Properties, inputs: Properties) -> Properties:
    return {key: value for key, value in found.items() if key in inputs}


def _read_rule(call: Call[Aws], rule_id: str, inputs: Properties) -> Properties | None:
    try:
        rule = RULE.one(call.cloud, rule_id)
    except NotFoundError:
        return None
    if rule is None:
        return None
    found = _rule_properties(call, rule)
    if text(inputs, "ipProtocol") == _EVERYTHING:
        found = {key: value for key, value in found.items() if key not in ("fromPort", "toPort") or key in inputs}
    return found


def _rule_properties(call: Call[Aws], rule: dict[str, Any]) -> Properties:
    reference = cast("dict[str, Any]", rule.get("ReferencedGroupInfo") or {})
    rule_id = rule["SecurityGroupRuleId"]
    return {
        **RULE.properties(call, _RULE_API, rule),
        "securityGroupId": rule.get("GroupId"),
        "securityGroupRuleId": rule_id,
        "referencedSecurityGroupId": reference.get("GroupId"),
        "description": rule.get("Description") or None,
        "arn": rule.get("SecurityGroupRuleArn")
        or call.cloud.arn(
            "ec2", f"security-group-rule/{rule_id}", str(rule.get("GroupOwnerId") or call.cloud.account_id)
        ),
    }


TYPES: Final = (
    declare(
        "aws:ec2/securityGroup:SecurityGroup",
        api=_GROUP_API,
        create=_create_group,
        read=GROUP.read(_GROUP_API, _describe_group),
        update=_update_group,
        delete=_delete_group,
        find=GROUP.find,
        tagger=ec2.tagger,
        check=(_check_inline,),
    ),
    _rule_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "Ingress"),
    _rule_type("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "Egress"),
)
