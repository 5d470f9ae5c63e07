"""Networks, subnetworks, routers with their NATs, firewalls."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import re
from collections.abc import Iterable
from typing import Any, Final

from model_factory.local.discovery import Json
from model_factory.local.providers.base import Call, ResourceType, Update, inputs_still_there
from model_factory.local.providers.diff import Change
from model_factory.local.providers.errors import CloudError, Failure, NotFoundError
from model_factory.local.providers.gcp import checks
from model_factory.local.providers.gcp.declare import (
    OURS,
    Api,
    changed,
    declare,
    id_of,
    named_parts,
    patch,
    rules_of,
    schema_failures,
    settle,
)  # fmt: skip
from model_factory.local.providers.gcp.session import Body, Gcp, finish, patiently
from model_factory.local.providers.gcp.shapes import (
    Field,
    Shape,
    fill_silent,
    from_api,
    outputs,
    same,
    to_api,
    unknown_properties,
)
from model_factory.local.providers.naming import AutoName
from model_factory.local.providers.values import objects, text
from model_factory.local.wire import Properties, Value

NAME: Final = AutoName("name", max_length=63)
NAME_CHECK: Final = checks.pattern(
    "name",
    checks.COMPUTE_NAME,
    "use lowercase letters, digits and hyphens, a letter first, at most 63 characters",
)


def same_link(old: Value, new: Value) -> bool:
    """Whether two spellings name the same object: a link, a relative name, or the bare name."""
    one, other = _relative(old), _relative(new)
    if "/" in one and "/" in other:
        return one == other
    return one.rpartition("/")[2] == other.rpartition("/")[2]


def _relative(value: Value) -> str:
    return re.sub(r"^https?://[^/]+/(compute/(v1|beta)/)?", "", str(value))


def _api(
    methods: str,
    schema: str,
    parameter: str,
    shape: Shape,
    *,
    regional: bool,
    ours: frozenset[str] = frozenset(),
    fingerprinted: bool = False,
) -> Api:
    place = "regions/{region}" if regional else "global"

    def parent(parts: Any) -> dict[str, str]:
        return {key: parts[key] for key in ("project", "region") if key in parts}

    template = f"projects/{{project}}/{place}/{methods.partition('.')[2]}/{{name}}"

    def parameters(object_id: str) -> dict[str, str]:
        steps = object_id.split("/")
        found = {"project": steps[1], parameter: steps[-1]}
        return {**found, "region": steps[3]} if regional else found

    return Api(
        methods=methods, schema=schema, shape=shape, id_template=template, parameters=parameters, parent=parent, make="insert",
        ours=ours, fingerprinted=fingerprinted,
    )  # fmt: skip


# Network

_NETWORK = _api(
    "compute.networks",
    "Network",
    "network",
    (
        *same(
            "name", "description", "autoCreateSubnetworks", "mtu", "enableUlaInternalIpv6", "internalIpv6Range",
            "networkFirewallPolicyEnforcementOrder", "networkProfile",
        ),
        Field("routingMode", "routingConfig.routingMode"),
        Field("bgpBestPathSelectionMode", "routingConfig.bgpBestPathSelectionMode"),
        Field("bgpAlwaysCompareMed", "routingConfig.bgpAlwaysCompareMed"),
        Field("bgpInterRegionCost", "routingConfig.bgpInterRegionCost"),
        Field("gatewayIpv4", "gatewayIPv4", output=True),
        Field("networkId", "id", output=True),
        Field("numericId", "id", output=True),
        *outputs("selfLink"),
    ),
    regional=False,
    ours=frozenset({"deleteDefaultRoutesOnCreate", "deleteBgpAlwaysCompareMed"}),
)  # fmt: skip
NETWORK: Final = declare(
    "gcp:compute/network:Network",
    _NETWORK,
    name=NAME,
    check=(
        NAME_CHECK,
        checks.refuse(
            "deleteDefaultRoutesOnCreate",
            False,
            "the local provider cannot delete a network's default routes",
        ),
    ),
)

# Subnetwork

_SUBNETWORK = _api(
    "compute.subnetworks",
    "Subnetwork",
    "subnetwork",
    (
        *same(
            "name", "description", "network", "region", "ipCidrRange", "privateIpGoogleAccess", "privateIpv6GoogleAccess", "purpose",
            "role", "stackType", "ipv6AccessType", "reservedInternalRange", "allowSubnetCidrRoutesOverlap", "externalIpv6Prefix",
            "internalIpv6Prefix", "ipCollection", "resolveSubnetMask",
        ),
        Field("secondaryIpRanges", fields=same("rangeName", "ipCidrRange", "reservedInternalRange")),
        Field(
            "logConfig",
            fields=same("aggregationInterval", "flowSampling", "metadata", "metadataFields", "filterExpr"),
            extra=(("enable", True),),
        ),
        Field("subnetworkId", "id", back=int, output=True),
        *outputs("creationTimestamp", "gatewayAddress", "selfLink", "ipv6CidrRange", "ipv6GceEndpoint", "state", "fingerprint"),
    ),
    regional=True,
    ours=frozenset({"sendSecondaryIpRangeIfEmpty"}),
    fingerprinted=True,
)  # fmt: skip


def _complete_subnetwork(_call: Call[Gcp], _id: str, _inputs: Properties, found: Properties, body: Body) -> Properties:
    found = {**found, "region": str(found["region"]).rpartition("/")[2]}
    if not body.get("enableFlowLogs") and "logConfig" in found:
        del found["logConfig"]
    return {key: value for key, value in found.items() if key != "fingerprint"}


def _update_subnetwork(call: Call[Gcp], change: Update) -> None:
    apart = {"ipCidrRange": "expandIpCidrRange", "privateIpGoogleAccess": "setPrivateIpGoogleAccess"}
    for name, verb in apart.items():
        if changed(change, name):
            method, body = f"compute.subnetworks.{verb}", {name: change.new.get(name, False)}
            answer = call.cloud.call(method, body=body, **_SUBNETWORK.parameters(change.id))
            settle(call, _SUBNETWORK, answer, change.id, method)
    # One field a patch: Compute refuses to change the log configuration and the ranges together.
    for each in _SUBNETWORK.shape:
        if not each.output and each.name not in apart and changed(change, each.name):
            if each.name == "logConfig" and "logConfig" not in change.new:
                change.new["logConfig"] = {"enable": False}
            patch(call, _SUBNETWORK, change, [each.name])


def _check_ranges(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
    """A subnet's ranges lie apart, and each secondary one has a name of its own: https://cloud.google.com/vpc/docs/subnets#ipv4-ranges"""
    ranges = [("ipCidrRange", inputs.get("ipCidrRange"))]
    names: set[str] = set()
    for index, each in enumerate(objects(inputs, "secondaryIpRanges")):
        name = text(each, "rangeName")
        if name in names:
            yield Failure(f"secondaryIpRanges[{index}].rangeName", f"{name!r} names another range, too; rename one")
        names.add(name)
        ranges.append((f"secondaryIpRanges[{index}].ipCidrRange", each.get("ipCidrRange")))
    for (_, one), (path, other) in itertools.combinations(ranges, 2):
        if isinstance(one, str) and isinstance(other, str) and _overlap(one, other):
            yield Failure(path, f"{other} overlaps {one} of the same subnet; use ranges apart")


