"""Kubernetes objects together: what one of them leaves open, and another should close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_factory.graph.clusters import Cluster
from model_factory.graph.objects import (
    SYSTEM_NAMESPACES,
    covers,
    declares_replicas,
    identity,
    namespace_of,
    object_name,
    selects,
)
from model_factory.graph.pods import PODS, WORKLOADS, pod_labels, pod_path, pod_spec
from model_factory.graph.values import at, listed, mapping
from policies.authoring.checks import HIGH, MEDIUM, texts
from policies.authoring.references import cis, documented
from policies.authoring.resources import Props, Report, Resource, shown
from policies.authoring.theme import Theme

theme = Theme("kubernetes")

POLICIES_PAGE = "https://kubernetes.io/docs/concepts/services-networking/network-policies/"
BUDGETS_PAGE = "https://kubernetes.io/docs/tasks/run-application/configure-pdb/"
SCALING_PAGE = "https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/"
NETWORK_POLICIES = "kubernetes:networking.k8s.io/*:NetworkPolicy"
BUDGETS = "kubernetes:policy/*:PodDisruptionBudget"
NAMESPACES = "kubernetes:core/*:Namespace"
SERVICES = "kubernetes:core/*:Service"
DIRECTIONS = ("Ingress", "Egress")
Config = Mapping[str, Any]


@theme.cluster(
    severity=HIGH,
    steps="Add a NetworkPolicy with podSelector {} and policyTypes [Ingress, Egress] and no rules, then one a workload with what it needs.",
    reference=cis(
        "5.3.2",
        "Ensure that all Namespaces have NetworkPolicies defined",
        POLICIES_PAGE,
        nsa="Network policies",
    ),
    config={"exemptNamespaces": texts([], "Namespaces that somebody else looks after.")},
    tags=("network",),
)
def default_deny(cluster: Cluster[Resource], config: Config, report: Report) -> None:
    """Namespaces let nothing in or out but what is allowed."""
    skipped = SYSTEM_NAMESPACES | frozenset(config["exemptNamespaces"])
    used = {namespace_of(each): each for each in cluster.of(*PODS)}
    used |= {object_name(each): each for each in cluster.of(NAMESPACES)}
    policies = cluster.of(NETWORK_POLICIES)
    for namespace in sorted(used.keys() - skipped):
        mine = [each for each in policies if namespace_of(each) == namespace]
        denied = {direction for each in mine for direction in _denied(each)}
        missing = [each for each in DIRECTIONS if each not in denied]
        if missing:
            report(
                f"namespace {namespace} has no NetworkPolicy that denies {' and '.join(missing)} to all Pods",
                used[namespace].urn,
            )
        for each in mine:
            for direction in _opened(each):
                report(f"{object_name(each)} in {namespace} allows {direction} from and to anywhere", each.urn)


def _everywhere(policy: Resource) -> bool:
    selector = at(policy.props, "spec", "podSelector")
    return not mapping(at(selector, "matchLabels")) and not listed(at(selector, "matchExpressions"))


def policy_types(policy: Resource) -> tuple[str, ...]:
    """The directions a NetworkPolicy rules; where it does not say, Kubernetes takes Ingress, and Egress if it has such rules."""
    declared = tuple(str(each) for each in listed(at(policy.props, "spec", "policyTypes")))
    if declared:
        return declared
    return DIRECTIONS if listed(at(policy.props, "spec", "egress")) else ("Ingress",)


def _denied(policy: Resource) -> list[str]:
    """The directions that a policy closes for every Pod of its namespace."""
    if not _everywhere(policy):
        return []
    return [each for each in policy_types(policy) if not listed(at(policy.props, "spec", each.lower()))]


def _opened(policy: Resource) -> list[str]:
    """The directions in which a policy lets everything through: a rule without peers and ports."""
    return [
        direction
        for direction in policy_types(policy)
        if any(_is_open(rule, direction) for rule in listed(at(policy.props, "spec", direction.lower())))
    ]


def _is_open(rule: Props, direction: str) -> bool:
    return not listed(at(rule, "from" if direction == "Ingress" else "to")) and not listed(at(rule, "ports"))


@theme.cluster(
    severity=MEDIUM,
    steps="Add a PodDisruptionBudget whose selector takes the workload's Pods, with maxUnavailable 1.",
    reference=documented("Kubernetes documentation", "Disruptions", "Pod disruption budgets", BUDGETS_PAGE),
    tags=("reliability",),
)
def pdb_exists(cluster: Cluster[Resource], _config: Config, report: Report) -> None:
    """A drain leaves replicas running."""
    budgets = cluster.of(BUDGETS)
    for workload in cluster.workloads:
        if not any(covers(each, workload) for each in budgets):
            report(
                f"no PodDisruptionBudget covers {identity(workload)}: a drain may take all of it",
                workload.urn,
            )


@theme.cluster(
    severity=MEDIUM,
    steps="Use maxUnavailable 1 in place of minAvailable, or keep minAvailable below the least replicas.",
    reference=documented("Kubernetes documentation", "Disruptions", "Specifying a PodDisruptionBudget", BUDGETS_PAGE),
    tags=("reliability",),
)
def pdb_below_min_replicas(cluster: Cluster[Resource], _config: Config, report: Report) -> None:
    """Disruption budgets leave room for a drain."""
    for budget in cluster.of(BUDGETS):
        spec = mapping(at(budget.props, "spec"))
        if _share(spec.get("maxUnavailable")) == 0:
            report(f"{identity(budget)} allows no Pod to go: nodes cannot be drained", budget.urn)
        least = spec.get("minAvailable")
        if least is None:
            continue
        for workload in cluster.workloads:
            if not covers(budget, workload):
                continue
            replicas = cluster.least_replicas(workload)
            if _needed(least, replicas) >= replicas:
                report(
                    f"{identity(budget)} wants {shown(least)} Pods of {identity(workload)}, which may run {replicas}: "
                    "nodes cannot be drained",
                    budget.urn,
                )


def _share(value: object) -> float | None:
    """A count or a percentage, as a number; None for what is neither."""
    if isinstance(value, str):
        number = value.removesuffix("%")
        return float(number) if number.isdigit() else None
    return float(value) if isinstance(value, int | float) else None


def _needed(least: object, replicas: int) -> float:
    """How many of the replicas a budget keeps; of a percentage Kubernetes rounds up."""
    share = _share(least) or 0.0
    if isinstance(least, str) and least.endswith("%"):
        return -(-replicas * share // 100)
    return share


@theme.cluster(
    severity=MEDIUM,
    steps="Take scaleTargetRef.name from the workload's own metadata.name, and put both in one namespace.",
    reference=documented("Kubernetes documentation", "Autoscaling", "Scale target", SCALING_PAGE),
    tags=("autoscaling",),
)
def autoscaler_target_exists(cluster: Cluster[Resource], _config: Config, report: Report) -> None:
    """Autoscalers scale what is there."""
    for scaler in cluster.autoscalers:
        wanted = scaler.target
        if not any(identity(each) == wanted for each in cluster.of(f"kubernetes:*:{wanted.kind}")):
            report(f"{identity(scaler.resource)} scales {wanted}, which is not there", scaler.resource.urn)


@theme.cluster(
    severity=HIGH,
    steps="Keep one HorizontalPodAutoscaler or ScaledObject, with all the metrics.",
    reference=documented(
        "KEDA documentation",
        "Scaling Deployments",
        "ScaledObject beside an HPA",
        "https://keda.sh/docs/latest/concepts/scaling-deployments/",
    ),
    tags=("autoscaling",),
)
def one_autoscaler_a_target(cluster: Cluster[Resource], _config: Config, report: Report) -> None:
    """One autoscaler owns a workload's count."""
    for workload in cluster.workloads:
        scalers = cluster.autoscalers_of(workload)
        if len(scalers) > 1:
            names = ", ".join(str(identity(each.resource)) for each in scalers)
            report(f"{identity(workload)} is scaled by {names}: each undoes the others", workload.urn)


