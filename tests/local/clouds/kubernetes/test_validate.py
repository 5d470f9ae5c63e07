from __future__ import annotations

import copy
from typing import Any

import pytest

from model_factory.local.clouds.kubernetes.schema import UnknownKindError, catalogue
from model_factory.local.clouds.kubernetes.validate import Validator
from model_factory.local.wire import UNKNOWN

VALIDATOR = Validator(catalogue())
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "models", "labels": {"app.kubernetes.io/name": "web"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": {"app": "web", "team": "a"}},
            "spec": {
                "containers": [
                    {
                        "name": "server",
                        "image": "registry/server@sha256:" + "0" * 64,
                        "ports": [{"name": "http", "containerPort": 8000}],
                        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
                        "resources": {
                            "requests": {"cpu": "500m", "memory": "1Gi"},
                            "limits": {"memory": "2Gi", "nvidia.com/gpu": 1},
                        },
                        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
                    }
                ],
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
                "volumes": [{"name": "scratch", "emptyDir": {}}],
            },
        },
    },
}
CONTAINER = ("spec", "template", "spec", "containers", 0)


def changed(base: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    obj = copy.deepcopy(base)
    target: Any = obj
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return obj


def told(obj: dict[str, Any]) -> str:
    return "\n".join(str(violation) for violation in VALIDATOR.violations(obj))


class TestValidObjects:
    def test_a_complete_deployment_breaks_no_rule(self) -> None:
        assert told(DEPLOYMENT) == ""

    @pytest.mark.parametrize(
        "obj",
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "aGk="}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "None"}},
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"},
             "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}},
            {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
             "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}},
            {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
             "spec": {"minReplicas": 1, "maxReplicas": 3,
                      "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:web"}},
        ],
        ids=lambda obj: obj["kind"],
    )  # fmt: skip
    def test_small_objects_of_every_room_break_no_rule(self, obj: dict[str, Any]) -> None:
        assert told(obj) == ""


NODE_TERM = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]
        }
    }
}


