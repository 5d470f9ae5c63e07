"""What a user of the provider counts on: refusals before any call, drift, exact changes, clear failures, no orphans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from model_factory.local import wire
from model_factory.local.wire import UNKNOWN, Properties
from tests.local.providers.protocol import Made

PROJECT = "model-factory-dev"
PARENT = f"projects/{PROJECT}/locations/us-central1"
NETWORK = "gcp:compute/network:Network"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
NAT = "gcp:compute/routerNat:RouterNat"
ROUTER = "gcp:compute/router:Router"
CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"
REPOSITORY = "gcp:artifactregistry/repository:Repository"
BUCKET = "gcp:storage/bucket:Bucket"
ACCOUNT = "gcp:serviceaccount/account:Account"
PROJECT_MEMBER = "gcp:projects/iAMMember:IAMMember"
L4: Properties = {
    "machineType": "g2-standard-4",
    "guestAccelerators": [{"type": "nvidia-l4", "count": 1}],
}


@pytest.fixture
def calls(engine: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The API methods that the provider calls, in order."""
    made: list[str] = []
    cloud = engine.provider._cloud
    original = cloud.call

    def recorded(method: str, **parameters: Any) -> Any:
        made.append(method)
        return original(method, **parameters)

    monkeypatch.setattr(cloud, "call", recorded)
    return made


def changes_of(calls: list[str]) -> list[str]:
    return [call.rpartition(".")[2] for call in calls if not call.endswith((".get", ".list", "getIamPolicy"))]


@pytest.fixture
def network(engine: Any) -> str:
    made = engine.create(NETWORK, {"autoCreateSubnetworks": False}, name="net").id
    ranges = [
        {"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"},
        {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
    ]
    inputs = {"network": made, "name": "sub", "ipCidrRange": "10.0.0.0/20", "secondaryIpRanges": ranges}
    engine.create(SUBNETWORK, inputs, name="sub")
    return made


@pytest.fixture
def cluster(engine: Any, network: str) -> Any:
    inputs: Properties = {
        "name": "c",
        "location": "us-central1",
        "network": network,
        "subnetwork": "sub",
        "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"},
        "removeDefaultNodePool": True,
        "initialNodeCount": 1,
        "deletionProtection": False,
        "resourceLabels": {"team": "serving"},
        "workloadIdentityConfig": {"workloadPool": f"{PROJECT}.svc.id.goog"},
    }
    return engine.create(CLUSTER, inputs, name="c")


