"""Kubernetes objects one by one: what they run, what they ask for, who may reach them and what they may reach."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from policies import pod_security
from policies.checks import (
    CRITICAL,
    HIGH,
    MEDIUM,
    Draft,
    Policy,
    Props,
    Report,
    Resource,
    Setting,
    at,
    matches,
    resource_check,
    texts,
)
from policies.pods import (
    PODS,
    PODS_AND_PATCHES,
    SERVERS,
    Container,
    each_container,
    is_patch,
    listed,
    mapping,
    pod_spec,
)
from policies.references import cis, documented, nsa_cisa

DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
IMAGES_PAGE = "https://kubernetes.io/docs/concepts/containers/images/"
RESOURCES_PAGE = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"
PROBES_PAGE = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
RBAC_PAGE = "https://kubernetes.io/docs/concepts/security/rbac-good-practices/"
PROBE_ACTIONS = ("httpGet", "tcpSocket", "exec", "grpc")
LABEL_LIMIT = 63
TAGS = ("kubernetes",)
NAMESPACED = (
    *(kind for kind in PODS),
    *(
        f"kubernetes:{kind}"
        for kind in (
            "core/*:ConfigMap",
            "core/*:Endpoints",
            "core/*:LimitRange",
            "core/*:PersistentVolumeClaim",
            "core/*:ResourceQuota",
            "core/*:Secret",
            "core/*:Service",
            "core/*:ServiceAccount",
            "autoscaling/*:HorizontalPodAutoscaler",
            "coordination.k8s.io/*:Lease",
            "keda.sh/*:ScaledObject",
            "networking.k8s.io/*:Ingress",
            "networking.k8s.io/*:NetworkPolicy",
            "policy/*:PodDisruptionBudget",
            "rbac.authorization.k8s.io/*:Role",
            "rbac.authorization.k8s.io/*:RoleBinding",
        )
    ),
)
LABELLED = (*NAMESPACED, "kubernetes:core/*:Namespace", "kubernetes:core/*:PersistentVolume")
ROLES = tuple(
    f"kubernetes:rbac.authorization.k8s.io/*:{kind}"
    for kind in ("Role", "ClusterRole", "RolePatch", "ClusterRolePatch")
)
BINDINGS = tuple(
    f"kubernetes:rbac.authorization.k8s.io/*:{kind}"
    for kind in ("RoleBinding", "ClusterRoleBinding", "RoleBindingPatch", "ClusterRoleBindingPatch")
)
# What each controller takes for "not from the internet".
INTERNAL = {
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    "networking.gke.io/load-balancer-type": "internal",
    "cloud.google.com/load-balancer-type": "internal",
}
POD_SECURITY_LEVELS = ("privileged", "baseline", "restricted")
ENFORCE = "pod-security.kubernetes.io/enforce"


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


def _digest(container: Container) -> Iterable[str]:
    image = _image(container)
    if image is not None and not DIGEST.fullmatch(image):
        yield f"runs {image or 'no image'}, which names no digest: another image may come under the same name"


def _latest(container: Container) -> Iterable[str]:
    image = _image(container)
    if image is None:
        return
    tag = image_tag(image)
    if tag == "latest" or (not tag and "@" not in image):
        yield f"runs {image or 'no image'}, whatever its latest is"


def _registry(container: Container) -> Iterable[str]:
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


def _requests(container: Container) -> Iterable[str]:
    for resource in ("cpu", "memory"):
        # Kubernetes takes a limit for a request where only the limit is given; a Pod may ask for all its containers together.
        asked = [
            at(holder, "resources", kind, resource)
            for holder in (container.props, container.pod)
            for kind in ("requests", "limits")
        ]
        if all(each is None for each in asked):
            yield f"asks for no {resource}: the scheduler takes it for nothing"


def _memory_limit(container: Container) -> Iterable[str]:
    limits = [at(holder, "resources", "limits", "memory") for holder in (container.props, container.pod)]
    if all(each is None for each in limits):
        yield "has no memory limit: it may take what its neighbours live on"


def _probe(key: str, without: str) -> Any:
    def judge(container: Container) -> Iterable[str]:
        probe = at(container.props, key)
        if not any(at(probe, action) is not None for action in PROBE_ACTIONS):
            yield f"has no {key}: {without}"

    return each_container(judge, first=False)


def _namespace(resource: Resource, report: Report) -> None:
    namespace = at(resource.props, "metadata", "namespace") or at(resource.provider_props, "namespace")
    if namespace in (None, "", "default"):
        report("it is in the namespace default, where nothing separates it from anything")


def _labels(resource: Resource, report: Report) -> None:
    labels = mapping(at(resource.props, "metadata", "labels"))
    missing = [key for key in resource.config["labels"] if labels.get(key) in (None, "")]
    if missing:
        report(f"it has no label {', '.join(missing)}")


def _label(draft: Draft) -> None:
    metadata = draft.child(draft.props, "metadata", create=True)
    labels = draft.child(metadata, "labels", create=True) if metadata is not None else None
    for key, text in draft.config["labels"].items():
        if labels is not None and not labels.get(key):
            draft.put(labels, key, label_value(str(text).replace("{name}", draft.name)))


def label_value(text: str) -> str:
    """A text as a label may hold it: at most 63 letters, digits, dashes, dots and underscores, the first and last a letter or digit."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:LABEL_LIMIT].strip("._-")