def _overlap(one: str, other: str) -> bool:
    try:
        return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))
    except ValueError:  # its own check tells
        return False


def _refine_subnetwork(_olds: Properties, _news: Properties, changes: list[Change]) -> list[Change]:
    """A range grows in place, and is replaced by any that does not hold it: https://cloud.google.com/vpc/docs/subnets#expand-subnet"""
    return [
        dataclasses.replace(change, replaces=True) if change.path == ("ipCidrRange",) and not _grows(change) else change
        for change in changes
    ]


def _grows(change: Change) -> bool:
    try:
        return ipaddress.IPv4Network(str(change.old)).subnet_of(ipaddress.IPv4Network(str(change.new)))
    except ValueError:  # not known yet
        return True


SUBNETWORK: Final = declare(
    "gcp:compute/subnetwork:Subnetwork",
    _SUBNETWORK,
    name=NAME,
    update=_update_subnetwork,
    refine=_refine_subnetwork,
    complete=_complete_subnetwork,
    equivalent={"network": same_link, "region": same_link},
    check=(
        NAME_CHECK,
        checks.cidr("ipCidrRange", shortest=4, longest=29),
        checks.cidr("secondaryIpRanges[*].ipCidrRange", shortest=4, longest=29),
        _check_ranges,
    ),
)

# Router