BAD: tuple[tuple[str, Properties, str, str], ...] = (
    (NETWORK, {"name": "Net_1"}, "name", "lowercase"),
    (NETWORK, {"autoCreateSubnetwork": False}, "autoCreateSubnetwork", "does not know this input"),
    (NETWORK, {"mtu": "large"}, "mtu", "TYPE_INT32"),
    (NETWORK, {"routingMode": "LOCAL"}, "routingMode", "GLOBAL, REGIONAL"),
    (SUBNETWORK, {"network": "n", "ipCidrRange": "10.0.0.1/20"}, "ipCidrRange", "host bits"),
    (SUBNETWORK, {"network": "n", "ipCidrRange": "10.0.0.0/31"}, "ipCidrRange", "/4 to /29"),
    (
        SUBNETWORK,
        {"network": "n", "ipCidrRange": "10.0.0.0/20", "secondaryIpRanges": [{"rangeName": "p", "ipCidrRange": "pods"}]},
        "secondaryIpRanges[0].ipCidrRange",
        "no CIDR range",
    ),
    (SUBNETWORK, {"ipCidrRange": "10.0.0.0/20"}, "network", "requires it"),
    (SUBNETWORK, {"network": "n", "purpose": "PUBLIC"}, "purpose", "must be one of"),
    ("gcp:compute/firewall:Firewall", {"network": "n"}, "allows", "exactly one"),
    (CLUSTER, {"location": "Iowa"}, "location", "region"),
    (CLUSTER, {"location": "us-central1", "releaseChannel": {"channel": "WEEKLY"}}, "releaseChannel.channel", "must be one of"),
    (CLUSTER, {"location": "us-central1", "nodeConfig": {"machineTyp": "x"}}, "nodeConfig.machineTyp", "does not know"),
    (
        CLUSTER,
        {"location": "us-central1", "privateClusterConfig": {"masterIpv4CidrBlock": "172.16.0.0/24"}},
        "privateClusterConfig.masterIpv4CidrBlock",
        "/28",
    ),
    (CLUSTER, {"location": "us-central1", "resourceLabels": {"Team": "x"}}, "resourceLabels.Team", "label key"),
    (POOL, {"location": "us-central1"}, "cluster", "requires it"),
    (POOL, {"cluster": "c", "autoscaling": {"minNodeCount": 3, "maxNodeCount": 1}}, "autoscaling.minNodeCount", "above"),
    (POOL, {"cluster": "c", "nodeConfig": {"guestAccelerators": [{"type": "nvidia-l4", "count": "many"}]}}, "nodeConfig.guestAccelerators[0].count", "TYPE_INT64"),
    (POOL, {"cluster": "c", "nodeConfig": {"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}}, "nodeConfig.taints[0].effect", "NO_SCHEDULE"),
    (POOL, {"cluster": "c", "initialNodeCount": -1}, "initialNodeCount", "0 to 1000"),
    (REPOSITORY, {"repositoryId": "Models", "format": "DOCKER"}, "repositoryId", "lowercase"),
    (REPOSITORY, {"repositoryId": "models", "format": "IMAGES"}, "format", "DOCKER"),
    (POOL, {"cluster": "c", "location": "us-central1", "nodeLocations": ["us-east1-b"]}, "nodeLocations[0]", "no zone of us-central1"),
    (POOL, {"cluster": "c", "nodeConfig": {"resourceLabels": {"Team": "x"}}}, "nodeConfig.resourceLabels.Team", "label key"),
    (POOL, {"cluster": "c", "upgradeSettings": {"maxSurge": 0, "maxUnavailable": 0}}, "upgradeSettings.maxSurge", "1 to 20 together"),
    (POOL, {"cluster": "c", "nodeConfig": {"spot": True, "preemptible": True}}, "nodeConfig.spot", "one of the two"),
    (
        POOL,
        {"cluster": "c", "nodeConfig": {"spot": True, "reservationAffinity": {"consumeReservationType": "SPECIFIC_RESERVATION"}}},
        "nodeConfig.spot",
        "no reservation",
    ),
    (POOL, {"cluster": "c", "nodeConfig": {"machineType": "c4-standard-8", "diskType": "pd-balanced"}}, "nodeConfig.diskType", "use hyperdisk-balanced"),
    (POOL, {"cluster": "c", "nodeConfig": {"machineType": "e2-standard-4", "diskType": "hyperdisk-balanced"}}, "nodeConfig.diskType", "use pd-balanced"),
    (POOL, {"cluster": "c", "nodeConfig": {**L4, "machineType": "g2-standard-24"}}, "nodeConfig.guestAccelerators[0]", "has 2 nvidia-l4"),
    (POOL, {"cluster": "c", "nodeConfig": {**L4, "machineType": "n1-standard-4"}}, "nodeConfig.guestAccelerators[0]", "goes with no n1-standard-4"),
    (
        POOL,
        {"cluster": "c", "nodeConfig": {"machineType": "n1-standard-4", "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 3}]}},
        "nodeConfig.guestAccelerators[0].count",
        "use 1, 2, 4",
    ),
    (CLUSTER, {"location": "us-central1", "nodeConfig": {**L4, "machineType": "g2-standard-24"}}, "nodeConfig.guestAccelerators[0]", "has 2 nvidia-l4"),
    (
        CLUSTER,
        {"location": "us-central1", "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "clusterIpv4CidrBlock": "10.4.0.0/14"}},
        "ipAllocationPolicy.clusterIpv4CidrBlock",
        "one of the two",
    ),
    (
        SUBNETWORK,
        {"network": "n", "ipCidrRange": "10.0.0.0/20", "secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.0.8.0/24"}]},
        "secondaryIpRanges[0].ipCidrRange",
        "overlaps 10.0.0.0/20",
    ),
    (
        SUBNETWORK,
        {
            "network": "n",
            "ipCidrRange": "10.0.0.0/20",
            "secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": f"10.{part}.0.0/20"} for part in (4, 5)],
        },
        "secondaryIpRanges[1].rangeName",
        "rename one",
    ),
    ("gcp:compute/firewall:Firewall", {"network": "n", "allows": [{"protocol": "icmp", "ports": ["8"]}]}, "allows[0].ports", "no ports"),
    (BUCKET, {"location": "US", "name": "UPPER"}, "name", "lowercase"),
    (BUCKET, {"location": "US", "versioning": {"enabled": "yes"}}, "versioning.enabled", "TYPE_BOOL"),
    (ACCOUNT, {"accountId": "sa"}, "accountId", "6 to 30"),
    (PROJECT_MEMBER, {"role": "logWriter", "member": "user:a@b.c"}, "role", "roles/"),
    (PROJECT_MEMBER, {"role": "roles/viewer", "member": "a@b.c"}, "member", "serviceAccount:"),
)  # fmt: skip


class TestBadInputs:
    @pytest.mark.parametrize(("token", "inputs", "path", "reason"), BAD)
    def test_are_refused_by_name_before_any_call(
        self, engine: Any, calls: list[str], token: str, inputs: Properties, path: str, reason: str
    ) -> None:
        _, failures = engine.check(token, inputs)
        assert path in failures
        assert reason in failures[path]
        assert calls == []

    def test_are_all_told_at_once(self, engine: Any) -> None:
        _, failures = engine.check(NETWORK, {"name": "X", "mtu": "x", "routingMode": "x"})
        assert set(failures) == {"name", "mtu", "routingMode"}

    def test_unknown_values_pass(self, engine: Any) -> None:
        _, failures = engine.check(
            SUBNETWORK, {"network": UNKNOWN, "ipCidrRange": UNKNOWN, "privateIpGoogleAccess": UNKNOWN}
        )
        assert failures == {}

    def test_a_type_without_declaration_is_refused_by_name(self, engine: Any) -> None:
        with pytest.raises(Exception, match="does not implement gcp:pubsub/topic:Topic"):
            engine.check("gcp:pubsub/topic:Topic", {})


class TestConfiguration:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"containerCustomEndpoint": ""}, "containerCustomEndpoint is missing.*use the Pulumi CLI"),
            (
                {"storageCustomEndpoint": "https://storage.googleapis.com/storage/v1/"},
                "only talks to loopback",
            ),
            ({"pubsubCustomEndpoint": "https://pubsub.googleapis.com/v1/"}, "only talks to loopback"),
            ({"pubsubCustomEndpoint": "http://evil.example\\@127.0.0.1:4770/v1/"}, "only talks to loopback"),
            ({"computeCustomEndpoint": "http://127.0.0.1:1/compute/"}, "version of the API"),
            ({"project": ""}, "gcp:project is missing"),
        ],
    )
    def test_never_leads_outside_loopback(self, engine: Any, config: Properties, message: str) -> None:
        with pytest.raises(Exception, match=message):
            engine.configure(**config)

    def test_takes_the_versions_that_pulumis_own_plugin_uses(self, engine: Any, network: str) -> None:
        engine.configure(
            computeCustomEndpoint=f"{engine.url}/compute/beta/",
            containerCustomEndpoint=f"{engine.url}/container/v1beta1/",
        )
        made = engine.create(NETWORK, {"autoCreateSubnetworks": False}, name="beta")
        assert engine.read(made).id == made.id

    def test_a_project_that_is_not_there_is_a_clear_failure(self, engine: Any) -> None:
        engine.configure(project="elsewhere")
        with pytest.raises(
            Exception,
            match=r"gcp refused compute\.networks\.insert: forbidden: Permission denied on resource project elsewhere",
        ):
            engine.create(NETWORK, {})


