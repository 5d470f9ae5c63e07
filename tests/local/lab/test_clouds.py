"""Clusters of the local clouds that are real: what the clouds say of them is so, whatever is killed."""

from __future__ import annotations

import base64
import datetime
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import requests
from botocore.config import Config
from botocore.signers import RequestSigner

from components.aws.eks import eks_kubeconfig
from components.gcp.gke import gke_kubeconfig
from model_factory.access.client import ClusterClient
from model_factory.access.errors import ApiError
from model_factory.local.clouds import control_planes, manager
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.lab.programs import Programs
from tests.local.lab.conftest import MINOR

pytestmark = [pytest.mark.lab, pytest.mark.slow]

REGION = "us-east-1"
PROJECT = "lab-project"
CLUSTERS = f"container/v1/projects/{PROJECT}/locations/us-central1/clusters"
LAB = ("--kubernetes", "lab")
SECONDS = 120.0
ANYONE = {"AccessKeyId": "test", "SecretAccessKey": "test"}
GOOGLE = "ya29.local"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(happened: Callable[[], Any]) -> Any:
    """What it is once it is something. Clouds say so when asked, so they are asked."""
    deadline = time.monotonic() + SECONDS
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)
    return found


@dataclass
class LabCloud:
    spec: CloudSpec
    root: Path

    @property
    def clusters(self) -> Path:
        return self.spec.data(self.root) / control_planes.CLUSTERS

    def start(self) -> None:
        manager.start([self.spec], self.root)

    def stop(self) -> None:
        manager.stop([self.spec], self.root)

    def kill(self) -> None:
        process = psutil.Process(manager.call(self.spec, "GET", "status")["pid"])
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    def running(self) -> list[psutil.Process]:
        """The processes of its clusters."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(f"{self.clusters}/" in each for each in process.info["cmdline"] or ())
        ]

    def programs_running(self) -> list[str]:
        return sorted({Path(process.cmdline()[0]).name for process in self.running()})


@pytest.fixture
def aws(programs: Programs, tmp_path: Path) -> Iterator[LabCloud]:
    cloud = LabCloud(CloudSpec("aws", _free_port(), 0.05, LAB), tmp_path)
    cloud.start()
    yield cloud
    cloud.stop()
    assert not cloud.running()


@pytest.fixture
def gcp(programs: Programs, tmp_path: Path) -> Iterator[LabCloud]:
    cloud = LabCloud(CloudSpec("gcp", _free_port(), 0.05, ("--project", PROJECT, *LAB)), tmp_path)
    cloud.start()
    yield cloud
    cloud.stop()
    assert not cloud.running()


# EKS


def _boto(cloud: LabCloud, service: str, held: Mapping[str, Any] = ANYONE) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=cloud.spec.url,
        aws_access_key_id=held["AccessKeyId"],
        aws_secret_access_key=held["SecretAccessKey"],
        aws_session_token=held.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}),
    )


def _trust(principal: dict[str, str]) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})


def _create_eks(cloud: LabCloud, name: str = "models", version: str = MINOR) -> None:
    ec2, iam = _boto(cloud, "ec2"), _boto(cloud, "iam")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for i, zone in enumerate("ab")
    ]
    role = iam.create_role(RoleName="eks", AssumeRolePolicyDocument=_trust({"Service": "eks.amazonaws.com"}))
    _boto(cloud, "eks").create_cluster(
        name=name,
        version=version,
        roleArn=role["Role"]["Arn"],
        resourcesVpcConfig={"subnetIds": subnets},
        accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
    )


def _eks(cloud: LabCloud, name: str = "models") -> dict[str, Any]:
    return _boto(cloud, "eks").describe_cluster(name=name)["cluster"]


def _active(cloud: LabCloud) -> dict[str, Any]:
    def settled() -> dict[str, Any] | None:
        cluster = _eks(cloud)
        return None if cluster["status"] in ("CREATING", "UPDATING") else cluster

    found = _until(settled)
    assert found["status"] == "ACTIVE", found["health"]
    return found


def _token(client: Any, cluster: str = "models") -> str:
    """As `aws eks get-token` makes it."""
    signer = RequestSigner(
        client.meta.service_model.service_id,
        REGION,
        "sts",
        "v4",
        client._request_signer._credentials,
        client.meta.events,
    )
    request = {
        "method": "GET",
        "url": f"https://sts.{REGION}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(request, region_name=REGION, expires_in=60, operation_name="")
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _reach(endpoint: str, authority: str, token: str) -> closing[ClusterClient]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "users": [{"name": "c", "user": {"token": token}}],
    }
    return closing(ClusterClient.of(json.dumps(config)))


def _reach_eks(cloud: LabCloud, token: str = "") -> closing[ClusterClient]:
    cluster = _active(cloud)
    authority = cluster["certificateAuthority"]["data"]
    return _reach(cluster["endpoint"], authority, token or _token(_boto(cloud, "sts")))


NOTE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note", "namespace": "default"}}


class TestEks:
    def test_an_active_cluster_is_one_that_answers(self, aws: LabCloud) -> None:
        _create_eks(aws)
        assert _eks(aws)["status"] == "CREATING"
        with _reach_eks(aws) as client:
            assert client.list("v1", "Node") == ()
            version = client.version()
        assert f"{version['major']}.{version['minor']}" == _eks(aws)["version"]

    def test_a_deleted_cluster_leaves_nothing(self, aws: LabCloud) -> None:
        _create_eks(aws)
        _active(aws)
        _boto(aws, "eks").delete_cluster(name="models")
        _until(lambda: not _boto(aws, "eks").list_clusters()["clusters"])
        assert not aws.running()
        assert list(aws.clusters.iterdir()) == []

    def test_objects_survive_a_stop_of_the_cloud(self, aws: LabCloud) -> None:
        _create_eks(aws)
        with _reach_eks(aws) as client:
            client.create(NOTE)
        aws.stop()
        assert not aws.running()
        aws.start()
        _until(lambda: "kube-apiserver" in aws.programs_running())
        with _reach_eks(aws) as client:
            assert _until(lambda: _answer(client))

    def test_a_killed_cloud_finds_its_clusters_again(self, aws: LabCloud) -> None:
        _create_eks(aws)
        before = {process.pid for process in aws.running()} if _active(aws) else set()
        aws.kill()
        aws.start()
        with _reach_eks(aws) as client:
            assert client.list("v1", "Namespace")
        assert before <= {process.pid for process in aws.running()}

    def test_a_cloud_killed_while_a_cluster_is_made_makes_it_all_the_same(self, aws: LabCloud) -> None:
        _create_eks(aws)
        _until(aws.running)
        aws.kill()
        aws.start()
        with _reach_eks(aws) as client:
            assert client.list("v1", "Namespace")

    def test_a_control_plane_that_was_killed_comes_back(self, aws: LabCloud) -> None:
        _create_eks(aws)
        with _reach_eks(aws) as client:
            client.create(NOTE)
        for process in aws.running():
            process.kill()
        with _reach_eks(aws) as client:
            assert _until(lambda: _answer(client))

    def test_a_reset_cloud_has_no_clusters(self, aws: LabCloud) -> None:
        _create_eks(aws)
        _active(aws)
        manager.reset([aws.spec])
        _until(lambda: not aws.running())


def _answer(client: ClusterClient) -> Any:
    """The note; None while the server is not there again."""
    try:
        return client.get("v1", "ConfigMap", "note", namespace="default")
    except ApiError:
        return None


class TestEksTokens:
    def test_access_entries_say_who_comes_in_as_what(self, aws: LabCloud) -> None:
        _create_eks(aws)
        _active(aws)
        iam, sts, eks = _boto(aws, "iam"), _boto(aws, "sts"), _boto(aws, "eks")
        role = iam.create_role(RoleName="dev", AssumeRolePolicyDocument=_trust({"AWS": "*"}))["Role"]["Arn"]
        held = sts.assume_role(RoleArn=role, RoleSessionName="ann")["Credentials"]
        as_role = _boto(aws, "sts", held)

        with _reach_eks(aws, _token(as_role)) as client, pytest.raises(ApiError) as refused:
            client.list("v1", "Namespace")
        assert refused.value.status == 401  # no entry: nobody

        eks.create_access_entry(clusterName="models", principalArn=role, kubernetesGroups=["readers"])
        # API servers keep an answer for some seconds; a token made in the same second is the same.
        user = _until(lambda: _who(aws, as_role))
        assert user["username"].endswith("assumed-role/dev/ann")
        assert "readers" in user["groups"]
        assert "system:masters" not in user["groups"]

        policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
        eks.associate_access_policy(
            clusterName="models", principalArn=role, policyArn=policy, accessScope={"type": "cluster"}
        )
        _until(lambda: "system:masters" in (_who(aws, as_role) or {"groups": []})["groups"])

        with _reach_eks(aws, _token(as_role, "another")) as client, pytest.raises(ApiError) as stranger:
            client.list("v1", "Namespace")
        assert stranger.value.status == 401  # made for another cluster

    def test_what_is_no_token_opens_nothing(self, aws: LabCloud) -> None:
        _create_eks(aws)
        _active(aws)
        old = _token(_boto(aws, "sts"))
        url = base64.urlsafe_b64decode(old.removeprefix("k8s-aws-v1.") + "==").decode()
        day = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT")
        expired = base64.urlsafe_b64encode(url.replace(f"X-Amz-Date={day}", "X-Amz-Date=20200101T").encode()).decode()
        other = base64.urlsafe_b64encode(url.replace("GetCallerIdentity", "AssumeRole").encode()).decode()
        for token in ("x", "k8s-aws-v1.", "k8s-aws-v1.###", f"k8s-aws-v1.{expired}", f"k8s-aws-v1.{other}"):
            with _reach_eks(aws, token) as client, pytest.raises(ApiError) as refused:
                client.list("v1", "Namespace")
            assert refused.value.status == 401, token


def _who(cloud: LabCloud, signer: Any) -> dict[str, Any] | None:
    """Who the signer of a token is in the cluster; None for nobody."""
    with _reach_eks(cloud, _token(signer)) as client:
        try:
            return _whoami(client)
        except ApiError as error:
            if error.status != 401:
                raise
            return None


def _whoami(client: ClusterClient) -> dict[str, Any]:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    return client.call("POST", path, body=review).object["status"]["userInfo"]


class TestUpgrade:
    def test_goes_to_the_next_minor_and_keeps_the_objects(self, aws: LabCloud, next_minor: str) -> None:
        _create_eks(aws)
        with _reach_eks(aws) as client:
            client.create(NOTE)
        _boto(aws, "eks").update_cluster_version(name="models", version=next_minor)
        with _reach_eks(aws) as client:
            version = client.version()
            assert f"{version['major']}.{version['minor']}" == next_minor == _eks(aws)["version"]
            assert _answer(client)


# GKE


def _call(cloud: LabCloud, method: str, path: str, body: object = None) -> dict[str, Any]:
    answer = requests.request(method, f"{cloud.spec.url}/{path}", json=body, timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def _ready(cloud: LabCloud, path: str) -> bool:
    return requests.get(f"{cloud.spec.url}/{path}", timeout=30).ok


def _create_gke(cloud: LabCloud) -> None:
    compute = f"compute/v1/projects/{PROJECT}"
    link = f"projects/{PROJECT}/global/networks/default"
    subnet = {"name": "default", "network": link, "ipCidrRange": "10.0.0.0/20"}
    for place, body in (
        ("global/networks", {"name": "default", "autoCreateSubnetworks": False}),
        ("regions/us-central1/subnetworks", subnet),
    ):
        operation = _call(cloud, "POST", f"{compute}/{place}", body)
        where = place.rpartition("/")[0]
        _call(cloud, "POST", f"{compute}/{where}/operations/{operation['name']}/wait")
    cluster = {"name": "models", "initialNodeCount": 1, "initialClusterVersion": MINOR}
    _call(cloud, "POST", CLUSTERS, {"cluster": cluster})


def _gke(cloud: LabCloud) -> dict[str, Any]:
    return _call(cloud, "GET", f"{CLUSTERS}/models")


def _reach_gke(cloud: LabCloud, token: str = GOOGLE) -> closing[ClusterClient]:
    def settled() -> dict[str, Any] | None:
        found = _gke(cloud)
        return None if found["status"] in ("PROVISIONING", "RECONCILING") else found

    cluster = _until(settled)
    assert cluster["status"] == "RUNNING"
    return _reach(f"https://{cluster['endpoint']}", cluster["masterAuth"]["clusterCaCertificate"], token)


class TestGke:
    def test_a_running_cluster_is_one_that_answers(self, gcp: LabCloud) -> None:
        _create_gke(gcp)
        assert _gke(gcp)["status"] == "PROVISIONING"
        with _reach_gke(gcp) as client:
            version = client.version()
            assert "system:masters" in _whoami(client)["groups"]
        assert _gke(gcp)["currentMasterVersion"].startswith(f"{version['major']}.{version['minor']}.")
        assert "://" not in _gke(gcp)["endpoint"]

    def test_a_pods_token_is_not_the_clouds(self, gcp: LabCloud) -> None:
        _create_gke(gcp)
        with _reach_gke(gcp, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln") as client, pytest.raises(ApiError) as refused:
            client.list("v1", "Namespace")
        assert refused.value.status == 401

    def test_survives_a_kill_and_leaves_nothing_when_deleted(self, gcp: LabCloud) -> None:
        _create_gke(gcp)
        with _reach_gke(gcp) as client:
            client.create(NOTE)
        gcp.kill()
        gcp.start()
        with _reach_gke(gcp) as client:
            assert _until(lambda: _answer(client))
        _call(gcp, "DELETE", f"{CLUSTERS}/models")
        _until(lambda: not _ready(gcp, f"{CLUSTERS}/models"))
        assert not gcp.running()
        assert list(gcp.clusters.iterdir()) == []

    def test_goes_to_the_next_minor(self, gcp: LabCloud, next_minor: str) -> None:
        _create_gke(gcp)
        with _reach_gke(gcp) as client:
            client.create(NOTE)
        _call(gcp, "PUT", f"{CLUSTERS}/models", {"update": {"desiredMasterVersion": next_minor}})
        with _reach_gke(gcp) as client:
            version = client.version()
            assert _answer(client)
        assert f"{version['major']}.{version['minor']}" == next_minor
        assert _gke(gcp)["currentMasterVersion"].startswith(f"{next_minor}.")


class TestKubeconfigs:
    """Those that the stack hands to its providers, which call `factory` for a token."""

    @pytest.fixture(autouse=True)
    def called(self, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = Path(sys.executable).parent
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def test_of_the_local_eks_opens_its_cluster(self, aws: LabCloud) -> None:
        _create_eks(aws)
        cluster = _active(aws)
        authority = cluster["certificateAuthority"]["data"]
        text = eks_kubeconfig("models", cluster["endpoint"], authority, region=REGION, tokens_are_local=True)
        with closing(ClusterClient.of(text)) as client:
            assert "system:masters" in _whoami(client)["groups"]

    def test_of_the_local_gke_opens_its_cluster(self, gcp: LabCloud) -> None:
        _create_gke(gcp)
        with _reach_gke(gcp):
            cluster = _gke(gcp)
        authority = cluster["masterAuth"]["clusterCaCertificate"]
        text = gke_kubeconfig("models", cluster["endpoint"], authority, tokens_are_local=True)
        with closing(ClusterClient.of(text)) as client:
            assert "system:masters" in _whoami(client)["groups"]
