"""EKS, in place of moto's: states that take time, references that are checked, add-ons, access entries, pod identity.

Routed and checked by botocore's own model of EKS. What of it is not here is answered with status 501.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from botocore import xform_name

from model_factory.local.clouds.aws.clock import Clock, uuid4
from model_factory.local.clouds.aws.eks import (
    access,
    addons,
    authenticator,
    cluster_updates,
    clusters,
    nodegroups,
    nodes,
    tags,
    updates,
)
from model_factory.local.clouds.aws.eks.shapes import parse
from model_factory.local.clouds.aws.eks.state import Capacity, Cluster, Context, Document
from model_factory.local.clouds.aws.errors import AwsError, NotImplementedHereError, Response, render
from model_factory.local.clouds.aws.routing import Call
from model_factory.local.clouds.control import JsonObject
from model_factory.local.clouds.control_planes import ControlPlanes
from model_factory.local.errors import ControlError
from model_factory.local.lab.nodes.fleets import Fleets
from model_factory.local.lab.nodes.pools import Pool

_MODULES: Final = (access, addons, cluster_updates, clusters, nodegroups, tags, updates)
_Handler = Callable[[Context, Document], Document]


class Eks:
    """The state of EKS in every region. Not thread safe: its owner holds a lock."""

    def __init__(self, clock: Clock, planes: ControlPlanes) -> None:
        self._clock = clock
        self.fleets = Fleets()
        """The nodes of its clusters, of those that are real."""
        self._planes = planes
        self._regions: dict[str, dict[str, Cluster]] = {}
        self._capacities: list[Capacity] = []

    def answer(self, call: Call) -> Response:
        """Do the call. Its errors come as an answer, not as an exception, but for what is not implemented."""
        handler = _handler(call.operation)
        if handler is None:
            raise NotImplementedHereError(call.name)
        region = self._regions.setdefault(call.region, {})
        context = Context(call.region, region, self._clock, self._capacities, self.fleets, self._planes)
        try:
            answer = handler(context, parse(call))
        except NotImplementedHereError:
            raise
        except AwsError as error:
            return render(error, call.protocol, uuid4())
        return Response(200, (("Content-Type", "application/json"),), json.dumps(_shown(answer)).encode())

    def pools(self, region: str, name: str) -> list[Pool]:
        """The node groups of a cluster as they are wanted now; none where there is no such cluster. Tells them what their nodes are like."""
        cluster = self._regions.get(region, {}).get(name)
        if cluster is None:
            return []
        pools = nodes.pools_of(region, cluster, self._capacities)
        for pool in pools:
            state = self.fleets.state(nodes.cluster_key(region, name), pool)
            nodegroups.tell_health(cluster.nodegroups[pool.name], state)
        return pools

    def users(self, region: str, id_: str) -> Iterator[str]:
        """The clusters and node groups that use a subnet or a security group, in words."""
        for cluster in self._regions.get(region, {}).values():
            network = cluster.document["resourcesVpcConfig"]
            groups = [*network["securityGroupIds"], network["clusterSecurityGroupId"]]
            if id_ in [*network["subnetIds"], *groups, network["vpcId"]]:
                yield f"EKS cluster {cluster.name}"
            for name, nodegroup in cluster.nodegroups.items():
                if id_ in nodegroup.document["subnets"]:
                    yield f"EKS node group {cluster.name}/{name}"

    def counts(self) -> Mapping[str, int]:
        counter: Counter[str] = Counter()
        for region in self._regions.values():
            for cluster in region.values():
                counter["eks:cluster"] += 1
                counter["eks:nodegroup"] += len(cluster.nodegroups)
                counter["eks:addon"] += len(cluster.addons)
                counter["eks:access-entry"] += len(cluster.access_entries)
                counter["eks:pod-identity-association"] += len(cluster.associations)
        return counter

    def authenticate(self, plane: str, token: str) -> Document | None:
        """Whose token it is in the cluster whose control plane has that name; None where nobody's."""
        region, _, name = plane.partition(".")
        cluster = self._regions.get(region, {}).get(name)
        return None if cluster is None else authenticator.authenticate(cluster, token, self._clock)

    def association(self, plane: str, namespace: str, service_account: str) -> Document | None:
        """The pod identity association of a service account in the cluster whose control plane has that name; None without one."""
        region, _, name = plane.partition(".")
        cluster = self._regions.get(region, {}).get(name)
        of_whom = (namespace, service_account)
        found = cluster.associations.values() if cluster is not None else ()
        return next((each for each in found if (each["namespace"], each["serviceAccount"]) == of_whom), None)

    def reset(self) -> None:
        self._planes.reset()
        self._regions.clear()
        self._capacities.clear()

    def seed(self, document: JsonObject) -> None:
        """Facts about the world. Raises ControlError naming what is wrong.

        `capacity`: [{region, instanceType, capacityType?: ON_DEMAND | SPOT, available}], in place of what was said of the
        same machines. A node group that wants more than is available ends CREATE_FAILED with InsufficientInstanceCapacity.
        `lostNodes`: [{region, cluster, nodegroup, message?}]: the node group becomes DEGRADED.
        """
        unknown = set(document) - {"capacity", "lostNodes"}
        if unknown:
            raise ControlError(f"no seed {min(unknown)!r}; there are capacity and lostNodes")
        wanted = [_capacity(item) for item in document.get("capacity", [])]
        lost = [
            _fields(item, {"region", "cluster", "nodegroup"}, {"message"}) for item in document.get("lostNodes", [])
        ]
        for item in lost:
            cluster = self._regions.get(item["region"], {}).get(item["cluster"])
            if cluster is None or item["nodegroup"] not in cluster.nodegroups:
                raise ControlError(f"no node group {item['cluster']}/{item['nodegroup']} in {item['region']}")
        for capacity in wanted:
            same = (capacity.region, capacity.instance_type, capacity.capacity_type)
            self._capacities[:] = [
                item for item in self._capacities if (item.region, item.instance_type, item.capacity_type) != same
            ]
            self._capacities.append(capacity)
        for item in lost:
            message = item.get("message", "A node was lost: the instance was terminated outside of Amazon EKS.")
            cluster = self._regions[item["region"]][item["cluster"]]
            nodegroups.degrade(cluster, item["nodegroup"], "NodeCreationFailure", message)