class TestNames:
    def test_are_made_from_the_logical_name_and_kept(self, engine: Any) -> None:
        made = engine.create(NETWORK, {"autoCreateSubnetworks": False}, name="serving")
        name = made.outputs["name"]
        assert str(name).startswith("serving-")
        assert len(str(name)) == len("serving-") + 7
        _, again = engine.change(made, routingMode="GLOBAL")
        assert again["name"] == name

    def test_that_get_too_long_are_refused(self, engine: Any) -> None:
        _, failures = engine.check(POOL, {"cluster": "c"}, name="a" * 33)
        assert "40" in failures["name"]


class TestVersions:
    def turned(self, engine: Any, made: Any, wanted: str, *, runs: str = "", preview: bool = True) -> Made:
        """An update, in a preview or not, of a cluster that runs `runs` by now, as the state has it."""
        outputs = {**made.outputs, "masterVersion": runs} if runs else made.outputs
        news = engine.checked(made.token, {**made.inputs, "minMasterVersion": wanted}, made.inputs)
        return engine.update(replace(made, outputs=outputs), news, preview=preview)

    @pytest.mark.parametrize("preview", [True, False])
    def test_that_skip_or_go_back_are_refused_before_anything_is_changed(
        self, engine: Any, cluster: Any, calls: list[str], preview: bool
    ) -> None:
        at_34 = self.at(engine, cluster, "1.34")
        calls.clear()
        with pytest.raises(
            Exception, match=r"minMasterVersion: 1\.36 is 2 versions above .* 1\.34\.9.*; use 1\.35 first"
        ):
            self.turned(engine, at_34, "1.36", preview=preview)
        assert changes_of(calls) == []
        self.turned(engine, at_34, "1.35", preview=preview)

    def test_that_go_back_would_change_nothing_and_are_refused(self, engine: Any, cluster: Any) -> None:
        at_35 = self.at(engine, cluster, "1.35")
        with pytest.raises(
            Exception,
            match=r"minMasterVersion: 1\.34 is older than 1\.35, .* runs 1\.35\.7.*; keep 1\.35 .gcp.kubernetesVersion of the stack file",
        ):
            self.turned(engine, at_35, "1.34")

    def test_are_judged_by_what_the_cluster_runs(self, engine: Any, cluster: Any) -> None:
        """GKE upgrades clusters by itself, and what a failed run asked for was not reached."""
        at_34 = self.at(engine, cluster, "1.34")
        self.turned(engine, at_34, "1.36", runs="1.35.7-gke.1")
        self.turned(engine, at_34, "1.35", runs="1.36.4-gke.1")
        hoped = replace(at_34, inputs={**at_34.inputs, "minMasterVersion": "1.35"})
        self.turned(engine, hoped, "1.34")

    def at(self, engine: Any, cluster: Any, version: str) -> Made:
        inputs = {key: value for key, value in cluster.inputs.items() if key not in ("name", "__defaults")}
        return engine.create(CLUSTER, {**inputs, "minMasterVersion": version}, name=f"at{version[-2:]}")


