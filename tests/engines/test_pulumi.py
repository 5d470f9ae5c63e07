"""The real Pulumi CLI, a real program, our Kubernetes provider attached."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_factory.engines.protocol import Emit, Outcome
from model_factory.engines.pulumi import (
    PulumiEngine,
    PulumiError,
    Workplace,
    _surroundings,
    exported,
    plugins_to_serve,
)
from model_factory.graph.urn import name_of
from model_factory.graph.values import SECRET_SIGNATURE, SIGNATURE_KEY
from model_factory.local.engine.request import Request
from model_factory.planning.settings.stackfile import StackFile, read_stack_file
from tests.local.recorder import PROXY_VARIABLES

needs_cli = pytest.mark.skipif(
    shutil.which("pulumi") is None or importlib.util.find_spec("pip") is None,
    reason="needs the Pulumi CLI on PATH, and pip, by which its Python host lists a program's packages",
)

PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
for cluster in ("eks", "gke"):
    provider = k8s.Provider(cluster, render_yaml_to_directory=f"clouds/{cluster}")
    options = pulumi.ResourceOptions(provider=provider)
    namespace = k8s.core.v1.Namespace(f"{cluster}-models", opts=options)
    metadata = {"namespace": namespace.metadata.name}
    settings = k8s.core.v1.ConfigMap(f"{cluster}-settings", metadata=metadata, data={"mode": config.get("mode") or "a"}, opts=options)
    k8s.core.v1.Secret(f"{cluster}-token", metadata=metadata, string_data={"token": pulumi.Output.secret("hunter2")}, opts=options)
    labels = {"app": config.get("label") or "web"}
    k8s.apps.v1.Deployment(
        f"{cluster}-web",
        metadata=metadata,
        spec={
            "replicas": config.get_int("replicas") or 1,
            "selector": {"match_labels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "web", "env": [{"name": "S", "value": settings.metadata.name}]}]},
            },
        },
        opts=options,
    )
    pulumi.export(f"{cluster}-settings", settings.metadata.name)
pulumi.export("token", pulumi.Output.secret("hunter2"))
"""


PASSPHRASE = "secret"


