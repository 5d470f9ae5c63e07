"""`factory kubeconfig`: one file for all sites of a stack, with no secret that was not the user's own."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_factory.cli.errors import BadInputError, CommandError
from tests.cli.live import bring_up, factory, kubeconfig

OWN = """
apiVersion: v1
kind: Config
current-context: other
clusters:
- {name: k, cluster: {server: "https://127.0.0.1:6443", certificate-authority: pki/ca.crt}}
contexts:
- {name: kind-dev, context: {cluster: k, user: u, namespace: team}}
- {name: other, context: {cluster: k, user: u}}
users:
- {name: u, user: {client-certificate: pki/me.crt, client-key: /keys/me.key}}
"""


@pytest.fixture
def up(project: Path) -> Path:
    """A dev stack with two clusters that ask the clouds' commands for credentials."""
    bring_up(
        project,
        dev_aws_us_east_1={"kubeconfig": kubeconfig("east", "aws")},
        dev_gcp_us_central1={"kubeconfig": kubeconfig("central", "gke-gcloud-auth-plugin")},
    )
    return project


def printed(project: Path, *arguments: str) -> dict[str, Any]:
    result = factory(project, "kubeconfig", *arguments)
    assert result.exit_code == 0, result.output
    return yaml.safe_load(result.stdout)


class TestContexts:
    def test_are_one_a_site_with_the_stack_in_its_name(self, up: Path) -> None:
        told = printed(up)
        names = ["dev-aws-us-east-1", "dev-gcp-us-central1"]
        assert [each["name"] for each in told["contexts"]] == names
        assert told["current-context"] == names[0]
        for key in ("clusters", "users"):
            assert [each["name"] for each in told[key]] == names
        assert [each["user"]["exec"]["command"] for each in told["users"]] == ["aws", "gke-gcloud-auth-plugin"]

    def test_are_those_of_the_sites_that_are_asked_for(self, up: Path) -> None:
        told = printed(up, "--site", "gcp/us-central1")
        assert [each["name"] for each in told["contexts"]] == ["dev-gcp-us-central1"] == [told["current-context"]]

    def test_of_the_user_s_own_come_with_what_that_says(
        self, project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path_factory.mktemp("own")
        (folder / "config").write_text(OWN, encoding="utf-8")
        monkeypatch.setenv("KUBECONFIG", f"{folder / 'none'}:{folder / 'config'}")
        bring_up(project, dev_aws_us_east_1={"context": "kind-dev"})
        told = printed(project)
        assert told["contexts"] == [
            {"name": "dev-aws-us-east-1", "context": {"cluster": "dev-aws-us-east-1", "user": "dev-aws-us-east-1", "namespace": "team"}}
        ]  # fmt: skip
        assert told["clusters"][0]["cluster"]["certificate-authority"] == str(folder / "pki" / "ca.crt")
        assert told["users"][0]["user"] == {
            "client-certificate": str(folder / "pki" / "me.crt"),
            "client-key": "/keys/me.key",
        }

    def test_of_the_user_that_is_gone_is_named_with_those_there_are(
        self, project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = tmp_path_factory.mktemp("own") / "config"
        config.write_text(OWN, encoding="utf-8")
        monkeypatch.setenv("KUBECONFIG", str(config))
        bring_up(project, dev_aws_us_east_1={"context": "kind-gone"})
        error = factory(project, "kubeconfig").exception
        assert isinstance(error, CommandError)
        assert "no context 'kind-gone'; name one of kind-dev, other" in str(error)


class TestOurOwnPlugin:
    def test_has_the_way_to_this_program_where_no_shell_finds_it(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bring_up(project, dev_aws_us_east_1={"kubeconfig": kubeconfig("east")})
        program = project / ".venv" / "bin" / "factory"
        monkeypatch.setattr(sys, "argv", [str(program)])
        monkeypatch.setenv("PATH", "/nowhere")
        assert printed(project)["users"][0]["user"]["exec"]["command"] == str(program)

    def test_has_the_way_to_the_one_beside_this_python_where_it_was_not_called_as_a_program(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bring_up(project, dev_aws_us_east_1={"kubeconfig": kubeconfig("east")})
        monkeypatch.setattr(sys, "argv", ["pytest"])
        monkeypatch.setenv("PATH", "/nowhere")
        program = Path(sys.executable).with_name("factory")
        assert printed(project)["users"][0]["user"]["exec"]["command"] == str(program)

    def test_is_called_by_name_where_one_does(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bring_up(project, dev_aws_us_east_1={"kubeconfig": kubeconfig("east")})
        program = project / "bin" / "factory"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "argv", [str(program)])
        monkeypatch.setenv("PATH", str(program.parent))
        assert printed(project)["users"][0]["user"]["exec"]["command"] == "factory"


class TestWrite:
    def test_is_for_its_owner_alone_and_can_be_done_again(self, up: Path) -> None:
        file = up / "config.yaml"
        for _ in range(2):
            result = factory(up, "kubeconfig", "--write", str(file))
            assert result.exit_code == 0, result.output
        assert f"export KUBECONFIG={file}" in result.stdout
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(yaml.safe_load(file.read_text(encoding="utf-8"))["contexts"]) == 2
        assert [each.name for each in up.iterdir() if "config.yaml" in each.name] == ["config.yaml"]

    def test_takes_no_context_of_others_away(self, up: Path) -> None:
        file = up / "config.yaml"
        file.write_text(OWN, encoding="utf-8")
        error = factory(up, "kubeconfig", "--write", str(file)).exception
        assert isinstance(error, BadInputError)
        assert "not of stack dev (kind-dev, other)" in str(error)
        assert file.read_text(encoding="utf-8") == OWN

    def test_takes_no_file_of_another_kind_away(self, up: Path) -> None:
        file = up / "Pulumi.yaml"
        before = file.read_bytes()
        assert isinstance(factory(up, "kubeconfig", "--write", str(up / "__main__.py")).exception, BadInputError)
        assert file.read_bytes() == before


class TestRefusals:
    def test_clusters_that_are_files_name_the_remedy(self, project: Path) -> None:
        bring_up(project, dev_aws_us_east_1={"renderYamlToDirectory": ".factory/clouds/kubernetes/dev-aws-us-east-1"})
        error = factory(project, "kubeconfig").exception
        assert isinstance(error, BadInputError)
        assert "are files" in str(error)
        assert "kubernetes: lab" in str(error)

    def test_a_stack_that_is_not_up_names_the_remedy(self, project: Path) -> None:
        assert "are files" in str(factory(project, "kubeconfig").exception)
        file = project / "Pulumi.dev.yaml"
        text = file.read_text(encoding="utf-8").rstrip()
        file.write_text(f"{text}\n  model-factory:local: {{kubernetes: lab}}\n", encoding="utf-8")
        error = factory(project, "kubeconfig").exception
        assert isinstance(error, CommandError)
        assert "factory up" in str(error)

    def test_a_site_that_the_stack_has_not_is_named_with_those_it_has(self, up: Path) -> None:
        error = factory(up, "kubeconfig", "--site", "aws/us-east-2").exception
        assert isinstance(error, BadInputError)
        assert "aws/us-east-1" in str(error)