@theme.cluster(
    severity=MEDIUM,
    steps="Remove spec.replicas from the workload; the autoscaler's minReplicas is the floor.",
    reference=documented(
        "Kubernetes documentation",
        "Autoscaling",
        "Migrating Deployments and StatefulSets to horizontal autoscaling",
        f"{SCALING_PAGE}#migrating-deployments-and-statefulsets-to-horizontal-autoscaling",
    ),
    tags=("autoscaling",),
)
def replicas_not_set_under_autoscaler(cluster: Cluster[Resource], _config: Config, report: Report) -> None:
    """Programs do not set what autoscalers own."""
    for workload in cluster.workloads:
        if cluster.autoscalers_of(workload) and declares_replicas(workload):
            report(
                f"{identity(workload)} sets replicas, which its autoscaler owns: each update takes them back",
                workload.urn,
            )


@theme.cluster(
    severity=MEDIUM,
    steps="Use the workload's own labels as the Service's selector, and the names of its ports as target ports.",
    reference=documented(
        "Kubernetes documentation",
        "Services",
        "Defining a Service",
        "https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service",
    ),
    tags=("network",),
)
def dangling_service(cluster: Cluster[Resource], _config: Config, report: Report) -> None:
    """Services lead to Pods."""
    for service in cluster.of(SERVICES):
        selector = mapping(at(service.props, "spec", "selector"))
        if not selector or at(service.props, "spec", "type") == "ExternalName":
            continue
        behind = [
            each
            for each in cluster.pods_in(namespace_of(service))
            if selects({"matchLabels": selector}, pod_labels(each))
        ]
        if not behind:
            report(f"{identity(service)} selects no Pods", service.urn)
        for port in listed(at(service.props, "spec", "ports")) if behind else []:
            wanted = at(port, "targetPort")
            # Where no target is named it is the port itself, and a number may be open without being declared.
            if isinstance(wanted, str) and not wanted.isdigit() and wanted not in _port_names(behind):
                report(f"{identity(service)} leads to port {wanted}, which no Pod behind it names", service.urn)


