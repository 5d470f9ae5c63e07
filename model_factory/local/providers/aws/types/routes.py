"""Route tables, routes and associations."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final, cast

from model_factory.local.providers.aws import checks
from model_factory.local.providers.aws.declare import declare, deletes
from model_factory.local.providers.aws.session import Aws
from model_factory.local.providers.aws.shapes import Api
from model_factory.local.providers.aws.types import ec2
from model_factory.local.providers.base import Call, Update
from model_factory.local.providers.values import objects, text, texts
from model_factory.local.wire import Properties, Value

TABLE: Final = ec2.Kind.named("route-table", "RouteTable")

_DESTINATIONS: Final = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
_TARGETS: Final = (
    "carrierGatewayId",
    "coreNetworkArn",
    "egressOnlyGatewayId",
    "gatewayId",
    "localGatewayId",
    "natGatewayId",
    "networkInterfaceId",
    "odbNetworkArn",
    "transitGatewayId",
    "vpcEndpointId",
    "vpcPeeringConnectionId",
)
_ROUTE_API: Final = Api("ec2", "CreateRoute", names={"egressOnlyGatewayId": "EgressOnlyInternetGatewayId"})
_TABLE_API: Final = Api("ec2", "CreateRouteTable", ours=frozenset({"routes", "propagatingVgws"}))
_ASSOCIATION_API: Final = Api("ec2", "AssociateRouteTable")

# A route written inside a table names its destination otherwise than a route of its own.
_INLINE: Final = {"cidrBlock": "destinationCidrBlock", "ipv6CidrBlock": "destinationIpv6CidrBlock"}


def _create_table(call: Call[Aws], inputs: Properties) -> str:
    table_id = TABLE.create(call, _TABLE_API, inputs)
    _set_routes(call, table_id, [], objects(inputs, "routes"))
    for gateway in texts(inputs, "propagatingVgws"):
        call.cloud.call("ec2", "EnableVgwRoutePropagation", RouteTableId=table_id, GatewayId=gateway)
    return table_id


def _describe_table(call: Call[Aws], table: dict[str, Any], inputs: Properties) -> Properties:
    inline = [
        _inline(_route_properties(call.cloud, route))
        for route in cast("list[dict[str, Any]]", table.get("Routes", []))
        if route.get("GatewayId") != "local" and route.get("Origin") != "EnableVgwRoutePropagation"
    ]
    return {
        "ownerId": table.get("OwnerId") or call.cloud.account_id,
        "arn": ec2.arn(call, f"route-table/{table['RouteTableId']}", table),
        # Without routes of its own, a table leaves them to Route resources: theirs are no drift.
        "routes": inline if "routes" in inputs else [],
        "propagatingVgws": [item["GatewayId"] for item in table.get("PropagatingVgws", [])],
    }


def _inline(route: Properties) -> Value:
    back = {full: short for short, full in _INLINE.items()}
    return {back.get(key, key): value for key, value in route.items() if key in (*_DESTINATIONS, *_TARGETS)}


def _update_table(call: Call[Aws], change: Update) -> None:
    if change.changed("routes"):
        _set_routes(call, change.id, objects(change.old, "routes"), objects(change.new, "routes"))
    have, want = set(texts(change.old, "propagatingVgws")), set(texts(change.new, "propagatingVgws"))
    for gateway in sorted(have - want):
        call.cloud.call("ec2", "DisableVgwRoutePropagation", RouteTableId=change.id, GatewayId=gateway)
    for gateway in sorted(want - have):
        call.cloud.call("ec2", "EnableVgwRoutePropagation", RouteTableId=change.id, GatewayId=gateway)


def _set_routes(call: Call[Aws], table_id: str, have: list[Properties], want: list[Properties]) -> None:
    old = {_destination(route): route for route in map(_full, have)}
    new = {_destination(route): route for route in map(_full, want)}
    for destination in old.keys() - new.keys():
        call.cloud.call(
            "ec2", "DeleteRoute", RouteTableId=table_id, **_destination_member(call.cloud, old[destination])
        )
    for destination, route in new.items():
        request = _ROUTE_API.request(call.cloud, {**route, "routeTableId": table_id})
        if destination not in old:
            call.cloud.call("ec2", "CreateRoute", **request)
        elif old[destination] != route:
            call.cloud.call("ec2", "ReplaceRoute", **request)


def _full(route: Properties) -> Properties:
    return {_INLINE.get(key, key): value for key, value in route.items() if value not in (None, "")}


def _destination(route: Properties) -> str:
    return next((text(route, key) for key in _DESTINATIONS if text(route, key)), "")


def _destination_member(aws: Aws, route: Properties) -> dict[str, Any]:
    return _ROUTE_API.request(aws, {key: route[key] for key in _DESTINATIONS if text(route, key)})


def _route_id(inputs: Properties) -> str:
    return f"r-{text(inputs, 'routeTableId')}{zlib.crc32(_destination(inputs).encode())}"


def _create_route(call: Call[Aws], inputs: Properties) -> None:
    call.cloud.call("ec2", "CreateRoute", **_ROUTE_API.request(call.cloud, inputs))


def _read_route(call: Call[Aws], _route_id: str, inputs: Properties) -> Properties | None:
    table = TABLE.one(call.cloud, text(inputs, "routeTableId"))
    for route in cast("list[dict[str, Any]]", (table or {}).get("Routes", [])):
        properties = _route_properties(call.cloud, route)
        if _destination(properties) == _destination(inputs):
            return {**properties, "routeTableId": inputs["routeTableId"]}
    return None


def _route_properties(aws: Aws, route: Mapping[str, Any]) -> Properties:
    everything = _ROUTE_API.properties(aws, route, "Route")
    found: Properties = {key: value for key, value in everything.items() if value != ""}
    # AWS shows a VPC endpoint's route, and only that, under its gateway.
    gateway = text(found, "gatewayId")
    if gateway.startswith("vpce-"):
        found["vpcEndpointId"] = found.pop("gatewayId")
    return found


def _update_route(call: Call[Aws], change: Update) -> None:
    if change.changed(*_TARGETS):
        call.cloud.call("ec2", "ReplaceRoute", **_ROUTE_API.request(call.cloud, change.new))


def _delete_route(call: Call[Aws], _route_id: str, state: Properties) -> None:
    table = text(state, "routeTableId")
    call.cloud.call("ec2", "DeleteRoute", RouteTableId=table, **_destination_member(call.cloud, state))


def _associate(call: Call[Aws], inputs: Properties) -> str:
    request = _ASSOCIATION_API.request(call.cloud, inputs)
    return str(call.cloud.call("ec2", "AssociateRouteTable", **request)["AssociationId"])


def _associations(call: Call[Aws], filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    tables = call.cloud.all("ec2", "DescribeRouteTables", "RouteTables", Filters=filters)
    return [item for table in tables for item in table.get("Associations", [])]


def _association(call: Call[Aws], association_id: str, inputs: Properties) -> dict[str, Any] | None:
    """An association by its id or, as a replaced table gives it a new id, by its subnet or gateway: each has but one."""
    filters = [{"Name": "association.route-table-association-id", "Values": [association_id]}]
    found = [item for item in _associations(call, filters) if item["RouteTableAssociationId"] == association_id]
    subnet, gateway = text(inputs, "subnetId"), text(inputs, "gatewayId")
    if not found and subnet:
        found = _associations(call, [{"Name": "association.subnet-id", "Values": [subnet]}])
    elif not found and gateway:
        found = _associations(call, [])
    joined = (item for item in found if (item.get("SubnetId") or "", item.get("GatewayId") or "") == (subnet, gateway))
    return next(joined, None) if subnet or gateway else next(iter(found), None)


def _read_association(call: Call[Aws], association_id: str, inputs: Properties) -> Properties | None:
    found = _association(call, association_id, inputs)
    return _ASSOCIATION_API.properties(call.cloud, found, "RouteTableAssociation") if found else None


def _find_association(call: Call[Aws], inputs: Properties) -> str | None:
    found = _association(call, "", inputs)
    same_table = found is not None and found["RouteTableId"] == inputs["routeTableId"]
    return str(found["RouteTableAssociationId"]) if found and same_table else None


def _update_association(call: Call[Aws], change: Update) -> str | None:
    if not change.changed("routeTableId"):
        return None
    present = _association(call, change.id, change.old_inputs)
    answer = call.cloud.call(
        "ec2",
        "ReplaceRouteTableAssociation",
        AssociationId=present["RouteTableAssociationId"] if present else change.id,
        RouteTableId=change.new["routeTableId"],
    )
    return str(answer["NewAssociationId"])


def _disassociate(call: Call[Aws], association_id: str, state: Properties) -> None:
    present = _association(call, association_id, state)
    if present:
        association_id = str(present["RouteTableAssociationId"])
        call.cloud.call("ec2", "DisassociateRouteTable", AssociationId=association_id)


TYPES: Final = (
    declare(
        "aws:ec2/routeTable:RouteTable",
        api=_TABLE_API,
        create=_create_table,
        read=TABLE.read(_TABLE_API, _describe_table),
        update=_update_table,
        delete=deletes("ec2", "DeleteRouteTable", "RouteTableId"),
        find=TABLE.find,
        tagger=ec2.tagger,
    ),
    declare(
        "aws:ec2/route:Route",
        api=_ROUTE_API,
        create=_create_route,
        read=_read_route,
        update=_update_route,
        delete=_delete_route,
        id_of=_route_id,
        check=(
            checks.exactly_one(*_DESTINATIONS),
            checks.exactly_one(*_TARGETS),
            checks.cidr("destinationCidrBlock"),
        ),
    ),
    declare(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        api=_ASSOCIATION_API,
        create=_associate,
        read=_read_association,
        update=_update_association,
        delete=_disassociate,
        find=_find_association,
        check=(checks.exactly_one("subnetId", "gatewayId"),),
    ),
)
