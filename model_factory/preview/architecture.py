"""What a stack is made of, read out of its resources: regions, clusters, pools, models, and what serves them.

Reads Pulumi types and inputs alone, so it serves the states of either engine and previews of either. What is not known yet is
left out. Nothing here draws: `model_factory.preview.diagram` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, cast

from model_factory.graph.resource import Resource
from model_factory.graph.values import known, text

_REGIONS: Final = {"model-factory:region:AwsRegion": "AWS", "model-factory:region:GcpRegion": "Google Cloud"}
_CLUSTERS: Final = {"aws:eks/cluster:Cluster": "EKS", "gcp:container/cluster:Cluster": "GKE"}
_POOLS: Final = ("aws:eks/nodeGroup:NodeGroup", "gcp:container/nodePool:NodePool")
_NETWORKS: Final = ("aws:ec2/vpc:Vpc", "gcp:compute/network:Network")
_BUCKETS: Final = ("aws:s3/bucket:Bucket", "gcp:storage/bucket:Bucket")
_REGISTRIES: Final = ("aws:ecr/repository:Repository", "gcp:artifactregistry/repository:Repository")
_IDENTITIES: Final = ("aws:iam/role:Role", "gcp:serviceaccount/account:Account")
_MODEL: Final = "model-factory:serving:ModelService"
_POOL_LABEL: Final = "model-factory/pool"
_GPU: Final = "nvidia.com/gpu"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pool:
    """A node pool. `name` is what Pods select it by; the pool of the system itself has none of the GPU's fields."""

    name: str
    machine_type: str
    accelerator: str
    capacity_type: str
    min_nodes: int | None
    max_nodes: int | None
    tainted: bool


@dataclass(frozen=True, slots=True)
class Model:
    """What serves one model in one cluster. Names are logical ones; amounts stand as Kubernetes writes them."""

    name: str
    pool: str
    image: str
    ports: Sequence[str]
    gpus: str
    memory: str
    weights: Sequence[str]
    """Names of the buckets that hold the weights; none where they come from elsewhere."""
    registry: str
    identity: str
    clients: Sequence[str]
    """Labels of the namespaces that may call it, the port of the metrics apart."""
    replicas_min: int | None
    replicas_max: int | None
    metrics: Sequence[str]
    max_unavailable: str
    readiness: str
    startup_seconds: int
    drain_seconds: int
    kinds: Sequence[str]
    """Kinds of all Kubernetes objects of the model, one entry an object."""


@dataclass(frozen=True, slots=True)
class Region:
    """One cluster and what it stands on."""

    name: str
    cloud: str
    place: str
    cluster: str
    version: str
    networks: Sequence[str]
    zones: Sequence[str]
    buckets: Sequence[str]
    registries: Sequence[str]
    add_ons: Sequence[str]
    pools: Sequence[Pool]
    models: Sequence[Model]


@dataclass(frozen=True)
class Architecture:
    """A whole stack. Regions, pools and models are sorted by name, so that the order of the records does not matter."""

    resources: tuple[Resource, ...]

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Architecture:
        return cls(tuple(sorted(resources, key=lambda each: each.urn)))

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        return tuple(self._region(each) for each in self.resources if each.type in _REGIONS)

    @cached_property
    def _children(self) -> Mapping[str, Sequence[Resource]]:
        found: dict[str, list[Resource]] = {}
        for each in self.resources:
            found.setdefault(each.parent, []).append(each)
        return found

    @cached_property
    def _by_urn(self) -> Mapping[str, Resource]:
        return {each.urn: each for each in self.resources}

    def _under(self, urn: str) -> Iterator[Resource]:
        for child in self._children.get(urn, ()):
            yield child
            yield from self._under(child.urn)

    def _region(self, component: Resource) -> Region:
        own = sorted(self._under(component.urn), key=lambda each: each.name)
        cluster = next((each for each in own if each.type in _CLUSTERS), None)
        cloud = _REGIONS[component.type]
        place = _text(cluster, "region") or _text(cluster, "location")
        return Region(
            name=component.name,
            cloud=cloud,
            place=place,
            cluster=_CLUSTERS[cluster.type] if cluster else "",
            version=_text(cluster, "version") or _text(cluster, "minMasterVersion"),
            networks=self._networks(component, own),
            zones=sorted({zone for each in own if (zone := _text(each, "availabilityZone"))}),
            buckets=[each.name for each in own if each.type in _BUCKETS],
            registries=[each.name for each in own if each.type in _REGISTRIES],
            add_ons=sorted(_text(each, "addonName") for each in own if each.kind == "Addon"),
            pools=[_pool(each) for each in own if each.type in _POOLS],
            models=[self._model(each, own) for each in own if each.type == _MODEL],
        )

    def _model(self, component: Resource, region: Sequence[Resource]) -> Model:
        own = sorted(self._under(component.urn), key=lambda each: each.name)
        deployment = _first(own, "Deployment")
        pod = _at(deployment, "spec", "template", "spec")
        server = next(iter(_maps(pod.get("containers"))), {})
        limits, probe = _map(_map(server.get("resources")).get("limits")), _map(server.get("startupProbe"))
        scaler = _at(_first(own, "HorizontalPodAutoscaler"), "spec")
        needed = self._needs(each for each in own if each.kind in ("Deployment", "PersistentVolume"))
        labels = _map(_at(deployment, "metadata").get("labels"))
        name = str(labels.get("model") or component.name)
        return Model(
            name=name,
            pool=str(_map(pod.get("nodeSelector")).get(_POOL_LABEL, "")),
            image=_image(server.get("image"), name),
            ports=[
                f"{each.get('name')} {each.get('port')}"
                for each in _maps(_at(_first(own, "Service"), "spec").get("ports"))
            ],
            gpus=str(limits.get(_GPU, "")),
            memory=str(limits.get("memory", "")),
            weights=[each.name for each in needed if each.type in _BUCKETS],
            registry=next((each.name for each in needed if each.type in _REGISTRIES), ""),
            identity=next(
                (each.name for each in region if each.type in _IDENTITIES and each.name == component.name), ""
            ),
            clients=sorted(set(_clients(own))),
            replicas_min=_number(scaler.get("minReplicas")),
            replicas_max=_number(scaler.get("maxReplicas")),
            metrics=[_metric(each) for each in _maps(scaler.get("metrics"))],
            max_unavailable=str(_at(_first(own, "PodDisruptionBudget"), "spec").get("maxUnavailable", "")),
            readiness=str(_map(_map(server.get("readinessProbe")).get("httpGet")).get("path", "")),
            startup_seconds=(_number(probe.get("periodSeconds")) or 0)
            * (_number(probe.get("failureThreshold")) or 0),
            drain_seconds=_number(pod.get("terminationGracePeriodSeconds")) or 0,
            kinds=sorted(each.kind for each in own if each.type.startswith("kubernetes:")),
        )

    def _needs(self, resources: Iterable[Resource]) -> list[Resource]:
        urns = {urn for each in resources for urn in each.needs}
        return [self._by_urn[urn] for urn in sorted(urns) if urn in self._by_urn]

    def _networks(self, region: Resource, own: Sequence[Resource]) -> list[str]:
        """The networks within the region's component, or else those whose subnets it uses."""
        inside = [each for each in own if each.type in _NETWORKS]
        shared = [
            each for each in self.resources if each.type in _NETWORKS and each.name.startswith(_stem(region))
        ]
        return [each.name for each in inside or shared]