_ROUTER = _api(
    "compute.routers",
    "Router",
    "router",
    (
        *same("name", "description", "network", "region", "encryptedInterconnectRouter", "nccGateway"),
        Field(
            "bgp",
            fields=(
                *same("asn", "advertiseMode", "advertisedGroups", "keepaliveInterval", "identifierRange"),
                Field("advertisedIpRanges", fields=same("range", "description")),
            ),
        ),
        *outputs("creationTimestamp", "selfLink"),
    ),
    regional=True,
)


def _complete_router(_call: Call[Gcp], _id: str, _inputs: Properties, found: Properties, _body: Body) -> Properties:
    return {**found, "region": str(found["region"]).rpartition("/")[2]}


ROUTER: Final = declare(
    "gcp:compute/router:Router",
    _ROUTER,
    name=NAME,
    complete=_complete_router,
    equivalent={"network": same_link, "region": same_link},
    check=(NAME_CHECK,),
)

# Firewall


def _log_config(value: Any) -> Json:
    return {"enable": True, **value}


def _from_log_config(value: Any) -> Value:
    return {key: item for key, item in value.items() if key == "metadata"} if value.get("enable") else None


_PORTS: Final = (Field("protocol", "IPProtocol"), *same("ports"))
_FIREWALL = _api(
    "compute.firewalls",
    "Firewall",
    "firewall",
    (
        *same(
            "name", "description", "network", "direction", "priority", "disabled", "sourceRanges", "destinationRanges", "sourceTags",
            "targetTags", "sourceServiceAccounts", "targetServiceAccounts",
        ),
        Field("allows", "allowed", fields=_PORTS),
        Field("denies", "denied", fields=_PORTS),
        Field("logConfig", to=_log_config, back=_from_log_config),
        *outputs("creationTimestamp", "selfLink"),
    ),
    regional=False,
)  # fmt: skip


def _update_firewall(call: Call[Gcp], change: Update) -> None:
    names = [f.name for f in _FIREWALL.shape if not f.output and changed(change, f.name)]
    if "logConfig" in names and "logConfig" not in change.new:
        method = "compute.firewalls.patch"
        body = {"name": change.new["name"], "logConfig": {"enable": False}}
        answer = call.cloud.call(method, body=body, **_FIREWALL.parameters(change.id))
        settle(call, _FIREWALL, answer, change.id, method)
        names.remove("logConfig")
    if names:
        # Google's model requires the name in a patch of a firewall.
        patch(call, _FIREWALL, change, [*names, "name"])


_WITH_PORTS: Final = ("tcp", "udp", "sctp", "6", "17", "132")
_UNORDERED_FIREWALL: Final = (
    "allows", "denies", "allows[*].ports", "denies[*].ports", "sourceRanges", "destinationRanges", "sourceTags", "targetTags",
    "sourceServiceAccounts", "targetServiceAccounts",
)  # fmt: skip


