"""Projects and the services switched on in them."""

from __future__ import annotations

import re
from typing import Final

from model_factory.local.clouds.gcp import errors
from model_factory.local.clouds.gcp.bodies import Body
from model_factory.local.clouds.gcp.core import Call, Cloud, handles, page
from model_factory.local.clouds.gcp.operations import done
from model_factory.local.clouds.gcp.routing import SERVED

_HOST: Final = re.compile(r"([a-z0-9-]+)\.googleapis\.com")
_SERVICE: Final = "google.api.serviceusage.v1"


@handles("cloudresourcemanager.projects.get")
def get_project(call: Call) -> Body:
    name = call.match.parameters.get("projectId") or call.parameter("name").removeprefix("projects/")
    number = call.cloud.project_number(name)
    if call.match.method.version == "v3":
        return {"name": f"projects/{number}", "projectId": name, "displayName": name, "state": "ACTIVE"}
    return {"projectId": name, "projectNumber": number, "name": name, "lifecycleState": "ACTIVE"}


def _service(call: Call, name: str) -> tuple[str, str]:
    """The project and the service of `projects/p/services/x.googleapis.com`."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "projects":
        raise errors.invalid(f"The name {name} is not projects/<project>/services/<service>.")
    call.cloud.project_number(parts[1])
    if not _HOST.fullmatch(parts[3]):
        raise errors.not_found(f"Service {parts[3]} not found or permission denied.")
    return parts[1], parts[3]


def _state(cloud: Cloud, project: str, host: str) -> Body:
    disabled = host in cloud.disabled_services(project) or host.partition(".")[0] in cloud.disabled_services(project)
    return {
        "name": f"projects/{cloud.project_number(project)}/services/{host}",
        "config": {"name": host},
        "state": "DISABLED" if disabled else "ENABLED",
        "parent": f"projects/{cloud.project_number(project)}",
    }


def _switch(call: Call, *, enable: bool) -> Body:
    project, host = _service(call, call.parameter("name"))
    short = host.partition(".")[0]
    disabled = [name for name in call.cloud.disabled_services(project) if name not in (short, host)]
    call.cloud.seed({"disabled_services": {project: disabled if enable else [*disabled, short]}})
    verb = "Enable" if enable else "Disable"
    return done({"service": _state(call.cloud, project, host)}, f"{_SERVICE}.{verb}ServiceResponse")


@handles("serviceusage.services.get")
def get_service(call: Call) -> Body:
    return _state(call.cloud, *_service(call, call.parameter("name")))


@handles("serviceusage.services.list")
def list_services(call: Call) -> Body:
    project = call.parameter("parent").removeprefix("projects/")
    items = [_state(call.cloud, project, f"{service}.googleapis.com") for service in SERVED]
    wanted = call.query.get("filter", "").removeprefix("state:")
    unfiltered = {k: v for k, v in call.query.items() if k != "filter"}
    return page(
        Call(call.cloud, call.match, unfiltered, call.body),
        [item for item in items if not wanted or item["state"] == wanted],
        "services",
    )


@handles("serviceusage.services.enable")
def enable(call: Call) -> Body:
    return _switch(call, enable=True)


@handles("serviceusage.services.disable")
def disable(call: Call) -> Body:
    return _switch(call, enable=False)
