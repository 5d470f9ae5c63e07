"""What a cluster with a real node holds besides the node: the way to its API, DNS, rights of the node's services, and the metrics API.

Pure: objects as mappings, to be applied by the caller. The clouds' own add-ons are as much: CoreDNS by the labels and the address that policies
and Pods expect, metrics-server as an aggregated API.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any, Final

from model_factory.local.lab.node.configuration import CLUSTER_DOMAIN, METRICS_PORT

Object = dict[str, Any]
SYSTEM: Final = "kube-system"
KUBE_ROUTER: Final = "system:kube-router"
METRICS_SERVER: Final = "system:metrics-server"
METRICS_HOST: Final = f"metrics-server.{SYSTEM}.svc"
CLOUDS: Final = "local-clouds"
"""The Service by which Pods reach the local clouds: `local-clouds.kube-system`, at each cloud's own port."""
DNS_LABEL: Final = "k8s-app=kube-dns"
"""What policies know the DNS by, in every cluster."""
METRICS_API: Final = "v1beta1.metrics.k8s.io"


def before_services(
    *, node: str, host: IPv4Address, address: IPv4Address, dns: IPv4Address, api_port: int, clouds: Mapping[str, int],
    coredns_image: str,
) -> list[Object]:  # fmt: skip
    """In an order in which they can be applied. `host` is the host's end of the node's link, `address` the node's."""
    return [
        *_service_elsewhere("kubernetes", "default", host, {"https": api_port}, has_service=True),
        *(_service_elsewhere(CLOUDS, SYSTEM, host, clouds) if clouds else ()),
        *_rights(),
        *_service_elsewhere("metrics-server", SYSTEM, address, {"https": METRICS_PORT}, port=443),
        *_dns(node, dns, coredns_image),
    ]


def metrics_api(authority_pem: str, started: str) -> Object:
    """The metrics API, for when metrics-server listens: a server that is not there is asked again only after half a minute.

    `started` says when it did: a change, by which the API server asks at once after a restart, too.
    """
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": METRICS_API, "annotations": {"model-factory-lab/started": started}},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": "metrics-server", "namespace": SYSTEM, "port": 443},
            "caBundle": base64.b64encode(authority_pem.encode()).decode(),
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }


def _service_elsewhere(
    name: str,
    namespace: str,
    address: IPv4Address,
    ports: Mapping[str, int],
    *,
    has_service: bool = False,
    port: int = 0,
) -> list[Object]:
    """A Service of an address that is no Pod's. The Service `kubernetes` is there already, and says port 443."""
    slice_: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "model-factory-lab",
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": key, "port": number, "protocol": "TCP"} for key, number in ports.items()],
        "endpoints": [{"addresses": [str(address)], "conditions": {"ready": True}}],
    }
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "ports": [{"name": key, "port": port or number, "targetPort": number} for key, number in ports.items()]
        },
    }
    return [slice_] if has_service else [service, slice_]


def _rights() -> list[Object]:
    reading = ["get", "list", "watch"]
    return [
        _role(KUBE_ROUTER, [
            _rule([""], ["namespaces", "pods", "services", "nodes", "endpoints"], reading),
            _rule(["networking.k8s.io"], ["networkpolicies"], reading),
            _rule(["discovery.k8s.io"], ["endpointslices"], reading),
            _rule(["coordination.k8s.io"], ["leases"], ["get", "create", "update"]),
        ]),
        _binding(KUBE_ROUTER, KUBE_ROUTER),
        _role(METRICS_SERVER, [
            _rule([""], ["nodes/metrics"], ["get"]),
            _rule([""], ["pods", "nodes"], reading),
        ]),
        _binding(METRICS_SERVER, METRICS_SERVER),
        _binding(f"{METRICS_SERVER}:auth-delegator", "system:auth-delegator", METRICS_SERVER),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "metrics-server-auth-reader", "namespace": SYSTEM},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "extension-apiserver-authentication-reader",
            },
            "subjects": [_user(METRICS_SERVER)],
        },
        _role("system:aggregated-metrics-reader", [_rule(["metrics.k8s.io"], ["pods", "nodes"], reading)], {
            f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")
        }),
    ]  # fmt: skip


def _dns(node: str, address: IPv4Address, image: str) -> list[Object]:
    key, _, value = DNS_LABEL.partition("=")
    labels = {key: value}
    metadata = {"name": "coredns", "namespace": SYSTEM}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        _role("system:coredns", [
            _rule([""], ["endpoints", "services", "pods", "namespaces"], ["list", "watch"]),
            _rule(["discovery.k8s.io"], ["endpointslices"], ["list", "watch"]),
        ]),
        {
            **_binding("system:coredns", "system:coredns"),
            "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": SYSTEM}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            # Nothing is asked of the machine's own resolver: a node of the lab has no way out, and so no names there.
            "data": {"Corefile": (
                ".:53 {\n    errors\n    health :8080\n    ready :8181\n"
                f"    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{\n        pods insecure\n        ttl 5\n    }}\n"
                "    cache 5\n    loadbalance\n}\n"
            )},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": SYSTEM, "labels": labels},
            "spec": {
                "clusterIP": str(address),
                "selector": labels,
                "ports": [
                    {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
                ],
            },
        },
        {
            "apiVersion": "apps/v1",
            # A Deployment, as clouds have it, would come back to its one node for ever, and so keep a drain from ending.
            "kind": "DaemonSet",
            "metadata": {**metadata, "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": _dns_pod(node, image)},
            },
        },
    ]  # fmt: skip


def _dns_pod(node: str, image: str) -> Object:
    return {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        # The one node that really runs something.
        "nodeSelector": {"kubernetes.io/hostname": node},
        "tolerations": [{"operator": "Exists"}],
        "dnsPolicy": "Default",
        # Policies that let Pods ask for names open port 53, which is what they see behind the Service: as in the clouds, it listens there.
        "securityContext": {
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        "containers": [
            {
                "name": "coredns",
                "image": image,
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "10m", "memory": "40Mi"}, "limits": {"memory": "170Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 10},
                "securityContext": {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "configuration", "mountPath": "/etc/coredns", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "configuration", "configMap": {"name": "coredns"}}],
    }  # fmt: skip


def _role(name: str, rules: Sequence[Object], labels: Mapping[str, str] | None = None) -> Object:
    metadata: Object = {"name": name, **({"labels": dict(labels)} if labels else {})}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": list(rules),
    }


def _rule(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str]) -> Object:
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}


def _binding(name: str, role: str, user: str = "") -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [_user(user or name)],
    }


def _user(name: str) -> Object:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
