"""Google's three kinds of long-running operation: container's, compute's, and google.longrunning."""

from __future__ import annotations

import uuid
from typing import Final

from model_factory.local.clouds.gcp import errors
from model_factory.local.clouds.gcp.bodies import Body, not_found_message, numeric_id, timestamp, visible
from model_factory.local.clouds.gcp.core import Call, Effect, Wait, fault_error, handles, page
from model_factory.local.discovery import Json

COMPUTE_ROOT: Final = "https://www.googleapis.com/compute/v1/"
CONTAINER_ROOT: Final = "https://container.googleapis.com/v1/"
QUICK_SHARE: Final = 0.3
"""The part of the transition time that all but clusters and node pools take."""


def start_compute(call: Call, kind: str, target: str, effect: Effect, on_failure: Effect) -> Body:
    """A compute operation on the resource under key `target`; `kind` is insert, patch, delete…"""
    place = target.removeprefix("compute/").rsplit("/", 2)[0]  # projects/p/global, projects/p/regions/r
    name = f"operation-{call.cloud.serial()}"
    fault = call.cloud.failure(call.method)
    stored = call.cloud.store.get(target)
    now = timestamp(call.cloud.clock())
    body: Body = {
        "kind": "compute#operation",
        "id": numeric_id(name),
        "name": name,
        "operationType": kind,
        "targetLink": COMPUTE_ROOT + target.removeprefix("compute/"),
        "targetId": stored.body.get("id", "0") if stored else "0",
        "status": "RUNNING",
        "user": "local",
        "progress": 0,
        "insertTime": now,
        "startTime": now,
        "selfLink": f"{COMPUTE_ROOT}{place}/operations/{name}",
    }
    scope = place.split("/")[2:]
    if len(scope) == 2:
        body[scope[0].removesuffix("s")] = f"{COMPUTE_ROOT}{place}"
    if fault is not None:
        body["_error"] = fault_error(fault)
        effect = on_failure
    call.cloud.start(f"compute/{place}/operations/{name}", target, body, effect, share=QUICK_SHARE)
    return visible(body)


def start_container(
    call: Call,
    kind: str,
    target: str,
    effect: Effect,
    on_failure: Effect,
    *,
    error: Body | None = None,
    plane: str = "",
) -> Body:
    """A container operation on the cluster or node pool under key `target`. `error` is how it must end.

    With `plane` it lasts until the control plane of that name is as it is wanted, or gone where `target` goes, and fails where that fails.
    """
    location = "/".join(target.split("/")[1:5])
    name = f"operation-{call.cloud.serial()}"
    place = location.rpartition("/")[2]
    body: Body = {
        "name": name,
        "operationType": kind,
        "status": "RUNNING",
        "location": place,
        "zone": place,
        "targetLink": CONTAINER_ROOT + target.removeprefix("container/"),
        "selfLink": f"{CONTAINER_ROOT}{location}/operations/{name}",
        "startTime": timestamp(call.cloud.clock()),
    }
    fault = call.cloud.failure(call.method)
    failed = fault_error(fault) if fault is not None else error
    if failed is not None:
        body["_error"] = failed
        effect = on_failure
    elif plane:
        body["_plane"] = {"name": plane, "goes": target in effect.remove, "failure": dict(on_failure.merge)}
    call.cloud.start(f"container/{location}/operations/{name}", target, body, effect)
    return visible(body)


def start_longrunning(
    call: Call,
    target: str,
    metadata_type: str,
    effect: Effect,
    *,
    response: str | None,
    response_type: str = "",
) -> Body:
    """A google.longrunning operation. `response` is the key of the resource it answers with, None for Empty."""
    parts = target.split("/")
    location = "/".join(parts[1:5]) if len(parts) > 4 and parts[3] == "locations" else ""
    name = f"{location}/operations/{uuid.uuid4()}".lstrip("/")
    body: Body = {
        "name": name,
        "metadata": {"@type": f"type.googleapis.com/{metadata_type}"},
        "done": False,
        "_response": response,
        "_type": f"type.googleapis.com/{response_type}",
    }
    fault = call.cloud.failure(call.method)
    if fault is not None:
        body["_error"] = fault_error(fault)
        effect = Effect(remove=(target,)) if call.method.endswith(".create") else Effect()
    call.cloud.start(f"{call.service}/{name}", target, body, effect, share=QUICK_SHARE)
    return visible(body)


def _operation(call: Call, key: str) -> Body:
    found = call.cloud.store.operation(key)
    if found is None:
        raise errors.not_found(not_found_message(key))
    return visible(found.body)


def _compute_key(call: Call) -> str:
    """Of the operation that the call names; without its name, of all in that place."""
    parameters = call.match.parameters
    scope = next((f"{s}s/{parameters[s]}" for s in ("region", "zone") if s in parameters), "global")
    return f"compute/projects/{parameters['project']}/{scope}/operations/{parameters.get('operation', '')}"


@handles("compute.globalOperations.get", "compute.regionOperations.get", "compute.zoneOperations.get")
def get_compute(call: Call) -> Body:
    return _operation(call, _compute_key(call))


@handles("compute.globalOperations.wait", "compute.regionOperations.wait", "compute.zoneOperations.wait")
def wait_compute(call: Call) -> Wait:
    key = _compute_key(call)
    _operation(call, key)
    return Wait(key)


@handles("compute.globalOperations.list", "compute.regionOperations.list", "compute.zoneOperations.list")
def list_compute(call: Call) -> Body:
    found = call.cloud.store.operations(_compute_key(call))
    return {"kind": "compute#operationList", **page(call, [o.body for o in found], "items")}


@handles("container.projects.locations.operations.get")
def get_container(call: Call) -> Body:
    return _operation(call, f"container/{call.parameter('name')}")


@handles("container.projects.locations.operations.list")
def list_container(call: Call) -> Body:
    found = call.cloud.store.operations(
        f"container/{call.parameter('parent')}/operations/".replace("/locations/-/operations/", "/")
    )
    return {"operations": [visible(o.body) for o in found if "/operations/" in o.key]}


@handles("container.projects.locations.operations.cancel")
def cancel_container(call: Call) -> Body:
    raise errors.precondition(f"Operation {call.parameter('name')} cannot be cancelled.")


@handles(
    "artifactregistry.projects.locations.operations.get",
    "cloudkms.projects.locations.operations.get",
    "serviceusage.operations.get",
    "cloudresourcemanager.operations.get",
)
def get_longrunning(call: Call) -> Body:
    return _operation(call, f"{call.service}/{call.parameter('name')}")


def done(response: Json, type_: str) -> Body:
    """An operation that was over at once."""
    return {
        "name": f"operations/noop.{uuid.uuid4()}",
        "done": True,
        "response": {"@type": f"type.googleapis.com/{type_}", **response},
    }
