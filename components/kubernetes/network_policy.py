"""Who may talk to a model, and to whom it may talk. Pure."""

from collections.abc import Mapping

from pulumi_kubernetes.networking.v1 import (
    NetworkPolicyEgressRuleArgsDict,
    NetworkPolicyIngressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
    NetworkPolicySpecArgsDict,
)

from components.kubernetes.runtimes.table import ModelServer
from components.kubernetes.weights.routes import GcsWeights, HubWeights, Weights

# A namespace gets access to models by this label.
CLIENT_LABEL = "model-factory/client"
METRICS_NAMESPACE = "monitoring"
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
# Where a Pod asks GKE for its identity (cloud.google.com/kubernetes-engine/docs/how-to/workload-identity).
GKE_METADATA_SERVERS = {"169.254.169.254/32": 80, "169.254.169.252/32": 988}


def default_deny() -> NetworkPolicySpecArgsDict:
    """Nothing in, nothing out, for every Pod of a namespace; other policies add what may."""
    return {"pod_selector": {}, "policy_types": ["Ingress", "Egress"]}


def model_traffic(
    server: ModelServer, weights: Weights, selector: Mapping[str, str]
) -> NetworkPolicySpecArgsDict:
    """Requests from labelled namespaces, metrics to the monitoring namespace, names from DNS, weights where they are fetched."""
    return {
        "pod_selector": {"match_labels": selector},
        "policy_types": ["Ingress", "Egress"],
        "ingress": _ingress(server),
        "egress": _egress(weights),
    }


def _ingress(server: ModelServer) -> list[NetworkPolicyIngressRuleArgsDict]:
    serving = sorted(port for name, port in server.ports.items() if name != "metrics")
    return [
        {
            "from_": [{"namespace_selector": {"match_labels": {CLIENT_LABEL: "true"}}}],
            "ports": [{"port": port, "protocol": "TCP"} for port in serving],
        },
        {
            "from_": [_namespace(METRICS_NAMESPACE)],
            "ports": [{"port": server.ports[server.metrics_port], "protocol": "TCP"}],
        },
    ]


def _egress(weights: Weights) -> list[NetworkPolicyEgressRuleArgsDict]:
    rules: list[NetworkPolicyEgressRuleArgsDict] = [
        {
            "to": [_namespace("kube-system")],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
        }
    ]
    # S3 weights are mounted by a Pod of the driver's own, so the model's Pod needs no way out for them.
    if isinstance(weights, GcsWeights | HubWeights):
        rules.append(
            {
                "to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": list(PRIVATE_RANGES)}}],
                "ports": [{"port": 443, "protocol": "TCP"}],
            }
        )
    if isinstance(weights, GcsWeights):
        rules.extend(
            {"to": [{"ip_block": {"cidr": address}}], "ports": [{"port": port, "protocol": "TCP"}]}
            for address, port in GKE_METADATA_SERVERS.items()
        )
    return rules


def _namespace(name: str) -> NetworkPolicyPeerArgsDict:
    return {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": name}}}
