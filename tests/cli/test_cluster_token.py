"""`factory cluster-token`: what a kubeconfig of the lab calls."""

from __future__ import annotations

import base64
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from model_factory.cli import entry
from model_factory.cli.cluster_token import app


def _credential(*arguments: str) -> dict[str, Any]:
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)


class TestClusterToken:
    @pytest.mark.parametrize("arguments", [("aws", "--cluster-name", "c", "--region", "us-east-1"), ("gcp",)])
    def test_is_a_credential_that_holds_for_a_while(self, arguments: tuple[str, ...]) -> None:
        credential = _credential(*arguments)
        assert credential["kind"] == "ExecCredential"
        assert credential["apiVersion"] == "client.authentication.k8s.io/v1beta1"
        ends = datetime.datetime.fromisoformat(credential["status"]["expirationTimestamp"])
        assert ends > datetime.datetime.now(datetime.UTC)

    def test_of_eks_is_bound_to_its_cluster(self) -> None:
        token = _credential("aws", "--cluster-name", "c", "--region", "us-east-1")["status"]["token"]
        scheme, _, encoded = token.rpartition(".")
        url = urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode())
        query = parse_qs(url.query)
        assert scheme == "k8s-aws-v1"
        assert (url.hostname, query["Action"]) == ("sts.us-east-1.amazonaws.com", ["GetCallerIdentity"])
        assert "x-k8s-aws-id" in query["X-Amz-SignedHeaders"][0].split(";")

    def test_signs_with_no_key_of_the_users(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
        token = _credential("aws", "--cluster-name", "c", "--region", "us-east-1")["status"]["token"]
        encoded = token.rpartition(".")[2]
        assert b"AKIAREAL" not in base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))

    @pytest.mark.slow
    def test_loads_none_of_the_other_commands(self) -> None:
        """A client of a cluster waits for it."""
        code = "import sys; from model_factory.cli.entry import main; sys.argv = ['factory', 'cluster-token', 'gcp']\n"
        code += "try:\n    main()\nexcept SystemExit:\n    pass\nprint('model_factory.cli.main' in sys.modules)"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout.splitlines()[-1] == "False"


class TestEntry:
    def test_is_found_by_kubeconfigs_when_called_by_its_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        monkeypatch.setattr(sys, "argv", [str(tmp_path / "factory")])
        entry._be_found()
        assert os.environ["PATH"] == f"/nowhere{os.pathsep}{tmp_path}"
