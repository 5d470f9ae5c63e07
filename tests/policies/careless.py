"""A model server as somebody in a hurry writes it."""

from __future__ import annotations

from tests.policies.harness import Given
from tests.policies.objects import CLUSTER, kubernetes

POD = {
    "hostNetwork": True,
    "containers": [
        {
            "name": "server",
            "image": "pytorch/torchserve",
            "command": ["torchserve", "serve"],
            "args": ["--model", "meta/llama"],
            "env": [{"name": "HF_TOKEN", "value": "hf_planted_secret"}],
            "resources": {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "1"}},
            "securityContext": {"privileged": True, "runAsUser": 0},
        }
    ],
    "volumes": [{"name": "node", "hostPath": {"path": "/"}}],
}
APP = {"app": "llama"}

STACK = (
    Given("aws:eks/cluster:Cluster", {"name": "dev"}, "cluster"),
    Given(
        "aws:eks/nodeGroup:NodeGroup",
        {
            "region": "us-east-1",
            "instanceTypes": ["p3.16xlarge"],
            "capacityType": "SPOT",
            "labels": {},
            "scalingConfig": {"minSize": 1, "maxSize": 8},
        },
        "gpus",
    ),
    Given("pulumi:providers:kubernetes", {"kubeconfig": "{}"}, CLUSTER),
    kubernetes("core/v1:Namespace", {"metadata": {"name": "models"}}, "models"),
    kubernetes(
        "apps/v1:Deployment",
        {
            "metadata": {"name": "llama"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": APP},
                "template": {"metadata": {"labels": APP}, "spec": POD},
            },
        },
        "llama",
    ),
    kubernetes(
        "core/v1:Service",
        {
            "metadata": {"name": "llama"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "lama"}, "ports": [{"port": 80}]},
        },
        "llama",
    ),
    kubernetes(
        "autoscaling/v2:HorizontalPodAutoscaler",
        {
            "metadata": {"name": "llama", "labels": {"model": "llama"}},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "llama"},
                "minReplicas": 1,
                "maxReplicas": 100,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            },
        },
        "llama",
    ),
    kubernetes(
        "keda.sh/v1alpha1:ScaledObject",
        {"metadata": {"name": "llama"}, "spec": {"scaleTargetRef": {"name": "llama"}}},
        "llama",
    ),
    kubernetes(
        "autoscaling/v2:HorizontalPodAutoscaler",
        {
            "metadata": {"name": "old"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "old"}, "maxReplicas": 2},
        },
        "old",
    ),
    kubernetes(
        "policy/v1:PodDisruptionBudget",
        {
            "metadata": {"name": "other"},
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "x"}}},
        },
        "other",
    ),
    kubernetes(
        "rbac.authorization.k8s.io/v1:ClusterRole",
        {"metadata": {"name": "all"}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]},
        "all",
    ),
    kubernetes(
        "rbac.authorization.k8s.io/v1:ClusterRoleBinding",
        {"metadata": {"name": "us"}, "roleRef": {"name": "cluster-admin"}, "subjects": [{"name": "us"}]},
        "us",
    ),
)
