"""`factory cost` on the repository's own stacks, without a cloud, an account or state."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from model_factory.cli.main import app
from model_factory.cli.session import Session
from model_factory.planning.placing.plan import filled
from tests.preview.estate import Model, estate

ROOT = Path(__file__).parents[2]


def cost(project: Path, *arguments: str, columns: int = 160) -> str:
    command = ["cost", "--cwd", str(project), *arguments]
    result = CliRunner().invoke(app, command, env={"COLUMNS": str(columns)}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def stored(project: Path, *resources: dict[str, Any]) -> None:
    """Gives the dev stack a state of these resources under its root."""
    root = {
        "urn": "urn:pulumi:dev::model-factory::pulumi:pulumi:Stack::model-factory-dev",
        "custom": False,
        "type": "pulumi:pulumi:Stack",
    }
    manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
    document = {"version": 3, "deployment": {"manifest": manifest, "resources": [root, *resources]}}
    store = Session.open("dev", project).store
    with store.lock():
        store.import_(document)


def key(name: str) -> dict[str, Any]:
    provider = "urn:pulumi:dev::model-factory::pulumi:providers:aws::default"
    return {
        "urn": f"urn:pulumi:dev::model-factory::aws:kms/key:Key::{name}",
        "custom": True,
        "id": name,
        "type": "aws:kms/key:Key",
        "inputs": {"region": "us-east-1"},
        "outputs": {"region": "us-east-1"},
        "parent": "urn:pulumi:dev::model-factory::pulumi:pulumi:Stack::model-factory-dev",
        "provider": f"{provider}::1",
    }


PROVIDER = {
    "urn": "urn:pulumi:dev::model-factory::pulumi:providers:aws::default",
    "custom": True,
    "id": "1",
    "type": "pulumi:providers:aws",
    "inputs": {"region": "us-east-1"},
    "outputs": {"region": "us-east-1"},
}


class TestSites:
    """A model on spot with a fall-back in AWS, and in Google Cloud too."""

    @pytest.fixture
    def stack(self, project: Path) -> Path:
        states = estate({"chat": (Model("aws", 1, 3, spot=True), Model("gcp", 1, 1))}, spot_nodes=2)
        stored(project, *list(states.values())[1:])
        return project

    def test_rows_by_site_add_up_to_the_models_and_legs_are_parts_of_them(self, stack: Path) -> None:
        bill = json.loads(cost(stack, "--json"))
        rows = {(each["cloud"], each["region"]): each for each in bill["sites"] if each["owner"] == "chat"}
        assert set(rows) == {("aws", "us-east-1"), ("gcp", "us-central1")}
        (together,) = bill["models"]
        for when in ("idle", "peak"):
            assert sum(Decimal(each["usdPerHour"][when]) for each in rows.values()) == Decimal(
                together["usdPerHour"][when]
            )
        legs = {each["capacityType"]: each["gpuHoursPerMonth"] for each in rows["aws", "us-east-1"]["legs"]}
        assert legs == {"spot": {"idle": "730", "peak": "1460"}, "on-demand": {"idle": "0", "peak": "730"}}

    def test_people_read_the_sum_then_each_site_and_its_legs(self, stack: Path) -> None:
        rows = [line.split()[:2] for line in cost(stack).splitlines()]
        start = rows.index(["chat", "all"])
        assert rows[start : start + 5] == [
            ["chat", "all"],
            ["chat", "aws/us-east-1"],
            ["of", "it"],
            ["of", "it"],
            ["chat", "gcp/us-central1"],
        ]


@pytest.mark.slow
class TestTerminals:
    @pytest.mark.parametrize("columns", [80, 100, 160])
    def test_sites_and_amounts_are_whole(self, project: Path, columns: int) -> None:
        shown = cost(project, "--stack", "prod", columns=columns)
        lines, _, parts = shown.partition("part ")
        assert (
            len(re.findall(r" (?:hour|GB|GB-month|month|GB-hour) .*\d\.\d{4} +[\d,]+\.\d{4} *$", lines, re.MULTILINE))
            > 20
        )
        assert "aws/us-east-1 " in parts
        assert re.search(r"total +[\d,]+\.\d{4} +[\d,]+\.\d{4} +[\d,]+\.\d\d +[\d,]+\.\d\d", parts)
        assert "…" not in parts


class TestFromTheProgram:
    def test_lines_add_up_to_the_total_of_prod_without_an_account(self, project: Path) -> None:
        bill = json.loads(cost(project, "--stack", "prod", "--json"))
        assert bill["basis"] == "program"
        for when in ("idle", "peak"):
            lines = sum(Decimal(line["usdPerHour"][when]) for line in bill["lines"])
            owners = sum(Decimal(owner["usdPerHour"][when]) for owner in bill["owners"])
            assert lines == owners == Decimal(bill["total"]["usdPerHour"][when]) > 0
        assert all(line["source"] and line["asOf"] for line in bill["lines"])

    def test_each_leg_costs_what_the_plan_says_of_it(self, project: Path) -> None:
        file, yaml = project / "Pulumi.dev.yaml", YAML()
        stack = yaml.load(file)
        models = stack["config"]["model-factory:models"]
        stack["config"]["model-factory:aws"]["reservations"] = [
            {"name": "cr-0123456789abcdef0", "zone": "us-east-1a", "machineType": "g6e.xlarge", "machines": 2}
        ]
        del models["assistant"]["spot"], models["image-classifier"]["replicas"]
        models["assistant"]["capacity"] = ["reserved", "spot", "on-demand"]
        models["image-classifier"]["sites"] = {
            "aws/us-east-1": {"min": 2, "max": 4},
            "gcp/us-central1": {"min": 1, "max": 2},
        }
        yaml.dump(stack, file)
        planned = {
            (each.model.name, each.cloud, each.region, leg.capacity_type): [
                leg.usd_per_hour(filled(each.legs, replicas)[leg.rank])
                for replicas in (each.replicas.min, each.replicas.max)
            ]
            for each in Session.open("dev", project).plan.placements
            for leg in each.legs
        }
        billed = {
            (site["owner"], site["cloud"], site["region"], leg["capacityType"]): leg["usdPerHour"]
            for site in json.loads(cost(project, "--json"))["sites"]
            for leg in site["legs"]
            if not site["owner"].startswith("(")
        }
        assert len(planned) == 11
        for key, amounts in planned.items():
            span = billed.get(key, {"idle": 0, "peak": 0})
            assert [Decimal(span[when]) for when in ("idle", "peak")] == amounts, key

    def test_people_read_a_table_and_what_is_not_in_it(self, project: Path) -> None:
        shown = cost(project)
        for told in ("control plane", "(shared)", "machines on spot", "not in the total", "prices of"):
            assert told in shown


class TestFromTheState:
    def test_the_state_is_what_is_paid_for(self, project: Path) -> None:
        stored(project, PROVIDER, key("one"), key("two"))
        bill = json.loads(cost(project, "--json"))
        assert bill["basis"] == "state"
        assert [line["what"] for line in bill["lines"]] == ["key", "key"]
        assert bill["total"]["usdPerMonth"]["idle"].startswith("1.99999")  # two keys at 1.00, by the hour

    @pytest.mark.slow
    def test_planned_asks_the_program_all_the_same(self, project: Path) -> None:
        stored(project, PROVIDER, key("one"))
        assert json.loads(cost(project, "--planned", "--json"))["basis"] == "program"


class TestBasis:
    def test_is_the_program_and_says_so_where_a_state_is_empty_as_after_a_destroy(self, project: Path) -> None:
        store = Session.open("dev", project).store
        manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
        with store.lock():
            store.import_({"version": 3, "deployment": {"manifest": manifest, "resources": []}})
        assert store.exists()
        said = cost(project)
        assert "from what its program describes, as nothing of it stands here" in said
        assert "assistant" in said
        assert "as nothing" not in cost(project, "--planned").splitlines()[0]
