"""Pods of tests on the real node: made at level restricted, waited for, asked and called."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import kubernetes.stream

from model_factory.access.client import ClusterClient

WAIT_SECONDS = 90
PORT = 8000


@dataclass(frozen=True)
class Answer:
    """What a command in a container printed, and whether it went well."""

    text: str
    ok: bool


@dataclass
class Pods:
    cluster: ClusterClient
    kubeconfig: Path
    namespace: str
    image: str

    def open(self) -> None:
        metadata = {"name": self.namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, manager="test")
        until(lambda: self.cluster.get("v1", "ServiceAccount", "default", namespace=self.namespace))

    def close(self) -> None:
        self.cluster.delete("v1", "Namespace", self.namespace)
        until(lambda: self.cluster.get("v1", "Namespace", self.namespace) is None)

    def template(self, name: str, arguments: Sequence[str], **more: Any) -> dict[str, Any]:
        container = {
            "name": "probe",
            "image": self.image,
            "args": list(arguments),
            "resources": {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            },
        }  # fmt: skip
        return {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "nodeSelector": {"pool": "cpu"},
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{**container, **more}],
            },
        }  # fmt: skip

    def make(self, name: str, arguments: Sequence[str], *, restart: str = "Always", **more: Any) -> None:
        template = self.template(name, arguments, **more)
        template["spec"]["restartPolicy"] = restart
        metadata = {"name": name, "namespace": self.namespace, **template["metadata"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        self.cluster.create(pod)

    def serve(self, name: str, **more: Any) -> None:
        """A Pod that serves on PORT, ready."""
        probe = {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1}
        self.make(name, ["serve", str(PORT)], **{"readinessProbe": probe, **more})
        self.ready(name)

    def service(self, name: str) -> None:
        """A Service of its Pod, on port 80."""
        spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]}
        metadata = {"name": name, "namespace": self.namespace}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        self.cluster.apply(service, manager="test")

    def get(self, name: str) -> dict[str, Any]:
        found = self.cluster.get("v1", "Pod", name, namespace=self.namespace)
        assert found is not None
        return found

    def ready(self, name: str) -> None:
        until(lambda: condition(self.get(name), "Ready"))

    def status(self, name: str) -> Mapping[str, Any]:
        """Of its container."""
        statuses = self.get(name)["status"].get("containerStatuses")
        return statuses[0] if statuses else {}

    def run(self, name: str, *command: str) -> Answer:
        """Run a command in its container, through the API server."""
        with kubernetes.config.new_client_from_config(str(self.kubeconfig)) as client:
            api = kubernetes.client.CoreV1Api(client)
            stream = kubernetes.stream.stream(
                api.connect_get_namespaced_pod_exec,
                name,
                self.namespace,
                command=list(command),
                stdout=True,
                stderr=True,
                _preload_content=False,
            )
            try:
                stream.run_forever(timeout=WAIT_SECONDS)
                # In this order: what was read of one channel is forgotten with all others.
                code = stream.returncode
                return Answer(stream.read_all(), code == 0)
            finally:
                stream.sock.shutdown()  # `close` leaves it open where the other side went first

    def call(self, name: str, url: str) -> Answer:
        return self.run(name, "/probe", "get", url)


def condition(found: Mapping[str, Any], kind: str) -> bool:
    conditions = found.get("status", {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def until(look: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """What `look` finds, once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"did not come true within {seconds} s; last seen: {found!r}"
        time.sleep(0.2)
    return found
