"""The GCP network: a subnet a region, with ranges for pods and Services, and a way out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from components.names import fit_auto_named

PODS_RANGE = "pods"
SERVICES_RANGE = "services"
# The longest name of a network, subnet, router or firewall rule (RFC 1035).
NAME_LIMIT = 63
# Just before the implied deny-all rule (65535), which cannot log.
LAST_PRIORITY = 65534


@dataclass(frozen=True, slots=True)
class SubnetRanges:
    """One region's ranges: nodes, pods, Services."""

    region: str
    nodes_cidr: str
    pods_cidr: str
    services_cidr: str


class GcpNetworkArgs(TypedDict):
    project: str
    subnets: Sequence[SubnetRanges]


class GcpNetwork(pulumi.ComponentResource):
    """A custom-mode network: in each region a subnet and NAT for nodes without public addresses, and a logged deny-all.

    GKE adds the firewall rules that its clusters need; nothing else may come in. Another range for Pods or Services replaces the subnet, and
    with it the cluster.
    """

    network_id: pulumi.Output[str]
    subnetwork_ids: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: GcpNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("model-factory:network:GcpNetwork", name, {}, opts)
        child, project = pulumi.ResourceOptions(parent=self), args["project"]
        network = gcp.compute.Network(
            fit_auto_named(name, NAME_LIMIT),
            project=project,
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=child,
        )
        gcp.compute.Firewall(
            fit_auto_named(f"{name}-deny", NAME_LIMIT),
            project=project,
            network=network.id,
            description="What no other rule lets in is refused, and logged",
            direction="INGRESS",
            priority=LAST_PRIORITY,
            denies=[{"protocol": "all"}],
            source_ranges=["0.0.0.0/0"],
            log_config={"metadata": "INCLUDE_ALL_METADATA"},
            opts=child,
        )
        subnetwork_ids: dict[str, pulumi.Output[str]] = {}
        for ranges in args["subnets"]:
            regional = fit_auto_named(f"{name}-{ranges.region}", NAME_LIMIT)
            subnetwork = gcp.compute.Subnetwork(
                regional,
                project=project,
                region=ranges.region,
                network=network.id,
                ip_cidr_range=ranges.nodes_cidr,
                secondary_ip_ranges=[
                    {"range_name": PODS_RANGE, "ip_cidr_range": ranges.pods_cidr},
                    {"range_name": SERVICES_RANGE, "ip_cidr_range": ranges.services_cidr},
                ],
                private_ip_google_access=True,
                log_config={
                    "aggregation_interval": "INTERVAL_10_MIN",
                    "flow_sampling": 0.1,
                    "metadata": "INCLUDE_ALL_METADATA",
                },
                # Google neither changes a range that a cluster uses (cloud.google.com/vpc/docs/alias-ip), nor has a second subnet beside
                # the first with one of its ranges: both go, the cluster first.
                opts=pulumi.ResourceOptions(
                    parent=self, replace_on_changes=["secondaryIpRanges"], delete_before_replace=True
                ),
            )
            router = gcp.compute.Router(regional, project=project, region=ranges.region, network=network.id, opts=child)
            gcp.compute.RouterNat(
                regional,
                project=project,
                region=ranges.region,
                router=router.name,
                nat_ip_allocate_option="AUTO_ONLY",
                source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
                log_config={"enable": True, "filter": "ERRORS_ONLY"},
                opts=child,
            )
            subnetwork_ids[ranges.region] = subnetwork.id
        self.network_id = network.id
        self.subnetwork_ids = subnetwork_ids
        self.register_outputs({"network_id": self.network_id, "subnetwork_ids": subnetwork_ids})
