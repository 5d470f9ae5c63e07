"""What Pods on a real node get: isolation, probes, names, policies, limits, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.lab.node.real_node import RealNode
from tests.local.lab.node.conftest import SPEC
from tests.local.lab.node.pods import PORT, Pods, condition, until

pytestmark = [pytest.mark.lab, pytest.mark.realnode]

Apply = Callable[[Mapping[str, Any]], None]


class TestTheNode:
    def test_it_is_in_the_cluster_as_it_was_told(self, running: RealNode, cluster: ClusterClient) -> None:
        node = cluster.get("v1", "Node", SPEC.name)
        assert node is not None
        assert condition(node, "Ready")
        assert SPEC.labels.items() <= node["metadata"]["labels"].items()
        assert node["spec"]["providerID"] == SPEC.provider_id
        assert node["spec"]["taints"] == [{"key": "models", "value": "only", "effect": "PreferNoSchedule"}]
        assert {"type": "InternalIP", "address": str(running.address)} in node["status"]["addresses"]


class TestARestrictedPod:
    def test_it_runs_from_the_registry_by_digest_as_a_user_who_cannot_write(self, pods: Pods) -> None:
        pods.make("who", ["id"], restart="Never")
        until(lambda: pods.get("who")["status"]["phase"] == "Succeeded")
        assert pods.status("who")["imageID"].endswith(pods.image.partition("@")[2])
        (line,) = pods.cluster.logs("who", namespace=pods.namespace)
        assert line == "uid 1000 write open /probe.txt: read-only file system"

    def test_an_image_that_nobody_pushed_is_said_to_be_missing(self, pods: Pods) -> None:
        pods.make("missing", ["id"], image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/none:1")

        def message() -> str:
            return pods.status("missing").get("state", {}).get("waiting", {}).get("message", "")

        until(lambda: "none:1: not found" in message())

    @pytest.mark.parametrize("host", ["123456789012.dkr.ecr.us-east-1.amazonaws.com", "europe-west4-docker.pkg.dev"])
    def test_the_clouds_registries_lead_to_the_labs(self, pods: Pods, host: str) -> None:
        pods.make("who", ["id"], restart="Never", image=f"{host}/{pods.image.partition('/')[2]}")
        until(lambda: pods.get("who")["status"]["phase"] == "Succeeded")


class TestProbes:
    def test_a_container_that_turns_sick_is_started_again(self, pods: Pods) -> None:
        liveness = {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1, "failureThreshold": 1}
        pods.serve("sick", livenessProbe=liveness)
        assert pods.call("sick", f"http://127.0.0.1:{PORT}/sick").ok
        until(lambda: pods.status("sick")["restartCount"] == 1 and pods.status("sick")["ready"])


class TestLimits:
    def test_a_container_that_eats_more_than_its_limit_is_killed(self, pods: Pods) -> None:
        pods.make("eats", ["eat"], restart="Never")
        ended = until(lambda: pods.status("eats").get("state", {}).get("terminated"))
        assert ended["reason"] == "OOMKilled"


class TestTheApiServersWay:
    def test_ports_are_forwarded(self, pods: Pods) -> None:
        pods.serve("far")
        with pods.cluster.forward("far", PORT, namespace=pods.namespace) as forward:
            forward.socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
            said = b""
            while piece := forward.socket.recv(4096):
                said += piece
        assert b"hello from far" in said


class TestNames:
    def test_a_service_is_reached_by_its_name_from_another_pod(self, pods: Pods) -> None:
        pods.serve("server")
        pods.service("server")
        pods.serve("client")
        name = f"http://server.{pods.namespace}.svc.cluster.local/"
        until(lambda: pods.call("client", name).text == "200 hello from server\n")
        assert pods.call("client", "http://server/").ok

    def test_the_api_is_reached_by_its_name(self, pods: Pods) -> None:
        pods.serve("client")
        said = pods.call("client", "https://kubernetes.default.svc/").text
        assert "certificate" in said  # it answers; this client trusts nobody

    def test_nothing_outside_is_reached(self, pods: Pods) -> None:
        pods.serve("client")
        assert not pods.run("client", "/probe", "resolve", "example.com").ok
        assert "unreachable" in pods.call("client", "http://203.0.113.1/").text


class TestNetworkPolicy:
    def test_a_default_deny_holds_and_a_rule_opens(self, pods: Pods, apply: Apply) -> None:
        pods.serve("server")
        pods.service("server")
        pods.serve("client")
        pods.serve("other")
        until(lambda: pods.call("client", "http://server/").ok)
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        apply({**policy, "metadata": {"name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}})
        until(lambda: not pods.call("client", "http://server/").ok)
        assert pods.cluster.list("v1", "Pod", namespace=pods.namespace)
        rule = {"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": PORT}]}
        spec = {
            "podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"], "ingress": [rule],
        }  # fmt: skip
        apply({**policy, "metadata": {"name": "open"}, "spec": spec})
        until(lambda: pods.call("client", "http://server/").ok)
        assert not pods.call("other", "http://server/").ok
        # The kubelet's probes are not stopped by a policy.
        assert pods.status("server")["ready"]

    def test_what_may_not_leave_does_not_leave(self, pods: Pods, apply: Apply) -> None:
        pods.serve("server")
        pods.service("server")
        pods.serve("client")
        until(lambda: pods.call("client", "http://server/").ok)
        names = {
            "to": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }],
            "ports": [{"port": 5353, "protocol": "UDP"}],
        }  # fmt: skip
        spec = {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": [names]}
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        apply({**policy, "metadata": {"name": "names-only"}, "spec": spec})
        until(lambda: not pods.call("client", "http://server/").ok)
        name = f"server.{pods.namespace}.svc.cluster.local"
        until(lambda: pods.run("client", "/probe", "resolve", name).ok)


class TestMetrics:
    def test_an_autoscaler_on_cpu_adds_pods(self, pods: Pods, apply: Apply) -> None:
        template = pods.template("busy", ["serve", str(PORT)])
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "busy"}}, "template": template}
        apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "busy"}, "spec": spec})
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"}
        cpu = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
        }
        scaler = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2, "metrics": [cpu]}
        apply(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "busy"},
                "spec": scaler,
            }
        )
        (pod,) = until(lambda: pods.cluster.list("v1", "Pod", namespace=pods.namespace, labels="app=busy"))
        name = pod["metadata"]["name"]
        pods.ready(name)

        def scaled() -> bool:
            pods.call(name, f"http://127.0.0.1:{PORT}/burn")
            found = pods.cluster.get("apps/v1", "Deployment", "busy", namespace=pods.namespace)
            return found is not None and found["status"].get("readyReplicas") == 2

        until(scaled, 180)
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{pods.namespace}/pods"
        (first, *_) = pods.cluster.call("GET", path).object["items"]
        assert first["containers"][0]["usage"]["memory"] != "0"
