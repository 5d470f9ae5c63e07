from __future__ import annotations

import json
from typing import Any

import pytest

from components.gcp.gke import GkeCluster, GkeClusterArgs, gke_kubeconfig
from components.gcp.node_pool import GkeNodePool
from components.kubernetes.nodes import model_pool_shape
from model_factory.facts.offer import CapacityType
from model_factory.planning.placing.plan import Pool
from model_factory.planning.settings.cloud import Reservation
from model_factory.planning.settings.gcp import GcpSettings

SETTINGS = GcpSettings(project="project-1", regions=("us-central1",))
ARGS: GkeClusterArgs = {
    "region": "us-central1",
    "settings": SETTINGS,
    "network_id": "network",
    "subnetwork_id": "subnet",
    "protect": False,
    "tokens_are_local": False,
    "labels": {"team": "a"},
}


@pytest.fixture(scope="module")
def seen(run: Any) -> Any:
    return run(lambda: GkeCluster("dev-gcp-us-central1", ARGS))


@pytest.fixture(scope="module")
def cluster(seen: Any) -> Any:
    return seen.one("container/cluster:Cluster").inputs


def node_pool(
    run: Any,
    *,
    accelerator: str = "l4",
    machine: str = "g2-standard-4",
    reservation: Reservation | None = None,
    capacity: CapacityType = "spot",
    zones: tuple[str, ...] = (),
    initial: int = 0,
) -> Any:
    pool = Pool(
        f"{accelerator or 'cpu'}x1-{capacity}",
        "gcp",
        "us-central1",
        machine,
        accelerator,
        1 if accelerator else 0,
        capacity,
        max_nodes=4,
        reservation=reservation,
    )
    return run(
        lambda: GkeNodePool(
            f"us-central1-{pool.name}",
            {
                "project": "project-1",
                "region": "us-central1",
                "zones": zones,
                "cluster_name": "cluster",
                "service_account": "nodes@project-1",
                "shape": model_pool_shape(pool, initial),
                "labels": {},
            },
        )
    ).one(":NodePool")


class TestControlPlane:
    def test_nodes_have_no_public_addresses(self, cluster: Any) -> None:
        assert cluster["privateClusterConfig"]["enablePrivateNodes"]

    def test_is_private_unless_blocks_are_named(self, cluster: Any, run: Any) -> None:
        assert cluster["privateClusterConfig"]["enablePrivateEndpoint"]
        assert cluster["masterAuthorizedNetworksConfig"] == {
            "cidrBlocks": [],
            "gcpPublicCidrsAccessEnabled": False,
        }
        settings = SETTINGS.model_copy(update={"authorized_cidrs": ("203.0.113.0/24",)})
        args: GkeClusterArgs = {**ARGS, "settings": settings}
        opened = run(lambda: GkeCluster("c", args)).one("container/cluster:Cluster").inputs
        assert not opened["privateClusterConfig"]["enablePrivateEndpoint"]
        assert opened["masterAuthorizedNetworksConfig"]["cidrBlocks"][0]["cidrBlock"] == "203.0.113.0/24"

    def test_has_workload_identity_shielded_nodes_and_no_legacy_access(self, cluster: Any) -> None:
        assert cluster["workloadIdentityConfig"] == {"workloadPool": "project-1.svc.id.goog"}
        assert cluster["enableShieldedNodes"]
        assert not cluster["enableLegacyAbac"]
        assert not cluster["masterAuth"]["clientCertificateConfig"]["issueClientCertificate"]

    def test_network_policies_are_enforced(self, cluster: Any) -> None:
        assert cluster["datapathProvider"] == "ADVANCED_DATAPATH"

    def test_no_node_runs_as_the_default_account(self, seen: Any, cluster: Any) -> None:
        own = "dev-gcp-us-central1-nodes@project.iam.gserviceaccount.com"
        assert cluster["nodeConfig"]["serviceAccount"] == own
        assert seen.one(":NodePool").inputs["nodeConfig"]["serviceAccount"] == own

    def test_account_ids_fit_what_google_takes(self, seen: Any, run: Any) -> None:
        long = run(lambda: GkeCluster("staging-gcp-northamerica-northeast1", ARGS))
        for each in (*seen.of(":Account"), *long.of(":Account")):
            assert 6 <= len(each.inputs["accountId"]) <= 30


