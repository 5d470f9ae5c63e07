"""A stack's settings while they are judged: every section with its wrong fields marked, and what the providers are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.planning.settings.problems import show
from model_factory.planning.settings.provider_keys import on_loopback
from model_factory.planning.settings.reading import Checked, Finding, decoded
from model_factory.planning.settings.sections import (
    AwsSettings,
    GcpSettings,
    LocalSettings,
    ModelConfig,
)
from model_factory.planning.settings.serving import Serving
from model_factory.planning.settings.stackfile import KeyPath, Secure


@dataclass(frozen=True, slots=True)
class Providers:
    """What the providers' own configuration says."""

    aws_region: str
    gcp_project: str
    gcp_region: str
    aws_endpoints: Mapping[str, tuple[KeyPath, str]]
    """Service → place and URL; the last one wins, as in the provider."""
    gcp_endpoints: Mapping[str, str]
    """Key without `gcp:` → URL."""

    @classmethod
    def read(cls, config: Mapping[str, object]) -> Providers:
        """From the configuration; values of a wrong type count as absent and are reported by `check_all`."""

        def text(key: str) -> str:
            value = config.get(key)
            return value if isinstance(value, str) else ""

        endpoints: dict[str, tuple[KeyPath, str]] = {}
        listed = decoded(config.get("aws:endpoints"))
        for index, group in enumerate(cast("Sequence[object]", listed) if isinstance(listed, list) else []):
            for service, url in (
                cast("Mapping[str, object]", group).items() if isinstance(group, Mapping) else ()
            ):
                endpoints[service] = (("aws:endpoints", index, service), str(url))
        custom = {
            key.removeprefix("gcp:"): str(url)
            for key, url in config.items()
            if key.startswith("gcp:") and key.endswith("CustomEndpoint")
        }
        return cls(text("aws:region"), text("gcp:project"), text("gcp:region"), endpoints, custom)

    def local(self, cloud: Cloud) -> bool:
        """Does the cloud's provider talk to loopback? True with the first endpoint there: a mixture is refused."""
        urls = (
            [url for _, url in self.aws_endpoints.values()] if cloud == "aws" else self.gcp_endpoints.values()
        )
        return any(on_loopback(url) for url in urls)

    @property
    def ports(self) -> dict[Cloud, int]:
        """The port of each cloud's endpoints; the first where they differ, no cloud without one."""
        urls: dict[Cloud, list[str]] = {
            "aws": [url for _, url in self.aws_endpoints.values()],
            "gcp": list(self.gcp_endpoints.values()),
        }
        return {
            cloud: port
            for cloud, found in urls.items()
            if found and (port := urlsplit(found[0]).port) is not None
        }

    @property
    def any_local(self) -> bool:
        """Is any cloud on loopback?"""
        return self.local("aws") or self.local("gcp")

    def all_local(self, clouds: Iterable[Cloud]) -> bool:
        """Are all of `clouds` on loopback?"""
        return all(self.local(cloud) for cloud in clouds)


@dataclass(frozen=True, slots=True)
class Draft:
    """All sections, each with its wrong fields marked."""

    providers: Providers
    aws: Checked[AwsSettings] | None
    gcp: Checked[GcpSettings] | None
    local: Checked[LocalSettings] | None
    models: Mapping[str, Checked[ModelConfig]]
    serving: Serving

    @property
    def clouds(self) -> tuple[Cloud, ...]:
        """The clouds that are set."""
        present: dict[Cloud, object] = {"aws": self.aws, "gcp": self.gcp}
        return tuple(cloud for cloud, section in present.items() if section is not None)

    def regions(self, cloud: Cloud) -> tuple[str, ...]:
        """The cloud's regions."""
        section = self.aws if cloud == "aws" else self.gcp
        return section.value.regions if section is not None else ()

    def zones(self) -> tuple[str, ...]:
        """The zones chosen, of the clouds where they are as meant."""
        sections = (section for section in (self.aws, self.gcp) if section is not None)
        return tuple(zone for each in sections if each.right("zones") for zone in each.value.zones)

    def regions_right(self) -> bool:
        """Are all clouds' regions as meant, so that models can be judged by them?"""
        sections = [section for section in (self.aws, self.gcp) if section is not None]
        return all(section.right("regions") for section in sections) and all(
            region in CLOUDS[cloud].regions for cloud in self.clouds for region in self.regions(cloud)
        )


