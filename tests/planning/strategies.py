"""Stack files for property tests: valid ones, and ones with exactly one thing broken, with the key that must be named."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

from hypothesis import strategies as st

from components.kubernetes.serving import SERVING
from components.kubernetes.weights.gcs import sidecar
from model_factory.facts.catalogue import catalogue
from model_factory.facts.gcp.kubernetes import GKE_VERSIONS, GkeChannel
from model_factory.facts.nodes import allocatable
from model_factory.facts.offer import Offer
from model_factory.graph import quantity
from model_factory.planning.placing.fit import lacking
from tests.planning.project import AWS_SERVICES, GCP_SERVICES

StackDict = dict[str, Any]
MOUNTS_CPU, MOUNTS_GIB = Decimal("0.25"), Decimal(4)
"""The most that mounting takes in a Pod."""
Draw = st.DrawFn

RUNTIMES = ("llama-cpp", "sglang", "tensorflow-serving", "torchserve", "triton", "triton-onnx", "vllm")
AWS_REGIONS = ("us-east-1", "us-east-2", "us-west-2")
GCP_REGIONS = ("us-central1", "us-east4")
LADDERS = (["on-demand"], ["spot", "on-demand"], ["on-demand", "spot"])
_NAMES = st.from_regex(r"\A[a-z][a-z0-9]{0,7}(-[a-z0-9]{1,7}){0,2}\Z")
_HEX64 = st.text("0123456789abcdef", min_size=64, max_size=64)
_HEX40 = st.text("0123456789abcdef", min_size=40, max_size=40)


def stack_files(
    *,
    aws_url: str = "http://127.0.0.1:4610",
    gcp_url: str = "http://127.0.0.1:4611",
    max_models: int = 3,
    places: bool = False,
) -> st.SearchStrategy[StackDict]:
    """A whole valid stack file as the mapping that YAML holds, on local clouds at the given addresses. With `places`, models are in
    several of them, have ladders, labels and reserved machines, and the stack has rules."""
    return _stack_files(aws_url, gcp_url, max_models, places)


_GCP_PATHS = {"resourceManager": "cloudresourcemanager"}
"""Where Google's name of a service is not the provider's."""


@st.composite
def _stack_files(draw: Draw, aws_url: str, gcp_url: str, max_models: int, places: bool) -> StackDict:
    clouds = draw(st.sampled_from([["aws"], ["gcp"], ["aws", "gcp"]]))
    config: StackDict = {"model-factory:environment": draw(st.sampled_from(["dev", "staging", "prod"]))}
    regions: dict[str, list[str]] = {}
    if "aws" in clouds:
        regions["aws"] = draw(st.lists(st.sampled_from(AWS_REGIONS), min_size=1, max_size=2, unique=True))
        config |= {"aws:region": regions["aws"][0], "aws:endpoints": [dict.fromkeys(AWS_SERVICES, aws_url)]}
        config["model-factory:aws"] = draw(_aws(regions["aws"]))
    if "gcp" in clouds:
        regions["gcp"] = draw(st.lists(st.sampled_from(GCP_REGIONS), min_size=1, max_size=2, unique=True))
        config |= {"gcp:project": "model-factory-dev", "gcp:region": regions["gcp"][0]}
        config |= {
            f"gcp:{service}CustomEndpoint": f"{gcp_url}/{_GCP_PATHS.get(service, service.lower())}/v1/"
            for service in GCP_SERVICES
        }
        config["model-factory:gcp"] = draw(_gcp(regions["gcp"]))
    if draw(st.booleans()):
        config["model-factory:labels"] = draw(
            st.dictionaries(
                st.sampled_from(["team", "cost-center", "owner_1"]),
                st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,8}[a-z0-9]\Z"),
            )
        )
    names = draw(st.lists(_NAMES, min_size=1, max_size=max_models, unique=True))
    versions = [config[f"model-factory:{cloud}"].get("kubernetesVersion", "1.35") for cloud in clouds]
    images = min(versions) >= "1.35"
    config["model-factory:models"] = {name: draw(_models(regions, images, places)) for name in names}
    if places:
        config |= draw(st.one_of(st.just({}), _rules(regions)))
        for number, model in enumerate(config["model-factory:models"].values()):
            _reserve(draw, config, number, model)
    return {"config": config}


@st.composite
def _rules(draw: Draw, regions: dict[str, list[str]]) -> StackDict:
    """Rules under which every model of the stack still fits: those with the label `data` have a region for its value."""
    everywhere = [region for there in regions.values() for region in there]
    full: StackDict = {
        "spot": draw(st.sampled_from(["allowed", "never"])),
        "budget": {"usdPerMonth": draw(st.integers(1, 10**6)), "basis": draw(st.sampled_from(["rest", "peak"]))},
        "preferredCloud": draw(st.sampled_from(sorted(regions))),
        "residency": {"data": {region: [region] for region in everywhere}},
    }
    return {"model-factory:rules": {key: value for key, value in full.items() if draw(st.booleans())}}


def _reserve(draw: Draw, config: StackDict, number: int, model: StackDict) -> None:
    """Sometimes reserves machines of the type that a model is pinned to, in the region and zones of the stack, for it to prefer."""
    for cloud, name in (("aws", f"cr-{number:017x}"), ("gcp", f"held-{number}")):
        section = config.get(f"model-factory:{cloud}", {})
        there = [
            (offer, zone)
            for offer in _offers_in({cloud: section.get("regions", [])}, with_gpus=model["gpusPerReplica"] > 0)
            if offer.machine_type in model.get("machineTypes", ())
            for zone in offer.zones or [f"{offer.region}a"]
            if zone in section.get("zones", ()) or not section.get("zones")
        ]
        if there and draw(st.booleans()):
            offer, zone = draw(st.sampled_from(there))
            held = {"name": name, "zone": zone, "machineType": offer.machine_type, "machines": draw(st.integers(1, 3))}
            section.setdefault("reservations", []).append(held)
            model.pop("spot", None)
            model["capacity"] = draw(st.sampled_from([["reserved", "on-demand"], ["reserved", "spot", "on-demand"]]))


@st.composite
def _aws(draw: Draw, regions: list[str]) -> StackDict:
    prefix = draw(st.integers(16, 18))  # for all nodes that a drawn stack may have
    full: StackDict = {
        "regions": regions,
        "vpcCidr": f"10.{draw(st.integers(0, 30))}.0.0/{prefix}",
        "kubernetesVersion": draw(st.sampled_from(["1.34", "1.35", "1.36"])),
        "systemMachineType": draw(st.sampled_from(["m7i.large", "m7i.xlarge"])),
        "systemNodes": draw(st.integers(1, 5)),
        "endpointPublicAccessCidrs": draw(st.sampled_from([[], ["203.0.113.0/24"]])),
        "logRetentionDays": draw(st.sampled_from([1, 30, 365])),
        "zones": draw(st.sampled_from([[], [f"{region}{letter}" for region in regions for letter in "abc"]])),
    }
    return draw(_part_of(full))


@st.composite
def _gcp(draw: Draw, regions: list[str]) -> StackDict:
    channel: GkeChannel = draw(st.sampled_from(["RAPID", "REGULAR", "STABLE", "EXTENDED"]))
    full: StackDict = {
        "regions": regions,
        "subnetCidr": f"10.{draw(st.integers(64, 90))}.0.0/{draw(st.integers(16, 24))}",
        "podsCidr": f"10.{draw(st.sampled_from(range(128, 200, 4)))}.0.0/{draw(st.integers(14, 16))}",
        "servicesCidr": f"10.{draw(st.integers(96, 120))}.0.0/{draw(st.integers(16, 24))}",
        "systemNodes": draw(st.integers(1, 3)),
        # Each machine of these regions is sold in one of their zones b and c.
        "zones": [f"{region}-{letter}" for region in regions for letter in draw(st.sampled_from(["abc", "bc"]))],
        "authorizedCidrs": draw(st.sampled_from([[], ["203.0.113.0/24"]])),
    }
    release: StackDict = {
        "releaseChannel": channel,
        "kubernetesVersion": draw(st.sampled_from(GKE_VERSIONS[channel])),
    }
    return draw(_part_of(full)) | draw(st.sampled_from([{}, {"releaseChannel": channel}, release]))


@st.composite
def _part_of(draw: Draw, full: StackDict) -> StackDict:
    """Some of the keys: all have defaults."""
    return {key: value for key, value in full.items() if key == "regions" or draw(st.booleans())}


@st.composite
def _models(draw: Draw, regions: dict[str, list[str]], images: bool, places: bool) -> StackDict:
    """A model that fits on some offer of the stack's regions, by construction; `images`: its clusters mount image volumes."""
    with_gpus = draw(st.sampled_from([True, True, True, False]))
    offer = draw(st.sampled_from(_offers_in(regions, with_gpus=with_gpus)))
    cores, memory = allocatable(offer)
    gpus = draw(st.integers(1, offer.accelerator_count)) if with_gpus else 0
    runtime = draw(st.sampled_from([each for each in RUNTIMES if _serves(each, offer)]))
    least = draw(st.integers(1, 3))
    most = min(int(cores - MOUNTS_CPU), 16)
    model: StackDict = {
        "runtime": runtime,
        "image": f"registry.example/server{draw(st.sampled_from(['', ':v1']))}@sha256:{draw(_HEX64)}",
        "weights": {"uri": f"bucket://{draw(_NAMES)}"},
        **({"gpuMemoryGib": float(draw(_amount(offer.usable_gib_per_accelerator * gpus)))} if with_gpus else {}),
        "gpusPerReplica": gpus,
        "cpu": draw(st.sampled_from(["500m", 1, *(each for each in (2, "1.5", most) if most > 1)])),
        # As if it mounted the weights with the container that Google Cloud adds for it.
        "memoryGib": float(draw(_amount(memory - MOUNTS_GIB))),
        "p95LatencyMs": draw(st.integers(1, 10_000)),
        "requestsPerSecond": draw(st.floats(0.1, 10_000, allow_nan=False)),
        "replicas": {"min": least, "max": least + draw(st.integers(0, 4))},
    }
    if runtime in {"sglang", "vllm"} and draw(st.booleans()):
        model["weights"] = {"uri": "hf://owner/model", "revision": draw(_HEX40)}
    elif images and draw(st.booleans()):
        model["weights"] = {"uri": f"oci://registry.example/{draw(_NAMES)}@sha256:{draw(_HEX64)}"}
    if not with_gpus:
        some = sorted(offer.features)
        model |= draw(st.sampled_from([{}, {"cpuFeatures": some}])) if some else {}
        model |= {} if offer.architecture == "x86_64" else {"architecture": offer.architecture}
    ladders = [{"capacity": each} for each in LADDERS] if places else []
    model |= draw(st.sampled_from([{}, {"spot": True}, {"spot": False}, *ladders]))
    spread = draw(st.sampled_from(["", "", "sites", "regions", "clouds"])) if places else ""
    if spread and (several := draw(_several(spread, model, regions))):
        if "sites" in several and draw(st.booleans()):
            del several["replicas"], model["replicas"]
        return model | several
    if places:
        model["labels"] = draw(st.sampled_from([{}, {"tier": "gold"}, {"data": offer.region}]))
    narrower = draw(st.sampled_from(["", "clouds", "regions", "machineTypes", *(["accelerators"] if gpus else [])]))
    pins = {
        "clouds": offer.cloud,
        "regions": offer.region,
        "accelerators": offer.accelerator,
        "machineTypes": offer.machine_type,
    }
    if narrower:
        model[narrower] = [pins[narrower]]
    return model


