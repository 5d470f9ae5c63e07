"""Compute Engine: networks, subnetworks, routers, firewalls, addresses, and what regions and zones offer."""

# ruff: noqa: ARG001 - what completes a body has one signature
from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.bodies import (
    Body,
    digest,
    links,
    merge_patch,
    not_found_message,
    numeric_id,
    timestamp,
    visible,
)
from model_factory.local.clouds.gcp.core import Call, Cloud, Effect, handles, page
from model_factory.local.clouds.gcp.operations import COMPUTE_ROOT, start_compute
from model_factory.local.discovery import Json

IpNetwork = ipaddress.IPv4Network
_PARTIAL_LINK: Final = re.compile(r"(global|regions/[^/]+)/(networks|subnetworks|routers|addresses)/[^/]+")
_NAT_SOURCES: Final = (
    "ALL_SUBNETWORKS_ALL_IP_RANGES",
    "ALL_SUBNETWORKS_ALL_PRIMARY_IP_RANGES",
    "LIST_OF_SUBNETWORKS",
)


@dataclass(frozen=True, slots=True)
class Collection:
    """A kind of compute resource. `complete` fills in and checks a body before it is written (`old` is {} on insert)."""

    name: str
    kind: str
    scope: str
    complete: Callable[[Call, str, Body, Body], Body]
    fingerprinted: bool = False
    patched: bool = True


def parent_of(call: Call, collection: Collection) -> str:
    project = call.parameter("project")
    if collection.scope == "global":
        return f"compute/projects/{project}/global"
    place = call.parameter(collection.scope)
    known = catalogue.REGIONS if collection.scope == "region" else catalogue.ZONES
    if place not in known:
        raise errors.invalid(
            f"Invalid value for field '{collection.scope}': '{place}'. Unknown {collection.scope}.", "invalid"
        )
    return f"compute/projects/{project}/{collection.scope}s/{place}"


def link(key: str) -> str:
    return COMPUTE_ROOT + key.removeprefix("compute/")


def canonical_links(cloud: Cloud, value: Json, own: str) -> Json:
    """Every link to a compute resource in full spelling; one to a resource that is not there, or not ready, is refused."""
    if isinstance(value, str):
        if _PARTIAL_LINK.fullmatch(value):
            value = "/".join([*own.split("/")[1:3], value])
        for key in links(value):
            if key == own or _collection(key) not in COLLECTIONS_BY_NAME:
                return value
            stored = cloud.store.get(key)
            if stored is None:
                raise errors.not_found(not_found_message(key))
            if not stored.ready:
                raise errors.invalid(f"The resource '{key.removeprefix('compute/')}' is not ready", "resourceNotReady")
            return link(key)
        return value
    if isinstance(value, dict):
        return {k: v if k.startswith("selfLink") else canonical_links(cloud, v, own) for k, v in value.items()}
    if isinstance(value, list):
        return [canonical_links(cloud, v, own) for v in value]
    return value


def _collection(key: str) -> str:
    return key.rsplit("/", 2)[1]


# What each kind fills in and checks


def complete_network(call: Call, key: str, body: Body, old: Body) -> Body:
    if "IPv4Range" in body:
        raise errors.invalid("Legacy networks are not supported; set autoCreateSubnetworks.", "invalid")
    automatic = body.setdefault("autoCreateSubnetworks", False)
    if old.get("autoCreateSubnetworks") is False and automatic:
        raise errors.invalid("A custom-mode network cannot be switched to auto mode.", "invalid")
    mtu = body.get("mtu", 1460)
    if not 1300 <= mtu <= 8896:
        raise errors.invalid(f"Invalid value for field 'resource.mtu': '{mtu}'. Must be between 1300 and 8896.")
    body.setdefault("routingConfig", {}).setdefault("routingMode", "REGIONAL")
    body["routingConfig"].setdefault("bgpBestPathSelectionMode", "LEGACY")
    body.setdefault("networkFirewallPolicyEnforcementOrder", "AFTER_CLASSIC_FIREWALL")
    body.pop("subnetworks", None)
    body["selfLinkWithId"] = f"{COMPUTE_ROOT}projects/{call.parameter('project')}/global/networks/{body['id']}"
    return body


