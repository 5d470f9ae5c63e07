"""What a site needs and the stack does not bring: told at every preview, one line a cluster, until somebody sees to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic.alias_generators import to_camel

from model_factory.facts.clouds import CLOUDS
from model_factory.planning.placing.plan import Placement, Pool
from model_factory.planning.settings.problems import Problem
from model_factory.planning.settings.sections import Settings


def lacking(settings: Settings, placements: Sequence[Placement], pools: Sequence[Pool]) -> Iterator[Problem]:
    """Who adds nodes; zones that are known to sell the machines; a way to the control planes. Nobody has to get into local clouds."""
    for section in settings.sections.values():
        facts = CLOUDS[section.CLOUD]
        if not settings.is_local and not getattr(section, section.ACCESS):
            message = "is not set, so that control planes are reached from their own networks alone: `up` cannot write to them from elsewhere, as from a hosted runner; run it inside, or name its ranges"
            yield settings.where.problem((section.key(), to_camel(section.ACCESS)), message)
        for region in section.regions:
            here = [each for each in placements if (each.cloud, each.region) == (section.CLOUD, region)]
            if here and not facts.adds_nodes:
                yield settings.where.problem((section.key(), "regions"), _nodes(region, here))
            machines = sorted({
                pool.machine_type for pool in pools if (pool.cloud, pool.region) == (section.CLOUD, region) and not pool.zones
            })  # fmt: skip
            if machines and not settings.is_local and not section.zones_of(region):
                yield settings.where.problem((section.key(), "zones"), _zones(region, machines))


def _nodes(region: str, here: Sequence[Placement]) -> str:
    growing = ", ".join(dict.fromkeys(each.model.name for each in here if each.replicas.max > each.replicas.min))
    waiting = f"replicas of {growing} beyond their least, and " if growing else ""
    return (
        f"{region}: nothing in the cluster adds nodes: {waiting}Pods of a roll-out that find no room stay Pending; install Karpenter or the "
        "Cluster Autoscaler there"
    )


def _zones(region: str, machines: Sequence[str]) -> str:
    return (
        f"{region}: nodes are in its first three zones by name, and no table knows whether these sell {', '.join(machines)}; name three that do "
        "(aws ec2 describe-instance-type-offerings --location-type availability-zone)"
    )
