"""GPUs, pools and model servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from policies.packs import gpu, serving
from tests.policies.harness import UNKNOWN, UNKNOWN_LIST, Given, Verdict, judged, judged_stack, remediated
from tests.policies.objects import (
    AUTOSCALER,
    DEPLOYMENT,
    EKS_POOL,
    GKE_POOL,
    GONE,
    KARPENTER_POOL,
    LABELS,
    MONITOR,
    OBJECTIVE,
    PROVIDER,
    SCALED_OBJECT,
    SERVICE,
    STACK,
    VOLUME,
    C,
    Case,
    P,
    changed,
)
from tests.policies.table import Remedies

POLICIES = (*gpu.theme.policies, *serving.theme.policies)
GPU = "'nvidia.com/gpu'"
DOWN = "spec.behavior.scaleDown.stabilizationWindowSeconds"
KEDA_DOWN = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SLEEPING = changed(AUTOSCALER, "spec.minReplicas", 0)

CASES = [
    Case("gpu-limit-equals-request", DEPLOYMENT, f"{C}.resources.limits.{GPU}", GONE, "without a limit"),
    Case(
        "gpu-limit-equals-request",
        DEPLOYMENT,
        f"{C}.resources.limits.{GPU}",
        "2",
        "asks for 1 nvidia.com/gpu and may have 2",
    ),
    Case(
        "gpu-limit-equals-request",
        DEPLOYMENT,
        f"{C}.resources",
        {"limits": {"nvidia.com/gpu": 0.5}},
        "GPUs come whole",
    ),
    Case("gpu-toleration-and-selector", DEPLOYMENT, f"{P}.tolerations", [], "tolerates no taint"),
    Case(
        "gpu-toleration-and-selector",
        DEPLOYMENT,
        f"{P}.tolerations.0.effect",
        "NoExecute",
        "tolerates no taint",
    ),
    Case("gpu-toleration-and-selector", DEPLOYMENT, f"{P}.nodeSelector", GONE, "selects no nodes"),
    Case("pool-tainted", EKS_POOL, "taints", [], "no taint nvidia.com/gpu"),
    Case("pool-tainted", EKS_POOL, "taints.0.effect", "PREFER_NO_SCHEDULE", "no taint nvidia.com/gpu"),
    Case("pool-tainted", GKE_POOL, "nodeConfig.taints", GONE, "no taint nvidia.com/gpu"),
    Case("pool-tainted", KARPENTER_POOL, "spec.template.spec.taints", [], "no taint nvidia.com/gpu"),
    Case("pool-gpu-limit", EKS_POOL, "scalingConfig.maxSize", 40, "40 GPUs (40 nodes of 1)"),
    Case(
        "pool-gpu-limit",
        EKS_POOL,
        "instanceTypes",
        ["g6.xlarge", "p2.16xlarge", "g6.48xlarge"],
        "64 GPUs",
    ),
    Case("pool-gpu-limit", EKS_POOL, "scalingConfig", GONE, "nothing bounds its nodes"),
    Case("pool-gpu-limit", GKE_POOL, "autoscaling.totalMaxNodeCount", 40, "40 GPUs"),
    Case("pool-gpu-limit", GKE_POOL, "autoscaling", {"maxNodeCount": 11}, "33 GPUs (33 nodes of 1)"),
    Case("pool-gpu-limit", GKE_POOL, "autoscaling", GONE, "nothing bounds its nodes"),
    Case("pool-gpu-limit", KARPENTER_POOL, "spec.limits", GONE, "spec.limits names none"),
    Case("pool-gpu-limit", KARPENTER_POOL, f"spec.limits.{GPU}", "64", "64 GPUs"),
    Case("sku-allowlist", EKS_POOL, "instanceTypes", ["x2idn.32xlarge"], "x2idn.32xlarge is not one"),
    Case("sku-allowlist", GKE_POOL, "nodeConfig.machineType", "m3-ultramem-128", "m3-ultramem-128 is not one"),
    Case(
        "scale-to-zero-outside-production",
        EKS_POOL,
        "scalingConfig.minSize",
        2,
        "GPU nodes it keeps when nobody asks: 2",
    ),
    Case("scale-to-zero-outside-production", GKE_POOL, "autoscaling.totalMinNodeCount", 1, "nobody asks: 1"),
    Case(
        "scale-to-zero-outside-production",
        GKE_POOL,
        "autoscaling",
        {"minNodeCount": 1},
        "nobody asks: 3",
        "autoscaling",
    ),
    Case("scale-to-zero-outside-production", SLEEPING, "spec.minReplicas", 1, "nobody asks: 1"),
    Case("scale-to-zero-outside-production", SCALED_OBJECT, "spec.minReplicaCount", 2, "nobody asks: 2"),
    Case("scale-down-stabilisation", AUTOSCALER, DOWN, 60, "after 60 s"),
    Case("scale-down-stabilisation", SCALED_OBJECT, KEDA_DOWN, 0, "after 0 s"),
    Case("startup-probe-covers-load", DEPLOYMENT, f"{C}.startupProbe", GONE, "no startupProbe"),
    Case(
        "startup-probe-covers-load",
        DEPLOYMENT,
        f"{C}.startupProbe.failureThreshold",
        30,
        "may take 300 s to load",
    ),
    Case("startup-probe-covers-load", DEPLOYMENT, f"{C}.startupProbe", {"httpGet": {}}, "may take 30 s to load"),
    Case("drain-before-termination", DEPLOYMENT, f"{C}.lifecycle", GONE, "no preStop"),
    Case(
        "drain-before-termination",
        DEPLOYMENT,
        f"{P}.terminationGracePeriodSeconds",
        10,
        "waits 10 s of its 10 s",
    ),
    Case("drain-before-termination", DEPLOYMENT, f"{C}.lifecycle.preStop.sleep.seconds", 200, "waits 200 s"),
    Case("model-revision-pinned", DEPLOYMENT, f"{C}.args", ["org/model"], "loads org/model at no revision"),
    Case(
        "model-revision-pinned",
        DEPLOYMENT,
        f"{C}.args",
        ["org/model", "--revision=main"],
        "at main, which is no commit",
    ),
    Case("model-revision-pinned", DEPLOYMENT, f"{C}.args", ["--model", "org/model"], "loads org/model"),
    Case(
        "model-revision-pinned",
        DEPLOYMENT,
        f"{C}.args",
        ["/models/assistant/latest"],
        "other weights tomorrow",
    ),
    Case(
        "model-revision-pinned",
        DEPLOYMENT,
        f"{C}.env",
        [{"name": "MODEL_ID", "value": "org/model"}],
        "loads org/model",
    ),
    Case(
        "model-revision-pinned",
        DEPLOYMENT,
        f"{P}.volumes.1.csi.volumeAttributes.mountOptions",
        "only-dir=assistant/main",
        "mounts assistant/main",
    ),
    Case(
        "model-revision-pinned",
        DEPLOYMENT,
        f"{P}.volumes.1",
        {"name": "weights", "image": {"reference": "registry.test/weights:1.4.0"}},
        "volume weights mounts image registry.test/weights:1.4.0, which names no digest",
    ),
    Case(
        "model-revision-pinned",
        VOLUME,
        "spec.mountOptions.1",
        "prefix assistant/latest/",
        "assistant/latest/",
    ),
    Case("shm-sized", DEPLOYMENT, f"{C}.volumeMounts", [], "64 MiB"),
    Case("shm-sized", DEPLOYMENT, f"{P}.volumes.0.emptyDir.medium", GONE, "64 MiB"),
    Case("shm-sized", DEPLOYMENT, f"{P}.volumes.0.emptyDir.sizeLimit", GONE, "no sizeLimit"),
    Case("archived-runtime", DEPLOYMENT, f"{C}.command", ["torchserve"], "runs torchserve"),
    Case("archived-runtime", DEPLOYMENT, f"{C}.image", "pytorch/torchserve:0.12", "runs pytorch/torchserve"),
]
WITHOUT_GPUS = changed(
    changed(DEPLOYMENT, f"{C}.resources", {"requests": {"cpu": "3", "memory": "24Gi"}, "limits": {"memory": "24Gi"}}),
    f"{P}.tolerations",
    GONE,
)
"""A model on processors."""
EITHER = {
    "nodeSelectorTerms": [
        {
            "matchExpressions": [
                {"key": "model-factory/pool", "operator": "In", "values": ["l4x1-on-demand", "l4x1-spot"]}
            ]
        }
    ]
}
STACK_CASES = [
    Case("max-replicas-fit-quota", AUTOSCALER, "spec.maxReplicas", 5, "may grow to 5 GPUs, and there can be 4"),
    Case(
        "max-replicas-fit-quota",
        EKS_POOL,
        "scalingConfig.maxSize",
        3,
        "may grow to 4 GPUs, and there can be 3",
    ),
    Case(
        "max-replicas-fit-quota",
        EKS_POOL,
        "labels",
        {"model-factory/pool": "x"},
        "no pool of its cluster takes it",
    ),
    Case(
        "max-replicas-fit-quota",
        DEPLOYMENT,
        f"{C}.resources.limits.{GPU}",
        "2",
        "no pool of its cluster takes it",
    ),
    Case("spot-has-fallback", EKS_POOL, "capacityType", "SPOT", "when spot is gone"),
    Case("monitor-and-slo", MONITOR, "spec.selector.matchLabels", {"a": "b"}, "nothing reads the metrics"),
    Case(
        "monitor-and-slo",
        MONITOR,
        "spec.namespaceSelector",
        {"matchNames": ["x"]},
        "nothing reads the metrics",
    ),
    Case("monitor-and-slo", OBJECTIVE, "metadata.labels", {"model": "other"}, "no objective says"),
]


def with_(*others: Given) -> list[Given]:
    taken = {each.urn for each in others}
    return [*(each for each in STACK if each.urn not in taken), *others]


def stacked(policy: str, resources: Sequence[Given], **config: Any) -> Verdict:
    return judged_stack(POLICIES, policy, resources, **config)


class TestEachCheck(Remedies):
    POLICIES = POLICIES
    CASES = CASES
    ELSEWHERE = frozenset(each.policy for each in STACK_CASES)
    UNKNOWNS = (UNKNOWN, UNKNOWN_LIST)
    REMEDIABLE = frozenset({"scale-down-stabilisation"})

    @pytest.mark.parametrize("case", STACK_CASES, ids=str)
    def test_finds_what_is_wrong_in_a_stack(self, case: Case) -> None:
        assert stacked(case.policy, STACK).passed
        verdict = stacked(case.policy, with_(case.broken))
        assert any(case.says in each for each in verdict.violations), verdict
        assert not verdict.not_evaluated

    @pytest.mark.parametrize("case", STACK_CASES, ids=str)
    def test_does_not_pass_what_is_not_known_in_a_stack(self, case: Case) -> None:
        verdict = stacked(case.policy, with_(changed(case.given, case.path, UNKNOWN)))
        assert verdict.not_evaluated
        assert not verdict.violations


class TestMachines:
    def test_a_pool_without_gpus_is_left_alone(self) -> None:
        system = changed(changed(EKS_POOL, "instanceTypes", ["m7i.large"]), "amiType", "BOTTLEROCKET_x86_64")
        system = changed(changed(system, "taints", []), "scalingConfig", {"minSize": 90, "maxSize": 900})
        for name in ("pool-tainted", "pool-gpu-limit", "scale-to-zero-outside-production"):
            assert judged(POLICIES, name, system).passed

    def test_an_image_with_drivers_tells_of_gpus_where_no_type_does(self) -> None:
        bare = changed(changed(EKS_POOL, "instanceTypes", []), "taints", [])
        assert judged(POLICIES, "pool-tainted", bare).violations

    def test_limits_come_from_configuration(self) -> None:
        assert judged(POLICIES, "pool-gpu-limit", EKS_POOL, maxGpus=3).violations
        assert judged(POLICIES, "sku-allowlist", EKS_POOL, machineTypes=["g5.*"]).violations


class TestQuantities:
    @pytest.mark.parametrize("amount", ["1000m", "1.0", 1, 1.0, ".001k", "1e0"])
    def test_one_gpu_may_be_written_in_many_ways(self, amount: object) -> None:
        same = changed(DEPLOYMENT, f"{C}.resources.limits.{GPU}", amount)
        for name in ("gpu-limit-equals-request", "shm-sized"):
            assert judged(POLICIES, name, same).passed
        assert stacked("max-replicas-fit-quota", with_(same)).passed

    @pytest.mark.parametrize(("replicas", "gpus"), [(28, ""), (29, "4.14")])
    def test_parts_that_a_gpu_was_divided_in_count_as_parts(self, replicas: int, gpus: str) -> None:
        part = changed(DEPLOYMENT, f"{C}.resources", {"limits": {"nvidia.com/mig-1g.10gb": 1}})
        found = stacked("max-replicas-fit-quota", with_(part, changed(AUTOSCALER, "spec.maxReplicas", replicas)))
        assert [f"may grow to {gpus} GPUs" in each for each in found.violations] == ([True] if gpus else [])

    @pytest.mark.parametrize("amount", ["500m", "1500m"])
    def test_a_part_of_a_gpu_is_none(self, amount: str) -> None:
        part = changed(DEPLOYMENT, f"{C}.resources", {"limits": {"nvidia.com/gpu": amount}})
        (said,) = judged(POLICIES, "gpu-limit-equals-request", part).violations
        assert "GPUs come whole" in said

    def test_a_limit_of_thousands_is_a_large_one(self) -> None:
        large = changed(KARPENTER_POOL, f"spec.limits.{GPU}", "1k")
        (said,) = judged(POLICIES, "pool-gpu-limit", large).violations
        assert "may grow to 1k GPUs" in said


class TestPlaces:
    def test_any_toleration_of_everything_will_do(self) -> None:
        given = changed(DEPLOYMENT, f"{P}.tolerations", [{"operator": "Exists"}])
        assert judged(POLICIES, "gpu-toleration-and-selector", given).passed

    def test_pods_without_gpus_need_neither(self) -> None:
        given = changed(changed(DEPLOYMENT, f"{C}.resources", {}), f"{P}.tolerations", [])
        assert judged(POLICIES, "gpu-toleration-and-selector", given).passed

    def test_a_model_may_use_several_pools(self) -> None:
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": EITHER}}
        roaming = changed(changed(DEPLOYMENT, f"{P}.nodeSelector", GONE), f"{P}.affinity", affinity)
        spot = changed(changed(EKS_POOL, "capacityType", "SPOT"), "labels", {"model-factory/pool": "l4x1-spot"})
        resources = [*with_(roaming, changed(AUTOSCALER, "spec.maxReplicas", 8)), replace(spot, name="spot")]
        assert stacked("max-replicas-fit-quota", resources).passed
        assert stacked("spot-has-fallback", resources).passed
        grown = with_(roaming, changed(AUTOSCALER, "spec.maxReplicas", 9))
        assert (
            "grow to 9 GPUs, and there can be 8"
            in stacked("max-replicas-fit-quota", [*grown, replace(spot, name="spot")]).violations[0]
        )

    def test_models_without_gpus_need_somewhere_to_go_too(self) -> None:
        pool = changed(changed(EKS_POOL, "instanceTypes", ["m7i.large"]), "amiType", "BOTTLEROCKET_x86_64")
        assert stacked("spot-has-fallback", with_(WITHOUT_GPUS, pool)).passed
        resources = with_(WITHOUT_GPUS, changed(pool, "capacityType", "SPOT"))
        assert "when spot is gone" in stacked("spot-has-fallback", resources).violations[0]

    def test_two_models_share_what_a_pool_has(self) -> None:
        second = [
            replace(DEPLOYMENT, name="second", props=changed(DEPLOYMENT, "metadata.name", "second").props),
            replace(changed(AUTOSCALER, "spec.scaleTargetRef.name", "second"), name="second"),
        ]
        assert "may grow to 8 GPUs" in stacked("max-replicas-fit-quota", [*STACK, *second]).violations[0]

    def test_pools_of_another_cluster_do_not_count(self) -> None:
        elsewhere = replace(EKS_POOL, property_dependencies={"clusterName": ["urn:other"]})
        assert stacked("max-replicas-fit-quota", with_(elsewhere)).passed  # no pool is known of this cluster
        both = [*with_(changed(EKS_POOL, "scalingConfig.maxSize", 3)), replace(GKE_POOL, name="other")]
        assert "there can be 3" in stacked("max-replicas-fit-quota", both).violations[0]

    def test_without_dependencies_all_pools_count(self) -> None:
        alone = replace(PROVIDER, dependencies=())
        both = [*with_(alone, changed(EKS_POOL, "scalingConfig.maxSize", 3)), GKE_POOL]
        assert stacked("max-replicas-fit-quota", both).passed

    def test_a_pool_that_stands_in_for_another_does_not_count_twice_against_the_quota(self) -> None:
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": EITHER}}
        roaming = changed(changed(DEPLOYMENT, f"{P}.nodeSelector", GONE), f"{P}.affinity", affinity)
        spot = changed(changed(EKS_POOL, "capacityType", "SPOT"), "labels", {"model-factory/pool": "l4x1-spot"})
        resources = [*with_(roaming), replace(spot, name="spot")]
        assert stacked("max-replicas-fit-quota", resources, gpuQuota={"aws/us-east-1": 4}).passed
        found = stacked("max-replicas-fit-quota", resources, gpuQuota={"aws/us-east-1": 3})
        assert found.violations == ("the pools in aws/us-east-1 may grow to 4 GPUs; the quota there is 3",)
        alone = [*STACK, replace(spot, name="spot")]
        found = stacked("max-replicas-fit-quota", alone, gpuQuota={"aws/us-east-1": 7})
        assert found.violations == ("the pools in aws/us-east-1 may grow to 8 GPUs; the quota there is 7",)

    def test_the_quota_of_a_region_is_kept(self) -> None:
        assert stacked("max-replicas-fit-quota", STACK, gpuQuota={"aws/us-east-1": 4}).passed
        found = stacked("max-replicas-fit-quota", STACK, gpuQuota={"aws/us-east-1": 3, "gcp/us-central1": 0})
        assert found.violations == ("the pools in aws/us-east-1 may grow to 4 GPUs; the quota there is 3",)


class TestServers:
    @pytest.mark.parametrize(
        "args",
        [["org/model", f"--revision={COMMIT}"], ["org/model", "--revision", COMMIT], ["/models/org/model"]],
    )
    def test_a_commit_or_a_folder_pins_the_weights(self, args: list[str]) -> None:
        assert judged(POLICIES, "model-revision-pinned", changed(DEPLOYMENT, f"{C}.args", args)).passed

    def test_the_command_tells_the_server_before_the_image_is_known(self) -> None:
        given = changed(changed(DEPLOYMENT, f"{C}.image", UNKNOWN), f"{C}.command", ["torchserve"])
        verdict = judged(POLICIES, "archived-runtime", given)
        assert verdict.violations
        assert not verdict.not_evaluated

    def test_servers_of_no_model_start_and_end_as_they_like(self) -> None:
        given = changed(changed(WITHOUT_GPUS, f"{C}.startupProbe", GONE), f"{C}.lifecycle", GONE)
        given = changed(given, "spec.template.metadata.labels", {"app": "web"})
        assert judged(POLICIES, "startup-probe-covers-load", given).passed
        assert judged(POLICIES, "drain-before-termination", given).passed

    def test_models_without_gpus_load_and_end_as_those_with_some(self) -> None:
        for policy in ("startup-probe-covers-load", "drain-before-termination", "shm-sized"):
            assert judged(POLICIES, policy, WITHOUT_GPUS).passed
        assert judged(
            POLICIES, "startup-probe-covers-load", changed(WITHOUT_GPUS, f"{C}.startupProbe", GONE)
        ).violations
        assert judged(POLICIES, "drain-before-termination", changed(WITHOUT_GPUS, f"{C}.lifecycle", GONE)).violations
        given = changed(changed(WITHOUT_GPUS, f"{C}.command", ["tritonserver"]), f"{C}.volumeMounts", [])
        assert judged(POLICIES, "shm-sized", given).violations

    def test_what_asks_for_no_gpus_stays_off_their_nodes(self) -> None:
        assert judged(POLICIES, "gpu-toleration-and-selector", WITHOUT_GPUS).passed
        tolerant = changed(WITHOUT_GPUS, f"{P}.tolerations", [{"key": "nvidia.com/gpu", "operator": "Exists"}])
        (told,) = judged(POLICIES, "gpu-toleration-and-selector", tolerant).violations
        assert "asks for no GPUs and tolerates nvidia.com/gpu" in told

    def test_models_without_gpus_name_their_nodes(self) -> None:
        (told,) = judged(
            POLICIES, "gpu-toleration-and-selector", changed(WITHOUT_GPUS, f"{P}.nodeSelector", GONE)
        ).violations
        assert "serves a model and selects no nodes" in told
        stranger = changed(WITHOUT_GPUS, "spec.template.metadata.labels", {"app": "web"})
        assert judged(POLICIES, "gpu-toleration-and-selector", changed(stranger, f"{P}.nodeSelector", GONE)).passed

    def test_other_servers_need_less_time(self) -> None:
        given = changed(changed(DEPLOYMENT, f"{C}.command", ["tritonserver"]), f"{C}.startupProbe.failureThreshold", 30)
        given = changed(given, f"{C}.image", "triton:1")
        assert judged(POLICIES, "startup-probe-covers-load", given).passed

    def test_one_gpu_and_one_process_need_no_shared_memory(self) -> None:
        given = changed(changed(DEPLOYMENT, f"{C}.volumeMounts", []), f"{C}.command", ["tensorflow_model_server"])
        given = changed(given, f"{C}.image", "serving:1")
        assert judged(POLICIES, "shm-sized", given).passed
        assert judged(POLICIES, "shm-sized", changed(given, f"{C}.resources.limits.{GPU}", "2")).violations


class TestScaling:
    def test_kubernetes_own_default_is_300_seconds(self) -> None:
        given = changed(AUTOSCALER, "spec.behavior", GONE)
        assert judged(POLICIES, "scale-down-stabilisation", given).passed
        assert judged(POLICIES, "scale-down-stabilisation", given, seconds=600).violations
        mended = remediated(POLICIES, "scale-down-stabilisation", given, seconds=600)
        assert mended["spec"]["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 600}}

    def test_an_autoscaler_that_never_gives_back_is_patient(self) -> None:
        given = changed(AUTOSCALER, "spec.behavior.scaleDown", {"selectPolicy": "Disabled"})
        assert judged(POLICIES, "scale-down-stabilisation", given, seconds=900).passed

    def test_what_is_no_model_may_stay_awake(self) -> None:
        given = changed(AUTOSCALER, "metadata.labels", {})
        assert judged(POLICIES, "scale-to-zero-outside-production", given).passed


class TestWatching:
    def test_a_service_monitor_will_do(self) -> None:
        monitor = replace(MONITOR, type="kubernetes:monitoring.coreos.com/v1:ServiceMonitor")
        resources = [each for each in STACK if each.urn != MONITOR.urn]
        assert stacked("monitor-and-slo", [*resources, monitor]).passed
        assert stacked("monitor-and-slo", resources).violations
        other = changed(SERVICE, "metadata.labels", {})
        without = [each for each in resources if each.urn != SERVICE.urn]
        assert stacked("monitor-and-slo", [*without, other, monitor]).violations

    def test_an_annotation_will_do(self) -> None:
        noted = changed(DEPLOYMENT, "spec.template.metadata.annotations", {"prometheus.io/scrape": "true"})
        assert stacked("monitor-and-slo", [each for each in with_(noted) if each.urn != MONITOR.urn]).passed

    def test_models_are_told_apart_by_their_labels(self) -> None:
        labels = {**LABELS, "model": "other", "app.kubernetes.io/instance": "other"}
        assert stacked("monitor-and-slo", with_(changed(OBJECTIVE, "metadata.labels", labels))).violations
