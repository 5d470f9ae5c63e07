"""Folders of the local clouds' buckets in clusters that run no driver to mount them: copied into the Pod before its server starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

import pulumi

from components.kubernetes.network_policy import to_port
from components.kubernetes.weights.route import VOLUME, Fetch, Folder, PodToken, PodWeights, mount_path
from model_factory.facts.clouds import Cloud
from model_factory.planning.settings.sections import ModelSettings, Settings

_SPARE_GIB: Final = 1


@dataclass(frozen=True, slots=True)
class Fetching:
    """How Pods copy from the local clouds: the image that does it, and where it finds each cloud."""

    image: str
    host: str
    ports: Mapping[Cloud, int]

    @classmethod
    def of(cls, settings: Settings) -> Fetching | None:
        """None where buckets are mounted."""
        local = settings.local
        return cls(local.fetcher, local.clouds_host, settings.ports) if local and local.fetcher else None

    def url(self, cloud: Cloud) -> str:
        """Where Pods call a cloud."""
        return f"http://{self.host}:{self.ports[cloud]}"


@dataclass(frozen=True, slots=True)
class FetchedBuckets:
    """The buckets of one site; `own` is the stack's. `env` tells the fetcher, in its clients' own words, where their store is.

    The whole place is copied for each Pod: a replica starts later than where the cloud's driver mounts.
    """

    scheme: Literal["s3", "gs"]
    own: pulumi.Input[str]
    image: str
    env: Mapping[str, pulumi.Input[str]]
    port: int
    token: PodToken | None = None

    def weights(self, model: ModelSettings, folder: Folder) -> PodWeights:
        """A folder as a model's weights, read with the Pod's identity where it has one."""
        size_gib = ceil(model.weights_gib) + _SPARE_GIB
        place = pulumi.Output.concat(f"{self.scheme}://", folder.bucket or self.own, "/", folder.prefix)
        return PodWeights(
            argument=mount_path(model),
            volume=lambda _: {"name": VOLUME, "empty_dir": {"size_limit": f"{size_gib}Gi"}},
            fetch=Fetch(image=self.image, args=(place,), env=self.env, token=self.token, size_gib=size_gib),
            egress=(to_port(self.port),),
            reads=folder,
        )
