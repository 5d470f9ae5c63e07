"""Generated stacks: every placement fits by a checker that shares no code with the planner, and every refusal names what to change,
which, changed as it is told, is accepted."""

from __future__ import annotations

import copy
import csv
import re
from collections.abc import Callable
from decimal import Decimal
from importlib import resources
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from components.kubernetes.serving import SERVING
from model_factory.planning.placing.plan import Placement, Plan
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.load import read_config
from model_factory.planning.settings.problems import Problem, SettingsError
from tests.planning.strategies import stack_files

MODELS: Final = "model-factory:models"
MANY = settings(
    max_examples=200,
    # A stack is large: finding the smallest one that fails takes minutes and tells little more.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
SERVED_IN: Final = {"vllm": "bf16", "sglang": "bf16"}
"""What a server computes in by itself."""


def _table(*path: str) -> list[dict[str, str]]:
    text = resources.files("model_factory.facts").joinpath(*path).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


MACHINES = {row["machine_type"]: row for cloud in ("aws", "gcp") for row in _table(cloud, "machines.csv")}
ACCELERATORS = {row["accelerator"]: row for row in _table("accelerators.csv")}
SOLD = {
    (cloud, row["region"], row["machine_type"]): row
    for cloud in ("aws", "gcp")
    for row in _table(cloud, "offers.csv")
}  # fmt: skip


def plan_of(config: dict[str, Any]) -> Plan:
    return planned(read_config(config, SERVING, stack="dev"), market())[1]


def refused(config: dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as error:
        plan_of(config)
    return error.value.problems


def check(config: dict[str, Any], plan: Plan) -> None:
    """The checker: reads tables and stack file by itself."""
    models = config[MODELS]
    assert {each.model.name for each in plan.placements} == set(models)
    for name, model in models.items():
        placed = plan.of_model(name)
        spread = model.get("spread", {})
        wanted = len(model.get("sites", ())) or spread.get("regions") or spread.get("clouds") or 1
        assert len(placed) == wanted == len({str(each.site) for each in placed})
        if "clouds" in spread:
            assert len({each.cloud for each in placed}) == wanted
        if "replicas" in model:
            assert sum(each.replicas.min for each in placed) == model["replicas"]["min"]
            assert sum(each.replicas.max for each in placed) == model["replicas"]["max"]
        for each in placed:
            if "sites" in model:
                assert each.replicas.min == model["sites"][str(each.site)]["min"]
            _check_place(config, model, each)
            for leg in each.legs:
                _check_leg(config, model, each, leg.offer.machine_type, leg.replicas_per_node)
    for pool in plan.pools:
        need = sum(
            -(-(leg.most + 1) // leg.replicas_per_node)
            for each in plan.placements_of(pool.cloud, pool.region)
            for leg in each.legs
            if leg.pool == pool.name
        )
        assert pool.max_nodes >= need


def _check_place(config: dict[str, Any], model: dict[str, Any], placed: Placement) -> None:
    assert placed.region in config[f"model-factory:{placed.cloud}"]["regions"]
    assert placed.cloud in model.get("clouds", [placed.cloud])
    assert placed.region in model.get("regions", [placed.region])
    ways = [leg.capacity_type for leg in placed.legs]
    ladder = model.get("capacity") or (["spot", "on-demand"] if model.get("spot") else ["on-demand"])
    assert ways == [each for each in ladder if each in ways]
    machines = [MACHINES[leg.offer.machine_type] for leg in placed.legs]
    assert len({each["accelerator"] or re.split(r"[.-]", each["machine_type"])[0] for each in machines}) == 1


def _check_leg(config: dict[str, Any], model: dict[str, Any], placed: Placement, machine: str, together: int) -> None:
    row, kind = SOLD[placed.cloud, placed.region, machine], MACHINES[machine]
    assert machine in (model.get("machineTypes") or [machine])
    if gpus := model.get("gpusPerReplica", 1):
        accelerator = ACCELERATORS[kind["accelerator"]]
        assert kind["accelerator"] in (model.get("accelerators") or [kind["accelerator"]])
        assert gpus * together <= int(kind["accelerator_count"])
        assert Decimal(str(model["gpuMemoryGib"])) <= Decimal(accelerator["usable_gib"]) * gpus
        assert SERVED_IN.get(model["runtime"], "") in {"", *accelerator["formats"].split()}
    else:
        assert not kind["accelerator"]
        assert kind["architecture"] == model.get("architecture", "x86_64")
        assert set(model.get("cpuFeatures", ())) <= set(kind["features"].split())
    assert Decimal(str(model.get("memoryGib", 8))) * together < Decimal(kind["memory_gib"])
    cpu = str(model.get("cpu", 2))
    cores = Decimal(cpu[:-1]) / 1000 if cpu.endswith("m") else Decimal(cpu)
    assert cores * together < int(kind["vcpus"])
    zones = [zone[-1] for zone in config[f"model-factory:{placed.cloud}"].get("zones", ()) if placed.region in zone]
    if placed.cloud == "gcp" and zones:
        assert set(zones) & set(row["zones"].split())


class TestPlacements:
    @MANY
    @given(stack=stack_files(max_models=5), data=st.data())
    def test_fit_by_a_checker_of_its_own(self, stack: dict[str, Any], data: st.DataObject) -> None:
        config = stack["config"]
        _widen(data.draw, config)
        changed, made = accepted(config)
        check(changed, made)


def accepted(config: dict[str, Any]) -> tuple[dict[str, Any], Plan]:
    """A stack and its plan; where it is refused, changed as each refusal tells, which needs as many rounds as it has sites at most."""
    for _ in range(8):
        try:
            return config, plan_of(config)
        except SettingsError as error:
            for problem in error.problems:
                config = apply(config, problem)
    pytest.fail("it was changed as told, and is refused all the same")


def _widen(draw: Callable[..., Any], config: dict[str, Any]) -> None:
    """Ladders and several sites, on stacks that say nothing of them."""
    for model in config[MODELS].values():
        clouds = [cloud for cloud in ("aws", "gcp") if f"model-factory:{cloud}" in config]
        there = [f"{cloud}/{region}" for cloud in clouds for region in config[f"model-factory:{cloud}"]["regions"]]
        if "clouds" in model or "regions" in model or model["weights"]["uri"].startswith(("s3:", "gs:")):
            continue
        if draw(st.booleans()):
            model.pop("spot", None)
            model["capacity"] = draw(st.sampled_from([["spot", "on-demand"], ["on-demand"], ["on-demand", "spot"]]))
        kind = draw(st.sampled_from(["", "sites", "regions", "clouds"]))
        count = {"sites": len(there), "regions": len(there), "clouds": len(clouds)}.get(kind, 0)
        if count < 2:
            continue
        if kind == "sites":
            model.pop("replicas")
            model["sites"] = {site: {"min": 1, "max": draw(st.integers(1, 3))} for site in there}
        else:
            model["replicas"] = {"min": count, "max": count + draw(st.integers(0, 3))}
            model["spread"] = {kind: count}


Misfit = Callable[[Callable[..., Any], dict[str, Any]], None]


def _set(**values: Any) -> Misfit:
    def apply(draw: Callable[..., Any], model: dict[str, Any]) -> None:
        for key in ("accelerators", "machineTypes", "architecture", "cpuFeatures"):
            model.pop(key, None)
        model |= {"gpusPerReplica": model["gpusPerReplica"] or 1, "gpuMemoryGib": model.get("gpuMemoryGib", 6)}
        model.update(
            {key: draw(value) if isinstance(value, st.SearchStrategy) else value for key, value in values.items()}
        )

    return apply


def _without_gpus(**values: Any) -> Misfit:
    def apply(draw: Callable[..., Any], model: dict[str, Any]) -> None:
        _set(**values, gpusPerReplica=0, runtime="triton", weights={"uri": "bucket://m"})(draw, model)
        del model["gpuMemoryGib"]

    return apply


MISFITS: dict[str, Misfit] = {
    "accelerator sold elsewhere": _set(accelerators=["h200"], runtime="vllm", weights={"uri": "bucket://m"}),
    "CPU": _set(cpu=st.integers(300, 2000)),
    "CPU without GPUs": _without_gpus(cpu=st.integers(200, 2000)),
    "CPU of one machine without GPUs": _without_gpus(machineTypes=["m7i.large"], cpu=st.integers(2, 64), memoryGib=1),
    "architecture": _without_gpus(machineTypes=["c7g.xlarge", "c4a-standard-4"], cpu=1, memoryGib=1),
    "features": _without_gpus(machineTypes=["e2-standard-4"], cpuFeatures=["amx"], cpu=1, memoryGib=1),
    "memory without GPUs": _without_gpus(memoryGib=st.integers(5000, 90000)),
    "CPU of one machine": _set(machineTypes=["g6.xlarge"], cpu=st.integers(4, 64)),
    "format": _set(accelerators=["t4"], runtime="vllm", weights={"uri": "bucket://m"}, gpuMemoryGib=6, gpusPerReplica=1),
    "GPU memory": _set(gpuMemoryGib=st.integers(2000, 9000)),
    "GPU memory of one GPU": _set(gpuMemoryGib=st.integers(200, 1000), gpusPerReplica=1),
    "GPUs": _set(gpusPerReplica=st.integers(9, 16), gpuMemoryGib=16),
    "GPUs of one machine": _set(machineTypes=["g2-standard-4"], gpusPerReplica=4, gpuMemoryGib=40, cpu=1, memoryGib=4),
    "machine sold elsewhere": _set(machineTypes=["p5en.48xlarge"], gpuMemoryGib=100, gpusPerReplica=1, cpu=1, memoryGib=4),
    "memory": _set(memoryGib=st.integers(5000, 90000)),
    "several": _set(cpu=st.integers(300, 2000), memoryGib=st.integers(5000, 90000), gpuMemoryGib=st.integers(3000, 9000)),
    "several of one machine": _set(machineTypes=["g6.2xlarge"], cpu=64, memoryGib=900, gpusPerReplica=8, gpuMemoryGib=300),
}  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize("kind", sorted(MISFITS))
    @settings(MANY, max_examples=17)
    @given(stack=stack_files(max_models=2), data=st.data())
    def test_changed_as_told_are_accepted(self, kind: str, stack: dict[str, Any], data: st.DataObject) -> None:
        config = copy.deepcopy(stack["config"])
        name = data.draw(st.sampled_from(sorted(config[MODELS])))
        MISFITS[kind](data.draw, config[MODELS][name])
        try:
            plan_of(config)
        except SettingsError as error:
            problems = error.problems
        else:
            return  # The generated regions sell it.
        (problem,) = problems
        assert problem.key.startswith(f"{MODELS}.{name}")
        changed = apply(config, problem)
        check(changed, plan_of(changed))

    def test_of_a_spread_names_how_many_places_there_are(self) -> None:
        config = two_regions({"accelerators": ["a100-80gb"], "spread": {"regions": 2}})
        (problem,) = refused(config)
        assert problem.key == f"{MODELS}.m.spread.regions"
        changed = apply(config, problem)
        assert len(plan_of(changed).placements) == 1

    def test_of_a_named_site_are_about_that_site(self) -> None:
        sites = {"aws/us-east-1": {"min": 1, "max": 1}, "aws/eu-west-1": {"min": 1, "max": 1}}
        config = two_regions({"machineTypes": ["p4de.24xlarge"], "sites": sites, "replicas": {"min": 2, "max": 2}})
        (problem,) = refused(config)
        assert "eu-west-1" in problem.message
        changed = apply(config, problem)
        assert [str(each.site) for each in plan_of(changed).placements] == sorted(sites)

    def test_of_labels_lead_into_their_regions(self) -> None:
        config = two_regions({"labels": {"data": "eu"}})
        config["model-factory:rules"] = {"residency": {"data": {"eu": ["eu-central-1"]}}}
        (problem,) = refused(config)
        changed = apply(config, problem)
        assert [each.region for each in plan_of(changed).placements] == ["eu-central-1"]

    def test_of_a_ladder_name_what_is_sold(self) -> None:
        config = two_regions({"capacity": ["reserved"]})
        (problem,) = refused(config)
        assert problem.key == f"{MODELS}.m.capacity"
        changed = apply(config, problem)
        assert [leg.capacity_type for leg in plan_of(changed).placements[0].legs] == ["on-demand"]


def two_regions(model: dict[str, Any]) -> dict[str, Any]:
    return {
        "aws:region": "us-east-1",
        "model-factory:environment": "dev",
        "model-factory:aws": {"regions": ["us-east-1", "eu-west-1"]},
        MODELS: {
            "m": {
                "runtime": "triton",
                "image": f"registry.example/server@sha256:{'0' * 64}",
                "weights": {"uri": "bucket://m"},
                "gpuMemoryGib": 6,
                "requestsPerSecond": 10,
                "replicas": {"min": 2, "max": 2},
                **model,
            }
        },
    }


def apply(config: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """Does what a refusal's last words tell, as a reader would."""
    changed = copy.deepcopy(config)
    model = changed[MODELS][problem.key.removeprefix(f"{MODELS}.").split(".")[0]]
    remedy = problem.message.rpartition("; ")[2].split(", or ")[0]
    assert re.match("write|add|leave|remove", remedy), problem
    if remedy == "leave spread out":
        del model["spread"]
        return changed
    for told in remedy.split(" and "):
        if written := re.fullmatch(r"write (\w+): (.+)", told):
            inner = model["spread"] if ".spread." in problem.key else model
            inner[written[1]] = YAML(typ="safe").load(written[2])
        elif added := re.fullmatch(r"add (.+) to (\S+)", told):
            section, _, key = added[2].rpartition(".")
            target = changed[section] if section else model
            target[key] = [*target.get(key, ()), *added[1].split(", ")]
        elif removed := re.fullmatch(r"remove (.+) from (\S+)", told):
            left = [each for each in model[removed[2]] if each not in removed[1].split(", ")]
            model.update({removed[2]: left} if left else {})
            model.pop("" if left else removed[2], None)
        else:
            pytest.fail(f"not understood: {told} in {problem}")
    return changed
