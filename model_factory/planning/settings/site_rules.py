"""The rules for where and how often a model runs: replicas, sites, spread, capacity, residency."""

from __future__ import annotations

from collections.abc import Iterator

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.planning.settings.cloud import twice
from model_factory.planning.settings.clouds import Sections
from model_factory.planning.settings.problems import instead
from model_factory.planning.settings.reading import Checked, Finding
from model_factory.planning.settings.rules import RULES, Rules
from model_factory.planning.settings.sections import REPLICAS_MAX, ModelConfig, Replicas, summed
from model_factory.planning.settings.yamlfile import KeyPath


def check_replicas(place: KeyPath, model: Checked[ModelConfig]) -> Iterator[Finding]:
    """Least and most, as one pair or by site."""
    value = model.value
    if not model.right("replicas", "sites"):
        return
    written = "replicas" in value.model_fields_set
    if not written and not value.sites:
        yield (*place, "replicas"), "is missing; add it: bounds of the autoscaler, as {min: 1, max: 2}"
    pairs: dict[KeyPath, Replicas] = {("sites", name): site for name, site in value.sites.items()}
    if written:
        pairs[("replicas",)] = value.replicas
    crossed = {key: pair for key, pair in pairs.items() if pair.min > pair.max}
    for key, pair in crossed.items():
        yield (*place, *key), f"min {pair.min} is above max {pair.max}; set min ≤ max"
    total = summed(value.sites)
    if written and value.sites and not crossed and value.replicas != total:
        given, sum_fits = _pair(value.replicas), total.max <= REPLICAS_MAX
        remedy = f"write {_pair(total)}, or leave replicas out" if sum_fits else "leave replicas out"
        yield (*place, "replicas"), f"{given} is not the sum over sites; {remedy}"


def check_capacity(place: KeyPath, model: Checked[ModelConfig], rules: Rules) -> Iterator[Finding]:
    """The ladder is told once, and the stack's rules leave some of it."""
    value = model.value
    if not model.right("capacity", "spot"):
        return
    yield from twice((*place, "capacity"), value.capacity)
    if value.capacity and "spot" in value.model_fields_set:
        yield (*place, "capacity"), "says how machines are bought, and so does spot; write one of them"
    elif not rules.allowed(value.ladder):
        yield (*place, "capacity"), f"{RULES} never allows spot, and nothing else is here; write [spot, on-demand]"


def check_places(place: KeyPath, model: Checked[ModelConfig], sections: Sections, rules: Rules) -> Iterator[Finding]:
    """Sites and spread, within the clouds, regions and residence that are right already."""
    value = model.value
    if not model.right("labels"):
        return
    for label, given in value.labels.items():
        if label in rules.residency and given not in (known := rules.residency[label]):
            yield (
                (*place, "labels", label),
                f"{RULES}.residency has no regions for {label}: {given}; {instead(given, sorted(known))}, or add {given} there",
            )
            return
    within = _regions(value, sections)
    residence = rules.residence(value.labels)
    allowed = [site for site in within if residence is None or site[1] in residence]
    if within and not allowed:
        regions = ", ".join(sorted(residence or ())) or "no region"
        yield (
            (*place, "labels"),
            f"keep it in {regions}, and its regions are {_names(within)}; {_let_in(residence or frozenset(), sections)}",
        )
        return
    if not model.right("sites", "spread"):
        return
    if value.sites and value.spread:
        yield (*place, "spread"), "lets the planner choose the places, and sites names them; write one of them"
        return
    names = [f"{cloud}/{region}" for cloud, region in allowed]
    for site in value.sites:
        if site not in names:
            remedy = _to_be_added(site, sections) or instead(site, names)
            yield (*place, "sites", site), f"is none of the places where this model may run; {remedy}"
    if value.spread:
        yield from _spread(place, model, allowed)


def _spread(place: KeyPath, model: Checked[ModelConfig], allowed: list[tuple[Cloud, str]]) -> Iterator[Finding]:
    spread, replicas = model.value.spread, model.value.replicas
    counts = [
        (kind, count, there)
        for kind, count, there in (
            ("regions", spread.regions if spread else None, [f"{cloud}/{region}" for cloud, region in allowed]),
            ("clouds", spread.clouds if spread else None, sorted({cloud for cloud, _ in allowed})),
        )
        if count is not None
    ]
    if len(counts) != 1:
        yield (*place, "spread"), "is by regions or by clouds; write one of them, as {regions: 2}"
        return
    ((kind, count, there),) = counts
    if count > len(there):
        remedy = f"write {kind}: {len(there)}" if len(there) > 1 else "leave spread out"
        where = f"where this model may run ({', '.join(there)})"
        yield (
            (*place, "spread", kind),
            f"{count} is above the {len(there)} {where}; {remedy}, or add {kind} to the stack",
        )
    elif model.right("replicas") and replicas.min < count:
        yield (
            (*place, "replicas", "min"),
            f"{replicas.min} is below the {count} {kind} of spread, and each keeps one; write {count}",
        )


def _regions(model: ModelConfig, sections: Sections) -> list[tuple[Cloud, str]]:
    """The sites that clouds and regions leave."""
    return [
        (cloud, region)
        for cloud, section in sections.items()
        if not model.clouds or cloud in model.clouds
        for region in section.value.regions
        if not model.regions or region in model.regions
    ]


def _let_in(residence: frozenset[str], sections: Sections) -> str:
    """The remedy where no region of the stack is among those of a model's labels."""
    for cloud, section in sections.items():
        if there := sorted(residence & CLOUDS[cloud].regions):
            return f"add {there[0]} to {section.value.key()}.regions"
    if not residence:
        return f"correct the labels or {RULES}.residency, which names no region for all of them"
    return "name a cloud that has one of them, or correct the rule"


def _to_be_added(site: str, sections: Sections) -> str:
    """The remedy for a region that its cloud has and the stack does not; empty for any other name."""
    name, _, region = site.partition("/")
    for cloud, section in sections.items():
        if cloud == name and region in CLOUDS[cloud].regions and region not in section.value.regions:
            return f"add {region} to {section.value.key()}.regions"
    return ""


def _names(sites: list[tuple[Cloud, str]]) -> str:
    return ", ".join(region for _, region in sites)


def _pair(replicas: Replicas) -> str:
    return f"{{min: {replicas.min}, max: {replicas.max}}}"
