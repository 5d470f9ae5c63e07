"""What runs is followed, read and asked on a real node: containers that start, fail and write, and requests through the API server."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from model_factory.access.client import ClusterClient
from model_factory.graph.pods import KIND, MODEL, MODEL_SERVER, SERVER_CONTAINER
from model_factory.live.asking import Asker, through_cluster
from model_factory.live.load import arriving, figures, one_after_another
from model_factory.live.logs import Wanted, followed, lines, sources
from model_factory.live.models import Serving, read
from model_factory.live.protocols.protocol import Call
from tests.local.lab.node.pods import PORT, Pods

pytestmark = [pytest.mark.lab, pytest.mark.realnode]
SITE = "aws/us-east-1"
DEADLINE_SECONDS = 90


class Models:
    """Models of a test's namespace, whose server is the probe."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods
        self.cluster = pods.cluster

    def make(self, name: str, arguments: list[str], *, replicas: int = 1, **more: Any) -> None:
        probe = {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1}
        server = {"ports": [{"name": "http", "containerPort": PORT}], "readinessProbe": probe, **more}
        template = self._pods.template(name, arguments, **server)
        template["spec"]["containers"][0]["name"] = SERVER_CONTAINER
        labels = {KIND: MODEL_SERVER, MODEL: name}
        template["metadata"]["labels"] = labels
        self.cluster.create({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": self._pods.namespace, "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        })  # fmt: skip

    def until(self, name: str, holds: Callable[[Serving], bool]) -> Serving:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            (found,) = read(self.cluster, SITE, {name: 1}, name)
            if holds(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def reason(self, name: str, part: str) -> str:
        found = self.until(name, lambda found: bool(found.pending) and part in found.pending[0][0])
        return found.pending[0][0]


@pytest.fixture
def models(pods: Pods) -> Models:
    return Models(pods)


class TestReasons:
    def test_of_a_container_that_ends_again_and_again_have_its_exit(self, models: Models) -> None:
        models.make("crashing", ["get", "http://127.0.0.1:9/"])
        assert models.reason("crashing", "CrashLoopBackOff") == "CrashLoopBackOff, last exit 1"

    def test_of_an_image_that_is_not_there_name_what_the_registry_says(self, models: Models, pods: Pods) -> None:
        image = f"{pods.image.partition('@')[0]}@sha256:{'0' * 64}"
        models.make("imageless", ["serve", str(PORT)], image=image)
        assert models.reason("imageless", "ImagePullBackOff") == f"ImagePullBackOff: {image[:-52]}: not found"

    def test_of_a_server_that_loads_are_that_it_is_not_ready(self, models: Models) -> None:
        models.make("slow", ["serve", str(PORT)], readinessProbe={"httpGet": {"path": "/none", "port": PORT + 1}})
        assert models.reason("slow", "not ready").startswith("not ready: Readiness probe failed")


class TestRequests:
    def test_go_through_the_api_server_over_connections_that_are_kept(self, models: Models) -> None:
        models.make("asked", ["serve", str(PORT)], replicas=2)
        served = models.until("asked", lambda found: found.is_served and found.ready == 2)
        ways = [
            through_cluster(models.cluster, each.namespace, each.pod, each.ports["http"]) for each in served.replicas
        ]
        for way, replica in zip(ways, served.replicas, strict=True):
            with Asker(way) as asker:
                assert asker.ask(Call("GET", "/")).body == f"hello from {replica.pod}\n".encode()
        repeated = figures(list(one_after_another(ways[0], Call("GET", "/"), 30)), 1.0)
        assert (repeated.requests, repeated.failures) == (30, 0)
        arrived = figures(list(arriving(ways, Call("GET", "/"), 60, 40.0)), 1.0)
        assert (arrived.requests, arrived.failures) == (60, 0)

    def test_to_a_port_where_nobody_listens_say_so(self, models: Models) -> None:
        models.make("deaf", ["serve", str(PORT)])
        (replica,) = models.until("deaf", lambda found: found.is_served).replicas
        (sample,) = one_after_another(
            through_cluster(models.cluster, replica.namespace, replica.pod, 9), Call("GET", "/"), 1
        )
        assert "refused" in sample.problem

    def test_a_pod_that_is_gone_is_a_failure_too(self, models: Models, pods: Pods) -> None:
        (sample,) = one_after_another(through_cluster(models.cluster, pods.namespace, "gone", 9), Call("GET", "/"), 1)
        assert "not found" in sample.problem


class TestLogs:
    def test_are_those_of_all_replicas_and_of_the_run_before(self, models: Models, cluster: ClusterClient) -> None:
        models.make("crashing-too", ["get", "http://127.0.0.1:9/"])
        models.reason("crashing-too", "CrashLoopBackOff")
        (source,) = sources([(SITE, cluster)], "crashing-too")
        (line,) = lines(source, Wanted(previous=True))
        assert not line.problem
        assert "connection refused" in line.text

    def test_are_followed_from_before_the_container_has_begun(self, models: Models, cluster: ClusterClient) -> None:
        with closing(followed(lambda: sources([(SITE, cluster)], "followed-on"), Wanted())) as found:
            models.make("followed-on", ["serve", str(PORT)])
            line = next(each for each in found if not each.problem)
        assert line.text == f"serving on {PORT}"
