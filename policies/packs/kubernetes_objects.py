"""Kubernetes objects one by one: where they are, what they are called, who may reach them and what they allow."""

from __future__ import annotations

import re

from model_factory.graph.pods import PODS
from model_factory.graph.values import at, listed, mapping
from policies.authoring.checks import CRITICAL, HIGH, MEDIUM, Setting
from policies.authoring.drafts import Draft
from policies.authoring.references import cis, documented, nsa_cisa
from policies.authoring.resources import Props, Report, Resource
from policies.authoring.theme import Theme

theme = Theme("kubernetes")

RBAC_PAGE = "https://kubernetes.io/docs/concepts/security/rbac-good-practices/"
LABEL_LIMIT = 63
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


@theme.resource(
    types=NAMESPACED,
    severity=MEDIUM,
    steps="Make a namespace for the workload and name it in metadata.namespace.",
    reference=cis(
        "5.6.4",
        "The default namespace should not be used",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
        "CKV_K8S_21",
        nsa="Namespaces",
    ),
)
def no_default_namespace(resource: Resource, report: Report) -> None:
    """Objects are in a namespace of their own."""
    namespace = at(resource.props, "metadata", "namespace") or at(resource.provider_props, "namespace")
    if namespace in (None, "", "default"):
        report("it is in the namespace default, where nothing separates it from anything")


def _label(draft: Draft) -> None:
    labels = draft.below("metadata", "labels", create=True)
    for key, text in draft.config["labels"].items():
        if labels is not None and not labels.get(key):
            draft.put(labels, key, label_value(str(text).replace("{name}", draft.name)))


@theme.resource(
    types=LABELLED,
    severity=MEDIUM,
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
)
def labels(resource: Resource, report: Report) -> None:
    """Objects say what they belong to."""
    labels = mapping(at(resource.props, "metadata", "labels"))
    missing = [key for key in resource.config["labels"] if labels.get(key) in (None, "")]
    if missing:
        report(f"it has no label {', '.join(missing)}")


def label_value(text: str) -> str:
    """A text as a label may hold it: at most 63 letters, digits, dashes, dots and underscores, the first and last a letter or digit."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:LABEL_LIMIT].strip("._-")


@theme.resource(
    types=ROLES,
    severity=HIGH,
    steps="List the API groups, resources and verbs that are used.",
    reference=cis(
        "5.1.3",
        "Minimize wildcard use in Roles and ClusterRoles",
        RBAC_PAGE,
        "CKV_K8S_49",
        nsa="Role-based access control",
    ),
    tags=("rbac",),
)
def rbac_wildcard(resource: Resource, report: Report) -> None:
    """Roles name what they allow."""
    for rule in report.items(resource.props, "rules"):
        for key in ("apiGroups", "resources", "verbs", "nonResourceURLs"):
            with report.guard():
                if "*" in listed(at(rule, key)):
                    report(f"a rule allows any of {key}: {_rule(rule)}")


def _rule(rule: Props) -> str:
    return "; ".join(
        f"{key} {', '.join(str(each) for each in listed(at(rule, key)))}" for key in rule if listed(at(rule, key))
    )


@theme.resource(
    types=BINDINGS,
    severity=CRITICAL,
    steps="Bind a role that allows what is needed, in the namespace where it is needed.",
    reference=cis(
        "5.1.1",
        "Ensure that the cluster-admin role is only used where required",
        RBAC_PAGE,
        nsa="Role-based access control",
    ),
    tags=("rbac",),
)
def cluster_admin(resource: Resource, report: Report) -> None:
    """Nobody is made master of the cluster."""
    with report.guard():
        if at(resource.props, "roleRef", "name") == "cluster-admin":
            report("it makes its subjects masters of the cluster: roleRef is cluster-admin")
    for subject in report.items(resource.props, "subjects"):
        with report.guard():
            if at(subject, "name") == "system:masters":
                report("it binds system:masters, which no rule can hold back")


@theme.resource(
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
    steps="Make the load balancer internal, or exempt by name the one entrance that has authentication in front.",
    reference=nsa_cisa(
        "Network separation and hardening",
        "Network policies",
        "https://kubernetes.io/docs/concepts/services-networking/service/#internal-load-balancer",
    ),
    tags=("network",),
)
def no_public_load_balancer(resource: Resource, report: Report) -> None:
    """Models are not reached from the internet."""
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
        if listed(at(resource.props, "spec", "externalIPs")):
            report("externalIPs take over addresses that are somebody's (CVE-2020-8554)")


def _public_ingress(resource: Resource, annotations: Props, report: Report) -> None:
    kind = at(resource.props, "spec", "ingressClassName") or annotations.get("kubernetes.io/ingress.class")
    if annotations.get("alb.ingress.kubernetes.io/scheme") == "internet-facing":
        report("the load balancer is internet-facing")
    if kind == "gce":
        report("ingress class gce is reached from the internet; gce-internal is not")


def _enforce(draft: Draft) -> None:
    labels = draft.below("metadata", "labels", create=True)
    wanted = POD_SECURITY_LEVELS.index(str(draft.config["level"]))
    if labels is not None and labels.get(ENFORCE) not in POD_SECURITY_LEVELS[wanted:]:
        draft.put(labels, ENFORCE, POD_SECURITY_LEVELS[wanted])


@theme.resource(
    types=("kubernetes:core/*:Namespace",),
    severity=HIGH,
    remedy=_enforce,
    steps=f"Label the namespace {ENFORCE}: restricted.",
    reference=cis(
        "5.2.1",
        "Ensure that the cluster has at least one active policy control mechanism in place",
        "https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-namespace-labels/",
        nsa="Pod security enforcement",
    ),
    config={
        "level": Setting("restricted", {"type": "string", "enum": list(POD_SECURITY_LEVELS[1:])}, "The least level.")
    },
    tags=("pod-security",),
)
def pod_security_label(resource: Resource, report: Report) -> None:
    """Namespaces refuse Pods that are not restricted."""
    wanted = str(resource.config["level"])
    found = at(resource.props, "metadata", "labels", ENFORCE)
    if found not in POD_SECURITY_LEVELS[POD_SECURITY_LEVELS.index(wanted) :]:
        report(f"{ENFORCE} is {found or 'not set'}: the namespace admits Pods that are not {wanted}")
