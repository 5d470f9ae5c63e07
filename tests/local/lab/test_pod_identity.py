"""A model's Pod reads its own weights and not its neighbour's: by the token of its service account, the association, and the role's policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from components.aws.identity import read_statements
from components.aws.site import POD_IDENTITY_TOKEN
from model_factory.access.client import ClusterClient
from model_factory.local.clouds.aws import pod_identity
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.lab.programs import Programs
from tests.local.clouds.aws.conftest import REGION
from tests.local.lab.test_eks_nodes import LabAws
from tests.stacks.harness import free_ports

pytestmark = [pytest.mark.lab, pytest.mark.slow]
MODELS = ("embeddings", "llm")


@dataclass
class Cluster:
    aws: LabAws
    client: ClusterClient

    def token(self, model: str, audience: str = pod_identity.AUDIENCE) -> str:
        """What the kubelet writes into the Pod's volume."""
        path = self.client.path("v1", "ServiceAccount", namespace=model, name=model, subresource="token")
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 600},
        }
        return self.client.call("POST", path, body=body).object["status"]["token"]

    def credentials(self, token: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            url = f"{self.aws.spec.url}{pod_identity.PATH}{REGION}.models"
            return session.get(url, headers={"Authorization": token, "Host": "localhost"}, timeout=60)

    def fetch(self, model: str, folder: str, at: Path) -> subprocess.CompletedProcess[str]:
        """The fetcher as the model's Pod runs it."""
        (at / "token").write_text(self.token(model), encoding="utf-8")
        env = {
            "AWS_ENDPOINT_URL_S3": self.aws.spec.url,
            "AWS_REGION": REGION,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.aws.spec.url}{pod_identity.PATH}{REGION}.models",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(at / "token"),
        }
        asked = [f"s3://weights/{folder}/1/", str(at / "weights")]
        # As the program is, but for how long it waits.
        impatient = "import sys; from model_factory.local.lab.images import fetch; fetch._WAIT_SECONDS = 0; "
        command = [sys.executable, "-c", f"{impatient}sys.exit(fetch.main({asked!r}))"]
        return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def cluster(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("aws")
    aws = LabAws(CloudSpec("aws", free_ports(1)[0], 0.05, ("--kubernetes", "lab")), root)
    aws.start()
    try:
        aws.cluster(version="1.35", accessConfig={"authenticationMode": "API"})
        client = aws.in_cluster()
        aws.s3.create_bucket(Bucket="weights")
        for model in MODELS:
            aws.s3.put_object(Bucket="weights", Key=f"{model}/1/model", Body=model.encode())
            _identify(aws, client, model)
        yield Cluster(aws, client)
        client.close()
    finally:
        aws.stop()


def _identify(aws: LabAws, client: ClusterClient, model: str) -> None:
    """As the stack's components do it."""
    principal = {"Service": "pods.eks.amazonaws.com"}
    actions = ["sts:AssumeRole", "sts:TagSession"]
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": actions}
    role = aws.iam.create_role(RoleName=model, AssumeRolePolicyDocument=_document([trust]))["Role"]["Arn"]
    reads = read_statements("arn:aws:s3:::weights", f"{model}/", None)
    aws.iam.put_role_policy(RoleName=model, PolicyName="read", PolicyDocument=_document(reads))
    aws.eks.create_pod_identity_association(clusterName="models", namespace=model, serviceAccount=model, roleArn=role)
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": model}})
    client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": model, "namespace": model}})


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class TestWeights:
    def test_of_its_own_a_pod_reads(self, cluster: Cluster, tmp_path: Path) -> None:
        done = cluster.fetch("llm", "llm", tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "weights/model").read_bytes() == b"llm"

    def test_of_its_neighbour_a_pod_does_not_read(self, cluster: Cluster, tmp_path: Path) -> None:
        done = cluster.fetch("llm", "embeddings", tmp_path)
        assert done.returncode == 1
        assert "AccessDenied" in done.stderr
        assert not (tmp_path / "weights").exists()


class TestCredentials:
    def test_are_of_the_role_that_the_association_names(self, cluster: Cluster) -> None:
        assert cluster.credentials(cluster.token("llm")).json()["RoleArn"].endswith(":role/llm")

    @pytest.mark.parametrize("audience", ["https://kubernetes.default.svc", "sts.amazonaws.com"])
    def test_are_not_given_for_a_token_made_for_others(self, cluster: Cluster, audience: str) -> None:
        assert cluster.credentials(cluster.token("llm", audience)).status_code == 403

    @pytest.mark.parametrize("token", ["", "made-up"])
    def test_are_not_given_for_what_is_no_token(self, cluster: Cluster, token: str) -> None:
        assert cluster.credentials(token).status_code == 403

    def test_are_not_given_where_no_association_is(self, cluster: Cluster) -> None:
        for kind, place in (("Namespace", {}), ("ServiceAccount", {"namespace": "alone"})):
            cluster.client.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": "alone", **place}})
        refused = cluster.credentials(cluster.token("alone"))
        assert (refused.status_code, refused.json()["message"]) == (403, "no association is for alone:alone")

    def test_are_asked_for_by_the_audience_that_pods_have_tokens_for(self) -> None:
        assert POD_IDENTITY_TOKEN.audience == pod_identity.AUDIENCE
