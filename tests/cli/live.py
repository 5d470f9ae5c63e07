"""A dev stack whose clusters run, as its state has them, and API servers that are lists of objects."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from model_factory.access.errors import AccessError, ApiError
from model_factory.cli.main import app
from model_factory.cli.session import Session
from model_factory.graph.pods import KIND, MODEL, MODEL_SERVER, POOL
from model_factory.live.sites import Site

AWS, GCP = "aws/us-east-1", "gcp/us-central1"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def kubeconfig(name: str, command: str = "factory") -> str:
    """One that asks a command for credentials."""
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": ["cluster-token", name]}
    }
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": "https://127.0.0.1:9"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": user}],
    })  # fmt: skip


def bring_up(project: Path, **providers: Mapping[str, Any]) -> None:
    """Give the dev stack a state with these Kubernetes providers, by logical name with _ for -."""
    root = "urn:pulumi:dev::model-factory::pulumi:pulumi:Stack::model-factory-dev"
    resources: list[dict[str, Any]] = [{"urn": root, "custom": False, "type": "pulumi:pulumi:Stack"}]
    for name, inputs in providers.items():
        urn = f"urn:pulumi:dev::model-factory::pulumi:providers:kubernetes::{name.replace('_', '-')}"
        type_ = "pulumi:providers:kubernetes"
        resources.append(
            {"urn": urn, "custom": True, "id": name, "type": type_, "inputs": inputs, "outputs": inputs, "parent": root}
        )
    manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
    store = Session.open("dev", project).store
    with store.lock():
        store.import_({"version": 3, "deployment": {"manifest": manifest, "resources": resources}})


def factory(project: Path, *arguments: str, columns: int = 200, stdin: str = "") -> Result:
    """The command; what it raises is in the result."""
    command = [*arguments, "--cwd", str(project)]
    return CliRunner().invoke(app, command, env={"COLUMNS": str(columns)}, input=stdin)


class Cluster:
    """An API server's objects, as far as they are looked at."""

    def __init__(self, *objects: Mapping[str, Any], down: str = "") -> None:
        self.objects = objects
        self.down = down
        self.written: dict[str, Sequence[str] | str] = {}
        """The lines of Pods, or why there are none."""
        self.asked: list[Mapping[str, Any]] = []

    def list(
        self, api_version: str, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> tuple[Any, ...]:
        del api_version, namespace, fields
        if self.down:
            raise ApiError("v1/Pod.list", reason="Unreachable", status=0, message=self.down)
        wanted = dict(part.split("=") for part in labels.split(",") if part)
        return tuple(
            each for each in self.objects
            if each["kind"] == kind and wanted.items() <= each["metadata"].get("labels", {}).items()
        )  # fmt: skip

    def logs(self, pod: str, **options: Any) -> Generator[str]:
        self.asked.append({"pod": pod, **options})
        found = self.written.get(pod, ())
        if isinstance(found, str):
            raise ApiError("v1/Pod.log", reason="BadRequest", status=400, message=found)
        yield from found

    def close(self) -> None:
        """Nothing is open."""


class Clusters:
    """What the sites' clients are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.by_site: dict[str, Cluster] = {}
        monkeypatch.setattr(Site, "client", lambda site: self._client(site.name))

    def _client(self, name: str) -> Cluster:
        if name not in self.by_site:
            raise AccessError(f"no cluster at {name}")
        return self.by_site[name]


def deployment(model: str, replicas: int) -> dict[str, Any]:
    container = {"name": "server", "image": f"registry.example/{model}:v1@{DIGEST}"}
    return {
        "kind": "Deployment",
        "metadata": {"name": model, "labels": labels(model), "annotations": {"model-factory/revision": "r7"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
        "status": {"updatedReplicas": replicas},
    }


def pod(model: str, name: str, *, waiting: Mapping[str, str] | None = None, port: int = 8000) -> dict[str, Any]:
    """A Pod that is ready, or whose server waits."""
    state = {"waiting": dict(waiting)} if waiting else {"running": {}}
    container = {"name": "server", "ports": [{"name": "http", "containerPort": port}]}
    return {
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": f"model-{model}", "uid": name, "labels": labels(model), "creationTimestamp": "2026-01-01T00:00:00Z"
        },
        "spec": {"nodeName": "n1", "containers": [container], "initContainers": [{"name": "fetch"}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(not waiting)}],
            "containerStatuses": [{"name": "server", "state": state}],
        },
    }  # fmt: skip


NODE = {"kind": "Node", "metadata": {"name": "n1", "labels": {POOL: "g6-xlarge"}}}


def labels(model: str) -> dict[str, str]:
    return {KIND: MODEL_SERVER, MODEL: model}
