"""Small graphs of resources, as an engine's state gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model_factory.cost import Resource

STACK = "urn:pulumi:dev::factory::pulumi:pulumi:Stack::factory-dev"
AWS = "urn:pulumi:dev::factory::model-factory:region:AwsRegion::aws"
GCP = "urn:pulumi:dev::factory::model-factory:region:GcpRegion::gcp"


def resource(type_: str, name: str, parent: str = STACK, id_: str = "", /, **inputs: Any) -> Resource:
    return Resource(f"urn:pulumi:dev::factory::{type_}::{name}", type_, inputs, {}, id_, parent)


def component(urn: str) -> Resource:
    return Resource(urn, urn.split("::")[2], {}, {}, "", STACK)


def node_group(
    name: str, machine: str, *, least: int = 0, most: int = 10, spot: bool = False, region: str = "us-east-1"
) -> list[Resource]:
    """An EKS node group with its launch template of one 200 GiB volume."""
    labels = {"model-factory/pool": name}
    return [
        resource(
            "aws:ec2/launchTemplate:LaunchTemplate",
            name,
            AWS,
            f"lt-{name}",
            region=region,
            blockDeviceMappings=[{"ebs": {"volumeSize": 200, "volumeType": "gp3"}}],
        ),
        resource(
            "aws:eks/nodeGroup:NodeGroup",
            name,
            AWS,
            region=region,
            instanceTypes=[machine],
            capacityType="SPOT" if spot else "ON_DEMAND",
            labels=labels,
            launchTemplate={"id": f"lt-{name}", "version": "1"},
            scalingConfig={"minSize": least, "maxSize": most, "desiredSize": least},
        ),
    ]


def node_pool(
    name: str, machine: str, *, autoscaling: Mapping[str, int], spot: bool = False, **inputs: Any
) -> Resource:
    """A GKE node pool with volumes of 100 GB."""
    config = {
        "machineType": machine,
        "spot": spot,
        "diskSizeGb": 100,
        "diskType": "pd-balanced",
        "labels": {"model-factory/pool": name},
    }
    inputs = {"location": "us-central1", "nodeConfig": config, "autoscaling": autoscaling} | inputs
    return resource("gcp:container/nodePool:NodePool", name, GCP, **inputs)


def model(
    name: str,
    pool: str,
    least: int,
    most: int,
    *,
    gpus: int = 1,
    cpu: str = "1",
    memory: str = "4Gi",
    parent: str = AWS,
    scaler_names_it: bool = True,
) -> list[Resource]:
    """A model's Deployment and autoscaler under a component of their own."""
    service = f"urn:pulumi:dev::factory::model-factory:serving:ModelService::{parent[-3:]}-{name}"
    asked = {"cpu": cpu, "memory": memory, "nvidia.com/gpu": str(gpus)}
    pod = {
        "nodeSelector": {"model-factory/pool": pool},
        "containers": [{"name": "server", "resources": {"requests": asked, "limits": asked}}],
    }
    meta = {"name": f"{name}-1a2b", "namespace": f"model-{name}"}
    return [
        Resource(service, "model-factory:serving:ModelService", {}, {}, "", parent),
        resource(
            "kubernetes:apps/v1:Deployment",
            f"{parent[-3:]}-{name}",
            service,
            metadata=meta,
            spec={"template": {"metadata": {"labels": {"model": name}}, "spec": pod}},
        ),
        resource(
            "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
            f"{parent[-3:]}-{name}",
            service,
            metadata={"namespace": f"model-{name}"},
            spec={
                "minReplicas": least,
                "maxReplicas": most,
                "scaleTargetRef": {"name": meta["name"] if scaler_names_it else "04da6b54-80e4-46f7-96ec-b56ff0331ba9"},
            },
        ),
    ]


def eks(region: str = "us-east-1", **inputs: Any) -> Resource:
    return resource("aws:eks/cluster:Cluster", "aws", AWS, region=region, **({"version": "1.35"} | inputs))


def gke(**inputs: Any) -> Resource:
    given: dict[str, Any] = {"location": "us-central1", "removeDefaultNodePool": True}
    return resource("gcp:container/cluster:Cluster", "gcp", GCP, **(given | inputs))


def flat(*parts: Resource | Sequence[Resource]) -> list[Resource]:
    """All resources of the parts, after the components that they stand under."""
    found = [component(AWS), component(GCP)]
    for part in parts:
        found.extend([part] if isinstance(part, Resource) else part)
    return found
