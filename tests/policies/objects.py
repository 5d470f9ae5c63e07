"""Objects that pass every check, and ways to spoil them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from tests.policies.harness import Given

DIGEST = "sha256:" + "a" * 64
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/assistant:1.4.0@{DIGEST}"
LABELS = {
    "app.kubernetes.io/name": "model-server",
    "app.kubernetes.io/instance": "assistant",
    "app.kubernetes.io/part-of": "model-factory",
    "model": "assistant",
}
SELECTOR = {key: LABELS[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}
NAMESPACE = "model-assistant"
CLUSTER = "dev-aws-us-east-1"
GONE = object()
"""Put at a path to take away what is there."""


def metadata(name: str = "assistant", **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, "labels": dict(LABELS), **more}


POD: Mapping[str, Any] = {
    "serviceAccountName": "assistant",
    "automountServiceAccountToken": False,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "nodeSelector": {"model-factory/pool": "l4x1-on-demand"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"}],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": SELECTOR},
        }
    ],
    "terminationGracePeriodSeconds": 130,
    "containers": [
        {
            "name": "server",
            "image": IMAGE,
            "command": ["vllm", "serve"],
            "args": ["/models/assistant", "--port=8000"],
            "env": [{"name": "HOME", "value": "/tmp"}],
            "ports": [{"name": "http", "containerPort": 8000}],
            "resources": {
                "requests": {"cpu": "3", "memory": "24Gi", "nvidia.com/gpu": "1"},
                "limits": {"memory": "24Gi", "nvidia.com/gpu": "1"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "startupProbe": {
                "httpGet": {"path": "/health", "port": "http"},
                "periodSeconds": 10,
                "failureThreshold": 180,
            },
            "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
            "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
            "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}],
        }
    ],
    "volumes": [
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}},
        {
            "name": "weights",
            "csi": {
                "driver": "gcsfuse.csi.storage.gke.io",
                "volumeAttributes": {"mountOptions": "implicit-dirs,only-dir=assistant/1.4.0"},
            },
        },
    ],
}


def kubernetes(kind: str, props: Mapping[str, Any], name: str = "assistant", provider: str = CLUSTER) -> Given:
    """A Kubernetes object: `apps/v1:Deployment`."""
    group, _, what = kind.partition(":")
    return Given(
        f"kubernetes:{kind}",
        {"apiVersion": group.removeprefix("core/"), "kind": what, **deepcopy(dict(props))},
        name,
        provider,
    )


DEPLOYMENT = kubernetes(
    "apps/v1:Deployment",
    {
        "metadata": metadata(),
        "spec": {
            "selector": {"matchLabels": SELECTOR},
            "template": {"metadata": {"labels": LABELS, "annotations": {"team": "x"}}, "spec": POD},
        },
    },
)
POD_ALONE = kubernetes("core/v1:Pod", {"metadata": metadata(), "spec": POD})
CRON_JOB = kubernetes(
    "batch/v1:CronJob",
    {
        "metadata": metadata(),
        "spec": {"jobTemplate": {"spec": {"template": {"metadata": {"labels": LABELS}, "spec": POD}}}},
    },
)
DEPLOYMENT_PATCH = kubernetes(
    "apps/v1:DeploymentPatch",
    {"metadata": {"name": "assistant"}, "spec": {"template": {"spec": {"containers": [{"name": "server"}]}}}},
)
SERVICE_ACCOUNT = kubernetes("core/v1:ServiceAccount", {"metadata": metadata(), "automountServiceAccountToken": False})
SPACE = kubernetes(
    "core/v1:Namespace",
    {
        "metadata": {
            "name": NAMESPACE,
            "labels": {**LABELS, "pod-security.kubernetes.io/enforce": "restricted"},
        }
    },
)
SERVICE = kubernetes(
    "core/v1:Service",
    {
        "metadata": metadata(annotations={}),
        "spec": {
            "type": "ClusterIP",
            "selector": SELECTOR,
            "ports": [{"name": "http", "port": 8000, "targetPort": "http"}],
        },
    },
)
DENY = kubernetes(
    "networking.k8s.io/v1:NetworkPolicy",
    {
        "metadata": metadata("deny"),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    },
    "deny",
)
ALLOW = kubernetes(
    "networking.k8s.io/v1:NetworkPolicy",
    {
        "metadata": metadata("allow"),
        "spec": {
            "podSelector": {"matchLabels": SELECTOR},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8000}]}],
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
        },
    },
    "allow",
)
BUDGET = kubernetes(
    "policy/v1:PodDisruptionBudget",
    {"metadata": metadata(), "spec": {"maxUnavailable": 1, "selector": {"matchLabels": SELECTOR}}},
)
AUTOSCALER = kubernetes(
    "autoscaling/v2:HorizontalPodAutoscaler",
    {
        "metadata": metadata(),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "assistant"},
            "minReplicas": 2,
            "maxReplicas": 4,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
        },
    },
)
SCALED_OBJECT = kubernetes(
    "keda.sh/v1alpha1:ScaledObject",
    {
        "metadata": metadata(),
        "spec": {
            "scaleTargetRef": {"name": "assistant"},
            "minReplicaCount": 0,
            "maxReplicaCount": 4,
            "advanced": {
                "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}}
            },
        },
    },
)
VOLUME = kubernetes(
    "core/v1:PersistentVolume",
    {
        "metadata": {"name": "assistant", "labels": LABELS},
        "spec": {
            "csi": {"driver": "s3.csi.aws.com"},
            "mountOptions": ["read-only", "prefix assistant/1.4.0/"],
        },
    },
)
ROLE = kubernetes(
    "rbac.authorization.k8s.io/v1:Role",
    {
        "metadata": metadata(),
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    },
)
BINDING = kubernetes(
    "rbac.authorization.k8s.io/v1:ClusterRoleBinding",
    {
        "metadata": {"name": "readers"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "readers"}],
    },
)
INGRESS = kubernetes(
    "networking.k8s.io/v1:Ingress",
    {
        "metadata": metadata(annotations={"alb.ingress.kubernetes.io/scheme": "internal"}),
        "spec": {"ingressClassName": "alb"},
    },
)
GATEWAY = kubernetes(
    "gateway.networking.k8s.io/v1:Gateway",
    {"metadata": metadata(), "spec": {"gatewayClassName": "gke-l7-rilb"}},
)
MONITOR = kubernetes(
    "monitoring.coreos.com/v1:PodMonitor",
    {"metadata": metadata(), "spec": {"selector": {"matchLabels": SELECTOR}}},
)
OBJECTIVE = kubernetes("monitoring.coreos.com/v1:PrometheusRule", {"metadata": metadata(), "spec": {"groups": []}})
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
EKS = Given("aws:eks/cluster:Cluster", {"name": "dev", "version": "1.36"}, "dev-aws-us-east-1")
GKE = Given("gcp:container/cluster:Cluster", {"name": "dev"}, "dev-gcp-us-central1")
EKS_POOL = Given(
    "aws:eks/nodeGroup:NodeGroup",
    {
        "region": "us-east-1",
        "clusterName": "dev",
        "amiType": "BOTTLEROCKET_x86_64_NVIDIA",
        "instanceTypes": ["g6.xlarge"],
        "capacityType": "ON_DEMAND",
        "labels": {"model-factory/pool": "l4x1-on-demand"},
        "taints": [TAINT],
        "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 1},
    },
    "dev-aws-us-east-1-l4x1-on-demand",
    property_dependencies={"clusterName": [EKS.urn]},
)
GKE_POOL = Given(
    "gcp:container/nodePool:NodePool",
    {
        "cluster": "dev",
        "location": "us-central1",
        "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 4},
        "nodeConfig": {
            "machineType": "g2-standard-4",
            "spot": False,
            "guestAccelerators": [{"type": "nvidia-l4", "count": 1}],
            "labels": {"model-factory/pool": "l4x1-on-demand"},
            "taints": [TAINT],
        },
    },
    "us-central1-l4x1-on-demand",
    property_dependencies={"cluster": [GKE.urn]},
)
KARPENTER_POOL = kubernetes(
    "karpenter.sh/v1:NodePool",
    {
        "metadata": metadata(),
        "spec": {
            "limits": {"nvidia.com/gpu": "8"},
            "template": {
                "spec": {
                    "taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
                    "requirements": [{"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["g6"]}],
                }
            },
        },
    },
)
PROVIDER = Given("pulumi:providers:kubernetes", {"renderYamlToDirectory": "rendered"}, CLUSTER, dependencies=[EKS.urn])
STACK = (
    EKS,
    EKS_POOL,
    PROVIDER,
    SPACE,
    DENY,
    ALLOW,
    SERVICE_ACCOUNT,
    DEPLOYMENT,
    SERVICE,
    AUTOSCALER,
    BUDGET,
    MONITOR,
    OBJECTIVE,
)
C = "spec.template.spec.containers.0"
P = "spec.template.spec"


def changed(given: Given, path: str, value: Any) -> Given:
    """A resource with another value at a path (`spec.containers.0.image`); objects on the way are made, `GONE` takes away."""
    props = deepcopy(dict(given.props))
    *above, last = _keys(path)
    place: Any = props
    for key in above:
        place = place[key] if isinstance(key, int) else place.setdefault(key, {})
    if value is GONE:
        place.pop(last)
    elif isinstance(last, int) and last == len(place):
        place.append(deepcopy(value))
    else:
        place[last] = deepcopy(value)
    return replace(given, props=props)


def _keys(path: str) -> list[Any]:
    """Keys of a path; a key that holds dots or slashes stands in quotes."""
    keys: list[Any] = []
    for index, part in enumerate(path.split("'")):
        if index % 2:
            keys.append(part)
        else:
            keys.extend(int(each) if each.isdigit() else each for each in part.split(".") if each)
    return keys


@dataclass(frozen=True)
class Case:
    """One way to break one check: `bad` at `path` of a resource that passes. `unknown` is the path that a preview may not know."""

    policy: str
    given: Given
    path: str
    bad: Any
    says: str
    unknown: str | None = None

    @property
    def broken(self) -> Given:
        return changed(self.given, self.path, self.bad)

    @property
    def veiled(self) -> str:
        return self.path if self.unknown is None else self.unknown

    def __str__(self) -> str:
        return f"{self.policy}: {self.path}"
