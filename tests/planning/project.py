"""A valid stack file, and helpers that write a changed one and read it back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.kubernetes.serving import SERVING
from model_factory.facts.aws import services as aws
from model_factory.facts.gcp import services as gcp
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.load import read_config, read_files
from model_factory.planning.settings.problems import Problem, SettingsError
from model_factory.planning.settings.sections import Settings
from model_factory.planning.settings.stackfile import StackFile, read_project_file, read_stack_file

DIGEST = "sha256:" + "1" * 64
AWS_SERVICES = tuple(keys[0] for keys in aws.SERVICES.values())
GCP_SERVICES = tuple(
    keys[0].removesuffix("CustomEndpoint") for name, keys in gcp.SERVICES.items() if name not in gcp.OPTIONAL
)

STACK: dict[str, Any] = {
    "config": {
        "aws:region": "us-east-1",
        "aws:endpoints": [dict.fromkeys(AWS_SERVICES, "http://127.0.0.1:4610")],
        "gcp:project": "model-factory-dev",
        "gcp:region": "us-central1",
        **{f"gcp:{service}CustomEndpoint": f"http://127.0.0.1:4611/{service}/v1/" for service in GCP_SERVICES},
        "model-factory:environment": "dev",
        "model-factory:labels": {"team": "inference"},
        "model-factory:aws": {"regions": ["us-east-1"], "kubernetesVersion": "1.35"},
        "model-factory:gcp": {"regions": ["us-central1"], "kubernetesVersion": "1.35"},
        "model-factory:models": {
            "llm": {
                "runtime": "vllm",
                "image": f"vllm/vllm-openai:v0.10.2@{DIGEST}",
                "weights": {"uri": "hf://Qwen/Qwen2.5-7B-Instruct", "revision": "a" * 40},
                "gpuMemoryGib": 22,
                "cpu": 3,
                "memoryGib": 12,
                "p95LatencyMs": 2000,
                "requestsPerSecond": 10,
                "replicas": {"min": 1, "max": 3},
                "clouds": ["aws", "gcp"],
                "spot": True,
            },
            "resnet": {
                "runtime": "tensorflow-serving",
                "image": f"tensorflow/serving@{DIGEST}",
                "weights": {"uri": "bucket://resnet"},
                "gpuMemoryGib": 6.5,
                "p95LatencyMs": 100,
                "requestsPerSecond": 200,
                "replicas": {"min": 1, "max": 4},
            },
        },
    }
}

Edit = Callable[[dict[str, Any]], object]


def load(stack_file: Path, project_file: Path) -> Settings:
    """The settings of a stack file whose models all fit somewhere, as the command reads them."""
    reading = read_files(read_stack_file(stack_file), read_project_file(project_file), SERVING)
    return planned(reading, market())[0]


def from_config(config: Mapping[str, object], where: StackFile | None = None, *, stack: str = "") -> Settings:
    """The same as the program reads them."""
    return planned(read_config(config, SERVING, where, stack=stack), market())[0]


class Project:
    """A project folder with one stack file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stack_file = root / "Pulumi.dev.yaml"
        self.project_file = root / "Pulumi.yaml"
        self.project_file.write_text("name: model-factory\nruntime: python\n")

    def write(self, *edits: Edit) -> str:
        """Writes the valid stack file after `edits` of its `config`."""
        stack = copy.deepcopy(STACK)
        for edit in edits:
            edit(stack["config"])
        return self.write_stack(stack)

    def write_stack(self, stack: object) -> str:
        yaml = YAML()
        yaml.default_flow_style = False
        with self.stack_file.open("w") as out:
            yaml.dump(stack, out)
        return self.stack_file.read_text()

    def load(self, *edits: Edit) -> Settings:
        self.write(*edits)
        return load(self.stack_file, self.project_file)

    def problems(self, *edits: Edit) -> tuple[Problem, ...]:
        """The problems of the file so edited; there must be some."""
        self.write(*edits)
        return self.problems_as_written()

    def problems_of_text(self, text: str) -> tuple[Problem, ...]:
        self.stack_file.write_text(text)
        return self.problems_as_written()

    def problems_as_written(self) -> tuple[Problem, ...]:
        with pytest.raises(SettingsError) as refused:
            load(self.stack_file, self.project_file)
        return refused.value.problems

    def line_of(self, fragment: str) -> int:
        """The line of the first occurrence of `fragment`."""
        lines = self.stack_file.read_text().splitlines()
        return next(number for number, line in enumerate(lines, start=1) if fragment in line)


def put(path: str, value: object) -> Edit:
    """An edit: sets `model-factory:models/llm/replicas/min`."""
    *outer, last = path.split("/")

    def edit(config: dict[str, Any]) -> None:
        for part in outer:
            config = config[part]
        config[last] = value

    return edit


def drop(path: str) -> Edit:
    """An edit: removes the key."""
    *outer, last = path.split("/")

    def edit(config: dict[str, Any]) -> None:
        for part in outer:
            config = config[part]
        del config[last]

    return edit