class Project:
    """A project in a folder of its own, operated through the CLI."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[dict[str, Any]] = []
        (root / "Pulumi.yaml").write_text(
            f"name: trial\nruntime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n"
        )
        (root / "__main__.py").write_text(PROGRAM)
        self.configure()

    @property
    def stack_file(self) -> Path:
        return self.root / "Pulumi.dev.yaml"

    def configure(self, **values: str) -> None:
        text = "# this comment stays\nconfig:\n  trial:of: settings\n"
        self.stack_file.write_text(text + "".join(f'  trial:{key}: "{value}"\n' for key, value in values.items()))

    def run(
        self,
        operation: Any,
        *,
        emit: Emit | None = None,
        cancel: threading.Event | None = None,
        passphrase: str = PASSPHRASE,
        plan: Path | None = None,
    ) -> Outcome:
        self.events = []
        given = self.stack_file.read_text()
        engine = PulumiEngine(
            Workplace(self.root, "trial", read_stack_file(self.stack_file), is_local=True, passphrase=passphrase)
        )
        try:
            return engine.run(Request(operation, plan=plan), emit or self.events.append, cancel)
        finally:
            assert self.stack_file.read_text() == given

    def steps(self) -> dict[str, str]:
        """What happened to each resource that changed, by its name; the last word counts."""
        found = [event["resOutputsEvent"]["metadata"] for event in self.events if "resOutputsEvent" in event]
        return {step["urn"].rsplit("::", 1)[1]: step["op"] for step in found if step["op"] != "same"}

    def objects(self, cluster: str) -> dict[str, Any]:
        found = [yaml.safe_load(path.read_text()) for path in (self.root / "clouds" / cluster).glob("*/*.yaml")]
        return {obj["kind"]: obj for obj in found}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.delenv("PULUMI_DEBUG_PROVIDERS", raising=False)
    root = tmp_path / "project"
    root.mkdir()
    return Project(root)


@needs_cli
@pytest.mark.cli
@pytest.mark.slow
class TestTheCliDrivesOurProvider:
    def test_through_a_stacks_whole_life(self, project: Project) -> None:
        outcome = project.run("preview")
        assert outcome.ok
        assert outcome.changes == {"create": 11}
        assert not (project.root / "clouds").exists()

        outcome = project.run("up")
        assert (outcome.ok, outcome.changes) == (True, {"create": 11})
        assert not any("::default" in json.dumps(event) for event in project.events), "default providers are not shown"
        assert outcome.outputs["token"] == "[secret]"
        assert outcome.outputs["eks-settings"] == project.objects("eks")["ConfigMap"]["metadata"]["name"]
        assert outcome.outputs["gke-settings"] == project.objects("gke")["ConfigMap"]["metadata"]["name"]
        assert "hunter2" not in json.dumps(project.events)

        assert project.run("up").changes == {"same": 11}
        assert project.run("refresh").changes == {"same": 11}

        project.configure(replicas="3")
        assert project.run("preview").changes == {"same": 9, "update": 2}
        assert project.run("up").changes == {"same": 9, "update": 2}
        assert project.steps() == {"eks-web": "update", "gke-web": "update"}
        assert project.objects("eks")["Deployment"]["spec"]["replicas"] == 3

        place = Workplace(
            project.root, "trial", read_stack_file(project.stack_file), is_local=True, passphrase=PASSPHRASE
        )
        state = {name_of(each["urn"]): each["inputs"] for each in exported(place)}
        assert state["eks"]["renderYamlToDirectory"] == "clouds/eks"
        assert state["eks-token"]["stringData"] == {"token": "hunter2"}

        before = project.objects("gke")["Deployment"]["metadata"]["name"]
        project.configure(replicas="3", label="api")
        assert project.run("up").changes == {"same": 9, "replace": 2}
        assert project.objects("gke")["Deployment"]["metadata"]["name"] != before
        assert len(list((project.root / "clouds" / "gke").glob("*/*.yaml"))) == 4

        assert project.run("destroy").changes == {"delete": 11}
        assert list((project.root / "clouds").rglob("*.yaml")) == []

    def test_drift_is_found_and_repaired(self, project: Project) -> None:
        project.run("up")
        next((project.root / "clouds" / "eks").glob("*/*configmap*")).unlink()
        deployment = next((project.root / "clouds" / "gke").glob("*/*deployment*"))
        deployment.write_text(deployment.read_text().replace("replicas: 1", "replicas: 7"))
        assert project.run("refresh").changes == {"same": 9, "update": 1, "delete": 1}
        assert project.run("up").changes == {"same": 8, "create": 1, "update": 2}
        assert yaml.safe_load(deployment.read_text())["spec"]["replicas"] == 1
        assert project.objects("eks")["ConfigMap"]["data"] == {"mode": "a"}

    def test_what_changed_since_a_preview_goes_beyond_its_plan(self, project: Project, tmp_path: Path) -> None:
        plan = tmp_path / "plan.json"
        assert project.run("preview", plan=plan).ok
        assert "hunter2" not in plan.read_text(encoding="utf-8")
        assert project.run("up", plan=plan).changes == {"create": 11}
        project.configure(replicas="3")
        assert project.run("preview", plan=plan).changes == {"same": 9, "update": 2}
        project.configure(replicas="4")
        assert not project.run("up", plan=plan).ok
        assert "violates plan" in json.dumps(project.events)
        assert project.objects("eks")["Deployment"]["spec"]["replicas"] == 1
        project.configure(replicas="3", mode="b")
        assert not project.run("up", plan=plan).ok
        project.configure(replicas="3")
        assert project.run("up", plan=plan).changes == {"same": 9, "update": 2}

    def test_inputs_that_break_a_rule_are_refused_before_anything_is_written(self, project: Project) -> None:
        project.configure(label="not a label")
        outcome = project.run("preview")
        assert not outcome.ok
        errors = [
            e["diagnosticEvent"]["message"]
            for e in project.events
            if e.get("diagnosticEvent", {}).get("severity") == "error"
        ]
        assert any("spec.selector.matchLabels.app: 'not a label' is not a label value" in text for text in errors)
        assert not (project.root / "clouds").exists()

    def test_a_program_that_fails_is_told_of_by_events(self, project: Project) -> None:
        (project.root / "__main__.py").write_text("raise RuntimeError('the program is broken')\n")
        assert not project.run("up").ok
        assert "the program is broken" in json.dumps(project.events)

    def test_cancelling_ends_it_cleanly_and_the_next_run_goes_on(self, project: Project) -> None:
        cancel = threading.Event()

        def emit(event: dict[str, Any]) -> None:
            if event.get("resOutputsEvent", {}).get("metadata", {}).get("type") == "kubernetes:core/v1:Namespace":
                cancel.set()

        assert project.run("up", emit=emit, cancel=cancel).cancelled
        outcome = project.run("up")
        assert outcome.ok
        assert sum(outcome.changes.values()) == 11
        assert sorted(project.objects("eks")) == ["ConfigMap", "Deployment", "Namespace", "Secret"]

    def test_a_wrong_passphrase_is_told(self, project: Project) -> None:
        project.run("up")
        with pytest.raises(PulumiError, match="passphrase"):
            project.run("up", passphrase="wrong")


class TestExported:
    """Over a program that stands in for the CLI, and says what that says."""

    @pytest.fixture
    def place(self, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
        program = tmp_path / "bin" / "pulumi"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\ncase "$*" in version*) echo v3.200.0;; *"stack export"*) cat {tmp_path}/state.json;; '
            f"*select*) test -f {tmp_path}/state.json || {{ echo no stack named dev found >&2; exit 1; }};; esac\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        return Workplace(
            project.root, "trial", read_stack_file(project.stack_file), is_local=True, passphrase=PASSPHRASE
        )

    def test_has_secrets_in_plain_text_and_no_old_copies(self, place: Workplace, tmp_path: Path) -> None:
        secret = {SIGNATURE_KEY: SECRET_SIGNATURE, "plaintext": '"a kubeconfig"'}
        kept = {"urn": "a", "type": "t", "inputs": {"kubeconfig": secret, "list": [{"in": secret}, 1]}}
        old = {"urn": "a", "type": "t", "delete": True}
        state = {"version": 3, "deployment": {"resources": [kept, old]}}
        (tmp_path / "state.json").write_text(json.dumps(state))
        (found,) = exported(place)
        assert found["inputs"] == {"kubeconfig": "a kubeconfig", "list": [{"in": "a kubeconfig"}, 1]}

    def test_of_a_stack_that_is_not_there_says_what_the_cli_says(self, place: Workplace) -> None:
        with pytest.raises(PulumiError, match="no stack named dev found"):
            exported(place)


class TestPlugins:
    def test_ours_stand_in_for_those_not_installed(self, tmp_path: Path) -> None:
        environment = {"PULUMI_HOME": str(tmp_path), "PATH": str(tmp_path)}
        assert plugins_to_serve(environment) == ["aws", "gcp", "kubernetes"]
        (tmp_path / "plugins" / "resource-aws-v7.51.1").mkdir(parents=True)
        (tmp_path / "plugins" / "resource-gcp-v9.0.0").mkdir()
        assert plugins_to_serve(environment) == ["gcp", "kubernetes"]

    def test_those_that_the_user_attached_are_left_to_the_user(self, tmp_path: Path) -> None:
        environment = {
            "PULUMI_HOME": str(tmp_path),
            "PATH": str(tmp_path),
            "PULUMI_DEBUG_PROVIDERS": "aws:1,gcp:2",
        }
        assert plugins_to_serve(environment) == ["kubernetes"]


class TestStackFiles:
    def test_real_accounts_keep_the_users_own_backend_and_secrets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in PROXY_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        environment = Workplace(tmp_path, "trial", StackFile(stack="prod"), is_local=False).environment()
        assert environment == {"PULUMI_SKIP_UPDATE_CHECK": "true"}
        assert list(tmp_path.iterdir()) == []

    def test_real_accounts_keep_their_proxies_for_all_but_loopback(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", "http://proxy")
        monkeypatch.setenv("NO_PROXY", "corp")
        monkeypatch.delenv("no_proxy", raising=False)
        environment = Workplace(tmp_path, "trial", StackFile(stack="prod"), is_local=False).environment()
        assert environment["no_proxy"] == environment["NO_PROXY"] == "corp,127.0.0.1,localhost,::1"

    def test_local_clouds_keep_their_state_in_the_project(self, tmp_path: Path) -> None:
        environment = Workplace(tmp_path, "trial", StackFile(stack="dev"), is_local=True, passphrase="x").environment()
        assert environment["PULUMI_BACKEND_URL"] == (tmp_path / ".factory" / "pulumi" / "state").as_uri()
        assert environment["PULUMI_CONFIG_PASSPHRASE"] == "x"


class TestSurroundings:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        surroundings = {
            "PATH": "/bin",
            "PULUMI_HOME": "/pulumi",
            "PULUMI_ACCESS_TOKEN": "pul-1",
            "GITHUB_TOKEN": "ghp_1",
            "HTTPS_PROXY": "http://proxy",
        }
        monkeypatch.setattr(os, "environ", surroundings)

    def test_on_local_clouds_hold_no_token_and_no_proxy(self, tmp_path: Path) -> None:
        assert _surroundings(Workplace(tmp_path, "trial", StackFile(stack="dev"), is_local=True)) == {
            "PATH": "/bin",
            "PULUMI_HOME": "/pulumi",
        }

    def test_of_real_accounts_are_the_user_s(self, tmp_path: Path) -> None:
        place = Workplace(tmp_path, "trial", StackFile(stack="prod"), is_local=False)
        assert _surroundings(place) == os.environ
