"""What Compute Engine says of its regions and zones: quotas, machine types, accelerators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from model_factory.local.clouds.gcp import catalogue, errors
from model_factory.local.clouds.gcp.bodies import Body
from model_factory.local.clouds.gcp.core import Call, handles, page
from model_factory.local.clouds.gcp.operations import COMPUTE_ROOT


def _region(call: Call, name: str) -> Body:
    if name not in catalogue.REGIONS:
        raise errors.not_found(f"The resource 'projects/{call.parameter('project')}/regions/{name}' was not found")
    limits: Mapping[str, float] = (call.cloud.store.setting("quotas") or {}).get(name, {})
    project = f"projects/{call.parameter('project')}"
    return {
        "kind": "compute#region",
        "name": name,
        "status": "UP",
        "selfLink": f"{COMPUTE_ROOT}{project}/regions/{name}",
        "zones": [f"{COMPUTE_ROOT}{project}/zones/{zone}" for zone in catalogue.REGIONS[name]],
        "quotas": [
            {"metric": metric, "limit": float(limits.get(metric, catalogue.DEFAULT_GPU_QUOTA)), "usage": 0.0}
            for metric in catalogue.QUOTA_METRICS.values()
        ],
    }


def _zone(call: Call, name: str) -> Body:
    if name not in catalogue.ZONES:
        raise errors.not_found(f"The resource 'projects/{call.parameter('project')}/zones/{name}' was not found")
    base = f"{COMPUTE_ROOT}projects/{call.parameter('project')}"
    region = f"{base}/regions/{catalogue.ZONES[name]}"
    return {
        "kind": "compute#zone",
        "name": name,
        "status": "UP",
        "region": region,
        "selfLink": f"{base}/zones/{name}",
    }


def _listed(call: Call, what: str, bodies: Iterable[Body]) -> Body:
    return {"kind": f"compute#{what}List", **page(call, list(bodies), "items")}


@handles("compute.regions.get")
def get_region(call: Call) -> Body:
    return _region(call, call.parameter("region"))


@handles("compute.regions.list")
def list_regions(call: Call) -> Body:
    return _listed(call, "region", (_region(call, name) for name in catalogue.REGIONS))


@handles("compute.zones.get")
def get_zone(call: Call) -> Body:
    return _zone(call, call.parameter("zone"))


@handles("compute.zones.list")
def list_zones(call: Call) -> Body:
    return _listed(call, "zone", (_zone(call, name) for name in catalogue.ZONES))


def _machine(call: Call, zone: str, machine: catalogue.MachineType) -> Body:
    base = f"{COMPUTE_ROOT}projects/{call.parameter('project')}/zones/{zone}"
    body: Body = {
        "kind": "compute#machineType", "name": machine.name, "guestCpus": machine.vcpus, "memoryMb": machine.memory_mib,
        "zone": zone, "selfLink": f"{base}/machineTypes/{machine.name}",
    }  # fmt: skip
    if machine.accelerator:
        built_in = {
            "guestAcceleratorType": machine.accelerator,
            "guestAcceleratorCount": machine.accelerator_count,
        }
        body["accelerators"] = [built_in]
    return body


@handles("compute.machineTypes.get")
def get_machine_type(call: Call) -> Body:
    zone, name = call.parameter("zone"), call.parameter("machineType")
    machine = catalogue.machine_type(name)
    if machine is None or not catalogue.sells(zone, machine):
        raise errors.not_found(
            f"The resource 'projects/{call.parameter('project')}/zones/{zone}/machineTypes/{name}' was not found"
        )
    return _machine(call, zone, machine)


@handles("compute.machineTypes.list")
def list_machine_types(call: Call) -> Body:
    zone = _zone(call, call.parameter("zone"))["name"]
    sold = [m for m in catalogue.MACHINE_TYPES.values() if catalogue.sells(zone, m)]
    return _listed(call, "machineType", (_machine(call, zone, machine) for machine in sold))


@handles("compute.acceleratorTypes.list")
def list_accelerator_types(call: Call) -> Body:
    zone = _zone(call, call.parameter("zone"))["name"]
    base = f"{COMPUTE_ROOT}projects/{call.parameter('project')}/zones/{zone}"
    names = (name for name, zones in sorted(catalogue.ACCELERATOR_ZONES.items()) if zone in zones)
    common: Body = {"kind": "compute#acceleratorType", "zone": zone}
    bodies = ({**common, "name": name, "selfLink": f"{base}/acceleratorTypes/{name}"} for name in names)
    return _listed(call, "acceleratorType", bodies)


@handles("compute.projects.get")
def get_project(call: Call) -> Body:
    project = call.parameter("project")
    return {
        "kind": "compute#project",
        "name": project,
        "id": call.cloud.project_number(project),
        "selfLink": f"{COMPUTE_ROOT}projects/{project}",
    }
