"""The images as they lie in the lab's cache: made once, found again by what they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from model_factory.local.lab import cache
from model_factory.local.lab.images import debian, wheels
from model_factory.local.lab.images.catalogue import RECIPES, Materials, Part, Recipe
from model_factory.local.lab.images.image import Image, image_of
from model_factory.local.lab.images.layers import write_layer
from model_factory.local.lab.registry import Layer

_TAR: Final = "layer.tar"
_SOURCES: Final = Path(__file__).parent
Report = Callable[[str], None]


class ImageStore:
    """The images of the cache, or of another folder. `report` is told which layer is made."""

    def __init__(self, report: Report = lambda _: None, folder: Path | None = None) -> None:
        self._folder = cache.root() if folder is None else folder
        self._report = report

    def image(self, recipe: Recipe) -> Image:
        """The image, made where it is not there. LabError, where what it is made of cannot be had."""
        return image_of(
            recipe.name, [self._layer(part) for part in recipe.parts], recipe.environment, recipe.entrypoint
        )

    def images(self) -> dict[str, Image]:
        """All images by name."""
        return {recipe.name: self.image(recipe) for recipe in RECIPES}

    def _layer(self, part: Part) -> Layer:
        # Named by what goes in: a changed lock or recipe is another folder, and an old one is nobody's any more.
        folder = self._folder / "layers" / f"{part.name}-{_inputs(part)}"

        def make(into: Path, _lock: int) -> None:
            self._report(f"making the layer {part.name}")
            write_layer(into / _TAR, part.entries(self._materials(part)))

        cache.made_once(folder, make)
        return Layer.of(folder / _TAR)

    def _materials(self, part: Part) -> Materials:
        lock = wheels.read_lock()
        wanted = [lock[name] for name in part.wheels]
        files = wheels.fetch(wanted, self._folder / "wheels")
        debs = debian.fetch(debian.read_lock(), self._folder / "debs")
        return Materials(tuple(debs), dict(zip(part.wheels, files, strict=True)))


def _inputs(part: Part) -> str:
    """A digest of all that decides a layer's bytes: the locks, and the code that reads them."""
    digest = hashlib.sha256(part.name.encode())
    for source in sorted((*_SOURCES.glob("*.py"), debian.LOCK, wheels.LOCK)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
