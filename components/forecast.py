"""What a plan will cost with everything around its GPUs: clusters, gateways, system nodes, volumes, registries, buckets, logs.

The program exports it, so that a budget can be held against it before anything is there. It names what `build` declares and bills, in
the shape of the declared resources; `model_factory.cost` puts prices on both in the same way, and a test holds the two sums together.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from components.aws.cidr import ZONES
from components.gcp.node_pool import ZONES_OF_A_REGIONAL_CLUSTER
from components.kubernetes.nodes import NodePoolShape, gpu_pool_shape, system_pool_shape
from model_factory.cost import Bill, Resource, bill_of
from model_factory.facts.clouds import Cloud
from model_factory.planning.placing.plan import Placement, Plan
from model_factory.planning.settings.sections import AwsSettings, GcpSettings, Settings

CLUSTER_LOGS = 5
WORKLOAD_LOGS = ("SYSTEM_COMPONENTS", "WORKLOADS")


def forecast(settings: Settings, plan: Plan) -> Bill:
    """The bill of what `build(settings, plan)` declares. Metrics and traffic are not in it."""
    resources: list[Resource] = []
    if settings.aws is not None:
        for region in settings.aws.regions:
            resources += _aws(settings, settings.aws, region, plan)
    if settings.gcp is not None:
        for region in settings.gcp.regions:
            resources += _gcp(settings.gcp, region, plan)
    return bill_of(resources)


def cost_outputs(bill: Bill) -> Mapping[str, Mapping[str, str]]:
    """The stack's outputs on cost, with every model at its least and at its most replicas. Amounts are text: a double would round them."""
    total = bill.total
    return {
        name: {"least": f"{span.idle.quantize(step)}", "most": f"{span.peak.quantize(step)}"}
        for name, span, step in (
            ("usd_per_hour", total.usd_per_hour, Decimal("0.0001")),
            ("usd_per_month", total.usd_per_month, Decimal("0.01")),
        )
    }


def _aws(settings: Settings, aws: AwsSettings, region: str, plan: Plan) -> Iterable[Resource]:
    place = f"aws-{region}"
    kinds = [f"log-{number}" for number in range(CLUSTER_LOGS)]
    yield _resource(
        "aws:eks/cluster:Cluster",
        place,
        place,
        region=region,
        version=aws.kubernetes_version,
        enabledClusterLogTypes=kinds,
    )
    for name, path in (("cluster", f"/aws/eks/{place}/cluster"), ("flows", "flows")):
        yield _resource(
            "aws:cloudwatch/logGroup:LogGroup",
            f"{place}-{name}",
            place,
            region=region,
            name=path,
            retentionInDays=aws.log_retention_days,
        )
    for zone in range(ZONES):
        yield _resource("aws:ec2/natGateway:NatGateway", f"{place}-{zone}", place, region=region)
        yield _resource("aws:ec2/eip:Eip", f"{place}-{zone}", place, region=region)
    for key in ("cluster", "weights"):
        yield _resource("aws:kms/key:Key", f"{place}-{key}", place, region=region)
    yield _resource("aws:s3/bucket:Bucket", place, place, region=region)
    for model in settings.models:
        if "aws" in model.clouds:
            yield _resource(
                "aws:ecr/repository:Repository",
                f"{place}-{model.name}",
                place,
                region=region,
                tags={"model": model.name},
            )
    for shape in (
        system_pool_shape(aws.system_machine_type, aws.system_nodes),
        *_gpu_shapes(plan, "aws", region),
    ):
        yield _resource(
            "aws:eks/nodeGroup:NodeGroup",
            f"{place}-{shape.name}",
            place,
            region=region,
            instanceTypes=[shape.machine_type],
            capacityType="SPOT" if shape.capacity_type == "spot" else "ON_DEMAND",
            labels=dict(shape.labels),
            diskSize=shape.disk_gib,
            scalingConfig={"minSize": shape.min_nodes, "maxSize": shape.max_nodes},
        )
    yield from _models(plan, "aws", region, place)


def _gcp(gcp: GcpSettings, region: str, plan: Plan) -> Iterable[Resource]:
    place = f"gcp-{region}"
    yield _resource(
        "gcp:container/cluster:Cluster",
        place,
        place,
        location=region,
        removeDefaultNodePool=True,
        loggingConfig={"enableComponents": list(WORKLOAD_LOGS)},
    )
    yield _resource(
        "gcp:compute/routerNat:RouterNat", place, place, region=region, natIpAllocateOption="AUTO_ONLY"
    )
    yield _resource("gcp:artifactregistry/repository:Repository", place, place, location=region)
    yield _resource("gcp:storage/bucket:Bucket", place, place, location=region)
    system = system_pool_shape(gcp.system_machine_type, gcp.system_nodes * ZONES_OF_A_REGIONAL_CLUSTER)
    for shape in (system, *_gpu_shapes(plan, "gcp", region)):
        yield _resource(
            "gcp:container/nodePool:NodePool",
            f"{place}-{shape.name}",
            place,
            location=region,
            nodeConfig={
                "machineType": shape.machine_type,
                "spot": shape.capacity_type == "spot",
                "labels": dict(shape.labels),
                "diskSizeGb": shape.disk_gib,
                "diskType": "pd-balanced",
            },
            autoscaling={"totalMinNodeCount": shape.min_nodes, "totalMaxNodeCount": shape.max_nodes},
        )
    yield from _models(plan, "gcp", region, place)


def _gpu_shapes(plan: Plan, cloud: Cloud, region: str) -> list[NodePoolShape]:
    return [gpu_pool_shape(pool, initial_nodes=0) for pool in plan.pools_of(cloud, region)]


def _models(plan: Plan, cloud: Cloud, region: str, place: str) -> Iterable[Resource]:
    for placement in plan.placements_of(cloud, region):
        model = placement.model
        service = f"{place}-{model.name}"
        yield Resource(service, "model-factory:serving:ModelService", {}, parent=place)
        yield _resource("kubernetes:apps/v1:Deployment", service, service, **_deployment(placement))
        yield _resource(
            "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
            service,
            service,
            spec={"minReplicas": model.replicas.min, "maxReplicas": model.replicas.max},
        )


def _deployment(placement: Placement) -> Mapping[str, Any]:
    model = placement.model
    asked = {
        "cpu": model.cpu,
        "memory": f"{model.memory_gib}Gi",
        "nvidia.com/gpu": str(model.gpus_per_replica),
    }
    pod = {
        "nodeSelector": {"model-factory/pool": placement.pool},
        "containers": [{"name": "server", "resources": {"requests": asked, "limits": asked}}],
    }
    return {"spec": {"template": {"metadata": {"labels": {"model": model.name}}, "spec": pod}}}


def _resource(type_: str, name: str, parent: str, /, **inputs: Any) -> Resource:
    return Resource(f"{type_}::{name}", type_, inputs, parent=parent)
