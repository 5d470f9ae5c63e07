"""Model servers: what they run, how they start, grow, shrink and end, and who watches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from model_factory.graph.autoscalers import AUTOSCALERS, KINDS, autoscaler
from model_factory.graph.clusters import Cluster
from model_factory.graph.declared import matches
from model_factory.graph.objects import identity, namespace_of, selects
from model_factory.graph.pods import (
    PODS,
    SERVERS,
    accelerators_of,
    asks_for_gpus,
    count_of,
    pod_labels,
    pod_path,
    pod_spec,
    serves_model,
)
from model_factory.graph.values import at, listed, mapping
from policies.authoring.checks import HIGH, LOW, MEDIUM, Setting, number, texts
from policies.authoring.containers import DIGEST, Container, containers, each_container
from policies.authoring.drafts import Draft, revealed
from policies.authoring.references import documented
from policies.authoring.resources import Report, Resource, shown
from policies.authoring.theme import Theme

theme = Theme("serving")

PROBES_PAGE = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
TERMINATION_PAGE = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination"
SCALING_PAGE = "https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#stabilization-window"
COMMIT = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# How servers are told which weights to load, on the command line and in the environment.
MODEL_FLAGS = ("--model", "--model-id", "--model-path", "--model-name-or-path")
MODEL_VARIABLES = ("MODEL_ID", "HF_MODEL_ID")
REVISION_VARIABLES = ("REVISION", "HF_REVISION", "MODEL_REVISION")
# Names that stand for another thing tomorrow.
MOVING = frozenset(("latest", "main", "master", "head", "current", "stable", "production"))
# Kubernetes' own defaults (kubernetes.io/docs/reference/kubernetes-api).
DEFAULT_PERIOD_SECONDS = 10
DEFAULT_FAILURES = 3
DEFAULT_GRACE_SECONDS = 30
DEFAULT_STABILISATION_SECONDS = 300
HOOKS = ("exec", "httpGet", "sleep", "tcpSocket")


def _be_patient(draft: Draft) -> None:
    kind = next(each for each in KINDS if matches(draft.type, (each.type,)))
    place = draft.below(*kind.behavior, "scaleDown", create=True)
    if place is None or revealed(place.get("selectPolicy")) == "Disabled":
        return
    wanted = int(draft.config["seconds"])
    if _seconds(revealed(place.get("stabilizationWindowSeconds")), DEFAULT_STABILISATION_SECONDS) < wanted:
        draft.put(place, "stabilizationWindowSeconds", wanted)


@theme.resource(
    types=AUTOSCALERS,
    severity=LOW,
    remedy=_be_patient,
    steps="Set behavior.scaleDown.stabilizationWindowSeconds to the time a replica takes to come back, or longer.",
    reference=documented("Kubernetes documentation", "Autoscaling", "Stabilization window", SCALING_PAGE),
    config={"seconds": number(DEFAULT_STABILISATION_SECONDS, "The shortest quiet time before a replica goes.")},
    tags=("autoscaling",),
)
def scale_down_stabilisation(resource: Resource, report: Report) -> None:
    """Replicas are not given up for a short lull."""
    scaler = autoscaler(resource)
    down = scaler.scale_down if scaler is not None else {}
    if down.get("selectPolicy") == "Disabled":
        return
    waits = _seconds(down.get("stabilizationWindowSeconds"), DEFAULT_STABILISATION_SECONDS)
    if waits < resource.config["seconds"]:
        report(f"it gives replicas back after {waits} s; a model takes longer than that to come back")


def _serves(container: Container) -> bool:
    """Whether it is a model's server: the container with the GPUs; in a model's Pod without any, each that stays."""
    return bool(accelerators_of(container.props)) or (
        serves_model(container.resource) and not asks_for_gpus(container.resource)
    )


@theme.container(
    types=SERVERS,
    severity=HIGH,
    steps="Add a startupProbe whose failureThreshold times periodSeconds is longer than the longest load.",
    reference=documented("Kubernetes documentation", "Probes", "Startup probe", PROBES_PAGE),
    config={
        "seconds": number(300, "The time that any model server is given."),
        "servers": Setting(
            {"*vllm*": 600, "*sglang*": 600, "*text-generation*": 600},
            {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}},
            "Seconds that particular servers are given, by command or image.",
        ),
    },
    tags=("reliability",),
    first=False,
)
def startup_probe_covers_load(container: Container) -> Iterable[str]:
    """Model servers are given the time that loading takes."""
    if not _serves(container):
        return
    config = container.resource.config
    wanted = max(
        [config["seconds"]]
        + [seconds for pattern, seconds in dict(config["servers"]).items() if _runs(container, [pattern])]
    )
    probe = at(container.props, "startupProbe")
    if probe is None:
        yield "has no startupProbe: it is killed while it loads, or liveness is switched off for as long"
        return
    failures = _seconds(at(probe, "failureThreshold"), DEFAULT_FAILURES)
    allowed = _seconds(at(probe, "initialDelaySeconds"), 0) + failures * _seconds(
        at(probe, "periodSeconds"), DEFAULT_PERIOD_SECONDS
    )
    if allowed < wanted:
        yield f"may take {allowed} s to load, and then is killed; such servers need {shown(wanted)} s"


@theme.resource(
    types=SERVERS,
    severity=MEDIUM,
    steps="Add lifecycle.preStop (sleep: {seconds: 10}), and a terminationGracePeriodSeconds of that plus the longest request.",
    reference=documented("Kubernetes documentation", "Pod lifecycle", "Termination of Pods", TERMINATION_PAGE),
    tags=("reliability",),
)
def drain_before_termination(resource: Resource, report: Report) -> None:
    """Model servers finish what they were asked before they end."""
    spec = pod_spec(resource)
    for container in containers(resource, report, first=False):
        with report.guard():
            if not _serves(container):
                continue
            hook = mapping(at(container.props, "lifecycle", "preStop"))
            if not any(each in hook for each in HOOKS):
                report(f"{container.label} has no preStop: requests still reach it while it ends")
                continue
            grace = _seconds(at(spec, "terminationGracePeriodSeconds"), DEFAULT_GRACE_SECONDS)
            waits = _seconds(at(hook, "sleep", "seconds"), 0)
            if grace <= waits:
                report(f"{container.label} waits {waits} s of its {grace} s, and is killed before it answers")


@theme.resource(
    types=(*PODS, "kubernetes:core/*:PersistentVolume"),
    severity=HIGH,
    steps="Give the commit of the repository in --revision, or mount a folder named for the version, or an image by its digest.",
    reference=documented(
        "Hugging Face Hub documentation",
        "Download files",
        "From specific version",
        "https://huggingface.co/docs/huggingface_hub/guides/download#from-specific-version",
    ),
    tags=("supply-chain",),
)
def model_revision_pinned(resource: Resource, report: Report) -> None:
    """The weights that run are the weights that were tested."""
    if resource.is_("kubernetes:core/*:PersistentVolume"):
        for option in report.items(resource.props, "spec", "mountOptions"):
            key, _, folder = str(option).partition(" ")
            if key == "prefix" and _moves(folder):
                report(f"the volume mounts {folder}, which may hold other weights tomorrow")
        return
    each_container(_pinned)(resource, report)
    for volume in report.items(pod_spec(resource), "volumes"):
        with report.guard():
            image = at(volume, "image", "reference")
            if image is not None and not DIGEST.fullmatch(str(image)):
                report(f"volume {at(volume, 'name')} mounts image {image}, which names no digest")
            options = str(at(volume, "csi", "volumeAttributes", "mountOptions") or "").split(",")
            for option in options:
                key, _, folder = option.partition("=")
                if key == "only-dir" and _moves(folder):
                    report(f"volume {at(volume, 'name')} mounts {folder}, which may hold other weights tomorrow")


def _pinned(container: Container) -> Iterable[str]:
    words = [str(each) for key in ("command", "args") for each in listed(at(container.props, key))]
    options = _options(words)
    variables = {
        str(at(each, "name")): at(each, "value")
        for each in listed(at(container.props, "env"))
        if at(each, "name") in (*MODEL_VARIABLES, *REVISION_VARIABLES)
    }
    served = [words[index + 1] for index, word in enumerate(words[:-1]) if word == "serve"]
    models = [*served, *(options[each] for each in MODEL_FLAGS if each in options)]
    models += [str(variables[each]) for each in MODEL_VARIABLES if variables.get(each)]
    revision = options.get("--revision") or next(
        (str(variables[each]) for each in REVISION_VARIABLES if variables.get(each)), None
    )
    for model in models:
        if REPOSITORY.fullmatch(model) and not (revision and COMMIT.fullmatch(revision)):
            yield f"loads {model} at {revision or 'no revision'}, which is no commit: other weights may come under the same name"
        elif model.rstrip("/").rpartition("/")[2].lower() in MOVING:
            yield f"loads {model}, which may be other weights tomorrow"


def _options(words: list[str]) -> dict[str, str]:
    """`--key value` and `--key=value` alike."""
    found = {word: following for word, following in pairwise(words) if word.startswith("--")}
    return found | dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)


def _moves(folder: str) -> bool:
    return folder.rstrip("/").rpartition("/")[2].lower() in MOVING


@theme.resource(
    types=PODS,
    severity=LOW,
    steps="Mount an emptyDir with medium Memory and a sizeLimit at /dev/shm.",
    reference=documented(
        "vLLM documentation",
        "Using Kubernetes",
        "Shared memory for tensor parallel inference",
        "https://docs.vllm.ai/en/latest/deployment/k8s.html",
    ),
    config={
        "servers": texts(
            ["*vllm*", "*sglang*", "*triton*", "*torchserve*"],
            "Servers, by command or image, that use shared memory with one GPU already.",
        )
    },
)
def shm_sized(resource: Resource, report: Report) -> None:
    """Servers of several processes have the shared memory they need, and no more."""
    volumes = {str(at(each, "name")): each for each in report.items(pod_spec(resource), "volumes")}
    for name, volume in volumes.items():
        with report.guard():
            memory = mapping(at(volume, "emptyDir"))
            if memory.get("medium") == "Memory" and memory.get("sizeLimit") is None:
                report(f"volume {name} may take all memory of the node: it has no sizeLimit")
    for container in containers(resource, report, first=False):
        with report.guard():
            several = sum(count_of(each) for each in accelerators_of(container.props).values())
            if not _serves(container) or (several < 2 and not _runs(container, resource.config["servers"])):
                continue
            mounted = [
                volumes.get(str(at(each, "name")))
                for each in listed(at(container.props, "volumeMounts"))
                if at(each, "mountPath") == "/dev/shm"  # noqa: S108 (inside the container)
            ]
            if not any(at(each, "emptyDir", "medium") == "Memory" for each in mounted):
                report(f"{container.label} has 64 MiB of shared memory, which its processes exchange tensors in")


@theme.cluster(
    severity=MEDIUM,
    steps="A stack file has no key for either yet: add to the program a PodMonitor (on GKE a PodMonitoring) that selects the Pods, and an "
    "objective with the model's label, or exempt by name in policies/config a model that is watched otherwise.",
    reference=documented(
        "Google SRE workbook",
        "Implementing SLOs",
        "Chapter 2",
        "https://sre.google/workbook/implementing-slos/",
    ),
    config={
        "identity": texts(["model", "app.kubernetes.io/instance"], "Labels by which an objective names its model."),
        "objectives": texts(
            [
                "kubernetes:monitoring.coreos.com/*:PrometheusRule",
                "kubernetes:monitoring.googleapis.com/*:*Rules",
                "kubernetes:pyrra.dev/*:ServiceLevelObjective",
                "kubernetes:sloth.slok.dev/*:PrometheusServiceLevel",
            ],
            "Types of resources that hold an objective.",
        ),
    },
    tags=("monitoring",),
)
def monitor_and_slo(cluster: Cluster[Resource], config: Mapping[str, Any], report: Report) -> None:
    """Models are watched, and it is written down what is too slow."""
    for workload in cluster.workloads:
        if not serves_model(workload):
            continue
        called = identity(workload)
        if not _is_scraped(cluster, workload):
            report(f"nothing reads the metrics of {called.namespace}/{called.name}", workload.urn)
        labels = pod_labels(workload)
        known = {(each, str(labels[each])) for each in config["identity"] if labels.get(each)}
        if not any(known & _labels_of(each) for each in cluster.of(*config["objectives"])):
            report(
                f"no objective says when {called.namespace}/{called.name} is too slow or fails too often",
                workload.urn,
            )


def _is_scraped(cluster: Cluster[Resource], workload: Resource) -> bool:
    annotations = mapping(at(workload.props, *pod_path(workload.type), "metadata", "annotations"))
    if str(annotations.get("prometheus.io/scrape")).lower() == "true":
        return True
    labels = pod_labels(workload)
    for each in cluster.of(
        "kubernetes:monitoring.coreos.com/*:PodMonitor",
        "kubernetes:monitoring.googleapis.com/*:PodMonitoring",
        "kubernetes:monitoring.googleapis.com/*:ClusterPodMonitoring",
    ):
        if _reaches(each, workload) and selects(at(each.props, "spec", "selector"), labels):
            return True
    services = [
        each
        for each in cluster.of("kubernetes:core/*:Service")
        if namespace_of(each) == namespace_of(workload)
        and selects({"matchLabels": mapping(at(each.props, "spec", "selector"))}, labels)
    ]
    return any(
        _reaches(each, workload)
        and selects(at(each.props, "spec", "selector"), mapping(at(service.props, "metadata", "labels")))
        for each in cluster.of("kubernetes:monitoring.coreos.com/*:ServiceMonitor")
        for service in services
    )


def _reaches(monitor: Resource, workload: Resource) -> bool:
    """Whether a monitor looks into the namespace of a workload."""
    if monitor.is_("*:ClusterPodMonitoring"):
        return True
    named = at(monitor.props, "spec", "namespaceSelector")
    if at(named, "any") is True:
        return True
    return namespace_of(workload) in (listed(at(named, "matchNames")) or [namespace_of(monitor)])


def _labels_of(resource: Resource) -> set[tuple[str, str]]:
    labels = mapping(at(resource.props, "metadata", "labels"))
    return {(str(each), str(labels[each])) for each in labels}


@theme.container(
    types=PODS,
    severity=HIGH,
    steps="Serve PyTorch with Triton, LLMs with vLLM, ONNX with Triton's ONNX Runtime backend.",
    reference=documented("TorchServe", "Repository", "Archived on 2025-08-07", "https://github.com/pytorch/serve"),
    config={
        "servers": texts(
            ["*torchserve*", "*onnxruntime/server*", "*onnxruntime_server*", "*multi-model-server*"],
            "Servers, by command or image.",
        )
    },
    tags=("supply-chain",),
)
def archived_runtime(container: Container) -> Iterable[str]:
    """Model servers are maintained."""
    found = _runs(container, container.resource.config["servers"])
    if found:
        yield f"runs {found}, a server that gets no fixes any more"


def _runs(container: Container, patterns: Iterable[str]) -> str | None:
    """The command or image by which a container is one of `patterns`, which its command may tell before its image is known."""
    wanted = tuple(patterns)
    command = " ".join(str(each) for each in listed(at(container.props, "command")))
    if matches(command, wanted):
        return command
    image = str(at(container.props, "image") or "")
    return image if matches(image, wanted) else None


def _seconds(value: object, default: int) -> int:
    """A time as the wire has it; Kubernetes' default where there is none."""
    return int(value) if isinstance(value, int | float) else default