@st.composite
def _several(draw: Draw, kind: str, model: StackDict, regions: dict[str, list[str]]) -> StackDict:
    """The keys that put a model into several of the places that hold it; none where there are too few."""
    offers = _offers_in(regions, with_gpus=model["gpusPerReplica"] > 0)
    holding = sorted({(offer.cloud, offer.region) for offer in offers if holds(offer, model)})
    if kind == "sites":
        chosen = draw(st.lists(st.sampled_from(holding), min_size=1, unique=True))
        bounds = {f"{cloud}/{region}": draw(_replicas(1)) for cloud, region in chosen}
        total = {key: sum(each[key] for each in bounds.values()) for key in ("min", "max")}
        return {"sites": bounds, "replicas": total}
    most = len({cloud for cloud, _ in holding}) if kind == "clouds" else len(holding)
    if most < 2:
        return {}
    count = draw(st.integers(2, most))
    return {"spread": {kind: count}, "replicas": draw(_replicas(count))}


@st.composite
def _replicas(draw: Draw, least: int) -> StackDict:
    low = draw(st.integers(least, least + 2))
    return {"min": low, "max": low + draw(st.integers(0, 4))}


def holds(offer: Offer, model: StackDict) -> bool:
    """Whether a replica runs on the machine: said again, and not asked of planning."""
    cores, memory = allocatable(offer)
    if offer.cloud == "gcp" and model["weights"]["uri"].startswith("bucket://"):
        beside = sidecar(Decimal(str(model.get("gpuMemoryGib", model["memoryGib"]))))
        cores, memory = cores - beside.cpu, memory - beside.memory_gib
    has_room = cores >= quantity.amount(str(model["cpu"])) and memory >= Decimal(str(model["memoryGib"]))
    if not model["gpusPerReplica"]:
        return (
            not offer.accelerator_count
            and offer.architecture == model.get("architecture", "x86_64")
            and offer.features.issuperset(model.get("cpuFeatures", ()))
            and has_room
        )
    need = SERVING.runtimes[model["runtime"]].hardware(())
    each = Decimal(str(model["gpuMemoryGib"])) / model["gpusPerReplica"]
    return (
        offer.accelerator_count >= model["gpusPerReplica"]
        and offer.usable_gib_per_accelerator >= each
        and has_room
        and not lacking(offer, need)
    )


