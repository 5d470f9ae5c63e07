"""A stack whose objects live in a real cluster, brought up by the command: unchanged the second time, mended, killed, and gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.lab.control_plane import ControlPlane
from tests.stacks.harness import LocalStack

pytestmark = [pytest.mark.lab, pytest.mark.slow]

NAMESPACE = "brought-up"
OBJECTS = 20
PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

cluster = k8s.Provider("cluster", kubeconfig={kubeconfig!r}, enable_server_side_apply=True)
here = pulumi.ResourceOptions(provider=cluster)
space = k8s.core.v1.Namespace("space", metadata={{"name": {namespace!r}}}, opts=here)
metadata = {{"namespace": space.metadata["name"]}}
for number in range({objects}):
    k8s.core.v1.ConfigMap(f"note-{{number}}", metadata=metadata, data={{"number": str(number)}}, opts=here)
account = k8s.core.v1.ServiceAccount("server", metadata=metadata, opts=here)
deployment = k8s.apps.v1.Deployment(
    "server",
    metadata=metadata,
    spec={{
        "replicas": 0,
        "selector": {{"match_labels": {{"app": "server"}}}},
        "template": {{
            "metadata": {{"labels": {{"app": "server"}}}},
            "spec": {{"service_account_name": account.metadata["name"], "containers": [{{"name": "c", "image": "a"}}]}},
        }},
    }},
    opts=here,
)
pulumi.export("name", deployment.metadata["name"])
pulumi.export("uid", deployment.metadata["uid"])
"""


@pytest.fixture
def stack(tmp_path: Path, control_plane: ControlPlane, cluster: ClusterClient) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path)
    program = PROGRAM.format(kubeconfig=str(control_plane.admin_kubeconfig), namespace=NAMESPACE, objects=OBJECTS)
    (made.root / "__main__.py").write_text(program, encoding="utf-8")
    try:
        yield made
    finally:
        made.close()
        cluster.delete("v1", "Namespace", NAMESPACE)


def notes(cluster: ClusterClient) -> list[str]:
    found = cluster.list("v1", "ConfigMap", namespace=NAMESPACE)
    return sorted(each["data"]["number"] for each in found if each["metadata"]["name"].startswith("note-"))


def test_a_stack_in_a_cluster_comes_stays_is_mended_and_goes(stack: LocalStack, cluster: ClusterClient) -> None:
    assert stack.kill_after(12, "up", "--yes", "--skip-preview"), "the run was over before it could be killed"
    stack.factory("up", "--yes")
    assert notes(cluster) == sorted(str(number) for number in range(OBJECTS)), "none is lost, and none is there twice"
    assert "All resources are unchanged." in stack.factory("up", "--yes").out

    name = stack.factory("stack", "output", "name").out.strip().strip('"')
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "another"}]}}}}
    cluster.patch("apps/v1", "Deployment", name, patch, namespace=NAMESPACE, type="strategic", manager="kubectl-edit")
    cluster.delete("v1", "ConfigMap", next(
        each["metadata"]["name"]
        for each in cluster.list("v1", "ConfigMap", namespace=NAMESPACE)
        if each.get("data", {}).get("number") == "3"
    ), namespace=NAMESPACE)  # fmt: skip
    assert "containers[0].image" in stack.factory("refresh", "--preview-only", check=False).out
    stack.factory("up", "--yes", "--refresh")
    mended = cluster.get("apps/v1", "Deployment", name, namespace=NAMESPACE)
    assert mended is not None
    assert mended["spec"]["template"]["spec"]["containers"][0]["image"] == "a"
    assert notes(cluster) == sorted(str(number) for number in range(OBJECTS))

    stack.factory("destroy", "--yes")
    assert cluster.get("v1", "Namespace", NAMESPACE) is None
