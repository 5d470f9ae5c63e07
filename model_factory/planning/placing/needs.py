"""What a model asks of a machine, in the offers' terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from model_factory.facts.clouds import Cloud
from model_factory.planning.placing.fit import Need
from model_factory.planning.settings.fields import cpu_cores
from model_factory.planning.settings.sections import ModelConfig


def need_of(model: ModelConfig, regions: Mapping[Cloud, Sequence[str]], zones: Iterable[str] = ()) -> Need:
    """The need of one replica; `regions` are the stack's, a cloud, and `zones` those it keeps to in some of them.

    Latency and traffic targets are not part of it: they steer the autoscaler. How fast a model is on an accelerator is not known here.
    """
    return Need(
        places=frozenset(
            (cloud, region)
            for cloud in (model.clouds or tuple(regions))
            for region in regions.get(cloud, ())
            if not model.regions or region in model.regions
        ),
        gpus=model.gpus_per_replica,
        gpu_memory_gib=model.gpu_memory_gib,
        cpu=cpu_cores(model.cpu),
        memory_gib=model.memory_gib,
        accelerators=frozenset(model.accelerators),
        machine_types=frozenset(model.machine_types),
        zones=frozenset(zones),
    )
