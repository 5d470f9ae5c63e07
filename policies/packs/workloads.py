"""What workloads run, what they ask for, and how they tell that they are well."""

from __future__ import annotations

from collections.abc import Iterable

from model_factory.graph.declared import matches
from model_factory.graph.pods import PODS, PODS_AND_PATCHES, SERVERS, is_patch, pod_spec
from model_factory.graph.values import at
from policies.authoring.checks import HIGH, MEDIUM, texts
from policies.authoring.containers import DIGEST, Container, containers
from policies.authoring.references import cis, documented, nsa_cisa
from policies.authoring.resources import Report, Resource
from policies.authoring.theme import Theme

theme = Theme("kubernetes")

IMAGES_PAGE = "https://kubernetes.io/docs/concepts/containers/images/"
RESOURCES_PAGE = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"
PROBES_PAGE = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
PROBE_ACTIONS = ("httpGet", "tcpSocket", "exec", "grpc")
STAYING = (*SERVERS, "kubernetes:apps/*:DaemonSet", "kubernetes:core/*:Pod")


def _image(container: Container) -> str | None:
    """The image; None where a patch leaves it as it is."""
    image = at(container.props, "image")
    return None if image is None and is_patch(container.resource) else str(image or "")


def image_host(image: str) -> tuple[str, str]:
    """An image's registry and what follows, spelled out: `nginx:1` is docker.io and library/nginx:1."""
    first, slash, rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "docker.io", image if slash else f"library/{image}"


def image_tag(image: str) -> str:
    """An image's tag; empty where it has none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


@theme.container(
    types=PODS_AND_PATCHES,
    severity=HIGH,
    steps="Write IMAGE:TAG@sha256:DIGEST; `docker buildx imagetools inspect IMAGE:TAG` prints the digest.",
    reference=cis(
        "5.5.1",
        "Configure Image Provenance using ImagePolicyWebhook admission controller",
        IMAGES_PAGE,
        "CKV_K8S_43",
        nsa="Building secure container images",
    ),
    tags=("supply-chain",),
)
def image_digest(container: Container) -> Iterable[str]:
    """Images are named by digest."""
    image = _image(container)
    if image is not None and not DIGEST.fullmatch(image):
        yield f"runs {image or 'no image'}, which names no digest: another image may come under the same name"


@theme.container(
    types=PODS_AND_PATCHES,
    severity=HIGH,
    steps="Name the version that was tested, and its digest.",
    reference=nsa_cisa("Kubernetes Pod security", "Building secure container images", IMAGES_PAGE, "CKV_K8S_14"),
    tags=("supply-chain",),
)
def no_latest(container: Container) -> Iterable[str]:
    """Images name a version."""
    image = _image(container)
    if image is None:
        return
    tag = image_tag(image)
    if tag == "latest" or (not tag and "@" not in image):
        yield f"runs {image or 'no image'}, whatever its latest is"


@theme.container(
    types=PODS_AND_PATCHES,
    severity=HIGH,
    steps="Push the image to the stack's own registry, or allow its registry in the configuration of this policy.",
    reference=cis(
        "5.5.1",
        "Configure Image Provenance using ImagePolicyWebhook admission controller",
        IMAGES_PAGE,
        nsa="Building secure container images",
    ),
    config={
        "registries": texts(
            [
                "[0-9]*.dkr.ecr.*.amazonaws.com",
                "[0-9]*.dkr.ecr.*.amazonaws.com.cn",
                "*-docker.pkg.dev",
                "registry.k8s.io",
                "nvcr.io/nvidia",
            ],
            "Hosts, or hosts and the beginning of a path. Name your own accounts and projects to be strict.",
        )
    },
    tags=("supply-chain",),
)
def registry_allowlist(container: Container) -> Iterable[str]:
    """Images come from registries that are allowed."""
    image = _image(container)
    if image is not None and not _allowed(image, container.resource.config["registries"]):
        yield f"runs {image or 'no image'}, from a registry that is not allowed"


def _allowed(image: str, registries: Iterable[str]) -> bool:
    """Hosts and paths are matched apart: an allowed host's name inside a path opens nothing."""
    host, rest = image_host(image)
    for each in registries:
        allowed_host, _, prefix = each.partition("/")
        if matches(host, (allowed_host,)) and (not prefix or matches(rest, (f"{prefix.rstrip('/*')}/*",))):
            return True
    return False


@theme.container(
    types=PODS,
    severity=HIGH,
    steps="Set resources.requests.cpu and resources.requests.memory to what the container needs to run.",
    reference=nsa_cisa(
        "Network separation and hardening",
        "Resource policies",
        RESOURCES_PAGE,
        "CKV_K8S_10",
        "CKV_K8S_12",
    ),
    tags=("resources",),
)
def requests(container: Container) -> Iterable[str]:
    """Containers ask for CPU and memory."""
    for resource in ("cpu", "memory"):
        # Kubernetes takes a limit for a request where only the limit is given; a Pod may ask for all its containers together.
        asked = [
            at(holder, "resources", kind, resource)
            for holder in (container.props, container.pod)
            for kind in ("requests", "limits")
        ]
        if all(each is None for each in asked):
            yield f"asks for no {resource}: the scheduler takes it for nothing"


@theme.container(
    types=PODS,
    severity=MEDIUM,
    steps="Set resources.limits.memory, for servers to the same as the request.",
    reference=nsa_cisa("Network separation and hardening", "Resource policies", RESOURCES_PAGE, "CKV_K8S_13"),
    tags=("resources",),
)
def memory_limit(container: Container) -> Iterable[str]:
    """Containers have a memory limit."""
    limits = [at(holder, "resources", "limits", "memory") for holder in (container.props, container.pod)]
    if all(each is None for each in limits):
        yield "has no memory limit: it may take what its neighbours live on"


@theme.resource(
    types=STAYING,
    severity=HIGH,
    steps="Add a readinessProbe on the page that tells that the model is loaded.",
    reference=documented("Kubernetes documentation", "Probes", "Readiness probe", PROBES_PAGE, "CKV_K8S_9"),
    tags=("reliability",),
)
def readiness(resource: Resource, report: Report) -> None:
    """Servers tell when they can serve."""
    _has_probe(resource, "readinessProbe", "requests reach it before it can answer", report)


@theme.resource(
    types=STAYING,
    severity=MEDIUM,
    steps="Add a livenessProbe, more patient than the readinessProbe.",
    reference=documented("Kubernetes documentation", "Probes", "Liveness probe", PROBES_PAGE, "CKV_K8S_8"),
    tags=("reliability",),
)
def liveness(resource: Resource, report: Report) -> None:
    """Servers that hang are started anew."""
    _has_probe(resource, "livenessProbe", "if it hangs it stays so", report)


def _has_probe(resource: Resource, key: str, without: str, report: Report) -> None:
    """Pods by themselves are judged only if they are meant to stay."""
    if not resource.is_(*SERVERS) and at(pod_spec(resource), "restartPolicy") in ("Never", "OnFailure"):
        return
    for container in containers(resource, report, first=False):
        with report.guard():
            probe = at(container.props, key)
            if not any(at(probe, action) is not None for action in PROBE_ACTIONS):
                report(f"{container.label} has no {key}: {without}")
