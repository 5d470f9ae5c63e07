"""A real node for the tests of this folder, with a registry and an image of a small program that tests run in Pods."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.node.images import Image
from model_factory.local.lab.node.real_node import NodeSpec, RealNode
from model_factory.local.lab.programs import Programs
from model_factory.local.lab.registry import Registry
from tests.local.lab.node.pods import Pods

SPEC = NodeSpec(
    name="real-1",
    pods=IPv4Network("10.97.0.0/24"),
    labels={"pool": "cpu", "topology.kubernetes.io/zone": "zone-a"},
    taints=[("models", "only", "PreferNoSchedule")],
    provider_id="lab:///zone-a/machine-1",
)


@pytest.fixture(scope="session")
def registry(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry") / "registry", programs.registry)
    made.ensure()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def node(
    programs: Programs, control_plane: ControlPlane, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealNode]:
    made = RealNode(tmp_path_factory.mktemp("node") / "node")
    try:
        made.ensure(SPEC, control_plane, registry.ensure(), programs)
        yield made
    finally:
        made.remove()


@pytest.fixture
def running(node: RealNode, control_plane: ControlPlane, registry: Registry, programs: Programs) -> RealNode:
    """The node, Ready: a test before may have ended something of it."""
    node.ensure(SPEC, control_plane, registry.ensure(), programs)
    return node


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `probe`: serves, calls, burns and eats."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the program that runs in the tests' Pods is built with Go, and `go` is not on PATH")
    program = tmp_path_factory.mktemp("probe") / "probe"
    subprocess.run(
        [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(program), "."],
        cwd=Path(__file__).parent / "probe",
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"},
        check=True,
    )
    return program


@pytest.fixture(scope="session")
def probe_image(probe: Path, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its image, by the registry's name and its digest."""
    return Image("probe", probe).push(registry.ensure(), tmp_path_factory.mktemp("images") / "pushed.json")


@pytest.fixture
def pods(running: RealNode, control_plane: ControlPlane, cluster: ClusterClient, probe_image: str) -> Iterator[Pods]:
    """A namespace of its own at level restricted, and what a test makes in it."""
    made = Pods(cluster, control_plane.admin_kubeconfig, f"t-{secrets.token_hex(3)}", probe_image)
    made.open()
    yield made
    made.close()


@pytest.fixture
def apply(cluster: ClusterClient, pods: Pods) -> Callable[[Mapping[str, Any]], None]:
    """Applies an object in the test's namespace."""

    def applied(document: Mapping[str, Any]) -> None:
        metadata = {**document["metadata"], "namespace": pods.namespace}
        cluster.apply({**document, "metadata": metadata}, manager="test", force=True)

    return applied
