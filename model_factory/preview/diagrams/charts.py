"""Diagrams of a stack in Mermaid, drawn from its resources: all of it, the inside of each cluster, each model's serving path.

`diagrams` gives files; nothing is written here. The same resources give the same text, whatever their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from model_factory.planning.settings.sections import ModelSettings, Settings
from model_factory.preview.diagrams.architecture import Architecture, Model, Pool, Region
from model_factory.preview.mermaid import Box, Chart, Edge, Node

# Readable on white and on near-black: the fill is pale, the text dark, whatever the page's colours are.
_BY_NAME: Final = "kubernetes.io/metadata.name="
_STYLES: Final = {
    "gpu": "fill:#dafbe1,stroke:#1a7f37,color:#0a3417",
    "model": "fill:#fbefff,stroke:#8250df,color:#2e1461",
    "store": "fill:#fff8c5,stroke:#9a6700,color:#3b2300",
    "control": "fill:#ddf4ff,stroke:#0969da,color:#0a3069",
}


def diagrams(architecture: Architecture, settings: Settings) -> Mapping[str, str]:
    """Markdown by file name: architecture.md, clusters.md, serving.md."""
    models = {each.name: each for each in settings.models}
    head = f"<!-- Drawn by `factory diagram --stack {settings.stack}` from the program and the stack file; not by hand. -->"
    regions = architecture.regions
    sites = Counter(model.name for region in regions for model in region.models)
    return {
        "architecture.md": _page(
            head,
            f"Architecture of {settings.stack}",
            [("", architecture_chart(regions, models)), ("Node pools", _pool_table(regions))],
        ),
        "clusters.md": _page(
            head,
            f"Inside the clusters of {settings.stack}",
            [(f"{each.name} ({each.cluster} {each.version})".strip(), cluster_chart(each, models)) for each in regions],
        ),
        "serving.md": _page(
            head,
            f"How the models of {settings.stack} serve",
            [
                (
                    model.name if sites[model.name] == 1 else f"{model.name} in {region.place or region.name}",
                    serving_chart(region, model, models.get(model.name)),
                )
                for model, region in sorted(
                    ((model, region) for region in regions for model in region.models),
                    key=lambda pair: (pair[0].name, pair[1].name),
                )
            ],
        ),
    }


def architecture_chart(regions: Sequence[Region], models: Mapping[str, ModelSettings]) -> Chart:
    """Clouds, regions, clusters, pools, and where each model runs."""
    clouds = dict.fromkeys(region.cloud for region in regions)
    parts = [
        Box(cloud, cloud, [_region_box(region, models) for region in regions if region.cloud == cloud])
        for cloud in clouds
    ]
    edges = [edge for region in regions for edge in _region_edges(region)]
    return Chart(parts, edges, "LR", _STYLES)


def cluster_chart(region: Region, models: Mapping[str, ModelSettings]) -> Chart:
    """Control plane, pools, and the objects of each model by namespace."""
    control = Node("control", [f"{region.cluster} control plane", region.version], style="control")
    add_ons = [Node("add-ons", ["add-ons", *region.add_ons])] if region.add_ons else []
    pools = Box("pools", "Node pools", [_pool_node(f"pool {each.name}", each) for each in region.pools])
    spaces = [_namespace_box(model, models.get(model.name)) for model in region.models]
    edges = [Edge("control", f"pool {each.name}") for each in region.pools]
    for model in region.models:
        edges += [
            Edge(f"{model.name} service", f"{model.name} deployment"),
            Edge(f"{model.name} scaler", f"{model.name} deployment", "scales", dotted=True),
            Edge(f"{model.name} budget", f"{model.name} deployment", "guards", dotted=True),
            *_runs_on(f"{model.name} deployment", model, "", "prefers" if model.pools[1:] else "node selector"),
        ]
    known = {"control", *(f"pool {each.name}" for each in region.pools)}
    known |= {node.key for space in spaces for node in space.parts}
    return Chart(
        [control, *add_ons, *spaces, pools],
        [edge for edge in edges if edge.source in known and edge.target in known],
        "LR",
        _STYLES,
    )


def serving_chart(region: Region, model: Model, asked: ModelSettings | None) -> Chart:
    """The way of a request, and what a replica needs before it can answer."""
    pools = [each for each in region.pools if each.name in model.pools]
    callers = [Node(f"client {label}", ["clients", label], "round") for label in model.clients if not _watches(label)]
    collectors = [label.removeprefix(_BY_NAME) for label in model.clients if _watches(label)]
    watchers = [Node("collectors", ["metrics", *collectors], "round")] if collectors else []
    server = Node(
        "server",
        [
            _image(model, asked),
            asked.runtime if asked else "",
            ", ".join(filter(None, (model.processors, model.memory))),
            f"ready: {model.readiness}" if model.readiness else "",
            f"up to {model.startup_seconds} s to load" if model.startup_seconds else "",
            f"{model.drain_seconds} s to drain" if model.drain_seconds else "",
        ],
        "stack",
        "model",
    )
    service = Node("service", ["Service", *model.ports], "round")
    inside: list[Node | Box] = [Node("policy", ["NetworkPolicy", "all else is refused"]), service, server]
    edges = [Edge(each.key, "policy", _asks(asked)) for each in callers]
    edges += [Edge("policy", "service"), Edge("service", "server")]
    if model.metrics:
        inside.append(Node("scaler", ["autoscaler", model.replicas, *model.metrics], style="control"))
        edges.append(Edge("scaler", "server", "replicas", dotted=True))
        edges += [Edge(each.key, "scaler", "metrics", dotted=True) for each in watchers]
        edges += [Edge("server", each.key, "scraped", dotted=True) for each in watchers]
    outside: list[Node | Box] = [_pool_node(f"pool {each.name}", each) for each in pools]
    edges += _runs_on("server", model, "", "prefers" if pools[1:] else "runs on")
    if model.registry:
        outside.append(Node("registry", ["registry", model.registry], "store", "store"))
        edges.append(Edge("registry", "server", "image, by digest", dotted=True))
    for bucket in model.weights:
        outside.append(Node(f"bucket {bucket}", ["weights", bucket, _revision(asked)], "store", "store"))
        edges.append(Edge(f"bucket {bucket}", "server", "read-only volume", dotted=True))
    if model.identity:
        outside.append(Node("identity", ["identity", model.identity]))
        edges += [Edge("identity", f"bucket {bucket}", "may read", dotted=True) for bucket in model.weights]
    space = Box("space", f"{region.name}: namespace model-{model.name}", inside)
    return Chart([*callers, space, *watchers, *outside], edges, "LR", _STYLES)


def _region_box(region: Region, models: Mapping[str, ModelSettings]) -> Box:
    pools = [_pool_node(f"{region.name} pool {each.name}", each) for each in region.pools]
    served = [
        Node(
            f"{region.name} model {each.name}",
            [each.name, models[each.name].runtime if each.name in models else "", each.replicas],
            "stack",
            "model",
        )
        for each in region.models
    ]
    cluster = Box(f"{region.name} cluster", f"{region.cluster} {region.version}".strip(), [*served, *pools])
    stores = [Node(f"{region.name} bucket {each}", ["weights", each], "store", "store") for each in region.buckets]
    count = len(region.registries)
    images = region.registries[0] if count == 1 else f"{count} repositories"
    registry = Node(f"{region.name} registry", ["images", images], "store", "store")
    network = Box(
        f"{region.name} network",
        f"network {', '.join(region.networks)}" + (f": zones {', '.join(region.zones)}" if region.zones else ""),
        [cluster],
    )
    return Box(
        region.name,
        f"{region.place or region.name}",
        [network, *stores, *([registry] if region.registries else [])],
    )


def _region_edges(region: Region) -> Iterator[Edge]:
    for model in region.models:
        key = f"{region.name} model {model.name}"
        yield from _runs_on(key, model, f"{region.name} ")
        for bucket in model.weights:
            if bucket in region.buckets:
                yield Edge(f"{region.name} bucket {bucket}", key, dotted=True)
        if model.registry in region.registries:
            yield Edge(f"{region.name} registry", key, dotted=True)


def _runs_on(source: str, model: Model, place: str, told: str = "") -> Iterator[Edge]:
    """From a model to its pools: to the one that it likes best, and dotted to those that take what that has no room for."""
    for rank, pool in enumerate(model.pools):
        yield Edge(source, f"{place}pool {pool}", f"choice {rank + 1}" if rank else told, dotted=bool(rank))


def _namespace_box(model: Model, asked: ModelSettings | None) -> Box:
    nodes = [Node(f"{model.name} service", ["Service", *model.ports], "round")]
    nodes.append(
        Node(
            f"{model.name} deployment",
            ["Deployment", _image(model, asked), model.processors],
            "stack",
            "model",
        )
    )
    if model.scaler:
        nodes.append(Node(f"{model.name} scaler", [model.scaler, model.replicas], style="control"))
    if model.max_unavailable:
        nodes.append(Node(f"{model.name} budget", ["PodDisruptionBudget", f"at most {model.max_unavailable} down"]))
    drawn = {"Service", "Deployment", model.scaler, "PodDisruptionBudget", "Namespace"}
    others: dict[str, int] = {}
    for kind in model.kinds:
        if kind not in drawn:
            others[kind] = others.get(kind, 0) + 1
    if others:
        listed = [kind if count == 1 else f"{kind} ×{count}" for kind, count in others.items()]
        nodes.append(Node(f"{model.name} others", listed))
    return Box(f"{model.name} space", f"namespace model-{model.name}", nodes)


def _pool_node(key: str, pool: Pool) -> Node:
    nodes = f"{pool.min_nodes}-{pool.max_nodes} nodes" if pool.max_nodes is not None else ""
    lines = [pool.name, pool.machine_type, pool.capacity_type, nodes, "tainted" if pool.tainted else ""]
    return Node(key, lines, style="gpu" if pool.accelerator else "")


def _pool_table(regions: Sequence[Region]) -> str:
    rows = [
        f"| {region.name} | {each.name} | {each.machine_type} | {each.accelerator or '–'} | {each.capacity_type or '–'} "
        f"| {each.min_nodes}-{each.max_nodes} | {', '.join(_models_on(region, each.name)) or '–'} |"
        for region in regions
        for each in region.pools
    ]
    return "\n".join(
        [
            "| region | pool | machine | GPU | capacity | nodes | models |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _models_on(region: Region, pool: str) -> Iterator[str]:
    for model in region.models:
        if pool in model.pools:
            rank = model.pools.index(pool)
            yield f"{model.name} (choice {rank + 1})" if rank else model.name


def _image(model: Model, asked: ModelSettings | None) -> str:
    """Name and tag as the stack file has them; the whole reference is known only once the registry exists."""
    return asked.image.partition("@")[0].rsplit("/", 1)[-1] if asked else model.image


def _asks(asked: ModelSettings | None) -> str:
    if asked is None:
        return ""
    target = f", p95 {asked.p95_latency_ms} ms" if asked.p95_latency_ms is not None else ""
    at_all = " at all sites together" if asked.sites or asked.spread else ""
    return f"{asked.requests_per_second} requests/s{at_all}{target}"


def _revision(asked: ModelSettings | None) -> str:
    return f"revision {asked.weights.revision}" if asked and asked.weights.revision else ""


def _watches(label: str) -> bool:
    """Who may send requests says so by a label of its own; who reads metrics is let in by its name."""
    return label.startswith(_BY_NAME)


def _page(head: str, title: str, sections: Sequence[tuple[str, Chart | str]]) -> str:
    blocks = [f"{head}\n# {title}\n"]
    for heading, content in sections:
        text = content.fenced() if isinstance(content, Chart) else content
        blocks.append(f"## {heading}\n\n{text}" if heading else text)
    return "\n".join(blocks)
