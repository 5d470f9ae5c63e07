"""What a stack is made of, read out of its resources by graph's readers: regions, clusters, pools, models, and what serves them.

Serves the states of either engine and previews of either. What is not known yet is left out. Nothing here draws: `charts` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from model_factory.graph import quantity
from model_factory.graph.accelerators import TAINTS
from model_factory.graph.autoscalers import Autoscaler
from model_factory.graph.clusters import EKS_CLUSTER, GKE_CLUSTER, Cluster, clusters_of
from model_factory.graph.pods import accelerators_of, pod_spec
from model_factory.graph.pools import NodePool, by_preference, node_pool
from model_factory.graph.resource import Resource
from model_factory.graph.values import at, listed, mapping, number, text

_REGIONS: Final = {"model-factory:region:AwsRegion": "AWS", "model-factory:region:GcpRegion": "Google Cloud"}
_CLUSTERS: Final = {EKS_CLUSTER: "EKS", GKE_CLUSTER: "GKE"}
_NETWORKS: Final = ("aws:ec2/vpc:Vpc", "gcp:compute/network:Network")
_BUCKETS: Final = ("aws:s3/bucket:Bucket", "gcp:storage/bucket:Bucket")
_REGISTRIES: Final = ("aws:ecr/repository:Repository", "gcp:artifactregistry/repository:Repository")
_IDENTITIES: Final = ("aws:iam/role:Role", "gcp:serviceaccount/account:Account")
_MODEL: Final = "model-factory:serving:ModelService"
_POOL_LABEL: Final = "model-factory/pool"


@dataclass(frozen=True, slots=True)
class Pool:
    """A node pool. `name` is what Pods select it by; the pool of the system itself has none of the GPU's fields."""

    name: str
    machine_type: str
    accelerator: str
    capacity_type: str
    min_nodes: int
    max_nodes: int | None
    tainted: bool


@dataclass(frozen=True, slots=True)
class Model:
    """What serves one model in one cluster. Names are logical ones; amounts stand as Kubernetes writes them."""

    name: str
    pools: Sequence[str]
    """Those that it may use, the one that it likes best first."""
    image: str
    ports: Sequence[str]
    processors: str
    """What a replica holds: `1 GPU`, `2 mig-1g.10gb`."""
    memory: str
    weights: Sequence[str]
    """The buckets or images that hold the weights; none where the server fetches them."""
    registry: str
    identity: str
    clients: Sequence[str]
    """Labels of the namespaces that may call it, the port of the metrics apart."""
    scaler: str
    """The kind of what sets the number of replicas; empty where nothing does."""
    replicas: str
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
        seen, waiting = {urn}, [*reversed(self._children.get(urn, ()))]
        while waiting:
            child = waiting.pop()
            if child.urn not in seen:
                seen.add(child.urn)
                yield child
                waiting += reversed(self._children.get(child.urn, ()))

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
            pools=[_pool(found) for each in own if (found := node_pool(each)) is not None],
            models=[self._model(each, own) for each in own if each.type == _MODEL],
        )

    @cached_property
    def _clusters(self) -> Mapping[str, Cluster[Resource]]:
        """The cluster of each Kubernetes object, by URN."""
        return {each.urn: cluster for cluster in clusters_of(self.resources) for each in cluster.objects}

    def _model(self, component: Resource, region: Sequence[Resource]) -> Model:
        own = sorted(self._under(component.urn), key=lambda each: each.name)
        deployment = next((each for each in own if each.kind == "Deployment"), None)
        pod: Mapping[str, Any] = {} if deployment is None else pod_spec(deployment)
        server = mapping(at(pod, "containers", 0))
        labels = {} if deployment is None else mapping(deployment.at("metadata", "labels"))
        name = text(labels.get("model")) or component.name
        pools: Sequence[NodePool] = ()
        scalers: Sequence[Autoscaler] = ()
        if deployment is not None and (cluster := self._clusters.get(deployment.urn)) is not None:
            inside = {each.urn for each in region}
            chosen = [each for each in cluster.pools if each.resource.urn in inside and each.is_chosen_by(pod)]
            pools = [each for rank in by_preference(chosen, pod) for each in rank]
            scalers = cluster.autoscalers_of(deployment)
        scaler = next(iter(scalers), None)
        needed = self._needs(each for each in own if each.kind in ("Deployment", "PersistentVolume"))
        return Model(
            name=name,
            pools=[_pool_name(each) for each in pools],
            image=_image(at(server, "image"), name),
            ports=[
                f"{at(each, 'name')} {_whole(at(each, 'port'))}"
                for each in listed(_first(own, "Service", "spec", "ports"))
            ],
            processors=_processors(server),
            memory=str(at(server, "resources", "limits", "memory") or ""),
            weights=[
                *(each.name for each in needed if each.type in _BUCKETS),
                *(
                    _image(reference, name)
                    for each in listed(pod.get("volumes"))
                    if (reference := at(each, "image", "reference")) is not None
                ),
            ],
            registry=next((each.name for each in needed if each.type in _REGISTRIES), ""),
            identity=next(
                (each.name for each in region if each.type in _IDENTITIES and each.name == component.name), ""
            ),
            clients=sorted(set(_clients(own))),
            scaler="" if scaler is None else scaler.resource.type.rpartition(":")[2],
            replicas="" if scaler is None else _replicas(scaler),
            metrics=[] if scaler is None else list(_metrics(scaler)),
            max_unavailable=str(_first(own, "PodDisruptionBudget", "spec", "maxUnavailable") or ""),
            readiness=text(at(server, "readinessProbe", "httpGet", "path")),
            startup_seconds=_whole(at(server, "startupProbe", "periodSeconds"))
            * _whole(at(server, "startupProbe", "failureThreshold")),
            drain_seconds=_whole(at(pod, "terminationGracePeriodSeconds")),
            kinds=sorted(each.kind for each in own if each.type.startswith("kubernetes:")),
        )

    def _needs(self, resources: Iterable[Resource]) -> list[Resource]:
        urns = {urn for each in resources for urn in each.needs}
        return [self._by_urn[urn] for urn in sorted(urns) if urn in self._by_urn]

    def _networks(self, region: Resource, own: Sequence[Resource]) -> list[str]:
        """The networks within the region's component, or else those whose subnets it uses."""
        inside = [each for each in own if each.type in _NETWORKS]
        shared = [each for each in self.resources if each.type in _NETWORKS and each.name.startswith(_stem(region))]
        return [each.name for each in inside or shared]