class TestNodePools:
    def pool(self, engine: Any, cluster: Any, **inputs: Any) -> Any:
        given = {
            "cluster": cluster.outputs["name"],
            "location": "us-central1",
            "nodeLocations": ["us-central1-a"],
        }
        return engine.create(POOL, {**given, "initialNodeCount": 0, "nodeConfig": L4, **inputs}, name="l4x1-spot")

    def test_machine_type_changes_in_place(self, engine: Any, cluster: Any, calls: list[str]) -> None:
        made = self.pool(engine, cluster)
        answer, news = engine.change(made, nodeConfig={**L4, "machineType": "g2-standard-8"})
        assert list(answer.detailedDiff) == ["nodeConfig.machineType"]
        assert not answer.replaces
        calls.clear()
        engine.update(made, news)
        assert changes_of(calls) == ["update"]
        pools = engine.api("container").projects().locations().clusters().nodePools()
        seen = pools.get(name=made.id).execute()
        assert seen["config"]["machineType"] == "g2-standard-8"
        assert seen["config"]["accelerators"] == [{"acceleratorType": "nvidia-l4", "acceleratorCount": "1"}]

    def test_another_accelerator_replaces(self, engine: Any, cluster: Any) -> None:
        made = self.pool(engine, cluster)
        other = {
            "machineType": "n1-standard-4",
            "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 1}],
        }
        answer, _ = engine.change(made, nodeConfig=other)
        assert list(answer.replaces) == ["nodeConfig"]

    def test_size_changes_by_set_size(self, engine: Any, cluster: Any, calls: list[str]) -> None:
        made = self.pool(engine, cluster, nodeCount=1)
        answer, news = engine.change(made, nodeCount=2)
        assert not answer.replaces
        calls.clear()
        after = engine.update(made, news)
        assert changes_of(calls) == ["setSize"]
        assert after.outputs["nodeCount"] == 2

    def test_taints_that_gke_adds_are_no_drift(self, engine: Any, cluster: Any) -> None:
        made = self.pool(engine, cluster)
        config = made.outputs["nodeConfig"]
        assert "taints" not in config
        assert config["effectiveTaints"][0]["key"] == "nvidia.com/gpu"

    def test_wait_their_turn_while_the_cluster_is_busy(self, engine: Any, cluster: Any) -> None:
        engine.control("PUT", "transition", {"seconds": 0.4})
        clusters = engine.api("container").projects().locations().clusters()
        clusters.update(name=cluster.id, body={"update": {"desiredShieldedNodes": {"enabled": True}}}).execute()
        made = self.pool(engine, cluster)
        assert engine.read(made).id == made.id

    def test_without_capacity_are_kept_as_partly_made_and_repaired(self, engine: Any, cluster: Any) -> None:
        engine.control("POST", "seed", {"capacity": {"us-central1-a": {"nvidia-l4": 0}}})
        with pytest.raises(Exception, match="GCE_STOCKOUT") as caught:
            self.pool(engine, cluster, initialNodeCount=1)
        details = caught.value.details
        assert details.id.endswith("/nodePools/" + wire.decode(details.inputs)["name"])
        assert details.reasons


