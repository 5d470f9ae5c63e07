"""The models of the stack lab, declared by its own program, answer on a real node: with their images, weights, policies and services."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from components.aws.identity import read_statements
from model_factory.access.client import ClusterClient
from model_factory.live.asking import through_cluster
from model_factory.local.clouds import control_planes
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.images.store import ImageStore
from model_factory.local.lab.node.real_node import NodeSpec, RealNode
from model_factory.local.lab.programs import Programs
from model_factory.local.lab.registry import Registry
from model_factory.local.lab.seed import LocalAws, upload
from model_factory.local.lab.weights.served.embeddings.encode import Encoder
from model_factory.local.lab.weights.served.file_types.recognise import Recogniser
from model_factory.local.lab.weights.store import MODELS, WeightsStore
from tests.components.conftest import Recorder, Registered, ran_stack
from tests.local.lab.test_eks_nodes import LabAws
from tests.stacks.harness import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.lab, pytest.mark.realnode]
SITE = "lab-aws-us-east-1"
CLUSTER = f"{SITE}-0000000"
PORT = 4620
"""Of the local AWS in the stack's file."""
ANSWER_SECONDS = 300
TEXTS = [
    "This is an example sentence",
    "Each sentence is converted",
    "and one that is a good deal longer than both of them",
]
PROMPT = {"prompt": "The capital of France is", "temperature": 0, "n_predict": 24, "return_tokens": True}


