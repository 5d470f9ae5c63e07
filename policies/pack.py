"""All policies, by theme. Levels are the defaults; config/<environment>.json says what an environment does otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from policies.checks import Policy
from policies.packs import aws, gcp, kubernetes, kubernetes_stack, organisation, serving

NAME = "model-factory"
TITLE = "Model factory"

THEMES: Mapping[str, tuple[Policy, ...]] = {
    "kubernetes": kubernetes.POLICIES,
    "kubernetes stack": kubernetes_stack.POLICIES,
    "gpu and serving": serving.POLICIES,
    "aws": tuple(aws.POLICIES),
    "gcp": tuple(gcp.POLICIES),
    "organisation": tuple(organisation.POLICIES),
}
POLICIES: tuple[Policy, ...] = tuple(each for policies in THEMES.values() for each in policies)