def _wildcards(resource: Resource, report: Report) -> None:
    for rule in report.items(resource.props, "rules"):
        for key in ("apiGroups", "resources", "verbs", "nonResourceURLs"):
            with report.guard():
                if "*" in listed(rule, key):
                    report(f"a rule allows any of {key}: {_rule(rule)}")


def _rule(rule: Props) -> str:
    return "; ".join(
        f"{key} {', '.join(str(each) for each in listed(rule, key))}" for key in rule if listed(rule, key)
    )


def _cluster_admin(resource: Resource, report: Report) -> None:
    with report.guard():
        if at(resource.props, "roleRef", "name") == "cluster-admin":
            report("it makes its subjects masters of the cluster: roleRef is cluster-admin")
    for subject in report.items(resource.props, "subjects"):
        with report.guard():
            if at(subject, "name") == "system:masters":
                report("it binds system:masters, which no rule can hold back")


def _public(resource: Resource, report: Report) -> None:
    annotations = mapping(at(resource.props, "metadata", "annotations"))
    if resource.is_("*:Ingress", "*:IngressPatch"):
        _public_ingress(resource, annotations, report)
        return
    if resource.is_("*:Gateway", "*:GatewayPatch"):
        name = str(at(resource.props, "spec", "gatewayClassName"))
        if "external" in name:
            report(f"gateway class {name} is reached from the internet")
        return
    with report.guard():
        internal = any(str(annotations.get(key)).lower() == value for key, value in INTERNAL.items())
        if at(resource.props, "spec", "type") == "LoadBalancer" and not internal:
            report("the load balancer is reached from the internet: no annotation makes it internal")
    with report.guard():
        if listed(resource.props, "spec", "externalIPs"):
            report("externalIPs take over addresses that are somebody's (CVE-2020-8554)")


def _public_ingress(resource: Resource, annotations: Props, report: Report) -> None:
    kind = at(resource.props, "spec", "ingressClassName") or annotations.get("kubernetes.io/ingress.class")
    if annotations.get("alb.ingress.kubernetes.io/scheme") == "internet-facing":
        report("the load balancer is internet-facing")
    if kind == "gce":
        report("ingress class gce is reached from the internet; gce-internal is not")


def _pod_security(resource: Resource, report: Report) -> None:
    wanted = str(resource.config["level"])
    found = at(resource.props, "metadata", "labels", ENFORCE)
    if found not in POD_SECURITY_LEVELS[POD_SECURITY_LEVELS.index(wanted) :]:
        report(f"{ENFORCE} is {found or 'not set'}: the namespace admits Pods that are not {wanted}")


