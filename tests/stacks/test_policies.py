"""The project's policies over its stacks: found by themselves, the same under both engines, and in the way of careless changes."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.stacks.harness import ROOT, LocalStack

pytestmark = pytest.mark.slow
needs_cli = pytest.mark.skipif(
    shutil.which("pulumi") is None or importlib.util.find_spec("pip") is None,
    reason="needs the Pulumi CLI on PATH, and pip, by which its Python host lists a program's packages",
)

DEPLOYMENT = """
    import pulumi
    import pulumi_kubernetes as k8s

    provider = k8s.Provider("one", render_yaml_to_directory=".factory/clouds/kubernetes/one")
    options = pulumi.ResourceOptions(provider=provider)
    labels = {"app": "web"}
    k8s.apps.v1.Deployment(
        "web",
        metadata={"name": "web", "namespace": "default"},
        spec={
            "replicas": REPLICAS,
            "selector": {"match_labels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [
                        {
                            "name": "web",
                            "image": "registry.k8s.io/pause:3.10@sha256:" + "a" * 64,
                            "env": [{"name": "TOKEN", "value": pulumi.Output.secret("hunter2")}],
                            "security_context": {"privileged": PRIVILEGED},
                        }
                    ],
                },
            },
        },
        opts=options,
    )
"""
EMPTY = '{"version": 3, "deployment": {"manifest": {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}}}'
# All of the pack's policies warn, but for those that the test is about.
ONLY = '{"all": "advisory", "no-privileged": "mandatory", "drop-capabilities": "remediate", "seccomp": "remediate"}\n'


class OwnPolicies(LocalStack):
    """A stack whose project has the repository's policies as its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "policies", folder / "policies", ignore=ignored)
        for name in ("Pulumi.yaml", "policies/PulumiPolicy.yaml"):
            self._use_our_environment(folder / name)

    @staticmethod
    def _use_our_environment(file: Path) -> None:
        yaml = YAML()
        document = yaml.load(file.read_text(encoding="utf-8"))
        document["runtime"]["options"] = {"virtualenv": sys.prefix}
        with file.open("w", encoding="utf-8") as out:
            yaml.dump(document, out)

    def program(self, *, replicas: int = 1, privileged: bool = False) -> None:
        text = textwrap.dedent(DEPLOYMENT).replace("REPLICAS", str(replicas)).replace("PRIVILEGED", str(privileged))
        (self.root / "__main__.py").write_text(text, encoding="utf-8")
        (self.root / "policies" / "config" / "dev.json").write_text(ONLY, encoding="utf-8")

    def deployment(self) -> dict[str, Any]:
        return self.rendered()["one"]["Deployment", "web"]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnPolicies]:
    made = OwnPolicies(tmp_path)
    yield made
    made.close()


class TestTheProjectsOwn:
    def test_the_dev_stack_holds_to_them(self, own: OwnPolicies) -> None:
        said = own.factory("preview").out
        assert "Policies of model-factory 1.0.0: " in said
        assert "not evaluated: " in said
        assert "mandatory: " not in said

    def test_they_are_left_out_where_nobody_wants_them(self, own: OwnPolicies) -> None:
        own.program(privileged=True)
        assert own.factory("preview", check=False).code == 1
        assert "Policies" not in own.factory("preview", "--no-policies").out

    def test_another_pack_stands_in_their_place(self, own: OwnPolicies) -> None:
        own.program(privileged=True)
        (own.root / "other.json").write_text('{"all": "disabled"}', encoding="utf-8")
        said = own.factory("preview", "--policy-pack", "policies", "--policy-pack-config", "other.json").out
        assert "Policies of model-factory 1.0.0: nothing to say" in said


