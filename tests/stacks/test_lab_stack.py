from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from model_factory.local.lab import cache
from model_factory.local.lab.images.store import ImageStore
from model_factory.local.lab.weights.store import MODELS

ROOT = Path(__file__).parents[2]
MADE_OF = {"embeddings": "triton", "file-types": "triton", "llm": "llama-cpp"}


@pytest.fixture(scope="module")
def config() -> Any:
    return yaml.safe_load((ROOT / "Pulumi.lab.yaml").read_text(encoding="utf-8"))["config"]


def digest(image: str) -> str:
    return image.partition("@")[2]


class TestImagesOfTheLab:
    @pytest.mark.slow
    def test_are_those_that_are_made_here(self, config: Any) -> None:
        if not (cache.root() / "debs").is_dir() or not (cache.root() / "wheels").is_dir():
            pytest.skip("what images are made of is not in the cache; `factory lab build` brings it")
        made = {name: image.digest for name, image in ImageStore().images().items()}
        models = config["model-factory:models"]
        assert {name: digest(models[name]["image"]) for name in MADE_OF} == {
            name: made[image] for name, image in MADE_OF.items()
        }
        assert digest(config["model-factory:local"]["fetcher"]) == made["fetch"]


class TestModelsOfTheLab:
    def test_that_answer_are_those_whose_weights_are_made_here(self, config: Any) -> None:
        answer = {name for name, model in config["model-factory:models"].items() if model.get("gpusPerReplica") == 0}
        assert answer == set(MODELS) == set(MADE_OF)