def complete_subnetwork(call: Call, key: str, body: Body, old: Body) -> Body:
    network = next(iter(links(body.get("network", ""))), None)
    if network is None:
        raise errors.invalid(
            f"Invalid value for field 'resource.network': '{body.get('network', '')}'. The URL is malformed."
        )
    if not body.get("ipCidrRange"):
        raise errors.invalid("Required field 'resource.ipCidrRange' not specified", "required")
    primary = cidr(body["ipCidrRange"], "resource.ipCidrRange", shortest=4, longest=29)
    if old and not IpNetwork(old["ipCidrRange"]).subnet_of(primary):
        raise errors.invalid(
            f"Invalid IPCidrRange: {primary} does not contain {old['ipCidrRange']}; a range can only grow."
        )
    mine: list[tuple[str, IpNetwork]] = [("primary", primary)]
    for index, secondary in enumerate(body.get("secondaryIpRanges", [])):
        field = f"resource.secondaryIpRanges[{index}]"
        if not secondary.get("rangeName"):
            raise errors.invalid(f"Required field '{field}.rangeName' not specified", "required")
        if any(secondary["rangeName"] == name for name, _ in mine):
            raise errors.invalid(
                f"Invalid value for field '{field}.rangeName': '{secondary['rangeName']}'. It is used twice."
            )
        mine.append((secondary["rangeName"], cidr(secondary.get("ipCidrRange", ""), field, shortest=4, longest=29)))
    _refuse_overlaps(call.cloud, key, network, mine)
    body["region"] = link(key.rsplit("/", 2)[0])
    body["gatewayAddress"] = str(primary.network_address + 1)
    body.setdefault("privateIpGoogleAccess", False)
    body.setdefault("privateIpv6GoogleAccess", "DISABLE_GOOGLE_ACCESS")
    body.setdefault("purpose", "PRIVATE")
    body.setdefault("stackType", "IPV4_ONLY")
    if "logConfig" in body and body["logConfig"].get("enable"):
        body["logConfig"] = {
            "aggregationInterval": "INTERVAL_5_SEC", "flowSampling": 0.5, "metadata": "INCLUDE_ALL_METADATA",
            "filterExpr": "true", **body["logConfig"],
        }  # fmt: skip
    body["enableFlowLogs"] = bool(body.get("logConfig", {}).get("enable", body.get("enableFlowLogs", False)))
    return body


def _refuse_overlaps(cloud: Cloud, key: str, network: str, mine: list[tuple[str, IpNetwork]]) -> None:
    for index, (name, range_) in enumerate(mine):
        for other_name, other in mine[:index]:
            if range_.overlaps(other):
                raise errors.invalid(f"Invalid IPCidrRange: {range_} ({name}) conflicts with {other} ({other_name}).")
    for user in cloud.store.users(network):
        stored = cloud.store.get(user)
        if user == key or stored is None or stored.kind != "compute.subnetworks":
            continue
        theirs = [
            stored.body["ipCidrRange"],
            *(r["ipCidrRange"] for r in stored.body.get("secondaryIpRanges", [])),
        ]
        region = user.split("/")[4]
        for _, range_ in mine:
            if any(range_.overlaps(ipaddress.IPv4Network(other)) for other in theirs):
                raise errors.invalid(
                    f"Invalid IPCidrRange: {range_} conflicts with existing subnetwork '{stored.body['name']}' in region '{region}'."
                )


def cidr(text: str, field: str, *, shortest: int, longest: int) -> IpNetwork:
    """A CIDR range without host bits, between two prefix lengths. Raises ApiError."""
    try:
        network = IpNetwork(text)
    except ValueError as error:
        raise errors.invalid(
            f"Invalid value for field '{field}': '{text}'. Must be a CIDR address range: {error}."
        ) from error
    if "/" not in text or not shortest <= network.prefixlen <= longest:
        raise errors.invalid(
            f"Invalid value for field '{field}': '{text}'. The prefix must be /{shortest} to /{longest}."
        )
    return network


