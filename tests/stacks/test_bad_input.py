"""Whatever is wrong is refused before any provider call, with one clear error; nothing is changed and nothing is lost.

That there was no call is not a claim: each cloud holds a fault for its very next call, and still holds it afterwards.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model_factory.local.clouds import manager
from model_factory.local.clouds.kubernetes import control as kubernetes
from tests.stacks.harness import ROOT, Ended, LocalStack

pytestmark = pytest.mark.slow

FAULT = {"operation": "*", "error": "Called", "status": 500, "message": "no call was expected", "count": 1}


@pytest.fixture(scope="module")
def armed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The dev stack with an empty state, on clouds that fail their next call."""
    made = LocalStack(tmp_path_factory.mktemp("bad-input"))
    made.factory("clouds", "start")
    for spec in made.specs:
        manager.call(spec, "PUT", "faults", [FAULT])
    kubernetes.set_faults(made.root / ".factory/clouds/kubernetes", [FAULT])
    yield made
    made.close()


@pytest.fixture
def stack(armed: LocalStack) -> Iterator[LocalStack]:
    """`armed`, its files put back afterwards; fails the test that made a call."""
    kept = {
        path: path.read_bytes() for path in (armed.stack_file, armed.root / "__main__.py", armed.root / "Pulumi.yaml")
    }
    yield armed
    for path, content in kept.items():
        path.write_bytes(content)
    for path in (armed.root / ".factory" / "stacks").glob("dev*"):
        path.unlink()
    for spec in armed.specs:
        assert manager.call(spec, "GET", "faults"), f"{spec.name} was called"
    assert kubernetes.faults(armed.root / ".factory/clouds/kubernetes"), "kubernetes was called"


def refused(stack: LocalStack, *texts: str, env: dict[str, str] | None = None) -> Ended:
    """`up` ends with an error that has all the texts, no stack trace, and without making a state."""
    ended = stack.factory("up", "--yes", check=False, env=env)
    said = ended.out + ended.err
    assert ended.code in {1, 2}, said
    for text in texts:
        assert text in said
    assert "Traceback" not in said
    return ended


def model(config: dict[str, Any]) -> dict[str, Any]:
    return config["model-factory:models"]["image-classifier"]


def line_of(stack: LocalStack, text: str) -> int:
    lines = stack.stack_file.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


EDITS: dict[str, tuple[Callable[[dict[str, Any]], None], tuple[str, ...]]] = {
    "missing key": (lambda c: model(c).pop("gpuMemoryGib"), ("models.image-classifier", "gpuMemoryGib")),
    "wrong type": (lambda c: model(c).update(spot="maybe"), ("image-classifier.spot", "maybe", "true or false")),
    "unknown key": (lambda c: model(c).update(gpuMemoryGb=6), ("gpuMemoryGb", "gpuMemoryGib")),
    "plaintext secret": (
        lambda c: c.update({"model-factory:registryPassword": "hunter2hunter2"}),
        ("model-factory:registryPassword",),
    ),
    "min above max": (lambda c: model(c)["replicas"].update(min=9), ("image-classifier.replicas", "9", "6")),
    "NaN": (lambda c: model(c).update(requestsPerSecond=float("nan")), ("requestsPerSecond",)),
    "negative": (lambda c: model(c).update(p95LatencyMs=-1), ("p95LatencyMs", "-1")),
    "bad quantity": (lambda c: model(c).update(memoryGib="16GB"), ("memoryGib", "16GB")),
    "fractional GPU": (lambda c: model(c).update(gpusPerReplica=0.5), ("gpusPerReplica", "0.5")),
    "latest": (lambda c: model(c).update(image="repo/server:latest"), ("image", "latest", "sha256")),
    "illegal name": (
        lambda c: c["model-factory:models"].update({"Image_Classifier": dict(model(c))}),
        ("Image_Classifier",),
    ),
    "bad CIDR": (lambda c: c["model-factory:aws"].update(vpcCidr="10.0.0.0/33"), ("vpcCidr", "10.0.0.0/33")),
    "CIDR too small": (lambda c: c["model-factory:aws"].update(vpcCidr="10.0.0.0/24"), ("vpcCidr", "/24", "/16 to /20")),
    "unsupported version": (
        lambda c: c["model-factory:aws"].update(kubernetesVersion="1.20"),
        ("kubernetesVersion", "1.20"),
    ),
    "GPU absent": (lambda c: model(c).update(gpuMemoryGib=4000), ("image-classifier", "4000")),
    "machine that does not match": (
        lambda c: model(c).update(machineTypes=["g6.xlargee"]),
        ("machineTypes", "g6.xlargee", "g6.xlarge"),
    ),
}  # fmt: skip


class TestStackFile:
    @pytest.mark.parametrize("what", EDITS)
    def test_is_refused_with_key_and_value(self, stack: LocalStack, what: str) -> None:
        edit, texts = EDITS[what]
        stack.edit(edit)
        ended = refused(stack, "Pulumi.dev.yaml:", *texts)
        assert ended.code == 2

    def test_a_secret_in_plain_text_is_not_repeated(self, stack: LocalStack) -> None:
        stack.edit(EDITS["plaintext secret"][0])
        ended = refused(stack, "registryPassword")
        assert "hunter2" not in ended.out + ended.err

    def test_bad_yaml_is_named_with_its_line(self, stack: LocalStack) -> None:
        stack.stack_file.write_text(stack.stack_file.read_text() + "  model-factory:labels: [\n")
        refused(stack, "Pulumi.dev.yaml:")

    def test_another_projects_file_is_refused(self, stack: LocalStack) -> None:
        stack.stack_file.write_text("config:\n  web-shop:replicas: 3\n")
        refused(stack, "web-shop:replicas")

    def test_all_errors_are_told_at_once_each_with_its_line(self, stack: LocalStack) -> None:
        def break_three(config: dict[str, Any]) -> None:
            model(config).update(memoryGib="16GB", p95LatencyMs=-1)
            config["model-factory:aws"].update(vpcCidr="10.0.0.0/33")

        stack.edit(break_three)
        refused(
            stack,
            *(f"Pulumi.dev.yaml:{line_of(stack, text)}:" for text in ("16GB", "p95LatencyMs: -1", "10.0.0.0/33")),
        )