def _port_names(workloads: list[Resource]) -> set[str]:
    return {
        str(at(port, "name"))
        for workload in workloads
        for key in ("containers", "initContainers")
        for container in listed(at(pod_spec(workload), key))
        for port in listed(at(container, "ports"))
    }


@theme.resource(
    types=WORKLOADS,
    severity=MEDIUM,
    steps="Add a topologySpreadConstraint over topology.kubernetes.io/zone that selects the workload's Pods.",
    reference=documented(
        "Kubernetes documentation",
        "Scheduling",
        "Pod topology spread constraints",
        "https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/",
    ),
    config={"topologyKeys": texts(["topology.kubernetes.io/zone"], "What replicas must be spread over.")},
    tags=("reliability",),
)
def topology_spread(resource: Resource, report: Report) -> None:
    """Replicas are spread over zones."""
    if at(resource.props, "spec", "replicas") == 1:
        return
    spec = pod_spec(resource)
    keys = {str(at(each, "topologyKey")) for each in listed(at(spec, "topologySpreadConstraints"))}
    apart = at(spec, "affinity", "podAntiAffinity")
    keys |= {
        str(at(each, "topologyKey")) for each in listed(at(apart, "requiredDuringSchedulingIgnoredDuringExecution"))
    }
    keys |= {
        str(at(each, "podAffinityTerm", "topologyKey"))
        for each in listed(at(apart, "preferredDuringSchedulingIgnoredDuringExecution"))
    }
    missing = [each for each in resource.config["topologyKeys"] if each not in keys]
    if missing:
        report(f"replicas may all be in one {', '.join(missing)}")
    labels = pod_labels(resource)
    for constraint in listed(at(spec, "topologySpreadConstraints")):
        if not selects(at(constraint, "labelSelector"), labels):
            path = ".".join(pod_path(resource.type))
            report(f"the spread over {at(constraint, 'topologyKey')} counts other Pods than those of {path}")
