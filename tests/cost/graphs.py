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


def region_urn(name: str) -> str:
    """URN of a further region of AWS; `component` makes it."""
    return f"{AWS.rpartition('::')[0]}::{name}"


def node_group(
    name: str,
    machine: str,
    *,
    least: int = 0,
    most: int = 10,
    spot: bool = False,
    region: str = "us-east-1",
    reservation: str = "",
    parent: str = AWS,
) -> list[Resource]:
    """An EKS node group with its launch template of one 200 GiB volume."""
    labels = {"model-factory/pool": name}
    reserved = {
        "capacityReservationSpecification": {"capacityReservationTarget": {"capacityReservationId": reservation}}
    }
    return [
        resource(
            "aws:ec2/launchTemplate:LaunchTemplate",
            name,
            parent,
            f"lt-{parent}-{name}",
            region=region,
            blockDeviceMappings=[{"ebs": {"volumeSize": 200, "volumeType": "gp3"}}],
            **(reserved if reservation else {}),
        ),
        resource(
            "aws:eks/nodeGroup:NodeGroup",
            name,
            parent,
            region=region,
            instanceTypes=[machine],
            capacityType="SPOT" if spot else "ON_DEMAND",
            labels=labels,
            launchTemplate={"id": f"lt-{parent}-{name}", "version": "1"},
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


def node_choice(*pools: str) -> dict[str, Any]:
    """The part of a Pod's spec that takes it to pools: to one by its label, to several by affinity, those named first liked best."""
    if len(pools) == 1:
        return {"nodeSelector": {"model-factory/pool": pools[0]}}

    def named(*names: str) -> dict[str, Any]:
        return {"matchExpressions": [{"key": "model-factory/pool", "operator": "In", "values": list(names)}]}

    liked = [{"weight": 100 >> rank, "preference": named(name)} for rank, name in enumerate(pools[:-1])]
    affinity = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [named(*sorted(pools))]},
        "preferredDuringSchedulingIgnoredDuringExecution": liked[::-1],
    }
    return {"affinity": {"nodeAffinity": affinity}}


def model(
    name: str,
    pool: str | Sequence[str],
    least: int,
    most: int,
    *,
    gpus: int = 1,
    cpu: str = "1",
    memory: str = "4Gi",
    parent: str = AWS,
    scaler_names_it: bool = True,
) -> list[Resource]:
    """A model's Deployment and autoscaler under a component of their own. It likes the first of several pools best."""
    service = f"urn:pulumi:dev::factory::model-factory:serving:ModelService::{parent[-3:]}-{name}"
    asked = {"cpu": cpu, "memory": memory, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    pod = {
        **node_choice(*([pool] if isinstance(pool, str) else pool)),
        "containers": [{"name": "server", "resources": {"requests": asked, "limits": asked}}],
    }
    meta = {"name": f"{name}-{parent[-3:]}", "namespace": f"model-{name}"}
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


def eks(region: str = "us-east-1", parent: str = AWS, **inputs: Any) -> Resource:
    return resource("aws:eks/cluster:Cluster", "aws", parent, region=region, **({"version": "1.35"} | inputs))


def gke(**inputs: Any) -> Resource:
    given: dict[str, Any] = {"location": "us-central1", "removeDefaultNodePool": True}
    return resource("gcp:container/cluster:Cluster", "gcp", GCP, **(given | inputs))


def flat(*parts: Resource | Sequence[Resource]) -> list[Resource]:
    """All resources of the parts, after the components that they stand under."""
    found = [component(AWS), component(GCP)]
    for part in parts:
        found.extend([part] if isinstance(part, Resource) else part)
    return found