def with_aws_home(aws: Checked[AwsSettings], providers: Providers) -> Checked[AwsSettings]:
    """Fills `regions` from `aws:region` when they are left out."""
    if aws.value.regions or not providers.aws_region:
        return aws
    return Checked(aws.value.model_copy(update={"regions": (providers.aws_region,)}), aws.wrong)


def with_gcp_home(gcp: Checked[GcpSettings], providers: Providers) -> Checked[GcpSettings]:
    """Fills `regions` and `project` from `gcp:region` and `gcp:project` when they are left out."""
    update: dict[str, object] = {}
    if not gcp.value.regions and providers.gcp_region:
        update["regions"] = (providers.gcp_region,)
    if not gcp.value.project and providers.gcp_project:
        update["project"] = providers.gcp_project
    return Checked(gcp.value.model_copy(update=update), gcp.wrong) if update else gcp


def check_provider_shapes(config: Mapping[str, object]) -> Iterator[Finding]:
    """What of the providers' configuration planning has to read and cannot."""
    for key in ("aws:region", "gcp:project", "gcp:region"):
        value = config.get(key, "")
        if isinstance(value, Secure):
            yield (
                (key,),
                "is encrypted, but planning must read it; write it in plain text (it is not a secret)",
            )
        elif not isinstance(value, str):
            yield (key,), f"{show(value)} is not text; write a name"
    listed = decoded(config.get("aws:endpoints", []))
    groups = cast("Sequence[object]", listed) if isinstance(listed, list) else [None]
    if not all(isinstance(group, Mapping) for group in groups):
        yield (
            ("aws:endpoints",),
            "is not a list of mappings; write - ec2: http://127.0.0.1:<port>, and the other services below it",
        )


def check_endpoints(draft: Draft) -> Iterator[Finding]:
    providers = draft.providers
    urls: dict[Cloud, dict[str, tuple[KeyPath, str]]] = {
        "aws": dict(providers.aws_endpoints),
        "gcp": {key: ((f"gcp:{key}",), url) for key, url in providers.gcp_endpoints.items()},
    }
    for cloud in draft.clouds:
        if not providers.local(cloud):
            if providers.any_local:
                yield (
                    (f"model-factory:{cloud}",),
                    f"{cloud} is a real account and another cloud is on loopback; give {cloud} local endpoints too",
                )
            continue
        for place, url in urls[cloud].values():
            if not on_loopback(url):
                yield (
                    place,
                    f"{url} is not on loopback, but other endpoints of {cloud} are; write http://127.0.0.1:<port>",
                )
        for name in CLOUDS[cloud].endpoint_keys:
            if name not in urls[cloud]:
                place = ("aws:endpoints",) if cloud == "aws" else (f"model-factory:{cloud}",)
                yield (
                    place,
                    f"there is no endpoint for {name}, whose calls would go to a real account; add it",
                )
    if draft.local is not None:
        if draft.clouds and not providers.any_local:
            yield (
                ("model-factory:local",),
                "is for stacks on local clouds, and no endpoint of this one is on loopback; remove it",
            )
        elif draft.local.right("render_to") and ".." in draft.local.value.render_to.split("/"):
            yield (
                ("model-factory:local", "renderTo"),
                f"{draft.local.value.render_to!r} leads out of the project; write a folder inside",
            )


def twice(place: KeyPath, names: Sequence[str]) -> Iterator[Finding]:
    """A message for each name that is there already."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (*place, index), f"{name} is there twice; keep one"