def complete_router(call: Call, key: str, body: Body, old: Body) -> Body:
    if not body.get("network"):
        raise errors.invalid("Required field 'resource.network' not specified", "required")
    body["region"] = link(key.rsplit("/", 2)[0])
    if "bgp" in body:
        body["bgp"] = {"advertiseMode": "DEFAULT", "keepaliveInterval": 20, **body["bgp"]}
    names: set[str] = set()
    for index, nat in enumerate(body.get("nats", [])):
        field = f"resource.nats[{index}]"
        if not nat.get("name"):
            raise errors.invalid(f"Required field '{field}.name' not specified", "required")
        if nat["name"] in names:
            raise errors.invalid(f"Invalid value for field '{field}.name': '{nat['name']}'. NAT names must be unique.")
        names.add(nat["name"])
        source = nat.get("sourceSubnetworkIpRangesToNat")
        if source not in _NAT_SOURCES:
            raise errors.invalid(f"Required field '{field}.sourceSubnetworkIpRangesToNat' not specified", "required")
        if (source == "LIST_OF_SUBNETWORKS") != bool(nat.get("subnetworks")):
            raise errors.invalid(
                f"Invalid value for field '{field}.subnetworks': they go with LIST_OF_SUBNETWORKS, and only with it."
            )
        option = nat.setdefault("natIpAllocateOption", "MANUAL_ONLY" if nat.get("natIps") else "AUTO_ONLY")
        if (option == "MANUAL_ONLY") != bool(nat.get("natIps")):
            raise errors.invalid(
                f"Invalid value for field '{field}.natIps': they go with MANUAL_ONLY, and only with it."
            )
        nat.setdefault("type", "PUBLIC")
        nat.setdefault("endpointTypes", ["ENDPOINT_TYPE_VM"])
        nat.setdefault("enableEndpointIndependentMapping", False)
        nat.setdefault("autoNetworkTier", "PREMIUM")
    return body


def complete_firewall(call: Call, key: str, body: Body, old: Body) -> Body:
    if bool(body.get("allowed")) == bool(body.get("denied")):
        raise errors.invalid("Exactly one of 'allowed' and 'denied' must be specified.", "invalid")
    direction = body.setdefault("direction", "INGRESS")
    if old and old["direction"] != direction:
        raise errors.invalid("Invalid value for field 'resource.direction': it cannot be changed.")
    sources = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
    if direction == "INGRESS" and body.get("destinationRanges") and not any(body.get(s) for s in sources):
        body["sourceRanges"] = ["0.0.0.0/0"]
    if direction == "INGRESS" and not any(body.get(s) for s in sources):
        body["sourceRanges"] = ["0.0.0.0/0"]
    if direction == "EGRESS" and any(body.get(s) for s in ("sourceTags", "sourceServiceAccounts")):
        raise errors.invalid("Source tags and service accounts do not go with direction EGRESS.", "invalid")
    if direction == "EGRESS" and not body.get("destinationRanges"):
        body["destinationRanges"] = ["0.0.0.0/0"]
    for name in ("sourceRanges", "destinationRanges"):
        for range_ in body.get(name, []):
            try:
                ipaddress.ip_network(range_)
            except ValueError as error:
                raise errors.invalid(f"Invalid value for field 'resource.{name}': '{range_}'. {error}.") from error
    for rule in [*body.get("allowed", []), *body.get("denied", [])]:
        for port in rule.get("ports", []):
            if not re.fullmatch(r"\d{1,5}(-\d{1,5})?", port):
                raise errors.invalid(
                    f"Invalid value for field 'resource.allowed.ports': '{port}'. Must be a port or a range."
                )
    body.setdefault("priority", 1000)
    body.setdefault("disabled", False)
    body.setdefault("logConfig", {"enable": False})
    if not body.get("network"):
        body["network"] = f"projects/{call.parameter('project')}/global/networks/default"
    return body


def complete_address(call: Call, key: str, body: Body, old: Body) -> Body:
    body.setdefault("addressType", "EXTERNAL")
    if "/regions/" in key:
        body["region"] = link(key.rsplit("/", 2)[0])
    if "address" not in body:
        block = int(body["id"]) % 65536
        prefix = "10.200" if body["addressType"] == "INTERNAL" else "203.0"
        body["address"] = f"{prefix}.{block // 256}.{block % 256}"
    body.setdefault("ipVersion", "IPV4")
    body.setdefault("networkTier", "PREMIUM")
    body.setdefault("status", "RESERVED")
    body.setdefault("labelFingerprint", digest(body.get("labels", {})))
    return body