def _serves(runtime: str, offer: Offer) -> bool:
    rules = SERVING.runtimes[runtime]
    return not lacking(offer, rules.hardware(())) if offer.accelerator_count else rules.runs_without_gpus


def _offers_in(regions: dict[str, list[str]], *, with_gpus: bool) -> list[Offer]:
    return [
        offer
        for offer in catalogue().offers
        if (offer.accelerator_count > 0) == with_gpus and offer.region in regions.get(offer.cloud, ())
    ]


def _amount(most: Decimal) -> st.SearchStrategy[Decimal]:
    most = most.quantize(Decimal("0.1"), ROUND_DOWN)
    return st.decimals(Decimal("0.5"), most, places=1, allow_nan=False, allow_infinity=False)


Break = Callable[[Draw, StackDict], str]
"""Breaks one thing in a valid `config` and gives the key that must be named."""


EXCLUSIVE = {"sites": "spread", "spread": "sites"}


def _break_model(key: str, *values: object, inside: str = "", told: str = "") -> Break:
    def apply(draw: Draw, config: StackDict) -> str:
        models = config["model-factory:models"]
        name = draw(st.sampled_from(sorted(models)))
        target = models[name].setdefault(inside, {"min": 1, "max": 1}) if inside else models[name]
        target[key] = draw(st.sampled_from(values))
        if key in EXCLUSIVE:
            models[name].pop(EXCLUSIVE[key], None)
        default = f"{inside}.{key}" if inside else key
        return f"model-factory:models.{name}.{told or default}"

    return apply


