"""The machines that pools, templates and instances name, and how many GPUs are in one."""

from __future__ import annotations

from model_factory.facts.clouds import CLOUDS
from model_factory.facts.machines import MOST_GPUS, machines
from model_factory.graph.declared import Declared
from model_factory.graph.values import at, listed


def gpus_of_machine(machine_type: str) -> int:
    """The GPUs in a machine, those that are sold attached to it among them; 0 for machines without. One that is in no table but has a
    GPU machine's name counts as its name says, or else as 8."""
    machine = machines().get(machine_type)
    if machine is not None:
        return machine.accelerator_count
    named = next((found for each in CLOUDS.values() if (found := each.gpu_machines.fullmatch(machine_type))), None)
    return int(named.groupdict().get("gpus") or MOST_GPUS) if named else 0


def built_in_gpus(machine_type: str) -> int:
    """The GPUs of a machine that come with it, whatever its pool attaches."""
    machine = machines().get(machine_type)
    return 0 if machine is not None and machine.attached else gpus_of_machine(machine_type)


def machine_types(resource: Declared) -> list[str]:
    """The machine types a pool, template or instance names itself."""
    keys = (("nodeConfig", "machineType"), ("machineType",), ("instanceType",))
    named = [at(resource.props, *key) for key in keys]
    return [str(each) for each in (*listed(at(resource.props, "instanceTypes")), *named) if each]
