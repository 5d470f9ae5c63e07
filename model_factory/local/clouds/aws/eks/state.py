"""What EKS holds, and what a call works with.

Each resource keeps its document in the shape the API answers with; what the API does not show stands beside it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from model_factory.local.clouds.aws.clock import ACCOUNT, PARTITION, Clock, hexadecimal, uuid4
from model_factory.local.clouds.aws.errors import AwsError
from model_factory.local.clouds.control_planes import ControlPlanes
from model_factory.local.lab.nodes.fleets import Fleets

Document = dict[str, Any]
PAGE_SIZE: Final = 100


def not_found(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message, HTTPStatus.NOT_FOUND)


def in_use(message: str) -> AwsError:
    return AwsError("ResourceInUseException", message, HTTPStatus.CONFLICT)


def invalid_parameter(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


def invalid_request(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message)


@dataclass(slots=True)
class Resource:
    """A resource of a cluster, or the cluster: its document and the updates it went through."""

    document: Document
    updates: dict[str, Document] = field(default_factory=dict[str, Document])
    target: Document = field(default_factory=dict[str, Any])
    """What the update under way changes of the document once it is done: what nodes become already."""
    forced: bool = False
    """Whether the update under way ends nodes whatever is on them."""

    @property
    def status(self) -> str:
        return self.document["status"]

    @status.setter
    def status(self, status: str) -> None:
        self.document["status"] = status


@dataclass(slots=True)
class AccessEntry:
    document: Document
    policies: dict[str, Document] = field(default_factory=dict[str, Document])
    made_for_nodes: bool = False
    """EKS made it for a node group's role, and removes it with the last node group that has the role."""


@dataclass(slots=True)
class Cluster(Resource):
    hash: str = ""
    """The part of its host name and OIDC issuer that is its own."""
    nodegroups: dict[str, Resource] = field(default_factory=dict[str, Resource])
    addons: dict[str, Resource] = field(default_factory=dict[str, Resource])
    access_entries: dict[str, AccessEntry] = field(default_factory=dict[str, AccessEntry])
    associations: dict[str, Document] = field(default_factory=dict[str, Document])

    @property
    def name(self) -> str:
        return self.document["name"]


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many machines of a type a region can still start; `capacity_type` "" means either."""

    region: str
    instance_type: str
    capacity_type: str
    available: int


@dataclass(slots=True)
class Context:
    """What a call has at hand."""

    region: str
    clusters: dict[str, Cluster]
    clock: Clock
    capacities: list[Capacity]
    fleets: Fleets
    planes: ControlPlanes

    def cluster(self, name: str) -> Cluster:
        found = self.clusters.get(name)
        if found is None:
            raise not_found(f"No cluster found for name: {name}.")
        return found

    def active_cluster(self, name: str) -> Cluster:
        """The cluster, if it takes changes to what it holds."""
        cluster = self.cluster(name)
        if cluster.status not in {"ACTIVE", "UPDATING"}:
            raise invalid_request(f"Cluster '{name}' is not in ACTIVE status, but {cluster.status}")
        return cluster

    def now(self) -> float:
        """The time of the call, in seconds since 1970, to the millisecond as EKS gives it."""
        return round(self.clock.now, 3)

    def later(self, action: Callable[[], None], *, once: Callable[[], bool] = lambda: True) -> None:
        """Do it when the transition time has passed and `once` is so."""

        def due() -> None:
            if once():
                action()
            else:
                self.clock.again(due)

        self.clock.after(self.clock.transition_seconds, due)

    def plane_name(self, cluster: str) -> str:
        """The name of a cluster's control plane: cluster names are a region's own, and have no dots."""
        return f"{self.region}.{cluster}"

    def arn(self, *path: str) -> str:
        return f"arn:{PARTITION}:eks:{self.region}:{ACCOUNT}:{'/'.join(path)}"

    def start_update(
        self,
        resource: Resource,
        kind: str,
        params: list[tuple[str, str]],
        apply: Callable[[], None],
        *,
        outcome: Callable[[], list[Document] | None] = list,
    ) -> Document:
        """Begin an update: UPDATING until the transition time has passed, when `apply` is done. Returns the Update.

        `outcome` tells the errors that it ends with then, none where it succeeds, and None as long as it is not over.
        """
        update: Document = {
            "id": uuid4(),
            "status": "InProgress",
            "type": kind,
            "params": [{"type": name, "value": value} for name, value in params],
            "createdAt": self.now(),
            "errors": [],
        }
        resource.updates[update["id"]] = update
        before = "DEGRADED" if resource.status == "DEGRADED" else "ACTIVE"
        resource.status = "UPDATING"

        def done() -> None:
            if resource.status != "UPDATING":
                update["status"] = "Cancelled"
                return
            if (errors := outcome()) is None:
                self.clock.again(done)
                return
            update.update(status="Failed" if errors else "Successful", errors=errors)
            if not errors:
                apply()
            resource.status = before
            if "modifiedAt" in resource.document:
                resource.document["modifiedAt"] = self.now()

        self.later(done)
        return update


def short_id() -> str:
    """Like the random part of an EKS ARN."""
    return "-".join(hexadecimal(digits) for digits in (8, 4, 4, 4, 12))


def paged(key: str, items: list[Any], parameters: Document) -> Document:
    """The answer of a list call: one page, and the token of the next where there is one."""
    token = parameters.get("nextToken")
    try:
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except (ValueError, binascii.Error) as error:
        raise invalid_parameter(f"nextToken {token!r} was not given by a list call") from error
    end = start + parameters.get("maxResults", PAGE_SIZE)
    answer: Document = {key: items[start:end]}
    if end < len(items):
        answer["nextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return answer


def repeated(existing: Document, parameters: Document, refusal: str) -> bool:
    """Whether the call that made this comes once more, with its token. Raises ResourceInUseException where it is another."""
    token = parameters.get("clientRequestToken")
    if not token or existing.get("clientRequestToken") != token:
        raise in_use(refusal)
    return True


def check_tags(tags: dict[str, str]) -> None:
    for key in tags:
        if key.lower().startswith("aws:"):
            raise invalid_parameter(f"Tag key {key!r} begins with aws:, which AWS keeps for itself")