def _drop_from_model(key: str) -> Break:
    def apply(draw: Draw, config: StackDict) -> str:
        name = draw(st.sampled_from(sorted(config["model-factory:models"])))
        config["model-factory:models"][name].pop(key, None)
        config["model-factory:models"][name].pop("sites", None)
        return f"model-factory:models.{name}.{key}"

    return apply


def _break_top(key: str, *values: object) -> Break:
    def apply(draw: Draw, config: StackDict) -> str:
        config[key] = draw(st.sampled_from(values))
        return key

    return apply


def _break_cloud(key: str, *values: object) -> Break:
    def apply(draw: Draw, config: StackDict) -> str:
        section = draw(st.sampled_from([each for each in ("model-factory:aws", "model-factory:gcp") if each in config]))
        config[section][key] = draw(st.sampled_from(values))
        return f"{section}.{key}"

    return apply


def _min_above_max(draw: Draw, config: StackDict) -> str:
    name = draw(st.sampled_from(sorted(config["model-factory:models"])))
    most = draw(st.integers(1, 50))
    config["model-factory:models"][name]["replicas"] = {"min": most + draw(st.integers(1, 50)), "max": most}
    return f"model-factory:models.{name}.replicas"


def _illegal_name(draw: Draw, config: StackDict) -> str:
    models = config["model-factory:models"]
    name = draw(st.sampled_from(["My-Model", "1st", "a_b", "-x", "x-", "m" * 41, "a.b"]))
    models[name] = models[min(models)]
    return f"model-factory:models.{name}"


def _does_not_fit(draw: Draw, config: StackDict) -> str:
    name = draw(st.sampled_from(sorted(config["model-factory:models"])))
    model = config["model-factory:models"][name]
    for pin in ("accelerators", "machineTypes"):
        model.pop(pin, None)
    key = "gpuMemoryGib" if model["gpusPerReplica"] else "memoryGib"
    model[key] = draw(st.integers(5000, 10_000))
    return f"model-factory:models.{name}.{key}"


def _gpus_of_none(draw: Draw, config: StackDict) -> str:
    name = draw(st.sampled_from(sorted(config["model-factory:models"])))
    config["model-factory:models"][name] |= {"gpusPerReplica": 0, "gpuMemoryGib": 1, "runtime": "triton"}
    return f"model-factory:models.{name}.gpuMemoryGib"