def _one_action(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
    for action in ("allows", "denies"):
        for index, each in enumerate(objects(inputs, action)):
            protocol = text(each, "protocol").lower()
            if each.get("ports") and protocol not in _WITH_PORTS and protocol:
                yield Failure(f"{action}[{index}].ports", f"given, but {protocol} has no ports; leave them out")
    if bool(inputs.get("allows")) == bool(inputs.get("denies")):
        yield Failure("allows", "exactly one of allows and denies must be given")


FIREWALL: Final = declare(
    "gcp:compute/firewall:Firewall",
    _FIREWALL,
    name=NAME,
    update=_update_firewall,
    equivalent={"network": same_link},
    unordered=_UNORDERED_FIREWALL,
    check=(NAME_CHECK, _one_action, checks.cidr("sourceRanges[*]"), checks.cidr("destinationRanges[*]")),
)

# NAT of a router: an item of the router's list

_NAT_SHAPE: Final[Shape] = (
    *same(
        "name", "natIpAllocateOption", "natIps", "drainNatIps", "sourceSubnetworkIpRangesToNat", "sourceSubnetworkIpRangesToNat64",
        "minPortsPerVm", "maxPortsPerVm", "enableDynamicPortAllocation", "enableEndpointIndependentMapping", "icmpIdleTimeoutSec",
        "tcpEstablishedIdleTimeoutSec", "tcpTransitoryIdleTimeoutSec", "tcpTimeWaitTimeoutSec", "udpIdleTimeoutSec", "type",
        "endpointTypes", "autoNetworkTier",
    ),
    Field("logConfig", fields=same("enable", "filter")),
    Field("subnetworks", fields=(*same("name", "secondaryIpRangeNames"), Field("sourceIpRangesToNats", "sourceIpRangesToNat"))),
)  # fmt: skip
_NAT: Final = Api(
    methods="compute.routers",
    schema="RouterNat",
    shape=_NAT_SHAPE,
    id_template="{project}/{region}/{router}/{name}",
    parameters=lambda object_id: dict(zip(("project", "region", "router"), object_id.split("/"), strict=False)),
    parent=lambda parts: {key: parts[key] for key in ("project", "region", "router")},
    make="patch",
)
_NAT_TYPE: Final = "gcp:compute/routerNat:RouterNat"


def _change_nats(call: Call[Gcp], object_id: str, message: Body | None) -> Body:
    """Put one NAT into its router's list, or take it out (None). Only one thread writes a router at a time."""
    where = _NAT.parameters(object_id)
    name = object_id.rpartition("/")[2]
    with call.cloud.exclusive("/".join(object_id.split("/")[:3])):
        nats: list[Body] = call.cloud.call("compute.routers.get", **where).get("nats", [])
        others = [nat for nat in nats if nat["name"] != name]
        wanted = others if message is None else [*others, message]
        answer = patiently(call, "compute.routers.patch", body={"nats": wanted}, **where)
        call.created(object_id)
        finish(call, "compute", answer, method="compute.routers.patch")
        return answer


def _create_nat(call: Call[Gcp], inputs: Properties) -> str:
    object_id = id_of(_NAT, call.cloud, inputs)
    existing = _find_nat(call, object_id)
    if existing is not None:
        raise CloudError(cloud="gcp", operation="compute.routers.patch", code="alreadyExists", message=f"router has a NAT {existing['name']!r} already", status=409)  # fmt: skip
    _change_nats(call, object_id, to_api(_NAT_SHAPE, inputs))
    return object_id


def _find_nat(call: Call[Gcp], object_id: str) -> Body | None:
    router = call.cloud.call("compute.routers.get", **_NAT.parameters(object_id))
    name = object_id.rpartition("/")[2]
    return next((nat for nat in router.get("nats", []) if nat["name"] == name), None)


def _read_nat(call: Call[Gcp], object_id: str, inputs: Properties) -> Properties | None:
    try:
        nat = _find_nat(call, object_id)
    except NotFoundError:
        return None
    if nat is None:
        return None
    found = {**named_parts(_NAT, object_id), **from_api(_NAT_SHAPE, nat)}
    filled = fill_silent({k: v for k, v in inputs.items() if k not in OURS}, found)
    # Google does not repeat time-outs that have their usual values.
    silent = {k: v for k, v in inputs.items() if k.endswith("TimeoutSec") and k not in found}
    return {**(filled if isinstance(filled, dict) else found), **silent}


def _update_nat(call: Call[Gcp], change: Update) -> None:
    _change_nats(call, change.id, to_api(_NAT_SHAPE, change.new))


def _check_nat(cloud: Gcp, inputs: Properties) -> Any:
    known = {key: value for key, value in inputs.items() if key not in OURS}
    extra = (*_NAT_SHAPE, *same("project", "region", "router"))
    yield from unknown_properties(extra, known, _NAT_TYPE)
    yield from schema_failures(cloud, _NAT, known)
    yield from NAME_CHECK(cloud, inputs)
    if text(inputs, "sourceSubnetworkIpRangesToNat") == "LIST_OF_SUBNETWORKS" and not objects(inputs, "subnetworks"):
        yield Failure("subnetworks", "missing; LIST_OF_SUBNETWORKS needs the list")


def _look_for_nat(call: Call[Gcp], inputs: Properties) -> str | None:
    object_id = id_of(_NAT, call.cloud, inputs)
    return object_id if _find_nat(call, object_id) else None


def _delete_nat(call: Call[Gcp], object_id: str, _state: Properties) -> None:
    _change_nats(call, object_id, None)


ROUTER_NAT: Final = ResourceType[Gcp](
    token=_NAT_TYPE,
    create=_create_nat,
    read=_read_nat,
    update=_update_nat,
    delete=_delete_nat,
    find=_look_for_nat,
    repeatable=True,
    check=_check_nat,
    inputs_of=inputs_still_there,
    rules=rules_of(_NAT_TYPE, NAME),
)

TYPES: Final = (NETWORK, SUBNETWORK, ROUTER, FIREWALL, ROUTER_NAT)
