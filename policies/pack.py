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
    "workloads": workloads.POLICIES,
    "kubernetes objects": kubernetes_objects.POLICIES,
    "pod security": pod_security.POLICIES,
    "kubernetes stack": kubernetes_stack.POLICIES,
    "GPUs": gpu.POLICIES,
    "model servers": serving.POLICIES,
    "AWS": aws.POLICIES,
    "AWS account": aws_account.POLICIES,
    "Google Cloud": gcp.POLICIES,
    "budget": budget.POLICIES,
    "labels": labels.POLICIES,
    "protection": protection.POLICIES,
    "versions": versions.POLICIES,
}
POLICIES: tuple[Policy, ...] = tuple(each for policies in THEMES.values() for each in policies)
