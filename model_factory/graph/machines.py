"""The machines that pools, templates and instances name, and how many GPUs are in one."""

from __future__ import annotations

import re
from typing import Final

from model_factory.facts.machines import GPU_FAMILIES, MOST_GPUS, machines
from model_factory.graph.declared import Declared
from model_factory.graph.values import at, listed

# Names of Compute Engine's accelerator-optimised machines end in their number: a2-highgpu-4g.
_COUNTED: Final = re.compile(r"a\d+x?-[a-z]+-(\d+)g.*")


def gpus_of_machine(machine_type: str) -> int:
    """The GPUs in a machine of EC2 or Compute Engine, those that are sold attached to it among them; 0 for machines without. A type of
    a GPU family that is in no table counts as 8."""
    machine = machines().get(machine_type)
    if machine is not None:
        return machine.gpus
    counted = _COUNTED.fullmatch(machine_type)
    if counted:
        return int(counted[1])
    family = machine_type.partition("." if "." in machine_type else "-")[0]
    return MOST_GPUS if is_gpu_family(family) else 0


def built_in_gpus(machine_type: str) -> int:
    """The GPUs of a machine that come with it, whatever its pool attaches."""
    machine = machines().get(machine_type)
    return 0 if machine is not None and machine.attached else gpus_of_machine(machine_type)


def is_gpu_family(family: str) -> bool:
    """Whether all machines of a family (g6, p5en, a3) have GPUs."""
    return any(each.fullmatch(family) for each in GPU_FAMILIES.values())


def machine_types(resource: Declared) -> list[str]:
    """The machine types a pool, template or instance names itself."""
    named = [
        at(resource.props, *key)
        for key in (("nodeConfig", "machineType"), ("machineType",), ("instanceType",))
    ]
    return [str(each) for each in (*listed(at(resource.props, "instanceTypes")), *named) if each]
