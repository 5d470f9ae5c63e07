"""The Pods of the dev stack, which has every runtime, and what is only in other stacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.kubernetes.model_service import ModelService
from components.kubernetes.nodes import pool_labels, pools_by_rank
from components.kubernetes.pod import PodParts, memory_quantity, pod_spec, server_values
from components.kubernetes.runtimes import RUNTIMES
from components.kubernetes.runtimes.runtime import filled
from components.kubernetes.weights import ROUTES, weights_of
from components.kubernetes.weights.fetched import FetchedBuckets
from components.kubernetes.weights.gcs import GcsBuckets
from components.kubernetes.weights.route import PodToken
from components.kubernetes.weights.s3 import S3Buckets
from model_factory.graph.pods import requests_of
from model_factory.planning.placing.plan import Placement
from model_factory.planning.settings.sections import ModelSettings
from tests.components.kubernetes.placed import a_model, placed, without_gpus
from tests.graph.declared import held

# kubernetes.io/docs/concepts/security/pod-security-standards, restricted: the kinds of volumes that may be used.
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",  # since 1.33
    "persistentVolumeClaim",
    "projected",
    "secret",
}


BUCKETS: Mapping[str, Any] = {"aws": S3Buckets("own", "us-east-1"), "gcp": GcsBuckets("own")}


def spec_of(model: ModelSettings) -> Any:
    """The Pod of a model on its own."""
    parts = PodParts(image="i", fetcher=None, service_account="m", config_map=None, volume=None)
    return pod_spec(placed(model), RUNTIMES[model.runtime], weights_of(model, BUCKETS["aws"]), parts, {})


def served(
    model: ModelSettings,
    labels: Mapping[str, str] | None = None,
    buckets: Any = None,
    placement: Placement | None = None,
) -> ModelService:
    """Declares a model's service, in the cloud that can read its weights."""
    there = buckets or BUCKETS["gcp" if model.weights.scheme == "gs" else "aws"]
    return ModelService(
        "m",
        {
            "placement": placement or placed(model),
            "image": "i",
            "fetcher": "f",
            "weights": weights_of(model, there),
            "service_account_annotations": {},
            "labels": labels or {},
        },
    )


def in_pools(*names: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "model-factory/pool", "operator": "In", "values": list(names)}]}


@pytest.fixture(scope="module")
def deployments(dev: Any) -> dict[str, Any]:
    return {each.inputs["metadata"]["labels"]["model"]: each for each in dev.of("apps/v1:Deployment")}