class TestPassphrase:
    def test_a_wrong_one_is_refused(self, stack: LocalStack) -> None:
        text = stack.stack_file.read_text()
        salt = "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="
        secret = "  aws:token:\n    secure: v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA\n"
        stack.stack_file.write_text(f"encryptionsalt: {salt}\n" + text.replace("config:\n", f"config:\n{secret}", 1))
        refused(stack, "passphrase", env={"PULUMI_CONFIG_PASSPHRASE": "not it"})


class TestState:
    def write(self, stack: LocalStack, document: str) -> Path:
        path = stack.root / ".factory" / "stacks" / "dev.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document)
        return path

    def test_a_corrupt_one_is_refused_and_left_as_it_is(self, stack: LocalStack) -> None:
        path = self.write(stack, '{"version": 3, "deployment": {"resources": [')
        refused(stack, "dev.json")
        assert path.read_text() == '{"version": 3, "deployment": {"resources": ['

    def test_a_too_new_one_is_refused(self, stack: LocalStack) -> None:
        self.write(stack, '{"version": 99, "deployment": {}}')
        refused(stack, "99")

    def test_another_stacks_one_is_refused(self, stack: LocalStack) -> None:
        urn = "urn:pulumi:prod::model-factory::pulumi:pulumi:Stack::model-factory-prod"
        state = {"urn": urn, "custom": False, "type": "pulumi:pulumi:Stack"}
        self.write(stack, json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": [state]}}))
        refused(stack, "prod")

    def test_a_dependency_cycle_is_refused(self, stack: LocalStack) -> None:
        urns = [f"urn:pulumi:dev::model-factory::model-factory:test:Part::{name}" for name in "ab"]
        parts = [
            {"urn": urn, "custom": False, "type": "model-factory:test:Part", "dependencies": [other]}
            for urn, other in zip(urns, reversed(urns), strict=True)
        ]
        self.write(stack, json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": parts}}))
        refused(stack, "Part::b")

    def test_a_locked_stack_names_its_holder(self, stack: LocalStack) -> None:
        path = stack.root / ".factory" / "stacks" / "dev.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ended = stack.factory("up", "--yes", "--skip-preview", check=False)
            assert ended.code == 1
            assert "stack dev is in use" in ended.err


class TestProgram:
    """Programs that no engine could carry out."""

    def test_two_resources_of_one_name_are_refused(self, stack: LocalStack) -> None:
        (stack.root / "__main__.py").write_text(
            "import pulumi\nfor _ in range(2):\n    pulumi.ComponentResource('model-factory:test:Part', 'same')\n"
        )
        refused(stack, "Duplicate resource URN", "same")

    def test_an_alias_that_another_resource_holds_is_refused(self, stack: LocalStack) -> None:
        program = stack.root / "__main__.py"
        program.write_text("import pulumi\npulumi.ComponentResource('model-factory:test:Part', 'one')\n")
        stack.factory("up", "--yes")
        program.write_text(
            "import pulumi\n"
            "aliases = [pulumi.Alias(name='one')]\n"
            "for name in ('two', 'three'):\n"
            "    pulumi.ComponentResource('model-factory:test:Part', name, opts=pulumi.ResourceOptions(aliases=aliases))\n"
        )
        refused(stack, "Part::one", "alias")

    def test_an_unknown_provider_is_refused_by_name(self, stack: LocalStack) -> None:
        (stack.root / "__main__.py").write_text(
            "import pulumi\npulumi.CustomResource('azure-native:compute:VirtualMachine', 'vm', {})\n"
        )
        refused(stack, "azure-native")

    def test_an_invalid_input_of_a_resource_is_refused_by_the_clouds_model(self, stack: LocalStack) -> None:
        (stack.root / "__main__.py").write_text(
            "import pulumi_aws as aws\naws.ec2.Vpc('net', cidr_block='10.0.0.0/99')\n"
        )
        refused(stack, "10.0.0.0/99", "cidrBlock")


class TestCommand:
    def test_an_unknown_stack_names_the_nearest(self, stack: LocalStack) -> None:
        ended = stack.factory("up", "--yes", "--stack", "deev", check=False)
        assert (ended.code, "did you mean dev" in ended.err) == (2, True)

    def test_targets_are_refused_by_name(self, stack: LocalStack) -> None:
        ended = stack.factory("up", "--yes", "--target", "urn:x", check=False)
        assert ended.code == 2
        assert "--target" in ended.err

    def test_nobody_to_ask_is_an_error_not_a_yes(self, stack: LocalStack) -> None:
        ended = stack.factory("up", check=False)
        assert (ended.code, "--yes" in ended.err) == (2, True)

    def test_real_accounts_are_not_for_the_local_engine(self, stack: LocalStack) -> None:
        text = (ROOT / "Pulumi.prod.yaml").read_text()
        (stack.root / "Pulumi.prod.yaml").write_text(text)
        ended = stack.factory("up", "--yes", "--stack", "prod", "--engine", "local", check=False)
        assert ended.code == 2
        assert "real accounts" in ended.err
