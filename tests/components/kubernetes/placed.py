"""A model, and one placed by hand, for tests of what follows from them."""

from __future__ import annotations

from typing import Any

from model_factory.facts.offer import CapacityType
from model_factory.planning.placing.fit import share_of
from model_factory.planning.placing.plan import Leg, Placement, Site
from model_factory.planning.planned import market
from model_factory.planning.settings.sections import ModelSettings, Replicas

CPU_MACHINES = {"x86_64": ("cpu", "m7i.xlarge"), "arm64": ("cpu-arm64", "m7g.xlarge")}


def without_gpus(**changes: Any) -> ModelSettings:
    """A small model on processors, but for what is given."""
    return a_model(**{"runtime": "triton", "gpus_per_replica": 0, "gpu_memory_gib": None, "cpu": 2, **changes})


def a_model(**changes: Any) -> ModelSettings:
    """A small LLM, but for what is given."""
    values: dict[str, Any] = {
        "name": "m",
        "runtime": "vllm",
        "image": f"m@sha256:{'0' * 64}",
        "weights": {"uri": "bucket://m", "revision": "7"},
        "gpu_memory_gib": 16,
        "p95_latency_ms": 100,
        "requests_per_second": 10,
        "replicas": {"min": 1, "max": 2},
    }
    given = {**values, **changes}
    return ModelSettings.model_validate({key: value for key, value in given.items() if value is not None})


def placed(model: ModelSettings, *capacity: CapacityType, replicas: Replicas | None = None) -> Placement:
    """The model on machines with one L4, or with none where it takes none, a pool for each kind of capacity in order of rank; on demand where
    none is named."""
    kind, machine = ("l4x1", "g6.xlarge") if model.gpus_per_replica else CPU_MACHINES[model.architecture]
    offer = market().find("aws", "us-east-1", machine)
    assert offer is not None
    bounds = replicas or model.replicas
    legs = [
        Leg(
            rank=rank,
            offer=offer,
            capacity_type=each,
            share=share_of(model),
            replicas_per_node=1,
            least=bounds.min if rank == 0 else 0,
            most=bounds.max,
            pool=f"{kind}-{each}",
        )
        for rank, each in enumerate(capacity or ("on-demand",))
    ]
    return Placement(model, Site("aws", "us-east-1"), bounds, tuple(legs))