class TestProduction:
    def test_models_on_spot_pass_all_that_is_mandatory_without_an_account(self, own: OwnPolicies) -> None:
        """Their fall-back is what `spot-has-fallback` asks for, which is mandatory there."""
        config = json.loads((own.root / "policies" / "config" / "prod.json").read_text(encoding="utf-8"))
        assert config["spot-has-fallback"]["enforcementLevel"] == "mandatory"
        text = (ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8")
        assert "spot: false" in text
        (own.root / "Pulumi.prod.yaml").write_text(text.replace("spot: false", "spot: true"), encoding="utf-8")
        (own.root / "empty.json").write_text(EMPTY, encoding="utf-8")
        preview = ("preview", "--stack", "prod", "--state", "empty.json")
        said = own.factory(*preview).out
        assert "-spot create" in said
        assert "mandatory: " not in said
        assert "Policies of model-factory 1.0.0: " in said
        assert "not evaluated: spot-has-fallback" not in said


class TestACarelessChange:
    @pytest.mark.parametrize("arguments", [("up", "--yes"), ("up", "--yes", "--skip-preview")])
    def test_it_is_stopped_before_anything_is_changed(self, own: OwnPolicies, arguments: tuple[str, ...]) -> None:
        own.program()
        own.factory("up", "--yes")
        before = own.deployment()
        state = own.factory("stack", "export").out
        own.program(replicas=2, privileged=True)
        ended = own.factory(*arguments, check=False)
        assert ended.code == 1
        assert "mandatory: no-privileged (critical) kubernetes:apps:Deployment web" in ended.out
        assert "breaks 1 mandatory policy: no-privileged" in ended.err
        assert own.deployment() == before
        assert own.factory("stack", "export").json["deployment"]["resources"] == _resources(state)

    def test_a_preview_of_it_fails_and_shows_it_all(self, own: OwnPolicies) -> None:
        own.program(privileged=True)
        ended = own.factory("preview", check=False)
        assert ended.code == 1
        assert "kubernetes:apps:Deployment web create" in ended.out
        assert "+ 3 to create" in ended.out

    def test_no_secret_is_told(self, own: OwnPolicies) -> None:
        own.program(privileged=True)
        for arguments in (
            ("preview",),
            ("preview", "--diff"),
            ("preview", "--json"),
            ("up", "--yes", "--json"),
        ):
            ended = own.factory(*arguments, "--policy-pack", "policies", check=False)
            assert ended.code == 1
            assert "hunter2" not in ended.out + ended.err


class TestACarelessStack:
    @pytest.mark.parametrize("arguments", [("up", "--yes"), ("up", "--yes", "--skip-preview")])
    def test_a_policy_over_the_whole_stack_stops_it_before_the_first_call(
        self, own: OwnPolicies, arguments: tuple[str, ...]
    ) -> None:
        """Nothing disrupts the Deployment's budget, for it has none: which only the whole stack tells."""
        own.program()
        config = '{"all": "disabled", "pdb-exists": "mandatory"}'
        (own.root / "policies" / "config" / "dev.json").write_text(config, encoding="utf-8")
        ended = own.factory(*arguments, check=False)
        assert ended.code == 1
        assert "mandatory: pdb-exists" in ended.out
        assert "breaks 1 mandatory policy: pdb-exists" in ended.err
        assert own.rendered() == {}
        stacks = own.root / ".factory" / "stacks"
        assert not list(stacks.glob("dev.*")), "no state, and no journal of anything begun"


class TestRemediation:
    def test_it_changes_the_objects_of_the_cluster(self, own: OwnPolicies) -> None:
        own.program()
        said = own.factory("up", "--yes").out
        assert "remediated: drop-capabilities kubernetes:apps:Deployment web" in said
        (container,) = own.deployment()["spec"]["template"]["spec"]["containers"]
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert "hunter2" not in own.factory("stack", "export").out
        assert "All resources are unchanged." in own.factory("up", "--yes").out


@needs_cli
class TestBothEngines:
    def test_they_say_the_same(self, own: OwnPolicies) -> None:
        own.program(privileged=True)
        path = {"PATH": os.environ["PATH"]}
        said: list[list[str]] = []
        for engine in ("local", "pulumi"):
            ended = own.factory("preview", "--engine", engine, check=False, env=path)
            assert ended.code == 1, ended.out + ended.err
            said.append(sorted(ended.out[ended.out.index("Policies of") :].splitlines()))
        assert said[0] == said[1]


def _resources(exported: str) -> object:
    return json.loads(exported)["deployment"]["resources"]
