"""What the published schemas leave out about the kinds of objects: their scope, their name rule, their immutable fields.

Sources: `kubectl api-resources` of Kubernetes 1.36 and the validation packages of its API server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

CLUSTER_SCOPED: Final = frozenset({
    "APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding",
    "ClusterTrustBundle", "ComponentStatus", "CustomResourceDefinition", "DeviceClass", "DeviceTaintRule", "FlowSchema",
    "IPAddress", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass",
    "PriorityLevelConfiguration", "ResourcePoolStatusRequest", "ResourceSlice", "RuntimeClass", "SelfSubjectAccessReview",
    "SelfSubjectReview", "SelfSubjectRulesReview", "ServiceCIDR", "StorageClass", "StorageVersion",
    "StorageVersionMigration", "SubjectAccessReview", "TokenReview", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass",
})  # fmt: skip
"""Kinds that live outside every namespace."""

BUILT_IN_NAMESPACES: Final = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})

REQUESTS: Final = frozenset({
    "Binding", "Eviction", "LocalSubjectAccessReview", "Scale", "SelfSubjectAccessReview", "SelfSubjectReview",
    "SelfSubjectRulesReview", "Status", "SubjectAccessReview", "TokenRequest", "TokenReview",
})  # fmt: skip
"""Kinds that are questions to the API server: they are answered, never kept, so there is nothing to render."""


@dataclass(frozen=True, slots=True)
class NameRule:
    """A rule for object names: its pattern, longest length, and its words for people."""

    pattern: re.Pattern[str]
    longest: int
    words: str

    def broken_by(self, name: str) -> str | None:
        """Why the name breaks the rule, or None."""
        if len(name) > self.longest:
            return f"{name!r} has {len(name)} characters; at most {self.longest} are allowed"
        if not self.pattern.fullmatch(name):
            return f"{name!r} is not {self.words}"
        return None


DNS_LABEL: Final = NameRule(
    re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"), 63,
    "a DNS-1123 label: lower-case letters, digits and '-', starting and ending with a letter or digit",
)  # fmt: skip
DNS_SUBDOMAIN: Final = NameRule(
    re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"), 253,
    "a DNS-1123 subdomain: lower-case letters, digits, '-' and '.', starting and ending with a letter or digit",
)  # fmt: skip
DNS_1035_LABEL: Final = NameRule(
    re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?"), 63,
    "a DNS-1035 label: lower-case letters, digits and '-', starting with a letter, ending with a letter or digit",
)  # fmt: skip
PATH_SEGMENT: Final = NameRule(
    re.compile(r"(?!\.{1,2}$)[^/%\x00]+"), 253, "a path segment: not '.' or '..', without '/' and '%'"
)

_NAME_RULES: Final = {
    "Namespace": DNS_LABEL,
    "Service": DNS_1035_LABEL,
    "Role": PATH_SEGMENT,
    "RoleBinding": PATH_SEGMENT,
    "ClusterRole": PATH_SEGMENT,
    "ClusterRoleBinding": PATH_SEGMENT,
}

_SELECTOR: Final = ("spec.selector",)
IMMUTABLE: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "ReplicaSet"): _SELECTOR,
    ("apps", "StatefulSet"): ("spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates"),
    ("batch", "Job"): (
        "spec.selector", "spec.template", "spec.completions", "spec.completionMode", "spec.backoffLimitPerIndex",
        "spec.podFailurePolicy", "spec.successPolicy", "spec.managedBy",
    ),
    ("networking.k8s.io", "IngressClass"): ("spec.controller",),
    ("node.k8s.io", "RuntimeClass"): ("handler",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    ("scheduling.k8s.io", "PriorityClass"): ("value", "preemptionPolicy"),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "PersistentVolumeClaim"): (
        "spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName", "spec.volumeMode",
        "spec.dataSource", "spec.dataSourceRef",
    ),
    ("", "Pod"): ("spec.nodeName", "spec.nodeSelector", "spec.serviceAccountName", "spec.restartPolicy", "spec.volumes"),
}  # fmt: skip
"""Fields that the API server refuses to change, by API group and kind."""
STORAGE: Final = "spec.resources.requests.storage"
"""Of a claim: it grows, where its class lets it, and never shrinks: https://kubernetes.io/docs/concepts/storage/persistent-volumes/"""

_FROZEN_DATA: Final = {
    "ConfigMap": ("data", "binaryData", "immutable"),
    "Secret": ("data", "stringData", "immutable"),
}


def is_namespaced(kind: str) -> bool:
    return kind not in CLUSTER_SCOPED


def group_of(api_version: str) -> str:
    """The API group of `group/version`; the core group is empty."""
    return api_version.rpartition("/")[0]


def name_rule(kind: str) -> NameRule:
    return _NAME_RULES.get(kind, DNS_SUBDOMAIN)


def immutable_fields(api_version: str, kind: str, *, immutable: bool) -> tuple[str, ...]:
    """Fields that cannot change in place; `immutable` says whether a ConfigMap or Secret was sealed so."""
    group = group_of(api_version)
    fields = IMMUTABLE.get((group, kind), ())
    return (*fields, *_FROZEN_DATA[kind]) if immutable and group == "" and kind in _FROZEN_DATA else fields
