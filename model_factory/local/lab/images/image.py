"""Images in OCI's form: a configuration and a manifest over layers. github.com/opencontainers/image-spec, config.md and manifest.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from model_factory.local.lab.images.layers import Layer

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
USER: Final = "1000:1000"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is made: what a registry is given, byte for byte."""

    name: str
    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """By which it is pulled, as sha256:<64 hex digits>."""
        return _digest(self.manifest)

    @property
    def config_digest(self) -> str:
        """By which its manifest names the configuration."""
        return _digest(self.config)


def image_of(name: str, layers: Sequence[Layer], environment: Mapping[str, str]) -> Image:
    """An image for Linux on x86-64 that runs as a user who is not root; it has no command of its own."""
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": [f"{key}={value}" for key, value in environment.items()],
                "User": USER,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [each.digest for each in layers]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": each.digest, "size": each.size_bytes} for each in layers],
        }
    )
    return Image(name, config, manifest, tuple(layers))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