def _plain_secret(draw: Draw, config: StackDict) -> str:
    key = draw(st.sampled_from(["aws:secretKey", "gcp:accessToken", "model-factory:apiKey", "kubernetes:kubeconfig"]))
    config[key] = draw(st.text("abcdefghij0123456789", min_size=12, max_size=40))
    return key


BREAKS: dict[str, Break] = {
    "budget": _break_top(
        "model-factory:rules", {"budget": {"usdPerMonth": 0}}, {"budget": {"basis": "rest"}}, {"budget": 5}
    ),
    "capacity": _break_model("capacity", ["spto"], "spot", [None], ["on-demand", "on-demand"]),
    "cpu": _break_model("cpu", "16GB", "two", -1, 0, float("nan"), ""),
    "does not fit": _does_not_fit,
    "labels of a model": _break_model("labels", {"Team": "a"}, {"stack": "a"}, {"team": "A B"}, ["team"]),
    "environment": _break_top("model-factory:environment", "production", "", 1, None),
    "foreign key": _break_top("web-shop:instances", 3),
    "GPUs": _break_model("gpusPerReplica", 17, -1, 0.5, 1.5, "1", True, float("inf")),
    "illegal name": _illegal_name,
    "image": _break_model("image", "vllm:latest", "vllm", "vllm@sha256:12", "vllm:v1", "", 5, None),
    "Kubernetes version": _break_cloud("kubernetesVersion", "1.20", "1.99", 1.35, "latest", None),
    "latency": _break_model("p95LatencyMs", -1, 0, float("nan"), float("inf"), "100ms"),
    "memory": _break_model("memoryGib", "16GB", "16Gi", -4, 0, float("nan"), None, [8]),
    "min above max": _min_above_max,
    "missing image": _drop_from_model("image"),
    "missing replicas": _drop_from_model("replicas"),
    "missing runtime": _drop_from_model("runtime"),
    "models": _break_top("model-factory:models", {}, [], "llm", None),
    "plain secret": _plain_secret,
    "no replicas": _break_model("min", 0, -1, 0.0, inside="replicas"),
    "replicas": _break_model("max", -1, 0, 1.5, "2", float("nan"), None, inside="replicas"),
    "reservation": _break_cloud("reservations", [{"name": "r"}], "r", [{"machines": 1, "zone": "moon-1a"}]),
    "residency": _break_top("model-factory:rules", {"residency": {"data": {"eu": ["moon-1"]}}}, {"residency": ["eu"]}),
    "runtime": _break_model("runtime", "tensorflow", "onnx", "", 1, None),
    "share of a GPU": _break_model("gpusPerReplica", "mig-1g.10gb", "2g.20gb", "time-slicing", "mps", 0.25),
    "sites": _break_model(
        "sites", {"aws/moon-1": {"min": 1, "max": 1}}, {"us-east-1": {"min": 1, "max": 1}}, {"aws/us-east-1": 1}, []
    ),
    "spot": _break_model("spot", "yes", 1, None, "true"),
    "spread": _break_model("spread", {"regions": 19}, {"clouds": 1}, {}, {"zones": 2}, 2),
    "system nodes": _break_cloud("systemNodes", 0, -1, 2.5, "2", 10_000),
    "GPUs where there are none": _gpus_of_none,
    "unknown accelerator": _break_model("accelerators", ["h999"], ["T4"], told="accelerators"),
    "unknown architecture": _break_model("architecture", "amd64", "", 1, None),
    "unknown feature": _break_model("cpuFeatures", ["avx"], told="cpuFeatures"),
    "unknown key": _break_model("gpuMemory", 1),
    "unknown machine": _break_model("machineTypes", ["g6.tiny"], [""], told="machineTypes[0]"),
    "unknown provider key": _break_top("aws:regoin", "us-east-1"),
    "unknown region": _break_cloud("regions", ["us-moon-1"], ["us-central9"], [""]),
    "unknown top key": _break_top("model-factory:model", {}),
    "weights": _break_model("uri", "/models/x", "ftp://x", "bucket://", 3, None, inside="weights"),
}


@st.composite
def broken_stack_files(draw: Draw, *, max_models: int = 3) -> tuple[StackDict, str]:
    """A stack file with one thing broken, and the key (or its beginning) that the refusal must name."""
    stack = draw(stack_files(max_models=max_models, places=draw(st.booleans())))
    key = BREAKS[draw(st.sampled_from(sorted(BREAKS)))](draw, stack["config"])
    return stack, key
