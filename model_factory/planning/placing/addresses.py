"""Are there addresses for all that a site may grow to? Clouds find out at the node that gets none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic.alias_generators import to_camel

from model_factory.planning.placing.plan import Placement, Pool
from model_factory.planning.settings.cloud import SYSTEM_GROWTH
from model_factory.planning.settings.problems import Problem
from model_factory.planning.settings.sections import Settings


def short_of_addresses(settings: Settings, placements: Sequence[Placement], pools: Sequence[Pool]) -> Iterator[Problem]:
    """A problem for each range that does not hold what is planned at most, by its largest region."""
    for section in settings.sections.values():
        most: dict[str, tuple[int, str]] = {"nodes": (0, ""), "models": (0, "")}
        for region in section.regions:
            here = (section.CLOUD, region)
            nodes = section.system_nodes * SYSTEM_GROWTH
            nodes += sum(pool.max_nodes for pool in pools if (pool.cloud, pool.region) == here)
            models = sum((each.cloud, each.region) == here for each in placements)
            most = {"nodes": max(most["nodes"], (nodes, region)), "models": max(most["models"], (models, region))}
        for room in section.rooms():
            count, region = most[room.of]
            if count > room.most:
                message = (
                    f"{getattr(section, room.field)} has room for {max(room.most, 0)} {room.of}, and {region} may have {count}: {room.why}; take a larger "
                    f"range for it, {'lower replicas.max, ' if room.of == 'nodes' else ''}or place models in further regions"
                )
                yield settings.where.problem((section.key(), to_camel(room.field)), message)
