"""A stack's placements as resources: every region of every cloud, and what the outside wants to know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pulumi

from components.aws.site import aws_sites
from components.gcp.site import gcp_sites
from components.stack import Site, StackTraits
from model_factory.planning.placing.plan import Plan
from model_factory.planning.settings.sections import Settings

Outputs = dict[str, pulumi.Output[str]]

CLOUDS: Final[tuple[Callable[[Settings, Plan, StackTraits], Mapping[str, Site]], ...]] = (
    aws_sites,
    gcp_sites,
)
"""Each declares a stack's sites in its cloud, by logical name; none where the stack does not use it."""


def build(settings: Settings, plan: Plan) -> Mapping[str, Outputs]:
    """Declares every resource of the stack and returns its outputs: clusters and buckets by region, registries and addresses by region
    and model. It reads no configuration and makes no decision of its own."""
    traits = StackTraits.of(settings)
    sites: dict[str, Site] = {}
    for declare in CLOUDS:
        sites.update(declare(settings, plan, traits))
    return {
        "clusters": {name: site.endpoint for name, site in sites.items()},
        "registries": {name: url for site in sites.values() for name, url in site.registries.items()},
        "buckets": {name: site.bucket for name, site in sites.items()},
        "addresses": {name: at for site in sites.values() for name, at in site.addresses.items()},
    }