COLLECTIONS: Final = (
    Collection("networks", "compute#network", "global", complete_network),
    Collection("subnetworks", "compute#subnetwork", "region", complete_subnetwork, fingerprinted=True),
    Collection("routers", "compute#router", "region", complete_router),
    Collection("firewalls", "compute#firewall", "global", complete_firewall),
    Collection("addresses", "compute#address", "region", complete_address, patched=False),
    Collection("globalAddresses", "compute#address", "global", complete_address, patched=False),
)
COLLECTIONS_BY_NAME: Final[Mapping[str, Collection]] = {
    **{c.name: c for c in COLLECTIONS},
    "addresses": COLLECTIONS[4],
}


def _path_name(collection: Collection) -> str:
    return "addresses" if collection.name == "globalAddresses" else collection.name


# The generic methods


def _register(collection: Collection) -> None:
    prefix = f"compute.{collection.name}"
    parameter = {
        "networks": "network",
        "subnetworks": "subnetwork",
        "routers": "router",
        "firewalls": "firewall",
    }.get(collection.name, "address")
    kind = f"compute.{collection.name}"

    def place(call: Call) -> str:
        return f"{parent_of(call, collection)}/{_path_name(collection)}"

    def insert(call: Call) -> Body:
        body = dict(call.body)
        name = body.get("name")
        if not name:
            raise errors.invalid("Required field 'resource.name' not specified", "required")
        if not re.fullmatch(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?", name):
            raise errors.invalid(
                f"Invalid value for field 'resource.name': '{name}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{{0,61}}[a-z0-9])?)'"
            )
        key = f"{place(call)}/{name}"
        if call.cloud.store.get(key) is not None:
            raise errors.exists(f"The resource '{key.removeprefix('compute/')}' already exists")
        now = timestamp(call.cloud.clock())
        body |= {
            "kind": collection.kind,
            "id": numeric_id(key, now),
            "creationTimestamp": now,
            "selfLink": link(key),
        }
        completed = _complete(call, collection, key, body, {})
        _write(call, collection, key, completed, ready=False)
        made = [key]
        if collection.name == "networks" and completed["autoCreateSubnetworks"]:
            made += create_automatic_subnetworks(call, key, now)
        return start_compute(call, "insert", key, Effect(merge={key: {}}), Effect(remove=tuple(made)))

    def get(call: Call) -> Body:
        return shown(call.cloud, call.cloud.require(f"{place(call)}/{call.parameter(parameter)}").body)

    def list_(call: Call) -> Body:
        parent = place(call)
        found = call.cloud.store.children(parent.rsplit("/", 1)[0], kind)
        items = [shown(call.cloud, stored.body) for stored in found]
        return {"kind": f"{collection.kind}List", **page(call, items, "items")}

    def delete(call: Call) -> Body:
        key = f"{place(call)}/{call.parameter(parameter)}"
        call.cloud.require(key)
        removed = [key]
        for user in call.cloud.store.users(key):
            stored = call.cloud.store.get(user)
            if stored is not None and stored.body.get("_automatic"):
                _refuse_in_use(user, call.cloud.store.users(user))
                removed.append(user)
            elif stored is not None:
                _refuse_in_use(key, [user])
        return start_compute(call, "delete", key, Effect(remove=tuple(removed)), Effect())

    def change(call: Call) -> Body:
        key = f"{place(call)}/{call.parameter(parameter)}"
        stored = call.cloud.require(key)
        if not stored.ready:
            raise errors.invalid(f"The resource '{key.removeprefix('compute/')}' is not ready", "resourceNotReady")
        check_fingerprint(collection, call.body, stored.body)
        replaced = call.method.endswith(".update")
        kept = {k: stored.body[k] for k in ("id", "kind", "name", "creationTimestamp", "selfLink")}
        body = {**call.body, **kept} if replaced else merge_patch(stored.body, {**call.body, **kept})
        completed = _complete(call, collection, key, body, stored.body)
        _write(call, collection, key, completed, ready=True)
        return start_compute(call, "update" if replaced else "patch", key, Effect(), Effect())

    handles(f"{prefix}.insert")(insert)
    handles(f"{prefix}.get")(get)
    handles(f"{prefix}.list")(list_)
    handles(f"{prefix}.delete")(delete)
    if collection.patched:
        handles(f"{prefix}.patch", f"{prefix}.update")(change)


def _complete(call: Call, collection: Collection, key: str, body: Body, old: Body) -> Body:
    body = canonical_links(call.cloud, body, key)
    return canonical_links(call.cloud, collection.complete(call, key, body, old), key)


def _write(call: Call, collection: Collection, key: str, body: Body, *, ready: bool) -> None:
    if collection.fingerprinted:
        body["fingerprint"] = fingerprint_of(body)
    call.cloud.put(key, f"compute.{collection.name}", body, ready=ready)


def fingerprint_of(body: Body) -> str:
    return digest({k: v for k, v in visible(body).items() if k != "fingerprint"})


def check_fingerprint(collection: Collection, given: Body, current: Body) -> None:
    if collection.fingerprinted and given.get("fingerprint") != current.get("fingerprint"):
        message = (
            "Invalid fingerprint."
            if given.get("fingerprint")
            else "Required field 'resource.fingerprint' not specified"
        )
        raise errors.mismatch(message) if given.get("fingerprint") else errors.invalid(message, "required")


def _refuse_in_use(key: str, users: Iterable[str]) -> None:
    user = next(iter(users), None)
    if user is not None:
        raise errors.invalid(
            f"The {_collection(key).removesuffix('s')} resource '{key.removeprefix('compute/')}' is already being used by "
            f"'{user.partition('/')[2]}'",
            "resourceInUseByAnotherResource",
        )


def shown(cloud: Cloud, body: Body) -> Body:
    """The body as an answer has it: a network with its subnetworks, without the emulation's own fields."""
    result = visible(body)
    if body.get("kind") == "compute#network":
        key = next(iter(links(body["selfLink"])))
        subnetworks = [link(user) for user in cloud.store.users(key) if "/subnetworks/" in user]
        if subnetworks:
            result["subnetworks"] = subnetworks
    if body.get("kind") == "compute#address":
        users = cloud.store.users(next(iter(links(body["selfLink"]))))
        if users:
            result |= {"users": [link(user) for user in users], "status": "IN_USE"}
    return result


def create_automatic_subnetworks(call: Call, network: str, now: str) -> list[str]:
    """One /20 a region out of 10.128.0.0/9, named as the network. Returns their keys."""
    keys: list[str] = []
    project = call.parameter("project")
    name = network.rpartition("/")[2]
    blocks = ipaddress.IPv4Network("10.128.0.0/9").subnets(new_prefix=20)
    for region, block in zip(catalogue.REGIONS, blocks, strict=False):
        key = f"compute/projects/{project}/regions/{region}/subnetworks/{name}"
        body: Body = {
            "kind": "compute#subnetwork", "id": numeric_id(key, now), "creationTimestamp": now, "selfLink": link(key), "name": name,
            "network": link(network), "ipCidrRange": str(block), "region": link(key.rsplit("/", 2)[0]), "purpose": "PRIVATE",
            "gatewayAddress": str(block.network_address + 1), "privateIpGoogleAccess": False, "stackType": "IPV4_ONLY",
            "enableFlowLogs": False, "_automatic": True,
        }  # fmt: skip
        body["fingerprint"] = fingerprint_of(body)
        call.cloud.put(key, "compute.subnetworks", body)
        keys.append(key)
    return keys


for _each in COLLECTIONS:
    _register(_each)


# Custom verbs


def _subnetwork(call: Call) -> tuple[str, Body]:
    key = f"compute/projects/{call.parameter('project')}/regions/{call.parameter('region')}/subnetworks/{call.parameter('subnetwork')}"
    return key, dict(call.cloud.require(key).body)


@handles("compute.subnetworks.expandIpCidrRange")
def expand_range(call: Call) -> Body:
    key, old = _subnetwork(call)
    body = complete_subnetwork(call, key, {**old, "ipCidrRange": call.body.get("ipCidrRange", "")}, old)
    _write(call, COLLECTIONS_BY_NAME["subnetworks"], key, body, ready=True)
    return start_compute(call, "expandIpCidrRange", key, Effect(), Effect())


@handles("compute.subnetworks.setPrivateIpGoogleAccess")
def set_private_access(call: Call) -> Body:
    key, old = _subnetwork(call)
    body = {**old, "privateIpGoogleAccess": call.body.get("privateIpGoogleAccess", False)}
    _write(call, COLLECTIONS_BY_NAME["subnetworks"], key, body, ready=True)
    return start_compute(call, "setPrivateIpGoogleAccess", key, Effect(), Effect())
