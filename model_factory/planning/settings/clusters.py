"""Where a stack's Kubernetes objects go: the key `model-factory:local.kubernetes`, each of its choices a class.

local: {kubernetes: files}                        # the default: YAML files, and no cluster
local: {kubernetes: lab}                          # the local clouds' clusters have control planes on this machine
local: {kubernetes: {aws/us-east-1: kind-dev}}    # clusters of one's own, by their contexts in the kubeconfig
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, cast

from pydantic import PlainValidator, WithJsonSchema

from model_factory.planning.settings.fields import refuse
from model_factory.planning.settings.problems import instead, show

FILES: Final = "files"
LAB: Final = "lab"


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clouds' own clusters, as on real accounts."""

    of_local_clouds: ClassVar[str] = FILES
    """What the local clouds are told to make of a cluster (`--kubernetes`)."""
    tokens_are_local: ClassVar[bool] = False
    """Whether the local clouds tell whose a token is, so that it is `factory` that makes one."""

    def folder(self, render_to: str) -> str | None:  # noqa: ARG002  some have none
        """The folder of rendered objects; None where a cluster takes them."""
        return None

    def context(self, site: str) -> str | None:  # noqa: ARG002
        """The kubeconfig's context that stands for the cluster of a site such as aws/us-east-1; None for the cloud's own cluster."""
        return None

    def problems(self, sites: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:  # noqa: ARG002
        """What of it does not fit a stack with these sites: the key below, and what is wrong there."""
        yield from ()


@dataclass(frozen=True, slots=True)
class RenderedClusters(Clusters):
    """YAML files, a folder a cluster."""

    def folder(self, render_to: str) -> str | None:
        return render_to


@dataclass(frozen=True, slots=True)
class LabClusters(Clusters):
    """Control planes on this machine, behind the local clouds."""

    of_local_clouds: ClassVar[str] = LAB
    tokens_are_local: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class NamedClusters(Clusters):
    """The user's own, a context a site."""

    contexts: Mapping[str, str] = field(default_factory=dict[str, str])

    def context(self, site: str) -> str | None:
        return self.contexts.get(site)

    def problems(self, sites: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
        for site in sites:
            if site not in self.contexts:
                yield (), f"names no context for {site}; add {site}: <context>, or write lab or files"
        for site in self.contexts:
            if site not in sites:
                yield (site,), f"is no site of this stack; {instead(site, sites)}, or remove it"


_WORDS: Final[Mapping[str, Clusters]] = {FILES: RenderedClusters(), LAB: LabClusters()}


def _read(given: object) -> Clusters:
    if isinstance(given, Clusters):
        return given
    if isinstance(given, str) and (found := _WORDS.get(given)) is not None:
        return found
    if not isinstance(given, Mapping) or not given:
        remedy = "write files, lab, or a context a site, as {aws/us-east-1: kind-dev}"
        raise refuse("kubernetes", f"{show(given)} is none of its choices; {remedy}")
    contexts = cast("Mapping[object, object]", given)
    for site, context in contexts.items():
        if not isinstance(site, str) or not isinstance(context, str) or not context.strip():
            message = f"{show(site)}: {show(context)} names no context; write one of `kubectl config get-contexts`, as {{aws/us-east-1: kind-dev}}"
            raise refuse("kubernetes", message)
    return NamedClusters({str(site): str(context) for site, context in contexts.items()})


_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string", "enum": [*_WORDS]},
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": r"^[a-z]+/\S+$"},
            "additionalProperties": {"type": "string", "minLength": 1},
        },
    ],
    "default": FILES,
}
Kubernetes = Annotated[Clusters, PlainValidator(_read), WithJsonSchema(_SCHEMA)]
