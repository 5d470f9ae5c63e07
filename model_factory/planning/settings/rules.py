"""The rules that hold for all models of a stack: `model-factory:rules`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.facts.offer import CapacityType
from model_factory.planning.settings.cloud import Right, Value
from model_factory.planning.settings.fields import MANY, Between, LabelKey, LabelValue, Text
from model_factory.planning.settings.problems import instead
from model_factory.planning.settings.reading import Finding, check

RULES: Final = "model-factory:rules"
Residency = Annotated[Mapping[LabelKey, Annotated[Mapping[LabelValue, Annotated[tuple[Text, ...], MANY]], MANY]], MANY]
"""Label → value → regions."""


class Budget(Value, frozen=True):
    """What the stack may cost."""

    usd_per_month: Annotated[Decimal, Between("0.01", "1000000000")]
    """The most that it may cost in a month, in USD; a policy refuses more."""
    basis: Literal["rest", "peak"] = "peak"
    """What is held against it: the stack at the least replicas of its models (rest), or at the most (peak)."""


class Rules(Value, frozen=True):
    """What holds for every model, whatever its own settings say."""

    spot: Literal["allowed", "never"] = "allowed"
    """May models run on machines that the cloud can take back? never: they skip spot, wherever it stands in their ladder."""
    budget: Budget | None = None
    """What the stack may cost, where that is less than the budget policy allows any stack."""
    preferred_cloud: Cloud | None = None
    """The cloud where a new model is placed if it fits there, whatever it costs in others. One that is placed stays; `factory plan` tells."""
    residency: Residency = Field(default={})
    """Regions that a model with a label must stay in: label, value, list of regions, as data: {eu: [eu-west-1]}."""

    def allowed(self, ladder: tuple[CapacityType, ...]) -> tuple[CapacityType, ...]:
        """`ladder` without what is never allowed."""
        return tuple(kind for kind in ladder if kind != "spot" or self.spot == "allowed")

    def residence(self, labels: Mapping[str, str]) -> frozenset[str] | None:
        """The regions where a model with `labels` may run: those that all of its rules name. None: no rule is about it."""
        named = [
            frozenset(self.residency[key].get(value, ())) for key, value in labels.items() if key in self.residency
        ]
        return frozenset.intersection(*named) if named else None

    def check(self, right: Right, clouds: Collection[Cloud]) -> Iterator[Finding]:
        """What takes the stack's clouds, or a table of regions, to judge."""
        if right("preferred_cloud") and self.preferred_cloud and clouds and self.preferred_cloud not in clouds:
            message = f"{self.preferred_cloud} is not set up in this stack; write {' or '.join(clouds)}"
            yield (RULES, "preferredCloud"), message
        known = sorted(region for facts in CLOUDS.values() for region in facts.regions)
        for label, values in self.residency.items() if right("residency") else ():
            for value, regions in values.items():
                if not regions:
                    yield (RULES, "residency", label, value), "names no region; name one at least, or remove it"
                for index, region in enumerate(regions):
                    if region not in known:
                        message = f"no cloud has a region {region!r}; {instead(region, known)}"
                        yield (RULES, "residency", label, value, index), message


def read_rules(config: Mapping[str, object], clouds: Collection[Cloud], found: list[Finding]) -> Rules:
    """The stack's rules; what is wrong with them is added to `found`."""
    raw = config.get(RULES)
    rules, findings = check(Rules, raw if raw is not None else {}, (RULES,), {})
    found += [*findings, *rules.value.check(rules.right, clouds)]
    return rules.value
