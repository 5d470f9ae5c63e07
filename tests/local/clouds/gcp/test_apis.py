"""The cloud as a user of google-api-python-client sees it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from model_factory.local.clouds.gcp import app as gcp_app

PROJECT = "model-factory-dev"
PARENT = f"projects/{PROJECT}/locations/us-central1"
Refused = Callable[[Callable[[], object]], Any]


def reason(error: Any) -> str:
    return json.loads(error.content)["error"]["message"]


class TestRouting:
    @pytest.mark.parametrize("base", ["/compute/v1/", "/"])
    def test_serves_custom_endpoints_and_the_bare_root(self, world: Any, base: str) -> None:
        networks = world.api("compute", base=base).networks()
        assert networks.list(project=PROJECT).execute() == {"kind": "compute#networkList"}

    @pytest.mark.parametrize(
        ("service", "version", "base"),
        [("compute", "beta", "/compute/beta/"), ("container", "v1beta1", "/container/")],
    )
    def test_versions_share_their_state(self, world: Any, service: str, version: str, base: str) -> None:
        world.network()
        world.cluster()
        api = world.api(service, version, base)
        if service == "compute":
            assert api.networks().get(project=PROJECT, network="net").execute()["name"] == "net"
        else:
            assert api.projects().locations().clusters().get(name=f"{PARENT}/clusters/c").execute()["name"] == "c"

    def test_snake_case_is_taken_for_query_and_body(self, world: Any) -> None:
        url = f"/artifactregistry/v1/{PARENT}/repositories?repository_id=models"
        body = json.dumps({"format": "DOCKER", "docker_config": {"immutable_tags": True}})
        response, _ = world.connection.request(world.url + url, "POST", body)
        assert response.status == 200
        repositories = world.api("artifactregistry").projects().locations().repositories()
        assert repositories.get(name=f"{PARENT}/repositories/models").execute()["dockerConfig"] == {
            "immutableTags": True
        }

    def test_what_is_not_implemented_says_so(self, world: Any, refused: Refused) -> None:
        error = refused(lambda: world.api("compute").instances().list(project=PROJECT, zone="us-central1-a").execute())
        assert error.status_code == 501
        assert "compute.instances.list" in reason(error)

    def test_zonal_paths_of_container_are_refused_by_name_or_served(self, world: Any, refused: Refused) -> None:
        zonal = world.api("container").projects().zones().clusters()
        error = refused(lambda: zonal.list(projectId=PROJECT, zone="us-central1-a").execute())
        assert "container.projects.zones.clusters.list" in reason(error)


class TestChecking:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"nam": "x"}, 'Unknown name "nam": Cannot find field.'),
            ({"name": "x", "mtu": "big"}, "Invalid value at 'mtu' (TYPE_INT32), \"big\""),
            (
                {"name": "x", "networkFirewallPolicyEnforcementOrder": "FIRST"},
                "Invalid value at 'networkFirewallPolicyEnforcementOrder'",
            ),
            ({"name": "Bad_Name"}, "Must be a match of regex"),
            ({}, "Required field 'resource.name' not specified"),
        ],
    )
    def test_bodies_are_checked_against_the_schema(self, world: Any, refused: Refused, body: Any, said: str) -> None:
        error = refused(lambda: world.api("compute").networks().insert(project=PROJECT, body=body).execute())
        assert error.status_code == 400
        assert said in reason(error)

    def test_a_nested_unknown_field_is_told_with_its_place(self, world: Any, refused: Refused) -> None:
        body = {"cluster": {"name": "c", "nodePools": [{"config": {"machineTyp": "x"}}]}}
        clusters = world.api("container").projects().locations().clusters()
        error = refused(lambda: clusters.create(parent=PARENT, body=body).execute())
        details = json.loads(error.content)["error"]["details"][0]
        assert details["fieldViolations"][0]["field"] == "cluster.nodePools[0].config"

    def test_an_unknown_project_is_forbidden(self, world: Any, refused: Refused) -> None:
        error = refused(lambda: world.api("compute").networks().list(project="nobodys").execute())
        assert error.status_code == 403
        world.control("POST", "seed", {"projects": ["nobodys"]})
        assert world.api("compute").networks().list(project="nobodys").execute()

    def test_a_disabled_api_is_forbidden_until_it_is_enabled(self, world: Any, refused: Refused) -> None:
        services = world.api("serviceusage").services()
        name = f"projects/{PROJECT}/services/compute.googleapis.com"
        services.disable(name=name, body={}).execute()
        error = refused(lambda: world.api("compute").networks().list(project=PROJECT).execute())
        assert (error.status_code, json.loads(error.content)["error"]["details"][0]["reason"]) == (
            403,
            "SERVICE_DISABLED",
        )
        services.enable(name=name, body={}).execute()
        assert world.api("compute").networks().list(project=PROJECT).execute()


class TestCompute:
    def test_objects_have_id_link_and_time(self, world: Any) -> None:
        world.network()
        seen = world.api("compute").networks().get(project=PROJECT, network="net").execute()
        assert seen["selfLink"] == f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/net"
        assert seen["subnetworks"][0].endswith("/regions/us-central1/subnetworks/sub")
        assert int(seen["id"]) > 0
        assert seen["creationTimestamp"].endswith("Z")

    @pytest.mark.parametrize(
        ("cidr", "said"),
        [
            ("10.0.8.0/24", "conflicts with existing subnetwork 'sub'"),
            ("10.5.0.0/24", "conflicts with existing subnetwork 'sub'"),
            ("10.1.0.1/24", "host bits"),
            ("10.1.0.0/30", "/4 to /29"),
        ],
    )
    def test_ranges_must_fit_and_not_overlap(self, world: Any, refused: Refused, cidr: str, said: str) -> None:
        network = world.network()
        body = {"name": "other", "network": network, "ipCidrRange": cidr}
        subnetworks = world.api("compute").subnetworks()
        error = refused(lambda: subnetworks.insert(project=PROJECT, region="us-east1", body=body).execute())
        assert said in reason(error)

    def test_a_network_in_use_stays(self, world: Any, refused: Refused) -> None:
        world.network()
        networks = world.api("compute").networks()
        error = refused(lambda: networks.delete(project=PROJECT, network="net").execute())
        assert json.loads(error.content)["error"]["errors"][0]["reason"] == "resourceInUseByAnotherResource"
        assert "subnetworks/sub" in reason(error)

    def test_a_reference_to_nothing_is_refused(self, world: Any, refused: Refused) -> None:
        body = {"name": "r", "network": f"projects/{PROJECT}/global/networks/none"}
        routers = world.api("compute").routers()
        error = refused(lambda: routers.insert(project=PROJECT, region="us-central1", body=body).execute())
        assert error.status_code == 404

    def test_a_stale_fingerprint_is_refused(self, world: Any, refused: Refused) -> None:
        world.network()
        subnetworks = world.api("compute").subnetworks()
        where = {"project": PROJECT, "region": "us-central1", "subnetwork": "sub"}
        body = {"fingerprint": "c3RhbGU=", "description": "x"}
        assert refused(lambda: subnetworks.patch(**where, body=body).execute()).status_code == 412
        body["fingerprint"] = subnetworks.get(**where).execute()["fingerprint"]
        done = world.compute_done(subnetworks.patch(**where, body=body).execute())
        assert (done["status"], done["progress"]) == ("DONE", 100)
        assert subnetworks.get(**where).execute()["description"] == "x"

    def test_wait_answers_when_the_operation_is_done(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        sleep = asyncio.sleep

        async def recorded(seconds: float) -> None:
            pauses.append(seconds)
            await sleep(seconds)

        monkeypatch.setattr(gcp_app.asyncio, "sleep", recorded)
        world.control("PUT", "transition", {"seconds": 1})
        networks = world.api("compute").networks()
        operation = networks.insert(project=PROJECT, body={"name": "slow"}).execute()
        assert operation["status"] == "RUNNING"
        assert world.compute_done(operation)["status"] == "DONE"
        # None is as long as the service's own limit: it is due that ends the wait.
        assert max(pauses) <= 1

    def test_what_is_not_ready_cannot_be_used(self, world: Any, refused: Refused) -> None:
        world.control("PUT", "transition", {"seconds": 5})
        compute = world.api("compute")
        compute.networks().insert(project=PROJECT, body={"name": "slow"}).execute()
        body = {"name": "r", "network": f"projects/{PROJECT}/global/networks/slow"}
        error = refused(lambda: compute.routers().insert(project=PROJECT, region="us-central1", body=body).execute())
        assert json.loads(error.content)["error"]["errors"][0]["reason"] == "resourceNotReady"

    def test_lists_are_paged_and_filtered(self, world: Any) -> None:
        compute = world.api("compute")
        for name in ("a", "b", "c"):
            world.compute_done(compute.networks().insert(project=PROJECT, body={"name": name}).execute())
        first = compute.networks().list(project=PROJECT, maxResults=2).execute()
        second = compute.networks().list(project=PROJECT, maxResults=2, pageToken=first["nextPageToken"]).execute()
        assert [n["name"] for n in first["items"] + second["items"]] == ["a", "b", "c"]
        assert "nextPageToken" not in second
        only = compute.networks().list(project=PROJECT, filter='name = "b"').execute()["items"]
        assert [n["name"] for n in only] == ["b"]

    def test_an_auto_mode_network_brings_and_takes_its_subnetworks(self, world: Any) -> None:
        compute = world.api("compute")
        world.compute_done(
            compute.networks().insert(project=PROJECT, body={"name": "auto", "autoCreateSubnetworks": True}).execute()
        )
        assert (
            compute.subnetworks().get(project=PROJECT, region="us-east1", subnetwork="auto").execute()["gatewayAddress"]
        )
        world.compute_done(compute.networks().delete(project=PROJECT, network="auto").execute())
        assert world.control("GET", "status")["resources"] == {}

    def test_zones_say_what_they_sell(self, world: Any) -> None:
        compute = world.api("compute")
        machines = (
            compute.machineTypes().list(project=PROJECT, zone="us-central1-a", filter="name=g2-standard-4").execute()
        )
        assert machines["items"][0]["accelerators"] == [
            {"guestAcceleratorType": "nvidia-l4", "guestAcceleratorCount": 1}
        ]
        names = {
            a["name"] for a in compute.acceleratorTypes().list(project=PROJECT, zone="us-central1-f").execute()["items"]
        }
        assert "nvidia-l4" not in names
        world.control("POST", "seed", {"quotas": {"us-central1": {"NVIDIA_L4_GPUS": 2}}})
        quotas = compute.regions().get(project=PROJECT, region="us-central1").execute()["quotas"]
        assert {"metric": "NVIDIA_L4_GPUS", "limit": 2.0, "usage": 0.0} in quotas


class TestContainer:
    def test_a_cluster_takes_time_and_has_what_clients_need(self, world: Any) -> None:
        world.network()
        world.control("PUT", "transition", {"seconds": 0.3})
        clusters = world.api("container").projects().locations().clusters()
        cluster = {"name": "c", "network": "net", "subnetwork": "sub", "initialNodeCount": 1}
        operation = clusters.create(parent=PARENT, body={"cluster": cluster}).execute()
        assert clusters.get(name=f"{PARENT}/clusters/c").execute()["status"] == "PROVISIONING"
        world.container_done(operation)
        seen = clusters.get(name=f"{PARENT}/clusters/c").execute()
        assert seen["status"] == "RUNNING"
        assert seen["locations"] == ["us-central1-a", "us-central1-b", "us-central1-c"]
        assert [pool["name"] for pool in seen["nodePools"]] == ["default-pool"]
        assert seen["currentNodeCount"] == 3
        authority = x509.load_pem_x509_certificate(base64.b64decode(seen["masterAuth"]["clusterCaCertificate"]))
        assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"network": "none"}, "has no network"),
            ({"subnetwork": "none"}, "has no subnetwork"),
            ({"ipAllocationPolicy": {"clusterSecondaryRangeName": "none"}}, "Secondary range"),
            ({"initialClusterVersion": "1.12"}, "unsupported in release channel"),
            ({"workloadIdentityConfig": {"workloadPool": "other.svc.id.goog"}}, "Workload pool"),
            (
                {"privateClusterConfig": {"enablePrivateNodes": True, "masterIpv4CidrBlock": "10.0.0.0/28"}},
                "overlaps",
            ),
            (
                {"masterAuthorizedNetworksConfig": {"cidrBlocks": [{"cidrBlock": "x"}]}},
                "Invalid master authorized network",
            ),
            ({"initialNodeCount": 0}, "must be greater than zero"),
            ({"locations": ["us-east1-b"]}, "is not a zone of region"),
        ],
    )
    def test_bad_clusters_are_refused(self, world: Any, refused: Refused, fields: Any, said: str) -> None:
        world.network()
        cluster = {"name": "c", "network": "net", "subnetwork": "sub", "initialNodeCount": 1, **fields}
        clusters = world.api("container").projects().locations().clusters()
        error = refused(lambda: clusters.create(parent=PARENT, body={"cluster": cluster}).execute())
        assert error.status_code == 400
        assert said in reason(error)

    @pytest.mark.parametrize(
        ("config", "zones", "said"),
        [
            ({"machineType": "g9-huge"}, ["us-central1-a"], "does not exist"),
            (
                {"machineType": "g2-standard-4"},
                ["us-central1-f"],
                '"nvidia-l4" does not exist in zone us-central1-f',
            ),
            (
                {
                    "machineType": "g2-standard-4",
                    "accelerators": [{"acceleratorType": "nvidia-tesla-t4", "acceleratorCount": "1"}],
                },
                ["us-central1-a"],
                "has 1 nvidia-l4",
            ),
            (
                {
                    "machineType": "n1-standard-4",
                    "accelerators": [{"acceleratorType": "nvidia-tesla-t4", "acceleratorCount": "3"}],
                },
                ["us-central1-a"],
                "not a valid count",
            ),
            (
                {
                    "machineType": "e2-standard-4",
                    "accelerators": [{"acceleratorType": "nvidia-tesla-t4", "acceleratorCount": "1"}],
                },
                ["us-central1-a"],
                "cannot be attached",
            ),
            (
                {"machineType": "c4-standard-4", "diskType": "pd-balanced"},
                ["us-central1-a"],
                "pd-balanced disk type cannot be used by c4-standard-4 machine type",
            ),
            ({"machineType": "g2-standard-4"}, ["us-east4-a"], "is not a zone of region us-central1"),
            ({"machineType": "g2-standard-4"}, ["us-central1-a", "us-central1-f"], "in zone us-central1-f"),
        ],
    )
    def test_accelerators_must_fit_machine_and_zone(
        self, world: Any, refused: Refused, config: Any, zones: list[str], said: str
    ) -> None:
        world.network()
        name = world.cluster()
        pool = {"name": "gpu", "config": config, "locations": zones}
        pools = world.api("container").projects().locations().clusters().nodePools()
        error = refused(lambda: pools.create(parent=name, body={"nodePool": pool}).execute())
        assert said in reason(error)

    def test_a_pool_changes_machine_type_and_size_in_place(self, world: Any) -> None:
        world.network()
        name = world.cluster()
        pools = world.api("container").projects().locations().clusters().nodePools()
        pool = {"name": "gpu", "config": {"machineType": "g2-standard-4"}, "locations": ["us-central1-a"]}
        world.container_done(pools.create(parent=name, body={"nodePool": pool}).execute())
        gpu = f"{name}/nodePools/gpu"
        made = pools.get(name=gpu).execute()
        assert made["config"]["accelerators"] == [{"acceleratorType": "nvidia-l4", "acceleratorCount": "1"}]
        assert made["config"]["taints"][0]["key"] == "nvidia.com/gpu"
        operation = pools.update(name=gpu, body={"machineType": "g2-standard-24"}).execute()
        assert pools.get(name=gpu).execute()["status"] == "RECONCILING"
        world.container_done(operation)
        changed = pools.get(name=gpu).execute()
        assert (
            changed["config"]["machineType"],
            changed["config"]["accelerators"][0]["acceleratorCount"],
        ) == ("g2-standard-24", "2")
        world.container_done(pools.setSize(name=gpu, body={"nodeCount": 2}).execute())
        group = changed["instanceGroupUrls"][0].rpartition("/")[2]
        groups = world.api("compute").instanceGroupManagers()
        assert (
            groups.get(project=PROJECT, zone="us-central1-a", instanceGroupManager=group).execute()["targetSize"] == 2
        )

    @pytest.mark.parametrize(
        ("seed", "said"),
        [
            (
                {"quotas": {"us-central1": {"NVIDIA_L4_GPUS": 1}}},
                "Quota 'NVIDIA_L4_GPUS' exceeded. Limit: 1.0",
            ),
            ({"capacity": {"us-central1-a": {"g2-standard-4": 1}}}, "GCE_STOCKOUT"),
        ],
    )
    def test_nodes_need_quota_and_capacity(self, world: Any, seed: Any, said: str) -> None:
        world.network()
        name = world.cluster()
        world.control("POST", "seed", seed)
        pools = world.api("container").projects().locations().clusters().nodePools()
        pool = {
            "name": "gpu",
            "config": {"machineType": "g2-standard-4"},
            "locations": ["us-central1-a"],
            "initialNodeCount": 2,
        }
        done = world.container_done(pools.create(parent=name, body={"nodePool": pool}).execute())
        assert said in done["error"]["message"]
        assert pools.get(name=f"{name}/nodePools/gpu").execute()["status"] == "ERROR"

    def test_one_change_of_a_cluster_at_a_time(self, world: Any, refused: Refused) -> None:
        world.network()
        name = world.cluster()
        world.control("PUT", "transition", {"seconds": 5})
        clusters = world.api("container").projects().locations().clusters()
        clusters.update(name=name, body={"update": {"desiredReleaseChannel": {"channel": "RAPID"}}}).execute()
        error = refused(lambda: clusters.delete(name=name).execute())
        assert "incompatible operation" in reason(error)

    def test_desired_fields_land_where_they_belong(self, world: Any) -> None:
        world.network()
        name = world.cluster()
        clusters = world.api("container").projects().locations().clusters()
        for desired in (
            {"desiredMasterVersion": "1.35"},
            {"desiredIntraNodeVisibilityConfig": {"enabled": True}},
            {"desiredLoggingConfig": {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]}}},
            {"desiredDnsConfig": {"clusterDns": "CLOUD_DNS"}},
        ):
            world.container_done(clusters.update(name=name, body={"update": desired}).execute())
        seen = clusters.get(name=name).execute()
        assert seen["currentMasterVersion"].startswith("1.35.")
        assert seen["networkConfig"]["enableIntraNodeVisibility"] is True
        assert seen["networkConfig"]["dnsConfig"] == {"clusterDns": "CLOUD_DNS"}
        assert seen["loggingConfig"]["componentConfig"]["enableComponents"] == ["SYSTEM_COMPONENTS"]

    def test_a_control_plane_goes_up_by_one_minor_version_and_never_back(self, world: Any, refused: Refused) -> None:
        world.network()
        name = world.cluster(initialClusterVersion="1.34")
        clusters = world.api("container").projects().locations().clusters()

        def to(version: str, how: str = "update") -> Any:
            body = {"update": {"desiredMasterVersion": version}} if how == "update" else {"masterVersion": version}
            return getattr(clusters, how)(name=name, body=body).execute()

        for how in ("update", "updateMaster"):
            assert "more than a minor version" in reason(refused(lambda how=how: to("1.36", how)))
        for version in ("1.35", "1.35", "1.36"):
            world.container_done(to(version))
            assert clusters.get(name=name).execute()["currentMasterVersion"].startswith(f"{version}.")
        for how in ("update", "updateMaster"):
            assert "not newer" in reason(refused(lambda how=how: to("1.35", how)))

    def test_a_deleted_cluster_takes_its_pools(self, world: Any) -> None:
        world.network()
        name = world.cluster()
        world.container_done(world.api("container").projects().locations().clusters().delete(name=name).execute())
        assert "container.nodePools" not in world.control("GET", "status")["resources"]


class TestIdentity:
    def account(self, world: Any) -> Any:
        accounts = world.api("iam").projects().serviceAccounts()
        return accounts.create(
            name=f"projects/{PROJECT}", body={"accountId": "serving", "serviceAccount": {"displayName": "S"}}
        ).execute()

    def test_accounts_are_known_by_mail_number_and_wildcard(self, world: Any) -> None:
        made = self.account(world)
        accounts = world.api("iam").projects().serviceAccounts()
        for name in (
            made["name"],
            f"projects/-/serviceAccounts/{made['email']}",
            f"projects/{PROJECT}/serviceAccounts/{made['uniqueId']}",
        ):
            assert accounts.get(name=name).execute()["email"] == made["email"]

    def test_a_stale_policy_is_refused(self, world: Any, refused: Refused) -> None:
        projects = world.api("cloudresourcemanager").projects()
        old = projects.getIamPolicy(resource=PROJECT, body={}).execute()
        binding = {"role": "roles/viewer", "members": ["user:a@b.c"]}
        projects.setIamPolicy(resource=PROJECT, body={"policy": {**old, "bindings": [binding]}}).execute()
        error = refused(
            lambda: projects.setIamPolicy(resource=PROJECT, body={"policy": {**old, "bindings": []}}).execute()
        )
        assert error.status_code == 409

    @pytest.mark.parametrize(
        ("member", "said"),
        [
            ("a@b.c", "unknown type"),
            (f"serviceAccount:none@{PROJECT}.iam.gserviceaccount.com", "does not exist"),
            (f"serviceAccount:{PROJECT}.svc.id.goog[models/vllm]", "Identity Pool does not exist"),
        ],
    )
    def test_members_must_exist(self, world: Any, refused: Refused, member: str, said: str) -> None:
        projects = world.api("cloudresourcemanager").projects()
        body = {"policy": {"bindings": [{"role": "roles/viewer", "members": [member]}]}}
        assert said in reason(refused(lambda: projects.setIamPolicy(resource=PROJECT, body=body).execute()))

    def test_the_first_cluster_brings_the_identity_pool(self, world: Any) -> None:
        account = self.account(world)
        world.network()
        world.cluster(workloadIdentityConfig={"workloadPool": f"{PROJECT}.svc.id.goog"})
        member = f"serviceAccount:{PROJECT}.svc.id.goog[models/vllm]"
        body = {"policy": {"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": [member]}]}}
        accounts = world.api("iam").projects().serviceAccounts()
        assert accounts.setIamPolicy(resource=account["name"], body=body).execute()["bindings"][0]["members"] == [
            member
        ]

    def test_a_deleted_accounts_bindings_are_marked(self, world: Any) -> None:
        account = self.account(world)
        projects = world.api("cloudresourcemanager").projects()
        binding = {"role": "roles/viewer", "members": [f"serviceAccount:{account['email']}"]}
        projects.setIamPolicy(resource=PROJECT, body={"policy": {"bindings": [binding]}}).execute()
        world.api("iam").projects().serviceAccounts().delete(name=account["name"]).execute()
        members = projects.getIamPolicy(resource=PROJECT, body={}).execute()["bindings"][0]["members"]
        assert members == [f"deleted:serviceAccount:{account['email']}?uid={account['uniqueId']}"]


class TestStores:
    def test_bucket_names_are_the_whole_worlds(self, world: Any, refused: Refused) -> None:
        world.control("POST", "seed", {"projects": ["another"]})
        buckets = world.api("storage").buckets()
        made = buckets.insert(project=PROJECT, body={"name": "weights-1", "location": "us-central1"}).execute()
        assert (made["location"], made["locationType"], made["metageneration"]) == (
            "US-CENTRAL1",
            "region",
            "1",
        )
        error = refused(lambda: buckets.insert(project="another", body={"name": "weights-1"}).execute())
        assert error.status_code == 409
        assert "not available" in reason(error)

    def test_a_patch_merges_and_null_removes(self, world: Any, refused: Refused) -> None:
        buckets = world.api("storage").buckets()
        buckets.insert(project=PROJECT, body={"name": "weights-1", "labels": {"a": "1", "b": "2"}}).execute()
        seen = buckets.patch(bucket="weights-1", body={"labels": {"a": None, "c": "3"}}).execute()
        assert seen["labels"] == {"b": "2", "c": "3"}
        stale = refused(lambda: buckets.patch(bucket="weights-1", ifMetagenerationMatch="1", body={}).execute())
        assert stale.status_code == 412

    def test_objects_come_back_byte_for_byte_and_hold_their_bucket(self, world: Any, refused: Refused) -> None:
        storage = world.api("storage")
        storage.buckets().insert(project=PROJECT, body={"name": "weights-1"}).execute()
        data = bytes(range(256))
        target = f"{world.url}/upload/storage/v1/b/weights-1/o?uploadType=media&name=llm%2Fmodel.bin"
        response, _ = world.connection.request(target, "POST", data, {"content-type": "application/octet-stream"})
        assert response.status == 200
        assert storage.objects().get_media(bucket="weights-1", object="llm/model.bin").execute() == data
        assert storage.objects().list(bucket="weights-1", delimiter="/").execute()["prefixes"] == ["llm/"]
        assert refused(lambda: storage.buckets().delete(bucket="weights-1").execute()).status_code == 409
        storage.objects().delete(bucket="weights-1", object="llm/model.bin").execute()
        storage.buckets().delete(bucket="weights-1").execute()

    def test_a_repository_is_made_by_an_operation_and_patched_by_mask(self, world: Any, refused: Refused) -> None:
        api = world.api("artifactregistry").projects().locations()
        operation = api.repositories().create(parent=PARENT, repositoryId="models", body={"format": "DOCKER"}).execute()
        assert operation["done"] is False
        deadline = time.monotonic() + 5
        while not (current := api.operations().get(name=operation["name"]).execute())["done"]:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert current["response"]["registryUri"] == f"us-central1-docker.pkg.dev/{PROJECT}/models"
        name = f"{PARENT}/repositories/models"
        body = {"description": "x", "labels": {"a": "b"}}
        seen = api.repositories().patch(name=name, updateMask="labels", body=body).execute()
        assert (seen["labels"], "description" in seen) == ({"a": "b"}, False)
        error = refused(lambda: api.repositories().patch(name=name, updateMask="colour", body={}).execute())
        assert "no field 'colour'" in reason(error)

    def test_a_key_loses_its_primary_with_the_version(self, world: Any) -> None:
        rings = world.api("cloudkms").projects().locations().keyRings()
        rings.create(parent=PARENT, keyRingId="ring", body={}).execute()
        keys = rings.cryptoKeys()
        key = keys.create(
            parent=f"{PARENT}/keyRings/ring", cryptoKeyId="key", body={"purpose": "ENCRYPT_DECRYPT"}
        ).execute()
        keys.cryptoKeyVersions().destroy(name=key["primary"]["name"], body={}).execute()
        assert "primary" not in keys.get(name=key["name"]).execute()


class TestControls:
    def test_faults_answer_in_googles_words_and_run_out(self, world: Any, refused: Refused) -> None:
        fault = {
            "operation": "compute.networks.*",
            "error": "RESOURCE_EXHAUSTED",
            "status": 429,
            "message": "slow down",
            "skip": 1,
        }
        world.control("PUT", "faults", [fault])
        networks = world.api("compute").networks()
        networks.list(project=PROJECT).execute()
        error = refused(lambda: networks.list(project=PROJECT).execute())
        assert (error.status_code, json.loads(error.content)["error"]["status"]) == (
            429,
            "RESOURCE_EXHAUSTED",
        )
        networks.list(project=PROJECT).execute()

    def test_an_operation_can_be_made_to_fail(self, world: Any) -> None:
        fault = {
            "operation": "compute.networks.insert/operation",
            "error": "INTERNAL_ERROR",
            "status": 500,
            "message": "broken",
        }
        world.control("PUT", "faults", [fault])
        operation = world.api("compute").networks().insert(project=PROJECT, body={"name": "n"}).execute()
        done = world.compute_done(operation)
        assert done["error"]["errors"] == [{"code": "INTERNAL_ERROR", "message": "broken"}]
        assert world.control("GET", "status")["resources"] == {}

    def test_latency_delays_matching_calls(self, world: Any) -> None:
        world.control("PUT", "latency", {"milliseconds": 200, "operation": "compute.networks.list"})
        started = time.monotonic()
        world.api("compute").networks().list(project=PROJECT).execute()
        assert time.monotonic() - started >= 0.2

    def test_reset_forgets_all(self, world: Any) -> None:
        world.network()
        world.control("POST", "reset")
        status = world.control("GET", "status")
        assert (status["cloud"], status["resources"], status["faults"]) == ("gcp", {}, [])