def _pool(pool: NodePool) -> Pool:
    labels = pool.labels
    return Pool(
        name=_pool_name(pool),
        machine_type=", ".join(pool.machine_types),
        accelerator=labels.get("model-factory/accelerator", ""),
        capacity_type=labels.get("model-factory/capacity-type", ""),
        min_nodes=pool.least_nodes,
        max_nodes=pool.most_nodes,
        tainted=any(effect != "PreferNoSchedule" for _, effect in pool.taints),
    )


def _pool_name(pool: NodePool) -> str:
    return pool.labels.get(_POOL_LABEL) or pool.resource.name.rsplit("-", 1)[-1]


def _processors(server: Mapping[str, Any]) -> str:
    """`1 GPU`; of a server without, `2 CPU`."""
    asked = accelerators_of(server).items()
    gpus = (f"{amount} {'GPU' if each in TAINTS else each.partition('/')[2]}" for each, amount in asked)
    cpu = at(server, "resources", "requests", "cpu")
    return ", ".join(gpus) or (f"{cpu} CPU" if cpu else "")


def _stem(region: Resource) -> str:
    """`dev-gcp` of `dev-gcp-us-central1`: the networks of a global cloud are named so."""
    return "-".join(region.name.split("-")[:2])


def _clients(own: Iterable[Resource]) -> Iterator[str]:
    for policy in own:
        for rule in listed(policy.at("spec", "ingress")) if policy.kind == "NetworkPolicy" else ():
            for peer in listed(at(rule, "from")):
                for key, value in mapping(at(peer, "namespaceSelector", "matchLabels")).items():
                    yield f"{key}={value}"


def _replicas(scaler: Autoscaler) -> str:
    idle = f", {scaler.idle} when idle" if scaler.idle < scaler.least else ""
    return f"{scaler.least}-{scaler.most} replicas{idle}"


def _metrics(scaler: Autoscaler) -> Iterator[str]:
    """What it keeps under which value: the metrics of Kubernetes' own autoscaler, KEDA's triggers."""
    for metric in listed(at(scaler.resource.props, "spec", "metrics")):
        if pods := mapping(at(metric, "pods")):
            most = quantity.amount(at(pods, "target", "averageValue"))
            yield f"{at(pods, 'metric', 'name')} ≤ {most.normalize():f} a Pod"
        else:
            most = at(metric, "resource", "target", "averageUtilization")
            yield f"{at(metric, 'resource', 'name')} ≤ {_whole(most)} %"
    for trigger in listed(at(scaler.resource.props, "spec", "triggers")):
        most = at(trigger, "metadata", "threshold") or at(trigger, "metadata", "value")
        yield f"{at(trigger, 'type')}{f' ≤ {most}' if most else ''}"


def _image(given: object, name: str) -> str:
    """Name and tag: a digest is too long to be read in a picture, and the registry has a place of its own."""
    if not isinstance(given, str):
        return name
    return given.partition("@")[0].rsplit("/", 1)[-1]


def _first(resources: Iterable[Resource], kind: str, *path: str) -> Any:
    """A value of the first resource of a kind."""
    return next((each.at(*path) for each in resources if each.kind == kind), None)


def _text(resource: Resource | None, key: str) -> str:
    return text(resource.inputs.get(key)) if resource else ""


def _whole(value: object) -> int:
    return int(number(value) or 0)