class TestBrokenObjects:
    """Each mistake is named by its path, with the value or the remedy."""

    @pytest.mark.parametrize(
        ("path", "value", "expected"),
        [
            (("spec", "replicas"), "3", "spec.replicas: must be of type integer, not '3'"),
            (("spec", "replica"), 3, "spec.replica: unknown field; did you mean replicas?"),
            (("spec", "selector"), None, "spec.selector"),
            (("metadata", "name"), "Web_1", "metadata.name: 'Web_1' is not a DNS-1123 subdomain"),
            (("metadata", "namespace"), "a.b", "metadata.namespace: 'a.b' is not a DNS-1123 label"),
            (("metadata", "labels"), {"a b": "c"}, "metadata.labels.a b: 'a b' is not a label key"),
            (("metadata", "labels"), {"a": "x" * 64}, "is not a label value"),
            (("spec", "selector", "matchLabels", "app"), "api", "selects 'api', but the template's label has 'web'"),
            (("spec", "selector", "matchLabels"), {}, "an empty selector selects every pod"),
            (("spec", "strategy", "rollingUpdate", "maxSurge"), 0, "must not be 0 while maxSurge is 0"),
            (("spec", "template", "spec", "restartPolicy"), "Never", "must be Always in a Deployment"),
            (("spec", "template", "spec", "volumes"), [], "'scratch' is not a volume of this pod"),
            (("spec", "template", "spec", "tolerations", 0, "effect"), "NoSched", "must be one of NoSchedule"),
            (("spec", "template", "spec", "tolerations", 0, "value"), "x", "must be empty where the operator is Exists"),
            ((*CONTAINER, "name"), "Server", "'Server' is not a DNS-1123 label"),
            ((*CONTAINER, "imagePullPolicy"), "always", "must be one of Always, IfNotPresent, Never"),
            ((*CONTAINER, "ports", 0, "containerPort"), 80000, "80000 is not a port"),
            ((*CONTAINER, "ports", 0, "name"), "Not A Port", "is not a port name"),
            ((*CONTAINER, "readinessProbe", "tcpSocket"), {"port": 1}, "it has httpGet and tcpSocket"),
            ((*CONTAINER, "livenessProbe"), {"exec": {}, "successThreshold": 2}, "must be 1 here, not 2"),
            ((*CONTAINER, "resources", "limits", "cpu"), "2 cores", "'2 cores' is not a quantity"),
            ((*CONTAINER, "resources", "limits", "cpu"), "100m", "request 500m is above limit 100m"),
            ((*CONTAINER, "resources", "limits", "nvidia.com/gpu"), "500m", "nvidia.com/gpu is given in whole devices"),
            ((*CONTAINER, "resources", "requests", "nvidia.com/gpu"), 2, "needs the same in both"),
            ((*CONTAINER, "resources", "requests", "amd.com/gpu"), 1, "its limit equals its request"),
            ((*CONTAINER, "securityContext"), {"privileged": True, "allowPrivilegeEscalation": False}, "cannot be false"),
            ((*CONTAINER, "env"), [{"name": "A=B", "value": "x"}], "'A=B' is not a variable name"),
            ((*CONTAINER, "image"), " server", "' server' is not an image reference"),
            (("spec", "replicas"), -1, "spec.replicas: -1; Kubernetes takes at least 0"),
            (("spec", "minReadySeconds"), 9000, "must be more than minReadySeconds 9000"),
            (("spec", "strategy", "rollingUpdate", "maxSurge"), "a lot", "'a lot' is refused by Kubernetes; use a number"),
            (("spec", "template", "spec", "volumes", 0, "hostPath"), {"path": "/x"}, "use one source a volume"),
            (("spec", "template", "spec", "tolerations", 0, "tolerationSeconds"), 5, "must be NoExecute"),
            (("spec", "template", "spec", "affinity"), NODE_TERM, "operator In needs values"),
        ],
    )  # fmt: skip
    def test_deployment(self, path: tuple[str | int, ...], value: Any, expected: str) -> None:
        assert expected in told(changed(DEPLOYMENT, path, value))

    @pytest.mark.parametrize(
        ("obj", "expected"),
        [
            ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a/b": "c"}}, "'a/b' is not a key"),
            ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x" * 2**20 + "x"}}, "at most"),
            ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "plain text"}}, "use stringData"),
            ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "namespace": "m"}}, "belongs to no namespace"),
            ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "1web"}, "spec": {"ports": [{"port": 1}]}}, "DNS-1035"),
            ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "ClusterIP"}}, "needs a port"),
            ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
              "spec": {"ports": [{"port": 1}, {"port": 2}]}}, "several ports"),
            ({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "w"},
              "spec": {"minReplicas": 4, "maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "w"}}},
             "spec.maxReplicas: 2 is below minReplicas 4"),
            ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
              "spec": {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 1}]}}, "1 (TCP) is taken by another port"),
            ({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"},
              "spec": {"accessModes": ["ReadOnlyMany"], "capacity": {"storage": "1Gi"}}}, "use one source, such as csi"),
            ({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "v"},
              "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "0"}}}}, "a size such as 10Gi"),
            ({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"},
              "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]}},
             "'11.0.0.0/16' is no range within '10.0.0.0/8'"),
            ({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"},
              "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 70000}]}]}}, "70000 is not a port"),
            ({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "w"},
              "spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "w"}, "metrics": [{"type": "Pods"}]}},
             "spec.metrics[0].pods: is required for a metric of type Pods"),
            ({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "w"},
              "spec": {"minAvailable": 1, "maxUnavailable": 1}}, "not both"),
        ],
    )  # fmt: skip
    def test_other_kinds(self, obj: dict[str, Any], expected: str) -> None:
        assert expected in told(obj)

    def test_all_schema_mistakes_are_told_at_once(self) -> None:
        broken = changed(changed(DEPLOYMENT, ("spec", "replicas"), "3"), (*CONTAINER, "imagee"), "x")
        assert len(VALIDATOR.violations(broken)) == 2


class TestUnknownValues:
    @pytest.mark.parametrize(
        "path",
        [
            ("metadata",),
            ("metadata", "name"),
            ("spec",),
            ("spec", "selector"),
            (*CONTAINER, "image"),
            CONTAINER,
        ],
    )
    def test_pass(self, path: tuple[str | int, ...]) -> None:
        assert told(changed(DEPLOYMENT, path, UNKNOWN)) == ""

    def test_do_not_hide_mistakes_beside_them(self) -> None:
        obj = changed(changed(DEPLOYMENT, ("metadata", "name"), UNKNOWN), (*CONTAINER, "name"), "Server")
        assert "'Server' is not a DNS-1123 label" in told(obj)


class TestKinds:
    def test_a_removed_version_names_the_current_one(self) -> None:
        with pytest.raises(UnknownKindError, match="no Deployment in apps/v1beta1; use apps/v1"):
            VALIDATOR.violations({"apiVersion": "apps/v1beta1", "kind": "Deployment"})

    def test_a_misspelt_kind_names_the_nearest(self) -> None:
        with pytest.raises(UnknownKindError, match="did you mean Deployment"):
            VALIDATOR.violations({"apiVersion": "apps/v1", "kind": "Deploymnet"})

    def test_a_question_to_the_api_server_is_no_object(self) -> None:
        with pytest.raises(UnknownKindError, match="is a question"):
            VALIDATOR.violations({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"})


class TestCanonicalObjects:
    def test_quantities_are_written_as_the_api_server_stores_them_and_nothing_else_changes(self) -> None:
        obj = changed(DEPLOYMENT, (*CONTAINER, "resources", "requests", "memory"), "1024Mi")
        found = VALIDATOR.canonical(obj)
        resources = found["spec"]["template"]["spec"]["containers"][0]["resources"]
        assert resources == {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"memory": "2Gi", "nvidia.com/gpu": "1"},
        }
        assert VALIDATOR.canonical(found) == found
        assert found["spec"]["strategy"] == DEPLOYMENT["spec"]["strategy"]

    def test_nulls_are_left_out(self) -> None:
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c", "labels": None},
            "data": None,
        }
        assert VALIDATOR.canonical(obj) == {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c"},
        }