@pytest.fixture(
    params=["assistant", "embeddings", "image-classifier", "object-detector", "text-classifier"],
    scope="module",
)
def pod(request: pytest.FixtureRequest, deployments: dict[str, Any]) -> dict[str, Any]:
    return deployments[request.param].inputs["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def server(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["containers"]
    return container


class TestRestrictedPods:
    def test_run_as_nobody_in_particular(self, pod: dict[str, Any], server: dict[str, Any]) -> None:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert server["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not server["securityContext"]["allowPrivilegeEscalation"]

    def test_share_nothing_with_the_node(self, pod: dict[str, Any]) -> None:
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for volume in pod["volumes"]:
            assert set(volume) - {"name"} <= RESTRICTED_VOLUMES

    def test_write_only_where_they_must(self, pod: dict[str, Any], server: dict[str, Any]) -> None:
        assert server["securityContext"]["readOnlyRootFilesystem"]
        writable = {mount["name"] for mount in server["volumeMounts"] if not mount.get("readOnly")}
        assert writable <= {"scratch", "shared-memory"}

    def test_carry_no_token_for_the_api(self, pod: dict[str, Any]) -> None:
        assert not pod["automountServiceAccountToken"]

    def test_every_mount_has_its_volume(self, pod: dict[str, Any], server: dict[str, Any]) -> None:
        assert {mount["name"] for mount in server["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


class TestEnvironment:
    def test_names_the_user_and_a_home_that_can_be_written(self, server: dict[str, Any]) -> None:
        variables = {each["name"]: each["value"] for each in server["env"]}
        assert variables["USER"], "no image knows the uid by a name"
        writable = {mount["mountPath"] for mount in server["volumeMounts"] if not mount.get("readOnly")}
        assert variables["HOME"] in writable

    def test_holds_no_addresses_of_other_services(self, pod: dict[str, Any]) -> None:
        # A Service named vllm would set VLLM_PORT, which vLLM reads.
        assert pod["enableServiceLinks"] is False

    @pytest.mark.parametrize("runtime", ["sglang", "vllm"])
    def test_keeps_a_server_with_mounted_weights_from_asking_the_hub(self, runtime: str) -> None:
        hub = {"weights": {"uri": "hf://owner/m", "revision": "a" * 40}}
        for more, offline in (({}, True), (hub, False)):
            model = a_model(runtime=runtime, **more)
            (container,) = spec_of(model)["containers"]
            variables = {each["name"]: each["value"] for each in container["env"]}
            assert (variables.get("HF_HUB_OFFLINE") == "1") is offline
            assert (variables.get("TRANSFORMERS_OFFLINE") == "1") is offline

    def test_keeps_vllm_from_telling_of_itself(self) -> None:
        assert RUNTIMES["vllm"].env["VLLM_NO_USAGE_STATS"] == "1"


class TestSharedMemory:
    @pytest.mark.parametrize("runtime", ["vllm", "sglang", "triton", "triton-onnx", "torchserve"])
    def test_of_servers_of_several_processes_is_theirs_and_bounded(self, runtime: str) -> None:
        spec = spec_of(a_model(runtime=runtime))
        (container,) = spec["containers"]
        (mount,) = [each for each in container["volume_mounts"] if each["mount_path"] == "/dev/shm"]
        (volume,) = [each for each in spec["volumes"] if each["name"] == mount["name"]]
        assert volume["empty_dir"]["medium"] == "Memory"
        assert volume["empty_dir"]["size_limit"].endswith("Gi")


class TestGpus:
    def test_the_request_is_the_limit(self, server: dict[str, Any]) -> None:
        resources = server["resources"]
        assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == "1"
        assert resources["requests"]["memory"] == resources["limits"]["memory"]

    def test_pods_tolerate_what_keeps_others_away(self, pod: dict[str, Any]) -> None:
        assert [each["key"] for each in pod["tolerations"]] == ["nvidia.com/gpu"]


class TestPodsWithoutGpus:
    def test_ask_for_cpu_and_memory_alone(self) -> None:
        (server,) = spec_of(without_gpus(cpu="1500m", memory_gib=3))["containers"]
        assert server["resources"]["requests"] == {"cpu": "1500m", "memory": "3Gi", "ephemeral-storage": "20Gi"}
        assert server["resources"]["limits"] == {"memory": "3Gi"}

    def test_tolerate_nothing_and_go_to_their_pool(self) -> None:
        spec = spec_of(without_gpus())
        assert "tolerations" not in spec
        assert spec["node_selector"] == pool_labels("cpu-on-demand")

    def test_tolerate_what_google_keeps_others_off_arm_nodes_with(self) -> None:
        (toleration,) = spec_of(without_gpus(architecture="arm64"))["tolerations"]
        assert (toleration["key"], toleration["value"], toleration["effect"]) == (
            "kubernetes.io/arch",
            "arm64",
            "NoSchedule",
        )

    @pytest.mark.parametrize("runtime", sorted(name for name, each in RUNTIMES.items() if each.runs_without_gpus))
    def test_start_no_more_threads_than_they_ask_for_cores(self, runtime: str) -> None:
        (server,) = spec_of(without_gpus(runtime=runtime, cpu="3"))["containers"]
        told = [each["value"] for each in server["env"] if "THREADS" in each["name"]]
        told += [value for flag, value in pairwise(server["args"]) if flag == "--threads"]
        assert set(told) == {"3"}
        (with_one,) = spec_of(a_model(runtime=runtime))["containers"]
        assert not [each for each in with_one["env"] if "THREADS" in each["name"]]

    @pytest.mark.parametrize(("cpu", "cores"), [("500m", "1"), ("2", "2"), ("3500m", "3")])
    def test_tell_their_servers_how_many_cores_they_have(self, cpu: str, cores: str) -> None:
        model = without_gpus(cpu=cpu)
        assert server_values(model, weights_of(model, BUCKETS["aws"]))["cpus"] == cores


class TestPools:
    def test_a_pod_with_one_goes_there_and_nowhere_else(self, deployments: dict[str, Any]) -> None:
        pod = deployments["object-detector"].inputs["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"model-factory/pool": "l4x1-on-demand"}
        assert "affinity" not in pod

    def test_a_pod_with_several_may_use_each_and_prefers_them_by_rank(self, deployments: dict[str, Any]) -> None:
        pod = deployments["assistant"].inputs["spec"]["template"]["spec"]
        affinity = pod["affinity"]["nodeAffinity"]
        assert "nodeSelector" not in pod
        (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        assert term == in_pools("l40sx1-spot", "l40sx1-on-demand")
        preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert preferred == [{"weight": 100, "preference": in_pools("l40sx1-spot")}]

    @given(st.lists(st.text("abcx-1", min_size=1), min_size=2, max_size=20, unique=True))
    def test_weights_fall_with_the_rank_and_are_those_that_kubernetes_takes(self, pools: list[str]) -> None:
        affinity: Any = pools_by_rank(pools)
        weights = [each["weight"] for each in affinity["preferred_during_scheduling_ignored_during_execution"]]
        assert len(weights) == len(pools) - 1
        assert weights == sorted(weights, reverse=True)
        assert 1 <= min(weights) <= max(weights) <= 100
        assert len(set(weights[:3])) == len(weights[:3]), "the kinds of capacity are three"

    def test_a_pod_waits_for_all_of_them(self, dev: Any, deployments: dict[str, Any]) -> None:
        for name in ("l40sx1-spot", "l40sx1-on-demand"):
            group = dev.one(":NodeGroup", f"dev-aws-us-east-1-{name}")
            assert group.urn in dev.waits_for(deployments["assistant"])


class TestProbes:
    def test_ask_a_port_that_is_there(self, server: dict[str, Any]) -> None:
        names = {port["name"] for port in server["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert server[probe]["httpGet"]["port"] in names

    def test_the_startup_probe_covers_the_load(self, server: dict[str, Any]) -> None:
        startup = server["startupProbe"]
        assert startup["failureThreshold"] * startup["periodSeconds"] >= 300

    @pytest.mark.parametrize("runtime", ["vllm", "sglang"])
    def test_llms_have_half_an_hour_to_load(self, runtime: str) -> None:
        (container,) = spec_of(a_model(runtime=runtime))["containers"]
        startup = container["startup_probe"]
        assert startup["failure_threshold"] * startup["period_seconds"] >= 1800

    def test_liveness_is_more_patient_than_readiness(self, server: dict[str, Any]) -> None:
        patience = {
            name: server[name]["failureThreshold"] * server[name]["periodSeconds"]
            for name in ("livenessProbe", "readinessProbe")
        }
        assert patience["livenessProbe"] > patience["readinessProbe"]

    def test_pods_drain_before_they_go(self, pod: dict[str, Any], server: dict[str, Any]) -> None:
        assert pod["terminationGracePeriodSeconds"] > server["lifecycle"]["preStop"]["sleep"]["seconds"]


class TestDeployments:
    def test_leave_the_replica_count_to_the_autoscaler(self, deployments: dict[str, Any]) -> None:
        assert not any("replicas" in each.inputs["spec"] for each in deployments.values())

    def test_wait_as_long_as_a_cold_start_takes(self, deployments: dict[str, Any]) -> None:
        assert deployments["assistant"].create_timeout == "3000s"

    def test_a_service_waits_for_its_pods_as_long_as_their_deployment(
        self, dev: Any, deployments: dict[str, Any]
    ) -> None:
        services = {each.inputs["metadata"]["name"]: each for each in dev.of("core/v1:Service")}
        assert services.keys() == deployments.keys()
        for name, service in services.items():
            assert service.create_timeout == deployments[name].create_timeout

    @pytest.mark.parametrize(("surge", "rolling"), [(1, (1, 0)), (0, (0, 1))])
    def test_a_new_pod_comes_first_where_there_is_room_for_it(
        self, run: Any, surge: int, rolling: tuple[int, int]
    ) -> None:
        seen = run(lambda: served(a_model(), placement=replace(placed(a_model()), surge=surge)))
        strategy = seen.one("apps/v1:Deployment").inputs["spec"]["strategy"]["rollingUpdate"]
        assert (strategy["maxSurge"], strategy["maxUnavailable"]) == rolling

    def test_selectors_find_their_pods(self, deployments: dict[str, Any]) -> None:
        for each in deployments.values():
            spec = each.inputs["spec"]
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()

    def test_gke_mounts_buckets_for_pods_that_ask(self, deployments: dict[str, Any]) -> None:
        for name, asks in (("embeddings", True), ("assistant", False)):
            annotations = deployments[name].inputs["spec"]["template"]["metadata"]["annotations"]
            assert ("gke-gcsfuse/volumes" in annotations) is asks


class TestScratch:
    """What a Pod writes is asked for: a node without the room would take it, and evict it when the disk is full."""

    def asked(self, **changes: Any) -> tuple[str, str]:
        model = a_model(**changes)
        route = ROUTES[model.weights.scheme]
        spec = spec_of(model.model_copy(update={"footprint": route.footprint(model.weights_gib)}))
        (container,) = spec["containers"]
        (scratch,) = [each for each in spec["volumes"] if each["name"] == "scratch"]
        return container["resources"]["requests"]["ephemeral-storage"], scratch["empty_dir"]["size_limit"]

    def test_of_fetched_weights_holds_them(self) -> None:
        hub = {"uri": "hf://owner/m", "revision": "a" * 40}
        assert self.asked(weights={**hub, "size_gib": 200}) == ("240Gi", "240Gi")
        assert self.asked(weights=hub, gpu_memory_gib=80) == ("108Gi", "108Gi"), "the GPUs must hold them, too"

    def test_of_mounted_weights_does_not(self) -> None:
        assert self.asked(weights={"uri": "bucket://m", "size_gib": 200}) == ("20Gi", "20Gi")


class TestMountsOfCloudStorage:
    def test_are_sized_for_the_weights_and_not_limited(self) -> None:
        def notes(size_gib: int) -> Mapping[str, str]:
            model = a_model(weights={"uri": "bucket://m", "size_gib": size_gib})
            return weights_of(model, BUCKETS["gcp"]).pod_annotations

        assert notes(140) == {
            "gke-gcsfuse/volumes": "true",
            "gke-gcsfuse/cpu-request": "250m",
            "gke-gcsfuse/cpu-limit": "0",
            "gke-gcsfuse/memory-request": "2816Mi",
            "gke-gcsfuse/memory-limit": "0",
            "gke-gcsfuse/ephemeral-storage-request": "1Gi",
            "gke-gcsfuse/ephemeral-storage-limit": "0",
        }
        assert notes(1)["gke-gcsfuse/memory-request"] == "768Mi"
        assert notes(4000)["gke-gcsfuse/memory-request"] == "4096Mi"

    @pytest.mark.parametrize("scheme", ["bucket", "gs"])
    def test_count_in_the_plan_what_the_pod_will_have(self, run: Any, scheme: str) -> None:
        model = a_model(weights={"uri": f"{scheme}://owner/m", "size_gib": 140})
        seen = run(lambda: served(model, buckets=BUCKETS["gcp"]))
        deployment = seen.one("apps/v1:Deployment")
        asked = requests_of(held(deployment.type, deployment.inputs))
        beside = ROUTES[scheme].footprint(model.weights_gib).beside_in("gcp")
        assert asked.cpu == Decimal(model.cpu) + beside.cpu
        assert asked.memory_gib == model.memory_gib + beside.memory_gib


class TestFetchedWeights:
    BUCKETS = FetchedBuckets("s3", "own", "fetch:1@sha256:0", {"AWS_ENDPOINT_URL_S3": "http://clouds:4620"}, 4620)

    @pytest.fixture
    def deployment(self, run: Any) -> Any:
        model = a_model(weights={"uri": "bucket://m", "revision": "7", "sizeGib": 2.5})
        return run(lambda: served(model, buckets=self.BUCKETS)).one("apps/v1:Deployment").inputs

    def test_lie_in_a_volume_that_only_the_fetcher_writes(self, deployment: Any) -> None:
        spec = deployment["spec"]["template"]["spec"]
        (volume,) = [each for each in spec["volumes"] if each["name"] == "weights"]
        assert volume["emptyDir"] == {"sizeLimit": "4Gi"}
        (fetcher,), (server,) = spec["initContainers"], spec["containers"]
        mounts = {
            each["name"]: [m for m in each["volumeMounts"] if m["name"] == "weights"] for each in (fetcher, server)
        }
        ((written,), (read,)) = mounts.values()
        assert written["mountPath"] == read["mountPath"] == "/models/m"
        assert not written.get("readOnly")
        assert read["readOnly"] is True

    def test_are_copied_from_where_the_cloud_has_them(self, deployment: Any) -> None:
        (fetcher,) = deployment["spec"]["template"]["spec"]["initContainers"]
        assert fetcher["image"] == "f"
        assert fetcher["args"] == ["s3://own/m/7/", "/models/m"]
        assert {"name": "AWS_ENDPOINT_URL_S3", "value": "http://clouds:4620"} in fetcher["env"]

    def test_let_the_pod_out_to_the_clouds_alone(self, run: Any) -> None:
        model = a_model(weights={"uri": "bucket://m", "revision": "7"})
        policies = run(lambda: served(model, buckets=self.BUCKETS)).of(":NetworkPolicy")
        ways = [rule for each in policies for rule in each.inputs["spec"].get("egress", [])]
        assert [port["port"] for rule in ways for port in rule["ports"]] == [53, 53, 4620]

    def test_are_read_with_a_token_of_the_pods_own_where_somebody_asks_for_one(self, run: Any) -> None:
        asked = replace(self.BUCKETS, token=PodToken("pods.eks.amazonaws.com", "/var/run/token", "token"))
        spec = (
            run(lambda: served(a_model(weights={"uri": "bucket://m"}), buckets=asked)).one("apps/v1:Deployment").inputs
        )
        spec = spec["spec"]["template"]["spec"]
        (fetcher,), (server,) = spec["initContainers"], spec["containers"]
        (volume,) = [each for each in spec["volumes"] if "projected" in each]
        assert volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "pods.eks.amazonaws.com"
        assert [each["mountPath"] for each in fetcher["volumeMounts"] if each["name"] == volume["name"]] == [
            "/var/run/token"
        ]
        assert all(each["name"] != volume["name"] for each in server["volumeMounts"])

    def test_meet_the_restricted_standard_while_they_are_fetched(self, deployment: Any) -> None:
        (fetcher,) = deployment["spec"]["template"]["spec"]["initContainers"]
        assert fetcher["securityContext"]["readOnlyRootFilesystem"] is True
        assert fetcher["securityContext"]["allowPrivilegeEscalation"] is False
        assert fetcher["securityContext"]["capabilities"] == {"drop": ["ALL"]}


class TestVersionedWeights:
    def test_lie_in_a_folder_of_their_number(self) -> None:
        volume: Any = {"name": "weights"}
        parts = PodParts(image="i", fetcher=None, service_account="m", config_map=None, volume=volume)
        for revision, mounted in (("7", "/models/m/7"), ("1.0.3", "/models/m"), (None, "/models/m")):
            model = a_model(runtime="tensorflow-serving", weights={"uri": "bucket://m", "revision": revision})
            weights = weights_of(model, BUCKETS["aws"])
            spec: Any = pod_spec(placed(model), RUNTIMES[model.runtime], weights, parts, {})
            (container,) = spec["containers"]
            assert "--model_base_path=/models/m" in container["args"]
            (mount,) = [each for each in container["volume_mounts"] if each["name"] == "weights"]
            assert mount["mount_path"] == mounted


class TestLabels:
    def test_another_one_is_on_every_object_and_starts_no_pod_anew(self, run: Any) -> None:
        def labelled(value: str) -> Any:
            return run(lambda: served(a_model(), labels={"team": value}))

        before, after = (labelled(value).one("apps/v1:Deployment").inputs for value in ("a", "b"))
        assert before["metadata"]["labels"]["team"] == "a"
        assert after["metadata"]["labels"]["team"] == "b"
        assert before["spec"] == after["spec"]
        for each in labelled("b").resources:
            if each.type.startswith("kubernetes:"):
                assert each.inputs["metadata"]["labels"]["team"] == "b"

    def test_of_pods_name_the_model_that_pays_for_them(self, deployments: dict[str, Any]) -> None:
        for name, each in deployments.items():
            assert each.inputs["spec"]["template"]["metadata"]["labels"]["model"] == name


class TestRevisions:
    @pytest.mark.parametrize("scheme", ["bucket", "gs", "s3", "hf"])
    def test_another_one_is_another_pod(self, run: Any, scheme: str) -> None:
        def pod_of(revision: str) -> Any:
            weights = {"uri": f"{scheme}://owner/m", "revision": revision}
            seen = run(lambda: served(a_model(weights=weights)))
            return seen.one("apps/v1:Deployment").inputs["spec"]["template"]

        before, after = pod_of("a" * 40), pod_of("b" * 40)
        assert before != after
        assert after["metadata"]["annotations"]["model-factory/revision"] == "b" * 40


class TestDisruptionBudgets:
    def test_let_a_node_be_drained_whatever_the_replicas(self, dev: Any) -> None:
        budgets = dev.of("policy/v1:PodDisruptionBudget")
        assert budgets
        for each in budgets:
            assert "minAvailable" not in each.inputs["spec"]
            assert each.inputs["spec"]["maxUnavailable"] >= 1
            assert each.inputs["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


class TestServices:
    def test_every_port_leads_to_a_port_of_the_pod(self, dev: Any, deployments: dict[str, Any]) -> None:
        for service in dev.of("core/v1:Service"):
            model = service.inputs["metadata"]["labels"]["model"]
            spec = deployments[model].inputs["spec"]["template"]
            (container,) = spec["spec"]["containers"]
            names = {port["name"] for port in container["ports"]}
            assert {port["targetPort"] for port in service.inputs["spec"]["ports"]} == names
            assert service.inputs["spec"]["selector"].items() <= spec["metadata"]["labels"].items()


class TestNamespaces:
    def test_admit_restricted_pods_only(self, dev: Any) -> None:
        for namespace in dev.of("core/v1:Namespace"):
            assert namespace.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    def test_deny_all_traffic_by_default(self, dev: Any) -> None:
        denying = [
            each for each in dev.of("networking.k8s.io/v1:NetworkPolicy") if not each.inputs["spec"]["podSelector"]
        ]
        assert len(denying) == 5
        for each in denying:
            assert each.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


class TestModelTraffic:
    def policies(self, dev: Any) -> dict[str, Any]:
        return {
            each.inputs["metadata"]["labels"]["model"]: each.inputs["spec"]
            for each in dev.of("networking.k8s.io/v1:NetworkPolicy")
            if each.inputs["spec"]["podSelector"]
        }

    def test_comes_from_labelled_namespaces_only(self, dev: Any) -> None:
        for spec in self.policies(dev).values():
            assert all(rule["from"] and rule["ports"] for rule in spec["ingress"])

    def test_metrics_are_read_from_a_prometheus_in_the_cluster_and_from_googles_own(self, dev: Any) -> None:
        for spec in self.policies(dev).values():
            readers = [
                [peer["namespaceSelector"]["matchLabels"].get("kubernetes.io/metadata.name") for peer in rule["from"]]
                for rule in spec["ingress"]
            ]
            assert readers[-1] == ["monitoring", "gmp-system", "gke-gmp-system"]

    def test_models_on_aws_go_nowhere_but_to_dns(self, dev: Any) -> None:
        (rule,) = self.policies(dev)["assistant"]["egress"]
        assert {port["port"] for port in rule["ports"]} == {53}

    def test_models_on_gcp_reach_their_bucket_and_no_private_address(self, dev: Any) -> None:
        web = self.policies(dev)["embeddings"]["egress"][1]["to"][0]["ipBlock"]
        assert web["cidr"] == "0.0.0.0/0"
        assert "10.0.0.0/8" in web["except"]


class TestAccounts:
    def test_on_gcp_name_the_account_they_act_as(self, dev: Any) -> None:
        accounts = {each.inputs["metadata"]["name"]: each.inputs for each in dev.of("core/v1:ServiceAccount")}
        assert "iam.gke.io/gcp-service-account" in accounts["embeddings"]["metadata"]["annotations"]
        assert not accounts["embeddings"]["automountServiceAccountToken"]


class TestS3Mounts:
    def test_pods_read_with_their_own_identity(self, dev: Any) -> None:
        for volume in dev.of("core/v1:PersistentVolume"):
            csi = volume.inputs["spec"]["csi"]
            assert csi["volumeAttributes"]["authenticationSource"] == "pod"
            assert "read-only" in volume.inputs["spec"]["mountOptions"]

    def test_claims_name_their_volume(self, dev: Any) -> None:
        names = {volume.name: f"{volume.name}-0000000" for volume in dev.of("core/v1:PersistentVolume")}
        for claim in dev.of("core/v1:PersistentVolumeClaim"):
            assert claim.inputs["spec"]["volumeName"] == names[claim.name]

    def test_another_revision_or_bucket_is_another_volume(self, run: Any) -> None:
        """The handle cannot be changed, while mount options can: under Pods that run."""

        def volume_of(bucket: str, **weights: str) -> Any:
            model = a_model(weights={"uri": "bucket://m", **weights})
            seen = run(lambda: served(model, buckets=S3Buckets(bucket, "us-east-1")))
            return seen.one("core/v1:PersistentVolume").inputs["spec"]["csi"]["volumeHandle"]

        handles = [volume_of("own", revision="1"), volume_of("own", revision="2"), volume_of("other", revision="1")]
        assert len({*handles}) == 3
        assert volume_of("own", revision="1") == handles[0]


class TestModelServers:
    @pytest.mark.parametrize("server", RUNTIMES.values(), ids=list(RUNTIMES))
    def test_name_ports_that_they_open(self, server: Any) -> None:
        assert {server.health_port, server.metrics_port} <= set(server.ports)
        assert all(len(name) <= 15 for name in server.ports)

    def test_torchserve_keeps_its_management_to_itself(self) -> None:
        assert "management_address=http://127.0.0.1:8081" in RUNTIMES["torchserve"].files["config.properties"]
        assert 8081 not in RUNTIMES["torchserve"].ports.values()


class TestHubWeights:
    @pytest.mark.parametrize("runtime", ["sglang", "vllm"])
    def test_are_pinned_to_their_commit_and_not_mounted(self, runtime: str) -> None:
        weights = {"uri": "hf://owner/m", "revision": "a" * 40}
        spec = spec_of(a_model(runtime=runtime, weights=weights, gpus_per_replica=2))
        (container,) = spec["containers"]
        assert container["args"][0].removeprefix("--model-path=") == "owner/m"
        assert f"--revision={'a' * 40}" in container["args"]
        assert "--tensor-parallel-size=2" in container["args"]
        assert "weights" not in {volume["name"] for volume in spec["volumes"]}
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"


IMAGE_OF_WEIGHTS = f"registry.test/team/m@sha256:{'1' * 64}"


@pytest.fixture(scope="module")
def seen(run: Any) -> Any:
    model = a_model(weights={"uri": f"oci://{IMAGE_OF_WEIGHTS}"})
    assert weights_of(model, BUCKETS["aws"]).reads is None
    return run(lambda: served(model))


class TestImageWeights:
    def test_are_mounted_by_digest_and_loaded_from_there(self, seen: Any) -> None:
        pod = seen.one("apps/v1:Deployment").inputs["spec"]["template"]["spec"]
        volume = next(each for each in pod["volumes"] if each["name"] == "weights")
        assert volume["image"] == {"reference": IMAGE_OF_WEIGHTS, "pullPolicy": "IfNotPresent"}
        (container,) = pod["containers"]
        assert {"name": "weights", "mountPath": "/models/m", "readOnly": True} in container["volumeMounts"]
        assert container["args"][0] == "/models/m"

    def test_need_no_way_out(self, seen: Any) -> None:
        (rule,) = seen.one("v1:NetworkPolicy", "m").inputs["spec"]["egress"]
        assert {port["port"] for port in rule["ports"]} == {53}

    @pytest.mark.parametrize("version", ["1.35", "1.36"])
    def test_pass_the_published_schemas(self, seen: Any, version: str) -> None:
        kubernetes_validate.validate(dict(seen.one("apps/v1:Deployment").inputs), version, strict=True)


class TestQuantities:
    @pytest.mark.parametrize(("gib", "text"), [("8", "8Gi"), ("7.5", "7680Mi"), ("0.25", "256Mi")])
    def test_memory_is_in_binary_units(self, gib: str, text: str) -> None:
        assert memory_quantity(Decimal(gib)) == text

    def test_braces_of_files_stay(self) -> None:
        assert filled("max { value: 1 } {name}", {"name": "m", "weights": "w"}) == "max { value: 1 } m"
