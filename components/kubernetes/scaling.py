"""How many replicas of a model run at a site, and how many may be missing at once."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.autoscaling.v2 import (
    HorizontalPodAutoscalerBehaviorArgsDict,
    HorizontalPodAutoscalerSpecArgsDict,
    MetricSpecArgsDict,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

from components.kubernetes.runtimes.runtime import Runtime
from model_factory.planning.placing.plan import Placement
from model_factory.planning.settings.sections import ModelSettings

CPU_UTILIZATION_PERCENT = 70


class ModelScalingArgs(TypedDict):
    namespace: pulumi.Input[str]
    deployment: pulumi.Input[str]
    placement: Placement
    runtime: Runtime
    selector: Mapping[str, str]
    labels: Mapping[str, str]


class ModelScaling(pulumi.ComponentResource):
    """A HorizontalPodAutoscaler, the only owner of the replica count, and a PodDisruptionBudget.

    Request rates and queues are Pods metrics: a metrics adapter has to serve them under the names in `runtimes`. Without
    one the autoscaler goes by what else it has, and takes no replica away.
    """

    def __init__(self, name: str, args: ModelScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:scaling:ModelScaling", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        metadata: ObjectMetaArgsDict = {"namespace": args["namespace"], "labels": args["labels"]}
        kubernetes.autoscaling.v2.HorizontalPodAutoscaler(
            name,
            metadata=metadata,
            spec=autoscaler_spec(args["placement"], args["runtime"], args["deployment"]),
            opts=child,
        )
        kubernetes.policy.v1.PodDisruptionBudget(
            name,
            metadata=metadata,
            spec={
                # Counts from the replicas there are, so it holds at any number of them.
                "max_unavailable": 1,
                # A Pod that is not ready serves nobody; keeping it would only block the drain of its node.
                "unhealthy_pod_eviction_policy": "AlwaysAllow",
                "selector": {"match_labels": args["selector"]},
            },
            opts=child,
        )
        self.register_outputs({})


def autoscaler_spec(
    placement: Placement, runtime: Runtime, deployment: pulumi.Input[str]
) -> HorizontalPodAutoscalerSpecArgsDict:
    """Up by request rate, and by queue or CPU; down late and one at a time. Within the bounds of its site."""
    return {
        "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": deployment},
        "min_replicas": placement.replicas.min,
        "max_replicas": placement.replicas.max,
        "metrics": autoscaler_metrics(placement.model, runtime),
        "behavior": autoscaler_behaviour(runtime),
    }


def autoscaler_metrics(model: ModelSettings, runtime: Runtime) -> list[MetricSpecArgsDict]:
    """The rate at which all replicas together, those at other sites too, carry the peak, then the server's queue. CPU where the server tells
    no queue, and of every model without GPUs: there it is what runs short, and needs no adapter."""
    rate = per_replica_quantity(model.requests_per_second / model.replicas.max)
    metrics = [_pods_metric(runtime.rate_metric, rate)] if runtime.rate_metric else []
    if runtime.queue is not None:
        metrics.append(_pods_metric(runtime.queue.metric, runtime.queue.target))
        if model.gpus_per_replica:
            return metrics
    cpu: MetricSpecArgsDict = {
        "type": "Resource",
        "resource": {
            "name": "cpu",
            "target": {"type": "Utilization", "average_utilization": CPU_UTILIZATION_PERCENT},
        },
    }
    return [*metrics, cpu]


def autoscaler_behaviour(runtime: Runtime) -> HorizontalPodAutoscalerBehaviorArgsDict:
    """Double at once when traffic comes; give back one replica every two minutes, after a quiet time."""
    return {
        "scale_up": {
            "stabilization_window_seconds": 30,
            "select_policy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "period_seconds": 60},
                {"type": "Pods", "value": 2, "period_seconds": 60},
            ],
        },
        "scale_down": {
            "stabilization_window_seconds": runtime.scale_down_seconds,
            "policies": [{"type": "Pods", "value": 1, "period_seconds": 120}],
        },
    }


def per_replica_quantity(amount: Decimal) -> str:
    """A Kubernetes quantity in thousandths, never 0: 12.5 → 12500m."""
    return f"{max(int(amount * 1000), 1)}m"


def _pods_metric(name: str, average: str) -> MetricSpecArgsDict:
    return {
        "type": "Pods",
        "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "average_value": average}},
    }
