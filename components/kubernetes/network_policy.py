"""Who may talk to a model, and to whom it may talk. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from components.kubernetes.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from pulumi_kubernetes.networking.v1 import (
        NetworkPolicyEgressRuleArgsDict,
        NetworkPolicyIngressRuleArgsDict,
        NetworkPolicyPeerArgsDict,
        NetworkPolicySpecArgsDict,
    )

# A namespace gets access to models by this label.
CLIENT_LABEL = "model-factory/client"
# Where metrics are read from: a Prometheus of one's own, and the collectors of GKE's managed one, which are in the one or the other by how
# it was turned on (github.com/GoogleCloudPlatform/prometheus-engine/issues/257).
METRICS_NAMESPACES = ("monitoring", "gmp-system", "gke-gmp-system")
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")


def default_deny() -> NetworkPolicySpecArgsDict:
    """Nothing in, nothing out, for every Pod of a namespace; other policies add what may."""
    return {"pod_selector": {}, "policy_types": ["Ingress", "Egress"]}


def model_traffic(
    runtime: Runtime, egress: Iterable[NetworkPolicyEgressRuleArgsDict], selector: Mapping[str, str]
) -> NetworkPolicySpecArgsDict:
    """Requests from labelled namespaces, metrics to the namespaces that read them, names from DNS, and what else is let out."""
    return {
        "pod_selector": {"match_labels": selector},
        "policy_types": ["Ingress", "Egress"],
        "ingress": _ingress(runtime),
        "egress": [
            {
                "to": [_namespace("kube-system")],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            },
            *egress,
        ],
    }


def https_out() -> NetworkPolicyEgressRuleArgsDict:
    """HTTPS to the internet and to no private address."""
    return {
        "to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": list(PRIVATE_RANGES)}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    }


def to_address(cidr: str, port: int) -> NetworkPolicyEgressRuleArgsDict:
    """TCP to one address."""
    return {"to": [{"ip_block": {"cidr": cidr}}], "ports": [{"port": port, "protocol": "TCP"}]}


def to_port(port: int) -> NetworkPolicyEgressRuleArgsDict:
    """TCP to one port, wherever it is."""
    return {"ports": [{"port": port, "protocol": "TCP"}]}


def _ingress(runtime: Runtime) -> list[NetworkPolicyIngressRuleArgsDict]:
    serving = sorted(port for name, port in runtime.ports.items() if name != "metrics")
    return [
        {
            "from_": [{"namespace_selector": {"match_labels": {CLIENT_LABEL: "true"}}}],
            "ports": [{"port": port, "protocol": "TCP"} for port in serving],
        },
        {
            "from_": [_namespace(name) for name in METRICS_NAMESPACES],
            "ports": [{"port": runtime.ports[runtime.metrics_port], "protocol": "TCP"}],
        },
    ]


def _namespace(name: str) -> NetworkPolicyPeerArgsDict:
    return {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": name}}}