@cache
def _handler(operation: str) -> _Handler | None:
    """What does an operation: the function of its name, as botocore spells its own methods. None: it is not here."""
    name = xform_name(operation)
    return next((getattr(module, name) for module in _MODULES if hasattr(module, name)), None)


def _shown(value: Any) -> Any:
    """The document without what is not set, and without the token that made a call safe to send twice."""
    if isinstance(value, dict):
        hidden = "clientRequestToken"
        return {key: _shown(item) for key, item in value.items() if item is not None and key != hidden}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return value


def _capacity(item: object) -> Capacity:
    fields = _fields(item, {"region", "instanceType", "available"}, {"capacityType"})
    available, capacity_type = fields["available"], fields.get("capacityType", "")
    if isinstance(available, bool) or not isinstance(available, int) or available < 0:
        raise ControlError(f"capacity available is {available!r}; give a number of machines, 0 or more")
    if capacity_type not in {"", "ON_DEMAND", "SPOT"}:
        raise ControlError(f"capacityType {capacity_type!r} is neither ON_DEMAND nor SPOT")
    return Capacity(fields["region"], fields["instanceType"], capacity_type, available)


def _fields(item: object, required: set[str], optional: set[str]) -> JsonObject:
    if not isinstance(item, dict):
        raise ControlError(f"a seed's entry is an object, not {item!r}")
    unknown, missing = set(item) - required - optional, required - set(item)
    if unknown or missing:
        wrong = f"has no field {min(unknown)!r}" if unknown else f"needs the field {min(missing)!r}"
        raise ControlError(f"a seed's entry {wrong}; it has {', '.join(sorted(required | optional))}")
    return item
