"""All policies, by theme: one line a theme. Levels are the defaults; config/<environment>.json says what an environment does otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from policies.authoring.checks import Policy
from policies.packs import (
    aws,
    aws_account,
    budget,
    gcp,
    gpu,
    kubernetes_objects,
    kubernetes_stack,
    labels,
    pod_security,
    protection,
    serving,
    versions,
    workloads,
)

NAME = "model-factory"
TITLE = "Model factory"

THEMES: Mapping[str, tuple[Policy, ...]] = {
    "workloads": workloads.theme.policies,
    "kubernetes objects": kubernetes_objects.theme.policies,
    "pod security": pod_security.theme.policies,
    "kubernetes stack": kubernetes_stack.theme.policies,
    "GPUs": gpu.theme.policies,
    "model servers": serving.theme.policies,
    "AWS": aws.theme.policies,
    "AWS account": aws_account.theme.policies,
    "Google Cloud": gcp.theme.policies,
    "budget": budget.theme.policies,
    "labels": labels.theme.policies,
    "protection": protection.theme.policies,
    "versions": versions.theme.policies,
}
POLICIES: tuple[Policy, ...] = tuple(each for policies in THEMES.values() for each in policies)
