"""What the providers' own configuration says of clouds: texts such as `aws:region`, and endpoints, which tell a stack on local clouds
from one on real accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from model_factory.facts.clouds import CLOUDS, Cloud
from model_factory.graph.loopback import is_plain_url, loopback_port, on_loopback
from model_factory.planning.settings.cloud import Endpoints
from model_factory.planning.settings.clouds import SECTIONS
from model_factory.planning.settings.problems import show
from model_factory.planning.settings.reading import Finding


@dataclass(frozen=True, slots=True)
class Providers:
    """The configuration of the clouds' providers."""

    config: Mapping[str, object]
    endpoints: Mapping[Cloud, Endpoints]

    @classmethod
    def read(cls, config: Mapping[str, object]) -> Providers:
        """From the configuration; values of a wrong type count as absent, and `check_shapes` reports them."""
        return cls(config, {cloud: section.read_endpoints(config) for cloud, section in SECTIONS.items()})

    def told(self, key: str) -> str:
        """The text of a key; empty where it is not set."""
        value = self.config.get(key)
        return value if isinstance(value, str) else ""

    def local(self, cloud: Cloud) -> bool:
        """Does the cloud's provider talk to loopback? True with the first endpoint there: a mixture is refused."""
        return any(on_loopback(url) for _, url in self.endpoints[cloud].values())

    @property
    def any_local(self) -> bool:
        """Is any cloud on loopback?"""
        return any(self.local(cloud) for cloud in SECTIONS)

    def all_local(self, clouds: Iterable[Cloud]) -> bool:
        """Are all of `clouds` on loopback?"""
        return all(self.local(cloud) for cloud in clouds)

    @property
    def ports(self) -> dict[Cloud, int]:
        """The port of each cloud's endpoints; the first where they differ, no cloud without one."""
        return {
            cloud: port
            for cloud, endpoints in self.endpoints.items()
            for _, url in list(endpoints.values())[:1]
            if (port := loopback_port(url)) is not None
        }

    def check_shapes(self) -> Iterator[Finding]:
        """What of the configuration planning has to read and cannot."""
        for section in SECTIONS.values():
            yield from section.provider_shapes(self.config)

    def check_endpoints(self, clouds: Iterable[Cloud]) -> Iterator[Finding]:
        """A stack is on local clouds with all that it calls, or not at all."""
        for cloud in clouds:
            section, endpoints = SECTIONS[cloud], self.endpoints[cloud]
            for place, url in endpoints.values():
                if not is_plain_url(url):
                    yield (
                        place,
                        f"{show(url)} is no URL that all clients read alike; write https://<host>:<port>/<path>",
                    )
            if not self.local(cloud):
                if self.any_local:
                    yield (
                        (section.key(),),
                        f"{cloud} is a real account and another cloud is on loopback; give {cloud} local endpoints too",
                    )
                continue
            for place, url in endpoints.values():
                if is_plain_url(url) and not on_loopback(url):
                    yield (
                        place,
                        f"{url} is not on loopback, but other endpoints of {cloud} are; write http://127.0.0.1:<port>",
                    )
            for name in CLOUDS[cloud].endpoint_keys:
                if name not in endpoints:
                    yield (
                        section.endpoint_place(),
                        f"there is no endpoint for {name}, whose calls would go to a real account; add it",
                    )
