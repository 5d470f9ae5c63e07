"""A small made-up stack in two clouds, as an engine tells of it, and the events of a change from one such stack to another.

What a real engine's events hold is tested with the real program in tests/stacks; here every line is one that a report tells of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from model_factory.graph.urn import Urn, qualify
from tests.cost.graphs import node_choice

Event = dict[str, Any]
States = dict[str, dict[str, Any]]
STACK: Final = "urn:pulumi:dev::model-factory::pulumi:pulumi:Stack::model-factory-dev"
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# A changed machine makes EKS replace its nodes, a changed network the cluster.
_REPLACING: Final = frozenset({"instanceTypes", "kubernetesNetworkConfig"})


@dataclass(frozen=True, slots=True)
class Model:
    """A model on one GPU a replica, in a cloud. `spot`: it likes spot best and may run on demand."""

    cloud: str
    least: int = 1
    most: int = 3
    spot: bool = False
    tag: str = "1"
    may_be_away: int | None = None
    """What its disruption budget lets go at once; None for no budget."""
    strategy: str = ""


MODELS: Final = {"classifier": Model("gcp"), "detector": Model("aws")}


def estate(
    models: Mapping[str, Model | Sequence[Model]] = MODELS,
    *,
    machine: str = "g6.xlarge",
    gcp: bool = True,
    spot_nodes: int = 0,
) -> States:
    """A region in AWS, and with `gcp` one in Google Cloud: cluster, bucket, pool of L4s, with `spot_nodes` a pool of at most so many on
    spot in AWS, and the models."""
    states: States = {}
    _add(states, "pulumi:pulumi:Stack", "model-factory-dev", custom=False)
    for cloud in ("aws", "gcp") if gcp else ("aws",):
        region = _region(states, cloud, machine, spot_nodes)
        for name, places in models.items():
            for model in [places] if isinstance(places, Model) else places:
                if model.cloud == cloud:
                    _model(states, region, cloud, name, model)
    return states


def events(before: States, after: States) -> list[Event]:
    """What an engine says of a preview from one to the other."""
    told: list[Event] = [{"preludeEvent": {"config": {}}}]
    counts: dict[str, int] = {}
    for urn in {**after, **before}:
        old, new = before.get(urn), after.get(urn)
        metadata: Event = {
            "op": "same",
            "urn": urn,
            "type": (new or old or {})["type"],
            "old": old,
            "new": new,
        }
        if old is None or new is None:
            metadata["op"] = "create" if old is None else "delete"
            if new is not None:
                metadata["new"] = {**new, "id": "", "inputs": {**new["inputs"], "note": f"of {_UNKNOWN}"}}
        elif changed := [key for key in new["inputs"] if new["inputs"][key] != old["inputs"].get(key)]:
            metadata["op"] = "replace" if _REPLACING & set(changed) else "update"
            metadata["diffs"] = changed
            metadata["keys"] = [key for key in changed if key in _REPLACING]
            metadata["detailedDiff"] = dict(map(_difference, changed))
        counts[metadata["op"]] = counts.get(metadata["op"], 0) + 1
        told.append({"resOutputsEvent": {"metadata": metadata, "planning": True}})
    summary = {"resourceChanges": counts, "durationSeconds": 6, "isPreview": True, "maybeCorrupt": False}
    return [*told, {"summaryEvent": summary}]


def with_input(states: States, name: str, path: tuple[str, ...], value: object) -> States:
    """The same states with one input of a resource changed, which is named by the end of its URN."""
    found = deepcopy(states)
    (urn,) = [urn for urn in found if urn.endswith(f":{name}")]
    inner = found[urn]["inputs"]
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    inner[path[-1]] = value
    return found


def drift(states: States, names: Iterable[str]) -> list[Event]:
    """What a refresh says of resources that lost a tag outside."""
    told: list[Event] = []
    for name in names:
        urn = _add(states, "aws:s3/bucket:Bucket", name, {"tags": {"team": "a"}})
        found = {**states[urn], "inputs": {"tags": {}}, "outputs": {"tags": {}}}
        metadata = {
            "op": "refresh", "urn": urn, "type": "aws:s3/bucket:Bucket", "old": states[urn], "new": found,
            "detailedDiff": {"tags.team": {"diffKind": "delete"}},
        }  # fmt: skip
        told.append({"resOutputsEvent": {"metadata": metadata}})
    return told


def _difference(key: str) -> tuple[str, dict[str, Any]]:
    if key in _REPLACING:
        return f"{key}[0]" if key == "instanceTypes" else key, {"diffKind": "update-replace", "inputDiff": True}
    return key, {"diffKind": "update", "inputDiff": True}


def _region(states: States, cloud: str, machine: str, spot_nodes: int) -> str:
    region = _add(states, f"model-factory:region:{cloud.title()}Region", f"dev-{cloud}", custom=False)
    labels = {"model-factory/pool": "l4", "model-factory/accelerator": "l4"}
    if cloud == "aws":
        _add(states, "aws:s3/bucket:Bucket", "dev-aws-weights", {"region": "us-east-1"}, region)
        cluster_inputs = {"name": "eks", "region": "us-east-1", "version": "1.35"}
        cluster = _add(states, "aws:eks/cluster:Cluster", "dev-aws", cluster_inputs, region)
        pool = {
            "clusterName": "eks", "region": "us-east-1", "capacityType": "ON_DEMAND", "instanceTypes": [machine],
            "labels": labels, "scalingConfig": {"minSize": 0, "maxSize": 9}, "diskSize": 100,
        }  # fmt: skip
        _add(states, "aws:eks/nodeGroup:NodeGroup", "dev-aws-l4", pool, region, needs=[cluster])
        if spot_nodes:
            spot = {"capacityType": "SPOT", "labels": {**labels, "model-factory/pool": "l4-spot"}}
            spot["scalingConfig"] = {"minSize": 0, "maxSize": spot_nodes}
            _add(states, "aws:eks/nodeGroup:NodeGroup", "dev-aws-l4-spot", {**pool, **spot}, region, needs=[cluster])
    else:
        _add(states, "gcp:storage/bucket:Bucket", "dev-gcp-weights", {"location": "US-CENTRAL1"}, region)
        cluster_inputs = {"name": "gke", "location": "us-central1", "removeDefaultNodePool": True}
        cluster = _add(states, "gcp:container/cluster:Cluster", "dev-gcp", cluster_inputs, region)
        node = {
            "machineType": "g2-standard-4", "labels": labels, "diskSizeGb": 100, "diskType": "pd-balanced",
            "guestAccelerators": [{"type": "nvidia-l4", "count": 1}],
        }  # fmt: skip
        sizes = {"totalMinNodeCount": 0, "totalMaxNodeCount": 9}
        pool = {"cluster": "gke", "location": "us-central1", "nodeConfig": node, "autoscaling": sizes}
        _add(states, "gcp:container/nodePool:NodePool", "dev-gcp-l4", pool, region, needs=[cluster])
    _add(states, "pulumi:providers:kubernetes", f"dev-{cloud}", {}, region, needs=[cluster])
    return region


def _model(states: States, region: str, cloud: str, name: str, model: Model) -> None:
    service = _add(states, "model-factory:serving:ModelService", f"dev-{cloud}-{name}", {}, region, custom=False)
    provider = next(urn for urn in states if urn.endswith(f"pulumi:providers:kubernetes::dev-{cloud}"))
    space = {"metadata": {"name": f"model-{name}"}}
    meta = {"name": name, "namespace": f"model-{name}"}
    needs = {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}}
    pod = {
        **node_choice(*(("l4-spot", "l4") if model.spot else ("l4",))),
        "containers": [{"name": "server", "image": f"{name}:{model.tag}", "resources": needs}],
    }
    template = {"metadata": {"labels": {"model": name}}, "spec": pod}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    scaling = {"minReplicas": model.least, "maxReplicas": model.most, "scaleTargetRef": target}
    strategy = {"strategy": {"type": model.strategy}} if model.strategy else {}
    budget = {"maxUnavailable": model.may_be_away, "selector": {"matchLabels": {"model": name}}}
    objects: tuple[tuple[str, dict[str, Any]], ...] = (
        ("core/v1:Namespace", space),
        ("core/v1:Service", {"metadata": meta, "spec": {"ports": [{"name": "http", "port": 80}]}}),
        (
            "apps/v1:Deployment",
            {"metadata": {**meta, "labels": {"model": name}}, "spec": {"template": template} | strategy},
        ),
        ("autoscaling/v2:HorizontalPodAutoscaler", {"metadata": meta, "spec": scaling}),
        *(
            ()
            if model.may_be_away is None
            else (("policy/v1:PodDisruptionBudget", {"metadata": meta, "spec": budget}),)
        ),
    )
    made: list[str] = []
    for kind, inputs in objects:
        made.append(
            _add(
                states,
                f"kubernetes:{kind}",
                f"dev-{cloud}-{name}",
                inputs,
                service,
                needs=made[:1],
                provider=f"{provider}::{states[provider]['id']}",
            )
        )


def _add(
    states: States,
    type_: str,
    name: str,
    inputs: dict[str, Any] | None = None,
    parent: str = "",
    *,
    custom: bool = True,
    needs: Sequence[str] = (),
    provider: str = "",
) -> str:
    parent = parent or (STACK if states else "")
    urn = Urn.make("dev", "model-factory", qualify(parent, type_), name)
    states[urn] = {
        "urn": urn, "type": type_, "custom": custom, "parent": parent, "inputs": inputs or {}, "outputs": inputs or {},
        "id": f"{name}-{type_.rpartition(':')[2].lower()}-7f63" if custom else "",
        "provider": provider, "dependencies": list(needs),
    }  # fmt: skip
    return urn
