from __future__ import annotations

from typing import Any

import pytest

from components.kubernetes.runtimes import RUNTIMES
from components.kubernetes.scaling import autoscaler_metrics, autoscaler_spec
from model_factory.planning.settings.sections import ModelSettings, Replicas
from tests.components.kubernetes.placed import a_model, placed, without_gpus


def model(runtime: str = "vllm", **changes: Any) -> ModelSettings:
    busy = {"requests_per_second": 50, "replicas": {"min": 1, "max": 4}}
    return a_model(runtime=runtime, **{**busy, **changes})


class TestAutoscaler:
    def test_all_replicas_together_carry_the_peak(self) -> None:
        rate: Any = autoscaler_metrics(model(), RUNTIMES["vllm"])[0]
        assert rate["pods"]["target"] == {"type": "AverageValue", "average_value": "12500m"}

    def test_bounds_are_those_of_the_site_and_the_rate_that_of_all(self) -> None:
        here = placed(model(), replicas=Replicas(min=1, max=3))
        spec: Any = autoscaler_spec(here, RUNTIMES["vllm"], "d")
        assert (spec["min_replicas"], spec["max_replicas"]) == (1, 3)
        assert spec["metrics"][0]["pods"]["target"]["average_value"] == "12500m"

    @pytest.mark.parametrize(
        ("runtime", "kind"),
        [
            ("vllm", "Pods"),
            ("sglang", "Pods"),
            ("triton", "Pods"),
            ("torchserve", "Resource"),
            ("tensorflow-serving", "Resource"),
        ],
    )
    def test_a_queue_where_there_is_one_and_cpu_where_not(self, runtime: str, kind: str) -> None:
        second: Any = autoscaler_metrics(model(runtime), RUNTIMES[runtime])[1]
        assert second["type"] == kind

    def test_of_a_server_that_counts_no_requests_goes_by_its_queue(self) -> None:
        queue: Any = autoscaler_metrics(model("llama-cpp"), RUNTIMES["llama-cpp"])[0]
        assert queue["pods"]["metric"]["name"] == "llamacpp_requests_deferred"

    @pytest.mark.parametrize("runtime", ["triton", "tensorflow-serving", "llama-cpp"])
    def test_of_a_model_without_gpus_goes_by_cpu_too(self, runtime: str) -> None:
        metrics: Any = autoscaler_metrics(without_gpus(runtime=runtime), RUNTIMES[runtime])
        assert [each["resource"]["name"] for each in metrics if each["type"] == "Resource"] == ["cpu"]

    def test_goes_down_slower_than_up(self) -> None:
        behaviour: Any = autoscaler_spec(placed(model()), RUNTIMES["vllm"], "d")["behavior"]
        assert (
            behaviour["scale_down"]["stabilization_window_seconds"]
            > behaviour["scale_up"]["stabilization_window_seconds"]
        )


class TestScalingOfTheDevStack:
    def test_each_deployment_has_one_autoscaler_and_it_exists(self, dev: Any) -> None:
        targets = [each.inputs["spec"]["scaleTargetRef"]["name"] for each in dev.of(":HorizontalPodAutoscaler")]
        assert sorted(targets) == sorted(f"{each.name}-0000000" for each in dev.of("apps/v1:Deployment"))

    def test_budgets_hold_at_any_number_of_replicas(self, dev: Any) -> None:
        for budget in dev.of(":PodDisruptionBudget"):
            assert budget.inputs["spec"]["maxUnavailable"] == 1
            assert "minAvailable" not in budget.inputs["spec"]