class TestClusters:
    def test_a_changed_label_is_one_call(self, engine: Any, cluster: Any, calls: list[str]) -> None:
        answer, news = engine.change(cluster, resourceLabels={"team": "platform"})
        assert list(answer.detailedDiff) == ["resourceLabels.team"]
        engine.update(cluster, news)
        assert changes_of(calls) == ["setResourceLabels"]

    def test_default_pool_is_removed(self, engine: Any, cluster: Any) -> None:
        seen = engine.api("container").projects().locations().clusters().get(name=cluster.id).execute()
        assert "nodePools" not in seen

    def test_deletion_protection_is_kept(self, engine: Any, cluster: Any) -> None:
        _, news = engine.change(cluster, deletionProtection=True)
        protected = engine.update(cluster, news)
        with pytest.raises(Exception, match="deletionProtection"):
            engine.delete(protected)

    def test_inline_pools_are_refused(self, engine: Any) -> None:
        _, failures = engine.check(CLUSTER, {"location": "us-central1", "nodePools": [{"name": "x"}]})
        assert "nodePools" in failures


class TestLabels:
    def test_pulumis_mark_and_default_labels_are_set_and_are_no_inputs(self, engine: Any) -> None:
        engine.configure(defaultLabels={"owner": "ml"})
        made = engine.create(BUCKET, {"location": "US", "labels": {"team": "serving"}})
        expected = {"team": "serving", "owner": "ml", "goog-pulumi-provisioned": "true"}
        assert engine.api("storage").buckets().get(bucket=made.id).execute()["labels"] == expected
        assert made.outputs["labels"] == {"team": "serving"}
        assert made.outputs["pulumiLabels"] == made.outputs["effectiveLabels"] == expected

    def test_others_labels_survive_an_update(self, engine: Any) -> None:
        made = engine.create(REPOSITORY, {"repositoryId": "r", "format": "DOCKER", "labels": {"team": "a", "old": "x"}})
        repositories = engine.api("artifactregistry").projects().locations().repositories()
        current = repositories.get(name=made.id).execute()
        repositories.patch(
            name=made.id, updateMask="labels", body={"labels": {**current["labels"], "cost": "7"}}
        ).execute()
        _, news = engine.change(made, labels={"team": "b"})
        engine.update(made, news)
        labels = repositories.get(name=made.id).execute()["labels"]
        assert labels == {"team": "b", "cost": "7", "goog-pulumi-provisioned": "true"}


class TestDrift:
    def test_a_changed_label_is_found_and_repaired(self, engine: Any) -> None:
        made = engine.create(REPOSITORY, {"repositoryId": "r", "format": "DOCKER", "labels": {"team": "serving"}})
        repositories = engine.api("artifactregistry").projects().locations().repositories()
        repositories.patch(name=made.id, updateMask="labels", body={"labels": {"team": "other"}}).execute()
        found = wire.decode(engine.read(made).inputs)
        assert list(engine.diff(made, made.inputs, found).detailedDiff) == ["labels.team"]
        engine.update(made, made.inputs)
        assert repositories.get(name=made.id).execute()["labels"]["team"] == "serving"

    def test_an_object_deleted_outside_reads_as_gone(self, engine: Any) -> None:
        made = engine.create(REPOSITORY, {"repositoryId": "r", "format": "DOCKER"})
        engine.api("artifactregistry").projects().locations().repositories().delete(name=made.id).execute()
        engine.control("PUT", "transition", {"seconds": 0})
        engine.provider._cancelled.wait(0.05)
        assert engine.read(made).id == ""

    def test_a_member_taken_out_reads_as_gone_and_others_stay(self, engine: Any) -> None:
        one = engine.create(PROJECT_MEMBER, {"role": "roles/viewer", "member": "user:a@b.c"}, name="a")
        two = engine.create(PROJECT_MEMBER, {"role": "roles/viewer", "member": "user:d@e.f"}, name="b")
        engine.delete(one)
        assert engine.read(one).id == ""
        assert engine.read(two).id == two.id


