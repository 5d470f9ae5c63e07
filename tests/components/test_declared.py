"""What the program exports as its cost is the bill of what it declares: for the stacks of the repository, and for any other."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from ruamel.yaml import YAML

from components.declared import cost_outputs
from model_factory.cli.offline import declared, offline
from model_factory.cli.session import Session
from model_factory.cost import bill_of
from model_factory.engines.values import resource
from model_factory.facts.prices import price_table
from model_factory.graph.resource import Resource
from model_factory.graph.urn import STACK_TYPE
from model_factory.local.engine.deploy import run
from model_factory.local.engine.request import Deployment, Request
from tests.components.conftest import run_config
from tests.planning.project import GCP_SERVICES
from tests.planning.strategies import stack_files

ROOT = Path(__file__).parents[2]
COSTS = ("usd_per_hour", "usd_per_month")


def session_of(folder: Path, stack: str, document: Mapping[str, Any] | None = None) -> Session:
    """A project of the repository's program, with one of its stack files and its plan lock, or with another file and none."""
    for name in ("Pulumi.yaml", "__main__.py", f"Pulumi.{stack}.yaml", f"Pulumi.{stack}.plan.yaml"):
        shutil.copy(ROOT / name, folder / name)
    if document is not None:
        (folder / f"Pulumi.{stack}.plan.yaml").unlink()
        with (folder / f"Pulumi.{stack}.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(document, file)
    return Session.open(stack, folder)


def exported(resources: list[Resource]) -> dict[str, Any]:
    root = next(each for each in resources if each.type == STACK_TYPE)
    return {name: root.outputs[name] for name in COSTS}


def in_process(session: Session) -> list[Resource]:
    """As `declared`, with the program in this process, so that an example costs seconds."""
    main = str(session.project.root / "__main__.py")
    with offline(session, None) as stack:
        program = replace(stack.program, in_process=lambda: void(runpy.run_path(main, run_name="__main__")))
        deployment = Deployment(Request("preview"), program)
        with mock.patch.dict(os.environ, PULUMI_CONFIG=json.dumps(dict(program.config))):
            outcome = run(deployment, store=stack.store, providers=stack.providers, emit=lambda _: None)
    assert outcome.ok, outcome.failures
    return [resource(state) for state in outcome.planned]


@pytest.fixture(autouse=True)
def own_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session adds its project's folder to the import path."""
    monkeypatch.setattr(sys, "path", sys.path.copy())


def void(_: object) -> None:
    """A program's resources register themselves."""


def on_hyperdisks(machine: str, region: str, zone: str) -> dict[str, Any]:
    """A stack of one model on a machine that takes Hyperdisks alone, of which there are few in the tables."""
    model = {
        "runtime": "vllm",
        "image": f"registry.example/server@sha256:{'0' * 64}",
        "weights": {"uri": "hf://owner/model", "revision": "0" * 40},
        "machineTypes": [machine],
        "gpuMemoryGib": 1000.0,
        "gpusPerReplica": 8,
        "cpu": 8,
        "memoryGib": 64.0,
        "p95LatencyMs": 1000,
        "requestsPerSecond": 1.0,
        "replicas": {"min": 1, "max": 2},
    }
    services = {f"gcp:{each}CustomEndpoint": f"http://127.0.0.1:4611/{each}/v1/" for each in GCP_SERVICES}
    return {
        "config": {
            "model-factory:environment": "dev",
            "gcp:project": "model-factory-dev",
            "gcp:region": region,
            "model-factory:gcp": {"regions": [region], "zones": [zone]},
            "model-factory:models": {"large": model},
            **services,
        }
    }


class TestRepositoryStacks:
    @pytest.mark.slow
    @pytest.mark.parametrize("stack", ["dev", "prod"])
    def test_export_the_bill_of_what_they_declare(self, tmp_path: Path, stack: str) -> None:
        resources = declared(session_of(tmp_path, stack))
        costs = exported(resources)
        assert costs == cost_outputs(bill_of(resources, today=datetime.now(UTC).date()))
        least, most = (float(costs["usd_per_month"][key]) for key in ("least", "most"))
        assert 0 < least < most
        assert float(costs["usd_per_hour"]["least"]) * 730 == pytest.approx(least, rel=1e-3)

    def test_a_version_in_extended_support_costs_what_it_costs(self, tmp_path: Path) -> None:
        config = json.loads(json.dumps(YAML(typ="safe").load(ROOT / "Pulumi.dev.yaml")["config"]))
        amounts: list[Decimal] = []
        for version in ("1.32", "1.36"):
            config["model-factory:aws"]["kubernetesVersion"] = version
            (folder := tmp_path / version).mkdir()
            amounts.append(Decimal(run_config(config, "dev", folder).outputs["usd_per_hour"]["least"]))
        extended, standard = (
            price_table().prices["aws", "*", item].usd for item in ("eks-control-plane-extended", "eks-control-plane")
        )
        assert amounts[0] - amounts[1] == extended - standard > 0

    @pytest.mark.parametrize("stack", ["dev", "prod"])
    def test_export_the_same_where_all_values_are_known(self, stack: str, request: pytest.FixtureRequest) -> None:
        recorder = request.getfixturevalue(stack)
        resources = [
            Resource(each.urn, each.type, each.inputs, parent=each.parent, provider=each.provider)
            for each in recorder.resources
        ]
        assert {name: recorder.outputs[name] for name in COSTS} == cost_outputs(
            bill_of(resources, today=datetime.now(UTC).date())
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # modules of the SDKs load at their first use
class TestAnyStack:
    @given(document=stack_files(max_models=3))
    @example(document=on_hyperdisks("a3-ultragpu-8g", "us-central1", "us-central1-b"))
    @settings(
        max_examples=6,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def test_exports_the_bill_of_what_it_declares(
        self, document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        resources = in_process(session_of(tmp_path_factory.mktemp("stack"), "dev", document))
        assert exported(resources) == cost_outputs(bill_of(resources, today=datetime.now(UTC).date()))
