"""The two images that a node cannot do without: what holds a Pod's namespaces, and the cluster's DNS. Each is one program of the lab's."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_factory.local.lab import registry

HOST: Final = "lab.model-factory.internal"
"""The registry's name in references to them; it leads to the lab's registry, like every other name."""
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_NOBODY: Final = "65532:65532"


@dataclass(frozen=True, slots=True)
class Image:
    """An image of one static program."""

    name: str
    program: Path
    arguments: Sequence[str] = ()

    def push(self, url: str, memory: Path) -> str:
        """Put it into the registry at `url`, and return the reference to pull it by. `memory` keeps what was pushed, so that it is built once."""
        key = f"{url} {self.program} {self.program.stat().st_size} {self.program.stat().st_mtime_ns}"
        known: dict[str, str] = {}
        with suppress(OSError, ValueError):
            known = json.loads(memory.read_text())
        digest = known.get(key)
        if digest is None or not registry.holds(url, self.name, digest):
            digest = self._push(url)
            memory.write_text(json.dumps({**known, key: digest}))
        return f"{HOST}/{self.name}@{digest}"

    def _push(self, url: str) -> str:
        with tempfile.TemporaryDirectory(prefix="image-") as folder:
            layer = registry.static_layer(Path(folder, "layer.tar"), {self.name: self.program})
            entry = {"Entrypoint": [f"/{self.name}", *self.arguments], "User": _NOBODY, "WorkingDir": "/"}
            config = registry.image_config([layer], architecture=architecture(), config=entry)
            return registry.push(url, self.name, "lab", config, [layer])


def architecture() -> str:
    """This machine's, in the words of images."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())