class TestConcurrency:
    def test_members_and_nats_made_at_once_are_all_there(self, engine: Any, network: str) -> None:
        from concurrent.futures import ThreadPoolExecutor

        router = engine.create(ROUTER, {"network": network}, name="r").outputs["name"]
        ranges = {"sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES", "router": router}

        def make(number: int) -> tuple[Any, Any]:
            member = {"role": "roles/viewer", "member": f"user:u{number}@b.c"}
            return engine.create(PROJECT_MEMBER, member, name=f"m{number}"), engine.create(
                NAT, ranges, name=f"n{number}"
            )

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(make, range(8)))
        assert all(engine.read(each).id == each.id for pair in made for each in pair)


class TestFailures:
    def test_name_cloud_operation_code_and_cause(self, engine: Any) -> None:
        engine.fault(
            "compute.networks.insert",
            error="QUOTA_EXCEEDED",
            status=403,
            message="Quota 'NETWORKS' exceeded.",
        )
        with pytest.raises(
            Exception,
            match=r"gcp refused compute\.networks\.insert: QUOTA_EXCEEDED: Quota 'NETWORKS' exceeded\.",
        ):
            engine.create(NETWORK, {})

    def test_a_refused_create_leaves_nothing(self, engine: Any) -> None:
        engine.fault("compute.networks.insert/operation", message="Internal error.")
        with pytest.raises(Exception, match="Internal error") as caught:
            engine.create(NETWORK, {})
        assert caught.value.details is None
        assert engine.control("GET", "status")["resources"] == {}

    def test_a_failed_cluster_is_recorded_and_can_be_deleted(self, engine: Any, network: str) -> None:
        engine.fault("container.projects.locations.clusters.create/operation", message="Master did not come up.")
        inputs: Properties = {
            "name": "c",
            "location": "us-central1",
            "network": network,
            "subnetwork": "sub",
            "deletionProtection": False,
        }
        with pytest.raises(Exception, match="Master did not come up") as caught:
            engine.create(CLUSTER, inputs)
        details = caught.value.details
        request = pb.DeleteRequest(
            id=details.id,
            urn=engine.urn(CLUSTER, "it"),
            properties=details.properties,
            old_inputs=details.inputs,
        )
        from .conftest import Context

        engine.provider.Delete(request, Context())
        assert "container.clusters" not in engine.control("GET", "status")["resources"]

    def test_a_cloud_that_does_not_answer_is_named(self, engine: Any) -> None:
        engine.configure(computeCustomEndpoint="http://127.0.0.1:9/compute/v1/")
        with pytest.raises(
            Exception, match=r"UNREACHABLE: http://127\.0\.0\.1:9/compute/v1/ does not answer"
        ) as caught:
            engine.create(NETWORK, {})
        assert caught.value.code == grpc.StatusCode.UNKNOWN

    def test_deleting_a_full_bucket_says_what_to_do(self, engine: Any) -> None:
        made = engine.create(BUCKET, {"location": "US"})
        target = f"{engine.url}/upload/storage/v1/b/{made.id}/o?uploadType=media&name=llm%2Fmodel.bin"
        engine.connection.request(target, "POST", b"weights")
        with pytest.raises(Exception, match="set forceDestroy"):
            engine.delete(made)
        _, news = engine.change(made, forceDestroy=True)
        engine.delete(engine.update(made, news))
        assert engine.read(made).id == ""


class TestKilledCreate:
    def test_what_it_left_is_found_by_its_inputs(self, engine: Any) -> None:
        inputs = engine.checked(NETWORK, {"autoCreateSubnetworks": False}, name="net")
        urn = engine.urn(NETWORK, "net")
        assert engine.provider.adopt(NETWORK, urn, inputs) is None
        body = {"name": inputs["name"], "autoCreateSubnetworks": False}
        engine.api("compute").networks().insert(project=PROJECT, body=body).execute()
        found = engine.provider.adopt(NETWORK, urn, inputs)
        assert found == f"projects/{PROJECT}/global/networks/{inputs['name']}"
        assert engine.provider.adopt(NETWORK, urn, inputs, known=[found]) is None


class TestFunctions:
    def test_project_and_client_config(self, engine: Any) -> None:
        from .conftest import Context

        request = pb.InvokeRequest(tok="gcp:organizations/getProject:getProject", args=wire.encode({}))
        answer = wire.decode(getattr(engine.provider.Invoke(request, Context()), "return"))
        assert answer["projectId"] == PROJECT