class TestNodePool:
    def test_a_pool_of_models_without_gpus_attaches_none_and_surges(self, run: Any) -> None:
        inputs = node_pool(run, accelerator="", machine="c4-standard-4").inputs
        assert "guestAccelerators" not in inputs["nodeConfig"]
        assert inputs["nodeConfig"]["taints"][0]["effect"] == "PREFER_NO_SCHEDULE"
        assert inputs["upgradeSettings"] == {"maxSurge": 1, "maxUnavailable": 0}

    def test_a_reservation_has_no_machine_to_surge_onto(self, run: Any) -> None:
        held = Reservation(name="held", zone="us-central1-a", machine_type="c4-standard-4", machines=2)
        made = node_pool(run, accelerator="", machine="c4-standard-4", capacity="reserved", reservation=held)
        assert made.inputs["upgradeSettings"] == {"maxSurge": 0, "maxUnavailable": 1}

    def test_gpu_pool_repels_cpu_pods(self, run: Any) -> None:
        config = node_pool(run).inputs["nodeConfig"]
        assert config["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]

    def test_gke_installs_the_driver_of_the_accelerator(self, run: Any) -> None:
        (accelerator,) = node_pool(run).inputs["nodeConfig"]["guestAccelerators"]
        assert (accelerator["type"], accelerator["count"]) == ("nvidia-l4", 1)
        assert accelerator["gpuDriverInstallationConfig"] == {"gpuDriverVersion": "LATEST"}

    def test_an_accelerator_that_gke_does_not_sell_is_refused(self, run: Any) -> None:
        with pytest.raises(ValueError, match="GKE has no accelerator a10g"):
            node_pool(run, accelerator="a10g")

    def test_gke_takes_nodes_to_the_version_of_the_control_plane(self, run: Any) -> None:
        inputs = node_pool(run).inputs
        assert inputs["management"]["autoUpgrade"]
        assert "version" not in inputs

    def test_the_autoscaler_owns_the_size(self, run: Any) -> None:
        pool = node_pool(run)
        assert pool.ignore_changes == ("initialNodeCount",)
        assert pool.inputs["initialNodeCount"] == 0
        assert "nodeCount" not in pool.inputs

    @pytest.mark.parametrize(("capacity", "policy"), [("spot", "ANY"), ("on-demand", "BALANCED")])
    def test_spot_takes_capacity_where_it_is(self, run: Any, capacity: CapacityType, policy: str) -> None:
        inputs = node_pool(run, capacity=capacity).inputs
        assert inputs["autoscaling"]["locationPolicy"] == policy
        assert inputs["nodeConfig"]["spot"] == (capacity == "spot")

    def test_gke_chooses_zones_unless_they_are_given(self, run: Any) -> None:
        assert "nodeLocations" not in node_pool(run).inputs
        assert node_pool(run, zones=("us-central1-a",)).inputs["nodeLocations"] == ["us-central1-a"]

    @pytest.mark.parametrize(
        ("zones", "each"), [((), 2), (("us-central1-a",), 4), (("us-central1-a", "us-central1-c"), 2)]
    )
    def test_the_first_nodes_are_shared_out_over_the_zones(self, run: Any, zones: tuple[str, ...], each: int) -> None:
        assert node_pool(run, zones=zones, initial=4).inputs["initialNodeCount"] == each

    def test_nodes_are_shielded_and_hide_their_metadata(self, run: Any) -> None:
        config = node_pool(run).inputs["nodeConfig"]
        assert config["shieldedInstanceConfig"] == {
            "enableSecureBoot": True,
            "enableIntegrityMonitoring": True,
        }
        assert config["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}

    def test_auto_names_stay_within_forty_characters(self, run: Any) -> None:
        assert len(node_pool(run, accelerator="a100-80gb", capacity="on-demand").name) + 8 <= 40


class TestKubeconfig:
    def test_holds_no_secret_and_asks_for_a_token(self) -> None:
        (user,) = json.loads(gke_kubeconfig("c", "10.0.0.2", "Q0E="))["users"]
        assert set(user["user"]) == {"exec"}
        assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"

    def test_of_a_local_cloud_asks_the_factory_itself(self) -> None:
        (user,) = json.loads(gke_kubeconfig("c", "127.0.0.1:6443", "Q0E=", tokens_are_local=True))["users"]
        command = user["user"]["exec"]
        assert [command["command"], *command["args"]] == ["factory", "cluster-token", "gcp"]