def _enforce(draft: Draft) -> None:
    metadata = draft.child(draft.props, "metadata", create=True)
    labels = draft.child(metadata, "labels", create=True) if metadata is not None else None
    wanted = POD_SECURITY_LEVELS.index(str(draft.config["level"]))
    if labels is not None and labels.get(ENFORCE) not in POD_SECURITY_LEVELS[wanted:]:
        draft.put(labels, ENFORCE, POD_SECURITY_LEVELS[wanted])


def _not_for_finished(check: Any) -> Any:
    """Pods by themselves are judged only if they are meant to stay."""

    def judge(resource: Resource, report: Report) -> None:
        if not resource.is_(*SERVERS) and at(pod_spec(resource), "restartPolicy") in ("Never", "OnFailure"):
            return
        check(resource, report)

    return judge


STAYING = (*SERVERS, "kubernetes:apps/*:DaemonSet", "kubernetes:core/*:Pod")

POLICIES: tuple[Policy, ...] = (
    resource_check(
        "image-digest",
        "Images are named by digest.",
        types=PODS_AND_PATCHES,
        severity=HIGH,
        check=each_container(_digest),
        steps="Write IMAGE:TAG@sha256:DIGEST; `docker buildx imagetools inspect IMAGE:TAG` prints the digest.",
        reference=cis(
            "5.5.1",
            "Configure Image Provenance using ImagePolicyWebhook admission controller",
            IMAGES_PAGE,
            "CKV_K8S_43",
            nsa="Building secure container images",
        ),
        tags=(*TAGS, "supply-chain"),
    ),
    resource_check(
        "no-latest",
        "Images name a version.",
        types=PODS_AND_PATCHES,
        severity=HIGH,
        check=each_container(_latest),
        steps="Name the version that was tested, and its digest.",
        reference=nsa_cisa(
            "Kubernetes Pod security", "Building secure container images", IMAGES_PAGE, "CKV_K8S_14"
        ),
        tags=(*TAGS, "supply-chain"),
    ),
    resource_check(
        "registry-allowlist",
        "Images come from registries that are allowed.",
        types=PODS_AND_PATCHES,
        severity=HIGH,
        check=each_container(_registry),
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
        tags=(*TAGS, "supply-chain"),
    ),
    resource_check(
        "requests",
        "Containers ask for CPU and memory.",
        types=PODS,
        severity=HIGH,
        check=each_container(_requests),
        steps="Set resources.requests.cpu and resources.requests.memory to what the container needs to run.",
        reference=nsa_cisa(
            "Network separation and hardening",
            "Resource policies",
            RESOURCES_PAGE,
            "CKV_K8S_10",
            "CKV_K8S_12",
        ),
        tags=(*TAGS, "resources"),
    ),
    resource_check(
        "memory-limit",
        "Containers have a memory limit.",
        types=PODS,
        severity=MEDIUM,
        check=each_container(_memory_limit),
        steps="Set resources.limits.memory, for servers to the same as the request.",
        reference=nsa_cisa(
            "Network separation and hardening", "Resource policies", RESOURCES_PAGE, "CKV_K8S_13"
        ),
        tags=(*TAGS, "resources"),
    ),
    resource_check(
        "readiness",
        "Servers tell when they can serve.",
        types=STAYING,
        severity=HIGH,
        check=_not_for_finished(_probe("readinessProbe", "requests reach it before it can answer")),
        steps="Add a readinessProbe on the page that tells that the model is loaded.",
        reference=documented(
            "Kubernetes documentation", "Probes", "Readiness probe", PROBES_PAGE, "CKV_K8S_9"
        ),
        tags=(*TAGS, "reliability"),
    ),
    resource_check(
        "liveness",
        "Servers that hang are started anew.",
        types=STAYING,
        severity=MEDIUM,
        check=_not_for_finished(_probe("livenessProbe", "if it hangs it stays so")),
        steps="Add a livenessProbe, more patient than the readinessProbe.",
        reference=documented(
            "Kubernetes documentation", "Probes", "Liveness probe", PROBES_PAGE, "CKV_K8S_8"
        ),
        tags=(*TAGS, "reliability"),
    ),
    resource_check(
        "no-default-namespace",
        "Objects are in a namespace of their own.",
        types=NAMESPACED,
        severity=MEDIUM,
        check=_namespace,
        steps="Make a namespace for the workload and name it in metadata.namespace.",
        reference=cis(
            "5.6.4",
            "The default namespace should not be used",
            "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
            "CKV_K8S_21",
            nsa="Namespaces",
        ),
        tags=TAGS,
    ),
    resource_check(
        "labels",
        "Objects say what they belong to.",
        types=LABELLED,
        severity=MEDIUM,
        check=_labels,
        remedy=_label,
        steps="Add the recommended labels app.kubernetes.io/name, instance and part-of to metadata.labels.",
        reference=documented(
            "Kubernetes documentation",
            "Recommended labels",
            "Shared labels of applications",
            "https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/",
        ),
        config={
            "labels": Setting(
                {
                    "app.kubernetes.io/name": "{name}",
                    "app.kubernetes.io/instance": "{name}",
                    "app.kubernetes.io/part-of": "model-factory",
                },
                {"type": "object", "additionalProperties": {"type": "string"}},
                "Labels that must be there, each with what a remedy writes; {name} is the resource's logical name.",
            )
        },
        tags=TAGS,
    ),
    resource_check(
        "rbac-wildcard",
        "Roles name what they allow.",
        types=ROLES,
        severity=HIGH,
        check=_wildcards,
        steps="List the API groups, resources and verbs that are used.",
        reference=cis(
            "5.1.3",
            "Minimize wildcard use in Roles and ClusterRoles",
            RBAC_PAGE,
            "CKV_K8S_49",
            nsa="Role-based access control",
        ),
        tags=(*TAGS, "rbac"),
    ),
    resource_check(
        "cluster-admin",
        "Nobody is made master of the cluster.",
        types=BINDINGS,
        severity=CRITICAL,
        check=_cluster_admin,
        steps="Bind a role that allows what is needed, in the namespace where it is needed.",
        reference=cis(
            "5.1.1",
            "Ensure that the cluster-admin role is only used where required",
            RBAC_PAGE,
            nsa="Role-based access control",
        ),
        tags=(*TAGS, "rbac"),
    ),
    resource_check(
        "no-public-load-balancer",
        "Models are not reached from the internet.",
        types=tuple(
            f"kubernetes:{kind}{patch}"
            for kind in (
                "core/*:Service",
                "networking.k8s.io/*:Ingress",
                "gateway.networking.k8s.io/*:Gateway",
            )
            for patch in ("", "Patch")
        ),
        severity=HIGH,
        check=_public,
        steps="Make the load balancer internal, or exempt by name the one entrance that has authentication in front.",
        reference=nsa_cisa(
            "Network separation and hardening",
            "Network policies",
            "https://kubernetes.io/docs/concepts/services-networking/service/#internal-load-balancer",
        ),
        tags=(*TAGS, "network"),
    ),
    resource_check(
        "pod-security-label",
        "Namespaces refuse Pods that are not restricted.",
        types=("kubernetes:core/*:Namespace",),
        severity=HIGH,
        check=_pod_security,
        remedy=_enforce,
        steps=f"Label the namespace {ENFORCE}: restricted.",
        reference=cis(
            "5.2.1",
            "Ensure that the cluster has at least one active policy control mechanism in place",
            "https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-namespace-labels/",
            nsa="Pod security enforcement",
        ),
        config={
            "level": Setting(
                "restricted", {"type": "string", "enum": list(POD_SECURITY_LEVELS[1:])}, "The least level."
            )
        },
        tags=(*TAGS, "pod-security"),
    ),
    *pod_security.POLICIES,
)
