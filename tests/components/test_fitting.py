"""Whatever a stack file may say, what is declared for it fits: every resource of it passes the checks that know the clouds' limits.

Nothing is asked of a cloud: the program runs in previews over the local providers without one. What they check stands in their `limits.csv`,
their types and AWS's and Google's published models, so this holds for the Pulumi CLI on real accounts, too.
"""

from __future__ import annotations

import json
import os
import runpy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from model_factory.cli.project import find_project, program_config
from model_factory.local.engine.deploy import run
from model_factory.local.engine.request import Deployment, Program, Request
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore
from model_factory.local.providers.offline import Known, offline_providers
from model_factory.planning.settings.fields import LABELS, MODEL_NAME_MAX
from model_factory.planning.settings.stackfile import NAME_MAX, read_project_file, read_stack_file
from tests.planning.strategies import stack_files

ROOT = Path(__file__).parents[2]
LONGEST = "n" * NAME_MAX
ENDING = "e-" * (NAME_MAX // 2 - 1) + "ee"
"""As long, and cut behind a hyphen wherever an odd number of characters is left."""


def refusals(project: str, stack: str, document: dict[str, Any]) -> list[str]:
    """What a preview of this stack file fails with; empty where every resource is taken."""
    told: list[str] = []

    def note(event: dict[str, Any]) -> None:
        if (diagnostic := event.get("diagnosticEvent")) and diagnostic["severity"] == "error":
            told.append(diagnostic["message"])

    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n", encoding="utf-8")
        stack_file = root / f"Pulumi.{stack}.yaml"
        with stack_file.open("w", encoding="utf-8") as file:
            YAML().dump(document, file)
        found = find_project(root)
        config = program_config(found, read_stack_file(stack_file), lambda text: text)
        program = Program(found.name, stack, root, config.values, in_process=declare)
        crypter = PassphraseCrypter("fitting", new_salt("fitting"))
        with mock.patch.dict(os.environ, PULUMI_CONFIG=json.dumps(dict(config.values))):
            ended = run(
                Deployment(Request("preview"), program),
                store=StackStore(root / ".factory", found.name, stack, lambda: crypter),
                providers=offline_providers(Known(), root / "nowhere"),
                emit=note,
            )
    return told if told or ended.ok else ["the preview failed"]


def declare() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


def stretched(document: dict[str, Any]) -> dict[str, Any]:
    """The stack file with as much of every name and label as settings take, in models' names where they are."""
    most = LABELS.metadata[0].max_length  # type: ignore[attr-defined]
    config = dict(document["config"])
    models = {
        f"{name}-{'m' * MODEL_NAME_MAX}"[:MODEL_NAME_MAX]: {
            **model,
            "labels": {
                **model.get("labels", {}),
                **{f"m{number:02}{'k' * 60}": "v" * 63 for number in range(most - 2)},
            },
        }
        for name, model in config["model-factory:models"].items()
    }
    config["model-factory:models"] = models
    config["model-factory:labels"] = {f"s{number:02}{'k' * 60}": "v" * 63 for number in range(most)}
    return {"config": config}


def example_stack(name: str, **regions: str) -> dict[str, Any]:
    """A stack file of the repository, moved to other regions."""
    config = YAML(typ="safe").load((ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))["config"]
    for cloud, region in regions.items():
        config |= {f"{cloud}:region": region, f"model-factory:{cloud}": {"regions": [region]}}
    return {"config": config}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestWhatAnyStackFileDeclares:
    @given(document=stack_files(max_models=2, places=True), name=st.sampled_from([LONGEST, ENDING, "s"]))
    @example(document=example_stack("dev"), name=LONGEST)
    @example(document=example_stack("dev", aws="ap-southeast-2", gcp="us-central1"), name=ENDING)
    @settings(
        max_examples=4,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def test_is_refused_by_no_cloud_however_long_its_names(self, document: dict[str, Any], name: str) -> None:
        assert refusals(name, name, stretched(document)) == []

    def test_is_refused_where_a_name_does_not_fit(self) -> None:
        """The check above can fail: a project whose account is none of Google's."""
        document = example_stack("dev")
        document["config"]["gcp:project"] = "Example"
        assert refusals("model-factory", "dev", document) != []


class TestNamesOfStacksAndProjects:
    @pytest.mark.parametrize("name", ["Dev", "dev_1", "dev.1", "1dev", "dev-", "a--b", "d" * (NAME_MAX + 1)])
    def test_that_no_cloud_would_take_are_refused_with_one_that_all_take(self, tmp_path: Path, name: str) -> None:
        stack_file, project_file = tmp_path / f"Pulumi.{name}.yaml", tmp_path / "Pulumi.yaml"
        stack_file.write_text("config: {model-factory:environment: dev}\n", encoding="utf-8")
        project_file.write_text(f"name: {name}\n", encoding="utf-8")
        for problems in (read_stack_file(stack_file).problems, read_project_file(project_file).problems):
            (problem,) = problems
            assert repr(name) in problem.message
            nearest = problem.message.rpartition(" ")[2].removeprefix("Pulumi.").removesuffix(".yaml")
            (tmp_path / f"Pulumi.{nearest}.yaml").write_text(
                "config: {model-factory:environment: dev}\n", encoding="utf-8"
            )
            assert read_stack_file(tmp_path / f"Pulumi.{nearest}.yaml").problems == ()

    def test_of_the_longest_kind_pass(self, tmp_path: Path) -> None:
        stack_file = tmp_path / f"Pulumi.{ENDING}.yaml"
        stack_file.write_text("config: {model-factory:environment: dev}\n", encoding="utf-8")
        assert read_stack_file(stack_file).problems == ()
