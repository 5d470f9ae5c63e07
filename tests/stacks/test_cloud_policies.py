"""Policies over real resources of both local clouds: what they refuse is not made, and what they mend is made so."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import pytest

from tests.stacks.harness import ROOT, LocalStack

pytestmark = pytest.mark.slow

MENDED = """
    import pulumi_aws as aws, pulumi_gcp as gcp

    aws.ecr.Repository("images")
    aws.ec2.LaunchTemplate(
        "nodes", metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1}, tags={"team": "mine"}
    )
    gcp.storage.Bucket("weights", location="US-CENTRAL1")
"""
CARELESS = (ROOT / "tests" / "stacks" / "careless_program.py").read_text(encoding="utf-8")
STOPPING = """
    allowed-regions authorized-networks eks-endpoint eks-secrets-kms iam-no-star imdsv2-hop-1 metadata-server monthly-budget
    no-legacy-abac no-ssh node-account private-nodes protect-stateful registry-not-public
"""
ADVISED = """
    auto-upgrade-repair binary-authorization cross-cloud-version-skew eks-logs eks-version flow-logs kms-rotation private-subnets
    release-channel
"""
OURS = {*STOPPING.split(), *ADVISED.split()}


def run(stack: LocalStack, program: str, config: dict[str, Any], *command: str) -> str:
    (stack.root / "__main__.py").write_text(textwrap.dedent(program), encoding="utf-8")
    (stack.root / "policies.json").write_text(json.dumps(config), encoding="utf-8")
    pack = [
        "--policy-pack",
        str(ROOT / "policies"),
        "--policy-pack-config",
        str(stack.root / "policies.json"),
    ]
    ended = stack.factory(*command, *pack, check=False)
    return f"{ended.out}{ended.err}\n{ended.code}"


class TestRefusals:
    def test_what_is_careless_is_named_and_not_made(self, stack: LocalStack) -> None:
        said = run(stack, CARELESS, {}, "up", "--yes")
        found = {level: set[str]() for level in ("mandatory", "advisory")}
        for level, name in re.findall(r"^\s+(mandatory|advisory): ([a-z0-9-]+) ", said, re.MULTILINE):
            found[level].add(name)
        assert found["mandatory"] & OURS == set(STOPPING.split()), said
        assert found["advisory"] & OURS == set(ADVISED.split()), said
        assert not said.endswith("\n0")
        assert not stack.aws("eks").list_clusters()["clusters"]
        assert not stack.aws("s3").list_buckets()["Buckets"]


class TestRemedies:
    def test_what_is_mended_reaches_the_clouds(self, stack: LocalStack) -> None:
        config = {
            "protect-stateful": {"enforcementLevel": "disabled"},
            "cost-labels": {"values": {"environment": "dev", "stack": "{stack}", "managed-by": "{project}"}},
        }
        said = run(stack, MENDED, config, "up", "--yes")
        assert said.endswith("\n0"), said
        labels = {"environment": "dev", "stack": "dev", "managed-by": "model-factory"}

        (repository,) = stack.aws("ecr").describe_repositories()["repositories"]
        assert repository["imageTagMutability"] == "IMMUTABLE"
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        tags = stack.aws("ecr").list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        assert labels.items() <= {each["Key"]: each["Value"] for each in tags}.items()

        (version,) = stack.aws("ec2").describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
        made = {
            each["ResourceType"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]}
            for each in version["LaunchTemplateData"]["TagSpecifications"]
        }
        assert made["instance"] == made["volume"] == labels
        assert labels.items() <= made["launch-template"].items()

        storage = stack.gcp("storage", "v1")
        (bucket,) = storage.buckets().list(project="model-factory-dev").execute()["items"]
        assert labels.items() <= bucket["labels"].items()

        again = run(stack, MENDED, config, "preview", "--json")
        assert json.loads(again[: again.rindex("\n")])["changeSummary"].keys() == {"same"}
