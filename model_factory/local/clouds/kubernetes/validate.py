"""Check a whole object: its published schema first, then the rules beside it; and bring it into canonical form.

A value may be `model_factory.local.wire.UNKNOWN` anywhere: what depends on it is not checked, the rest is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Final, cast

from model_factory.graph.quantity import canonical
from model_factory.local.clouds.kubernetes import pods, rules
from model_factory.local.clouds.kubernetes.kinds import REQUESTS
from model_factory.local.clouds.kubernetes.schema import (
    QUANTITY,
    Catalogue,
    Definition,
    Path,
    UnknownKindError,
    Violation,
)
from model_factory.local.limits import load_limits
from model_factory.local.wire import Unknown, Value

LIMITS: Final = FilePath(__file__).with_name("limits.csv")
_CORE: Final = "io.k8s.api.core.v1."
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
CHECKS: Final[Mapping[str, tuple[rules.Check, ...]]] = {
    _META + "ObjectMeta": (rules.metadata_rules,),
    _META + "LabelSelector": (rules.label_selector,),
    _META + "LabelSelectorRequirement": (rules.requirement,),
    _CORE + "NodeSelectorRequirement": (rules.node_requirement,),
    _CORE + "PodSpec": (pods.pod_spec,),
    _CORE + "Container": (pods.container,),
    _CORE + "EphemeralContainer": (pods.container,),
    _CORE + "SecurityContext": (pods.security_context,),
    _CORE + "Probe": (pods.probe,),
    _CORE + "Toleration": (pods.toleration,),
    _CORE + "ResourceRequirements": (rules.resources_rules,),
    _CORE + "ServiceSpec": (rules.service_spec,),
    _CORE + "ConfigMap": (rules.config_data("ConfigMap"),),
    _CORE + "Secret": (rules.config_data("Secret"),),
    "io.k8s.api.apps.v1.DeploymentSpec": (rules.workload("Deployment"),),
    "io.k8s.api.apps.v1.StatefulSetSpec": (rules.workload("StatefulSet"),),
    "io.k8s.api.apps.v1.DaemonSetSpec": (rules.workload("DaemonSet"),),
    "io.k8s.api.apps.v1.ReplicaSetSpec": (rules.workload("ReplicaSet"),),
    "io.k8s.api.batch.v1.JobSpec": (rules.workload("Job"),),
    "io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec": (rules.autoscaler_spec,),
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec": (rules.autoscaler_spec,),
    "io.k8s.api.autoscaling.v2.MetricSpec": (rules.metric_spec,),
    "io.k8s.api.networking.v1.IPBlock": (rules.ip_block,),
    "io.k8s.api.policy.v1.PodDisruptionBudgetSpec": (rules.disruption_budget_spec,),
}

_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
CHOICES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    (_CORE + "Container", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
    (_CORE + "Container", "terminationMessagePolicy"): ("File", "FallbackToLogsOnError"),
    (_CORE + "ContainerPort", "protocol"): _PROTOCOLS,
    (_CORE + "ServicePort", "protocol"): _PROTOCOLS,
    (_CORE + "ServiceSpec", "type"): ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    (_CORE + "ServiceSpec", "sessionAffinity"): ("ClientIP", "None"),
    (_CORE + "PodSpec", "restartPolicy"): ("Always", "OnFailure", "Never"),
    (_CORE + "PodSpec", "dnsPolicy"): ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    (_CORE + "Toleration", "operator"): ("Exists", "Equal", "Lt", "Gt"),
    (_CORE + "Toleration", "effect"): _EFFECTS,
    (_CORE + "Taint", "effect"): _EFFECTS,
    (_CORE + "SeccompProfile", "type"): ("RuntimeDefault", "Localhost", "Unconfined"),
    (_CORE + "TopologySpreadConstraint", "whenUnsatisfiable"): ("DoNotSchedule", "ScheduleAnyway"),
    (_CORE + "HTTPGetAction", "scheme"): ("HTTP", "HTTPS"),
    ("io.k8s.api.apps.v1.DeploymentStrategy", "type"): ("Recreate", "RollingUpdate"),
    ("io.k8s.api.autoscaling.v2.MetricSpec", "type"): ("ContainerResource", "External", "Object", "Pods", "Resource"),
    ("io.k8s.api.autoscaling.v2.MetricTarget", "type"): ("Utilization", "Value", "AverageValue"),
    ("io.k8s.api.networking.v1.NetworkPolicyPort", "protocol"): _PROTOCOLS,
    ("io.k8s.api.policy.v1.PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy"): ("IfHealthyBudget", "AlwaysAllow"),
    ("io.k8s.api.rbac.v1.RoleRef", "kind"): ("Role", "ClusterRole"),
    ("io.k8s.api.rbac.v1.Subject", "kind"): ("User", "Group", "ServiceAccount"),
}  # fmt: skip
"""Enumerations that the schemas word but do not list."""

PORTS: Final = frozenset({
    (_CORE + "ContainerPort", "containerPort"), (_CORE + "ContainerPort", "hostPort"),
    (_CORE + "ServicePort", "port"), (_CORE + "ServicePort", "targetPort"), (_CORE + "ServicePort", "nodePort"),
    (_CORE + "HTTPGetAction", "port"), ("io.k8s.api.networking.v1.NetworkPolicyPort", "port"), (_CORE + "TCPSocketAction", "port"), (_CORE + "GRPCAction", "port"),
})  # fmt: skip
_SINGLE_SUCCESS: Final = ("livenessProbe", "startupProbe")
_LISTED: Final = frozenset(definition for definition, _ in CHOICES) | frozenset(definition for definition, _ in PORTS)


class Validator:
    """Checks objects against one catalogue. Safe to share between threads: its caches only ever gain equal entries."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._fields: dict[int, dict[str, Definition]] = {}

    def violations(self, obj: Mapping[str, Any]) -> list[Violation]:
        """Every rule that the object breaks; empty for a valid one. Raises UnknownKindError where there is no schema."""
        name = self._definition(obj)
        known, dropped = _without_unknowns(obj)
        found = [
            violation
            for violation in self._catalogue.violations(name, known)
            if not (violation.path in dropped and violation.reason.startswith("required"))
        ]
        # A rule reads values of the right type only where the schema holds.
        return found or [*rules.identity(known), *self._walk(obj, {"$ref": f"#/$defs/{name}"}, ())]

    def canonical(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """The object as the API server would store what was given: quantities in canonical form, no nulls in objects."""
        return self._canonical(obj, {"$ref": f"#/$defs/{self._definition(obj)}"})

    def _definition(self, obj: Mapping[str, Any]) -> str:
        api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
        if kind in REQUESTS:
            raise UnknownKindError(f"a {kind} is a question to the API server, not an object that is kept")
        return self._catalogue.definition_name(api_version, kind)

    def _walk(self, value: Any, schema: Definition, path: Path) -> Iterator[Violation]:
        name, body = self._catalogue.target(schema)
        if name == QUANTITY:
            yield from rules.quantity_rule(value, path)
        elif isinstance(value, Mapping):
            checks = CHECKS.get(name, ()) if name is not None else ()
            if checks and not _has_unknown(value):
                for check in checks:
                    yield from check(value, path)
            for limit in load_limits(LIMITS).get(name or "", ()):
                yield from (
                    Violation((*path, *place), fault)
                    for place, fault in limit.faults("Kubernetes", cast("Value", value))
                )
            if name in _LISTED:
                yield from _listed(name, value, path)
            for key, field in self._below(body, value):
                yield from self._walk(value[key], field, (*path, key))
                if name == _CORE + "Container" and key in _SINGLE_SUCCESS and not _has_unknown(value[key]):
                    yield from pods.liveness_probe(value[key], (*path, key))
        elif isinstance(value, list):
            items = body.get("items")
            if isinstance(items, Mapping):
                for index, item in enumerate(value):
                    yield from self._walk(item, items, (*path, index))

    def _canonical(self, value: Any, schema: Definition) -> Any:
        name, body = self._catalogue.target(schema)
        if name == QUANTITY:
            return _canonical_quantity(value)
        if isinstance(value, Mapping):
            fields = dict(self._below(body, value))
            return {
                key: self._canonical(item, fields[key]) if key in fields else item
                for key, item in value.items()
                if item is not None
            }
        items = body.get("items")
        if isinstance(value, list) and isinstance(items, Mapping):
            return [self._canonical(item, items) for item in value]
        return value

    def _below(self, body: Definition, value: Mapping[str, Any]) -> Iterator[tuple[str, Definition]]:
        """The fields of an object whose schema leads to something: a reference, a list or a map of them."""
        fields = self._fields.get(id(body))
        if fields is None:
            properties: Mapping[str, Definition] = body.get("properties", {})
            fields = self._fields[id(body)] = {key: field for key, field in properties.items() if _leads_on(field)}
        rest = body.get("additionalProperties")
        for key in value:
            field = fields.get(key)
            if field is not None:
                yield key, field
            elif isinstance(rest, Mapping) and _leads_on(rest):
                yield key, rest


def _leads_on(schema: Definition) -> bool:
    if "$ref" in schema:
        return True
    below = (schema.get("items"), schema.get("additionalProperties"))
    return any(isinstance(part, Mapping) and _leads_on(part) for part in below)


def _listed(name: str | None, value: Mapping[str, Any], path: Path) -> Iterator[Violation]:
    for key, item in value.items():
        choices = CHOICES.get((name or "", key))
        if choices and isinstance(item, str) and item not in choices:
            yield Violation((*path, key), f"must be one of {', '.join(choices)}, not {item!r}")
        if (name, key) in PORTS:
            yield from pods.port_number(item, (*path, key))


def _canonical_quantity(value: Any) -> Any:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            return canonical(value)
        except ValueError:
            return value  # `violations` names it
    return value


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return any(map(_has_unknown, value.values()))
    return isinstance(value, list) and any(map(_has_unknown, value))


def _without_unknowns(obj: Mapping[str, Any]) -> tuple[dict[str, Any], set[Path]]:
    """The object without its unknown parts, and where they were. A null is no value either."""
    dropped: set[Path] = set()

    def strip(value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            dropped.update((*path, key) for key, item in value.items() if isinstance(item, Unknown))
            return {
                key: strip(item, (*path, key))
                for key, item in value.items()
                if item is not None and not isinstance(item, Unknown)
            }
        if isinstance(value, list):
            kept = [item for item in value if not isinstance(item, Unknown)]
            return [strip(item, (*path, index)) for index, item in enumerate(kept)]
        return value

    return strip(obj, ()), dropped
