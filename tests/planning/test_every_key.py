"""What is promised is done, or it is not a key: every key of a stack file changes what the program declares or exports.

Most changes of a plan, of a bill, or of what a policy reads show there too: models move to other pools, nodes cost something else, the
budget is exported. What does not is named in `ELSEWHERE`, with the test that sees it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from model_factory.cli.session import Session
from model_factory.planning.settings.clouds import SECTIONS
from model_factory.planning.settings.load import OUR_KEYS
from model_factory.planning.settings.rules import Rules
from model_factory.planning.settings.sections import LocalSettings, ModelConfig
from policies.packs import budget
from tests.components.conftest import Recorder, run_config
from tests.planning.project import DIGEST, STACK, Edit, drop, put
from tests.policies.harness import Given, judged_stack

ROOT = Path(__file__).parents[2]
LLM = "model-factory:models/llm"
AWS = "model-factory:aws"
GCP = "model-factory:gcp"
RULES = "model-factory:rules"
SECTION_OF = {**SECTIONS, "models": ModelConfig, "rules": Rules, "local": LocalSettings}

ELSEWHERE = {
    "local.transitionSeconds": "TestLocalClouds",
    # Drawn only, until profiles say how fast a model is on an accelerator: tests/preview/test_diagram.py.
    "models.p95LatencyMs": "test_diagram",
}


@dataclass(frozen=True)
class Change:
    """A key before and after. `given` makes the stack one in which the key has something to say."""

    before: Edit | None
    after: Edit
    given: tuple[Edit, ...] = ()
    clouds: tuple[str, ...] = ("aws",)
    """A small stack is quick: that of one model in one cloud, where the key needs no other."""


def to(path: str, *values: object, given: tuple[Edit, ...] = (), clouds: tuple[str, ...] = ("aws",)) -> Change:
    """One value: the key is added or changed. Two: it has the first before."""
    *before, after = values
    return Change(put(path, before[0]) if before else None, put(path, after), given, clouds)


def all_of(*edits: Edit) -> Edit:
    return lambda config: [edit(config) for edit in edits]


def sites(**more: object) -> Edit:
    bounds = {"aws/us-east-1": {"min": 1, "max": 2}, "gcp/us-central1": {"min": 1, "max": 2, **more}}
    return all_of(
        lambda config: config["model-factory:models"]["llm"].pop("replicas", None), put(f"{LLM}/sites", bounds)
    )


def reserved(section: str, **more: object) -> Edit:
    return put(f"{section}/reservations", [{**RESERVED[section], **more}])


RESERVED: Mapping[str, Mapping[str, object]] = {
    AWS: {"name": "cr-0123456789abcdef0", "zone": "us-east-1a", "machineType": "g6.xlarge", "machines": 2},
    GCP: {"name": "models", "zone": "us-central1-a", "machineType": "g2-standard-4", "machines": 2},
}
BOTH = ("aws", "gcp")
MANY = put(f"{LLM}/replicas", {"min": 3, "max": 6})
RANKED = all_of(drop(f"{LLM}/spot"), put(f"{LLM}/capacity", ["reserved", "on-demand"]))
WITHOUT_GPUS = all_of(
    drop(f"{LLM}/gpuMemoryGib"),
    put(f"{LLM}/gpusPerReplica", 0),
    put(f"{LLM}/runtime", "triton"),
    put(f"{LLM}/weights", {"uri": "bucket://llm"}),
)
IN_BUCKET = put(f"{LLM}/weights", {"uri": "bucket://llm"})
DATA = put(f"{LLM}/labels", {"data": "us"})

CHANGES: dict[str, Change] = {
    "environment": to("model-factory:environment", "staging"),
    "labels": to("model-factory:labels", {"team": "other"}),
    "local.renderTo": to("model-factory:local", {"renderTo": "elsewhere"}),
    "local.fetcher": to("model-factory:local", {"fetcher": f"fetch@{DIGEST}"}, given=(IN_BUCKET,)),
    "local.cloudsHost": to(
        "model-factory:local",
        {"fetcher": f"fetch@{DIGEST}"},
        {"fetcher": f"fetch@{DIGEST}", "cloudsHost": "clouds.lab.svc"},
        given=(IN_BUCKET,),
    ),
    "local.kubernetes": to("model-factory:local", {"kubernetes": "lab"}),
    "models.runtime": to(f"{LLM}/runtime", "sglang"),
    "models.image": to(f"{LLM}/image", f"vllm/vllm-openai:v1@{DIGEST}"),
    "models.weights.uri": to(f"{LLM}/weights/uri", "hf://Qwen/other"),
    "models.weights.revision": to(f"{LLM}/weights/revision", "b" * 40),
    "models.weights.sizeGib": to(f"{LLM}/weights/sizeGib", 300),
    "models.gpuMemoryGib": to(f"{LLM}/gpuMemoryGib", 40),
    "models.gpusPerReplica": to(f"{LLM}/gpusPerReplica", 2),
    "models.cpu": to(f"{LLM}/cpu", 2),
    "models.memoryGib": to(f"{LLM}/memoryGib", 8),
    "models.requestsPerSecond": to(f"{LLM}/requestsPerSecond", 20),
    "models.replicas.min": to(f"{LLM}/replicas/min", 2),
    "models.replicas.max": to(f"{LLM}/replicas/max", 5),
    "models.sites": Change(None, sites(), clouds=BOTH),
    "models.sites.min": Change(sites(), sites(min=2), clouds=BOTH),
    "models.sites.max": Change(sites(), sites(max=3), clouds=BOTH),
    "models.spread.regions": to(f"{LLM}/spread", {"regions": 2}, given=(MANY,), clouds=BOTH),
    "models.spread.clouds": to(f"{LLM}/spread", {"clouds": 2}, given=(MANY,), clouds=BOTH),
    "models.clouds": to(f"{LLM}/clouds", ["aws"], ["gcp"], clouds=BOTH),
    "models.regions": to(f"{LLM}/regions", ["us-east-1"], ["us-central1"], clouds=BOTH),
    "models.spot": to(f"{LLM}/spot", False),
    "models.capacity": to(f"{LLM}/capacity", ["on-demand"], ["spot"], given=(drop(f"{LLM}/spot"),)),
    "models.accelerators": to(f"{LLM}/accelerators", ["l4"], ["l40s"]),
    "models.machineTypes": to(f"{LLM}/machineTypes", ["g6.xlarge"], ["g6.2xlarge"]),
    "models.architecture": to(f"{LLM}/architecture", "arm64", given=(WITHOUT_GPUS,)),
    "models.cpuFeatures": to(f"{LLM}/cpuFeatures", ["amx"], given=(WITHOUT_GPUS, drop(f"{LLM}/spot")), clouds=("gcp",)),
    "models.args": to(f"{LLM}/args", ["--max-model-len=4096"]),
    "models.labels": to(f"{LLM}/labels", {"tier": "gold"}),
    "aws.regions": to(f"{AWS}/regions", ["us-east-1", "us-west-2"]),
    "aws.zones": to(f"{AWS}/zones", ["us-east-1a", "us-east-1b", "us-east-1d"]),
    "aws.kubernetesVersion": to(f"{AWS}/kubernetesVersion", "1.34"),
    "aws.systemMachineType": to(f"{AWS}/systemMachineType", "m7i.xlarge"),
    "aws.systemNodes": to(f"{AWS}/systemNodes", 4),
    "aws.vpcCidr": to(f"{AWS}/vpcCidr", "10.8.0.0/16"),
    "aws.serviceCidr": to(f"{AWS}/serviceCidr", "172.24.0.0/16"),
    "aws.endpointPublicAccessCidrs": to(f"{AWS}/endpointPublicAccessCidrs", ["203.0.113.0/24"]),
    "aws.logRetentionDays": to(f"{AWS}/logRetentionDays", 30),
    "aws.reservations.name": Change(reserved(AWS), reserved(AWS, name="cr-0123456789abcdef1"), (MANY, RANKED)),
    "aws.reservations.zone": Change(reserved(AWS), reserved(AWS, zone="us-east-1b"), (MANY, RANKED)),
    "aws.reservations.machineType": Change(reserved(AWS), reserved(AWS, machineType="g6.2xlarge"), (MANY, RANKED)),
    "aws.reservations.machines": Change(reserved(AWS), reserved(AWS, machines=3), (MANY, RANKED)),
    "gcp.regions": to(f"{GCP}/regions", ["us-central1", "us-east4"], clouds=("gcp",)),
    "gcp.zones": to(f"{GCP}/zones", ["us-central1-b", "us-central1-c"], clouds=("gcp",)),
    "gcp.kubernetesVersion": to(f"{GCP}/kubernetesVersion", "1.34", clouds=("gcp",)),
    "gcp.systemMachineType": to(f"{GCP}/systemMachineType", "e2-standard-8", clouds=("gcp",)),
    "gcp.systemNodes": to(f"{GCP}/systemNodes", 2, clouds=("gcp",)),
    "gcp.project": to(f"{GCP}/project", "model-factory-dev", "another-project", given=(drop("gcp:project"),), clouds=("gcp",)),
    "gcp.subnetCidr": to(f"{GCP}/subnetCidr", "10.72.0.0/20", clouds=("gcp",)),
    "gcp.podsCidr": to(f"{GCP}/podsCidr", "10.160.0.0/16", clouds=("gcp",)),
    "gcp.servicesCidr": to(f"{GCP}/servicesCidr", "10.112.0.0/20", clouds=("gcp",)),
    "gcp.controlPlaneCidr": to(f"{GCP}/controlPlaneCidr", "172.16.1.0/28", clouds=("gcp",)),
    "gcp.releaseChannel": to(f"{GCP}/releaseChannel", "STABLE", clouds=("gcp",)),
    "gcp.authorizedCidrs": to(f"{GCP}/authorizedCidrs", ["203.0.113.0/24"], clouds=("gcp",)),
    "gcp.reservations.name": Change(reserved(GCP), reserved(GCP, name="other"), (MANY, RANKED), ("gcp",)),
    "gcp.reservations.zone": Change(reserved(GCP), reserved(GCP, zone="us-central1-b"), (MANY, RANKED), ("gcp",)),
    "gcp.reservations.machineType": Change(reserved(GCP), reserved(GCP, machineType="g2-standard-8"), (MANY, RANKED), ("gcp",)),
    "gcp.reservations.machines": Change(reserved(GCP), reserved(GCP, machines=3), (MANY, RANKED), ("gcp",)),
    "rules.spot": to(RULES, {"spot": "never"}),
    "rules.budget.usdPerMonth": to(RULES, {"budget": {"usdPerMonth": 1}}, {"budget": {"usdPerMonth": 2}}),
    "rules.budget.basis": to(RULES, {"budget": {"usdPerMonth": 1}}, {"budget": {"usdPerMonth": 1, "basis": "rest"}}),
    "rules.preferredCloud": to(RULES, {"preferredCloud": "aws"}, {"preferredCloud": "gcp"}, clouds=BOTH),
    "rules.residency": to(
        RULES,
        {"residency": {"data": {"us": ["us-east-1"]}}},
        {"residency": {"data": {"us": ["us-central1"]}}},
        given=(DATA,),
        clouds=BOTH,
    ),
}  # fmt: skip


def keys_of(kind: type[BaseModel], before: str) -> Iterator[str]:
    """Every key below a section, to the last: `models.replicas.min`."""
    for name, field in kind.model_fields.items():
        key = f"{before}.{field.alias or name}"
        inner = next(classes_in(field.annotation), None)
        # Who takes a mapping of such values takes the mapping for itself, too.
        if inner is None or key == "models.sites":
            yield key
        if inner is not None:
            yield from keys_of(inner, key)


def classes_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from classes_in(each)


def declared(config: Mapping[str, Any], folder: Path) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """What the program declares and exports."""
    ran: Recorder = run_config(config, "dev", folder)
    return {each.urn: (each.inputs, each.protect) for each in ran.resources}, ran.outputs


def edited(clouds: tuple[str, ...], *edits: Edit | None) -> dict[str, Any]:
    config: dict[str, Any] = copy.deepcopy(STACK["config"])
    for cloud in {*SECTIONS} - {*clouds}:
        config = {key: value for key, value in config.items() if not key.startswith((cloud, f"model-factory:{cloud}"))}
    del config["model-factory:models"]["resnet"], config["model-factory:models"]["llm"]["clouds"]
    for edit in edits:
        if edit is not None:
            edit(config)
    return config


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], object]:
    """What comes of a configuration; each is run once."""
    known = dict[str, object]()

    def look(config: dict[str, Any]) -> object:
        text = repr(config)
        if text not in known:
            # A folder of its own, since the program leaves a plan lock in it.
            known[text] = declared(config, tmp_path_factory.mktemp("program"))
        return known[text]

    return look


class TestEveryKey:
    def test_is_in_the_table(self) -> None:
        plain = set(OUR_KEYS) - SECTION_OF.keys()
        keys = plain.union(*(keys_of(kind, name) for name, kind in SECTION_OF.items()))
        assert keys == CHANGES.keys() | ELSEWHERE.keys()

    @pytest.mark.slow
    @pytest.mark.parametrize("key", CHANGES)
    def test_changes_what_is_declared_or_exported(self, seen: Callable[[dict[str, Any]], object], key: str) -> None:
        change = CHANGES[key]
        before = edited(change.clouds, *change.given, change.before)
        after = edited(change.clouds, *change.given, change.before, change.after)
        changes = seen(before) != seen(after)
        assert changes, f"{key} is read, and changes nothing"


class TestPolicies:
    @pytest.mark.parametrize(("basis", "fits"), [("rest", True), ("peak", False)])
    def test_the_budget_decides_what_its_policy_says(self, tmp_path: Path, basis: str, fits: bool) -> None:
        _, plain = declared(edited(("aws",)), tmp_path)
        cost: Any = plain["usd_per_month"]
        between = (Decimal(cost["least"]) + Decimal(cost["most"])) / 2
        rules = {"budget": {"usdPerMonth": float(between), "basis": basis}}
        _, exported = declared(edited(("aws",), put(RULES, rules)), tmp_path)
        root = Given("pulumi:pulumi:Stack", dict(exported), "model-factory-dev")
        assert judged_stack(budget.theme.policies, "monthly-budget", [root]).passed is fits


class TestLocalClouds:
    def test_take_as_long_as_the_stack_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "path", [*sys.path])  # where the command finds a project's components
        session = Session.open("dev", ROOT)
        slow = replace(session.settings, local=LocalSettings(transition_seconds=Decimal(7)))
        assert {each.transition_seconds for each in replace(session, settings=slow).clouds()} == {7.0}