def _pool(group: Resource) -> Pool:
    inputs = known(group.inputs)
    config = _map(inputs.get("nodeConfig")) or inputs
    sizes = _map(inputs.get("scalingConfig")) or _map(inputs.get("autoscaling"))
    labels = _map(config.get("labels"))
    machines = config.get("instanceTypes")
    return Pool(
        name=str(labels.get(_POOL_LABEL) or group.name.rsplit("-", 1)[-1]),
        machine_type=", ".join(map(str, machines))
        if isinstance(machines, list)
        else str(config.get("machineType", "")),
        accelerator=str(labels.get("model-factory/accelerator", "")),
        capacity_type=str(labels.get("model-factory/capacity-type", "")),
        min_nodes=_number(sizes.get("minSize", sizes.get("totalMinNodeCount"))),
        max_nodes=_number(sizes.get("maxSize", sizes.get("totalMaxNodeCount"))),
        tainted=bool(_maps(config.get("taints"))),
    )


def _stem(region: Resource) -> str:
    """`dev-gcp` of `dev-gcp-us-central1`: the networks of a global cloud are named so."""
    return "-".join(region.name.split("-")[:2])


def _clients(own: Iterable[Resource]) -> Iterator[str]:
    for policy in own:
        for rule in _maps(_at(policy, "spec").get("ingress")) if policy.kind == "NetworkPolicy" else ():
            for peer in _maps(rule.get("from")):
                for key, value in _map(_map(peer.get("namespaceSelector")).get("matchLabels")).items():
                    yield f"{key}={value}"


def _metric(metric: Json) -> str:
    pods, resource = _map(metric.get("pods")), _map(metric.get("resource"))
    if pods:
        return f"{_map(pods.get('metric')).get('name')} ≤ {_amount(_map(pods.get('target')).get('averageValue'))} a Pod"
    return f"{resource.get('name')} ≤ {_map(resource.get('target')).get('averageUtilization')} %"


def _amount(quantity: object) -> str:
    """62.5 of the Kubernetes quantity 62500m."""
    text = str(quantity)
    return f"{Decimal(text[:-1]) / 1000:f}" if text.endswith("m") else text


def _image(given: object, name: str) -> str:
    """Name and tag: a digest is too long to be read in a picture, and the registry has a place of its own."""
    if not isinstance(given, str):
        return name
    return given.partition("@")[0].rsplit("/", 1)[-1]


def _first(resources: Iterable[Resource], kind: str) -> Resource | None:
    return next((each for each in resources if each.kind == kind), None)


def _text(resource: Resource | None, key: str) -> str:
    return text(resource.inputs.get(key)) if resource else ""


def _at(resource: Resource | None, *path: str) -> Json:
    value: object = known(resource.inputs) if resource else {}
    for key in path:
        value = _map(value).get(key)
    return _map(value)


def _map(value: object) -> Json:
    return cast("Json", value) if isinstance(value, Mapping) else {}


def _maps(value: object) -> list[Json]:
    return [_map(each) for each in cast("list[object]", value)] if isinstance(value, list) else []


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None
