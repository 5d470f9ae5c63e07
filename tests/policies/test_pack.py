"""The pack as a whole: what it is made of, how environments configure it, how engines start it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import jsonschema
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy, Severity

from policies.authoring.checks import Policy
from policies.pack import NAME, POLICIES, THEMES
from tests.policies.careless import STACK as CARELESS
from tests.policies.harness import Given, Pack, struct
from tests.policies.objects import DEPLOYMENT

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "policies" / "config"
ENVIRONMENTS = ("dev", "staging", "prod")
LEVELS = {each.value for each in EnforcementLevel}
OURS = ("workloads", "kubernetes objects", "pod security", "kubernetes stack", "GPUs", "model servers")


def configuration(environment: str) -> dict[str, dict[str, Any]]:
    return json.loads((CONFIG / f"{environment}.json").read_text(encoding="utf-8"))


class TestPolicies:
    def test_every_file_of_packs_is_a_theme(self) -> None:
        files = {each.stem for each in (ROOT / "policies" / "packs").glob("*.py")} - {"__init__"}
        packs = [importlib.import_module(f"policies.packs.{each}").theme.policies for each in files]
        assert sorted(packs, key=str) == sorted(THEMES.values(), key=str)

    def test_names_are_unique(self) -> None:
        names = [each.name for each in POLICIES]
        assert len(names) == len(set(names))

    @pytest.mark.parametrize("policy", POLICIES, ids=lambda each: each.name)
    def test_each_says_what_where_from_and_how_to_mend(self, policy: Policy) -> None:
        assert policy.description.endswith(".")
        assert policy.severity is not None
        assert policy.framework is not None
        assert policy.framework.name
        assert policy.framework.reference
        assert policy.remediation_steps
        assert policy.url
        assert policy.url.startswith("https://")
        assert policy.tags

    @pytest.mark.parametrize("policy", POLICIES, ids=lambda each: each.name)
    def test_grave_ones_are_not_only_advice(self, policy: Policy) -> None:
        if policy.severity in (Severity.HIGH, Severity.CRITICAL):
            assert policy.enforcement_level in (EnforcementLevel.MANDATORY, EnforcementLevel.REMEDIATE)

    @pytest.mark.parametrize("policy", POLICIES, ids=lambda each: each.name)
    def test_defaults_keep_to_their_own_schema(self, policy: Policy) -> None:
        for schema in (policy.config_schema.properties if policy.config_schema else {}).values():
            jsonschema.validate(schema["default"], schema)
            assert schema["description"]

    def test_remedies_are_at_hand_where_the_level_asks_for_one(self) -> None:
        for policy in POLICIES:
            if policy.enforcement_level is EnforcementLevel.REMEDIATE:
                assert isinstance(policy, ResourceValidationPolicy)
                assert policy.has_remediation()


class TestEnvironments:
    @pytest.mark.parametrize("environment", ENVIRONMENTS)
    def test_configuration_names_what_there_is(self, environment: str) -> None:
        known = {each.name: each for each in POLICIES}
        for name, values in configuration(environment).items():
            policy = known[name]
            assert values.get("enforcementLevel", "advisory") in LEVELS
            schemas = policy.config_schema.properties if policy.config_schema else {}
            for key, value in values.items():
                if key != "enforcementLevel":
                    jsonschema.validate(value, schemas[key])

    def test_levels_differ_by_configuration(self) -> None:
        given = DEPLOYMENT.props | {
            "spec": {"template": {"spec": {"containers": [{"name": "x", "command": ["torchserve"]}]}}}
        }
        one = next(each for each in POLICIES if each.name == "archived-runtime")
        levels = {
            each: Pack([one], {"archived-runtime": configuration(each).get("archived-runtime", {})})
            .analyze(Given(DEPLOYMENT.type, given))["archived-runtime"]
            .levels
            for each in ENVIRONMENTS
        }
        assert levels["dev"] == (analyzer_pb2.ADVISORY,)
        assert levels["prod"] == (analyzer_pb2.MANDATORY,)


class TestCarelessStack:
    def test_it_breaks_every_check(self) -> None:
        policies = [each for theme in OURS for each in THEMES[theme]]
        pack = Pack(policies)
        broken = {name for given in CARELESS for name, verdict in pack.analyze(given).items() if verdict.violations}
        broken |= {name for name, verdict in pack.analyze_stack(CARELESS).items() if verdict.violations}
        assert broken == {each.name for each in policies}
        assert len(broken) >= 40

    def test_no_verdict_tells_a_secret(self) -> None:
        pack = Pack(POLICIES)
        told = [pack.analyze(given) for given in CARELESS] + [pack.analyze_stack(CARELESS)]
        assert "hf_planted_secret" not in repr(told)


@contextmanager
def served() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack in a process of its own, as engines start it: from another folder, with nothing of ours on the path."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policies")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd="/") as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


class TestServedPack:
    def test_it_starts_configures_and_judges(self) -> None:
        with served() as stub:
            info = stub.GetAnalyzerInfo(empty_pb2.Empty())
            assert info.name == NAME
            assert [each.name for each in info.policies] == [each.name for each in POLICIES]
            request = analyzer_pb2.AnalyzeRequest(
                type=DEPLOYMENT.type, name="x", urn=DEPLOYMENT.urn, properties=struct(DEPLOYMENT.props)
            )
            answer = stub.Analyze(request)
            assert not answer.diagnostics
            assert answer.not_applicable
