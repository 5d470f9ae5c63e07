"""A Deployment for the lab's simulated nodes."""

from __future__ import annotations

from typing import Any

from model_factory.access.client import ClusterClient


def namespace(client: ClusterClient, name: str) -> str:
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="test")
    return name


def deployment(name: str, space: str, replicas: int, *, gpus: int = 1, seconds: int = 300) -> dict[str, Any]:
    """Replicas that ask for GPUs of nodes with the label team=x, and leave a silent node after so many seconds."""
    labels = {"app": name}
    container = {
        "name": "server", "image": "test", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {},
    }  # fmt: skip
    tolerations = [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        *(
            {
                "key": f"node.kubernetes.io/{key}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": seconds,
            }
            for key in ("not-ready", "unreachable")
        ),
    ]
    spec = {"containers": [container], "tolerations": tolerations, "nodeSelector": {"team": "x"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def ready(client: ClusterClient, name: str, space: str) -> int:
    found = client.get("apps/v1", "Deployment", name, namespace=space)
    return 0 if found is None else found["status"].get("readyReplicas", 0)


def budget(name: str, space: str) -> dict[str, Any]:
    """All replicas of the Deployment but one are to be ready."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": space},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}},
    }