@dataclass
class Lab:
    """The lab's models on a node, and how they are asked."""

    client: ClusterClient

    def ask(self, model: str, port: int, path: str, document: object) -> Any:
        """The answer of a model's Pod, through the API server."""
        connection = through_cluster(self.client, f"model-{model}", self.pod(model)["metadata"]["name"], port)()
        try:
            connection.request("POST", path, json.dumps(document), {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def pod(self, model: str) -> Any:
        (found,) = self.client.list("v1", "Pod", namespace=f"model-{model}")
        return found

    def await_ready(self) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        for model in MODELS:
            while not self._is_ready(model):
                assert time.monotonic() < deadline, self._told(model)
                time.sleep(0.5)

    def _is_ready(self, model: str) -> bool:
        pods = self.client.list("v1", "Pod", namespace=f"model-{model}")
        return any(
            each["type"] == "Ready" and each["status"] == "True"
            for pod in pods
            for each in pod["status"].get("conditions", [])
        )

    def _told(self, model: str) -> str:
        return json.dumps(
            [pod["status"] for pod in self.client.list("v1", "Pod", namespace=f"model-{model}")], indent=1
        )


@pytest.fixture(scope="module")
def lab(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("answers")
    aws = LabAws(CloudSpec("aws", free_ports(1)[0], 0.05, ("--kubernetes", "lab")), root)
    registry, node = Registry(root / "registry", programs.registry), RealNode(root / "node", programs)
    declared = ran_stack("lab")
    try:
        aws.start()
        aws.cluster(CLUSTER, version="1.35", accessConfig={"authenticationMode": "API"})
        folder = aws.spec.data(root) / control_planes.CLUSTERS / f"us-east-1.{CLUSTER}"
        plane = ControlPlane(folder, lambda _minor: programs)
        url = registry.ensure()
        _seed(aws, url)
        labels = {"model-factory/pool": "cpu-on-demand"}
        spec = NodeSpec("answers", IPv4Network("10.99.0.0/24"), labels=labels, clouds={"aws": aws.spec.port})
        node.ensure(spec, plane, url, timeout_seconds=ANSWER_SECONDS)
        client = ClusterClient.of(str(plane.admin_kubeconfig))
        for each in _objects(declared, aws.spec.port):
            client.apply(each, manager="tests", force=True)
        made = Lab(client)
        made.await_ready()
        yield made
        client.close()
    finally:
        node.remove()
        registry.remove()
        aws.stop()


def _seed(aws: LabAws, registry_url: str) -> None:
    """Images, weights and identities where the stack's program says that they are, by the names that its mocks make up."""
    bucket, images, weights = f"{SITE}-weights-0000000", ImageStore().images(), WeightsStore()
    store = LocalAws(aws.spec.url, "us-east-1")
    aws.s3.create_bucket(Bucket=bucket)
    for model, image in MODELS.items():
        images[image].push(registry_url, f"{SITE}-{model}", "1.0.0")
        images["fetch"].push(registry_url, f"{SITE}-{model}", "fetch-1.0.0")
        upload(store, bucket, f"{model}/1.0.0/", weights.weights(model))
        role = aws.role("pods.eks.amazonaws.com", model)
        reads = {"Version": "2012-10-17", "Statement": read_statements(f"arn:aws:s3:::{bucket}", f"{model}/", None)}
        aws.iam.put_role_policy(RoleName=model, PolicyName="read", PolicyDocument=json.dumps(reads))
        aws.eks.create_pod_identity_association(
            clusterName=CLUSTER, namespace=f"model-{model}", serviceAccount=model, roleArn=role
        )


def _objects(declared: Recorder, port: int) -> Iterator[Mapping[str, Any]]:
    """The cluster's objects as the program declares them, in its order, with the port that the local AWS has here."""
    for each in declared.resources:
        if each.type.startswith("kubernetes:") and each.name.startswith(SITE):
            yield json.loads(json.dumps(_named(each)).replace(str(PORT), str(port)))


def _named(each: Registered) -> Mapping[str, Any]:
    return {**each.inputs, "metadata": {"name": f"{each.name}-0000000", **each.inputs.get("metadata", {})}}


class TestAnswers:
    def test_embeddings_are_those_that_this_process_computes(self, lab: Lab) -> None:
        tensor = {"name": "TEXT", "datatype": "BYTES", "shape": [len(TEXTS), 1], "data": TEXTS}
        answer = lab.ask("embeddings", 8000, "/v2/models/embeddings/infer", {"inputs": [tensor]})
        found = np.array(answer["outputs"][0]["data"]).reshape(len(TEXTS), 384)
        wanted = Encoder(WeightsStore().weights("embeddings") / "1").encode(TEXTS)
        assert (found * wanted).sum(-1).min() >= 0.9999

    def test_types_of_files_are_those_that_this_process_tells(self, lab: Lab) -> None:
        contents = [
            Path(__file__).read_text(encoding="utf-8"),
            '{"a": [1, 2, 3], "b": "text"}',
            "plain words and no more",
        ]
        tensor = {"name": "CONTENT", "datatype": "BYTES", "shape": [len(contents), 1], "data": contents}
        answer = lab.ask("file-types", 8000, "/v2/models/file-types/infer", {"inputs": [tensor]})
        found = {each["name"]: each["data"] for each in answer["outputs"]}
        told = Recogniser(WeightsStore().weights("file-types") / "1").recognise([each.encode() for each in contents])
        assert found["TYPE"] == [name for name, _ in told]
        assert np.allclose(found["SCORE"], [score for _, score in told], atol=1e-4)

    def test_tokens_are_those_of_the_same_server_run_outside(self, lab: Lab, tmp_path: Path) -> None:
        within = lab.ask("llm", 8080, "/completion", PROMPT)
        assert within["tokens"] == self._outside(tmp_path)["tokens"]

    @staticmethod
    def _outside(folder: Path) -> Any:
        with tarfile.open(ImageStore().images()["llama-cpp"].layers[-1].path) as layer:
            layer.extractall(folder, filter="data")
        (port,) = free_ports(1)
        weights = WeightsStore().weights("llm") / "model.gguf"
        command = [str(folder / "opt/llama.cpp/llama-server"), "--model", str(weights), "--port", str(port)]
        options = ["--ctx-size", "2048", "--parallel", "2", "--threads", "1"]
        with (folder / "log").open("wb") as log, requests.Session() as session:
            session.trust_env = False
            server = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, env={"HOME": str(folder), **os.environ}
            )
            try:
                deadline = time.monotonic() + ANSWER_SECONDS
                while time.monotonic() < deadline and server.poll() is None:
                    try:
                        if session.get(f"http://127.0.0.1:{port}/health", timeout=5).ok:
                            break
                    except requests.ConnectionError:
                        time.sleep(0.2)
                return session.post(f"http://127.0.0.1:{port}/completion", json=PROMPT, timeout=ANSWER_SECONDS).json()
            finally:
                server.terminate()
                server.wait(30)
