"""Images that run as a user who is not root, over layers that were made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from model_factory.local.lab import registry
from model_factory.local.lab.registry import Layer

USER: Final = "1000:1000"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is made: what a registry is given."""

    name: str
    config: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """By which it is pulled, as sha256:<64 hex digits>."""
        return registry.digest_of(registry.manifest(self.config, self.layers))

    def push(self, url: str, repository: str, tag: str) -> str:
        """Puts it into the registry at `url`; its digest. Raises LabError."""
        return registry.push(url, repository, tag, self.config, self.layers)


def image_of(
    name: str, layers: Sequence[Layer], environment: Mapping[str, str], entrypoint: Sequence[str] = ()
) -> Image:
    """An image for Linux on x86-64."""
    config = {
        **({"Entrypoint": [*entrypoint]} if entrypoint else {}),
        "Env": [f"{key}={value}" for key, value in environment.items()],
        "User": USER,
        "WorkingDir": "/",
    }
    return Image(name, registry.image_config(layers, architecture="amd64", config=config), tuple(layers))
