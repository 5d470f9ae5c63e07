"""Where the Pods of the stack's own objects land, on nodes as its pools declare them and as their machines are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.programs import Programs
from tests.local.lab.stack_site import GPU, Site, stack_site, unschedulable, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]
SITES = [("dev", "aws"), ("dev", "gcp"), ("prod", "aws"), ("prod", "gcp")]


@pytest.fixture(params=SITES, ids="-".join)
def site(request: pytest.FixtureRequest, own_plane: ControlPlane, programs: Programs, tmp_path: Path) -> Iterator[Site]:
    stack, cloud = request.param
    with stack_site(stack, cloud, own_plane, programs, tmp_path) as site:
        yield site


def asks_for_gpus(pod: dict[str, Any]) -> bool:
    return any(GPU in (each.get("resources", {}).get("limits") or {}) for each in pod["spec"]["containers"])


def plain(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "test", "resources": {"requests": {"cpu": "100m"}}}]
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def test_pods_land_on_the_planned_pools_and_others_ask_for_no_gpu_node(site: Site) -> None:
    until(site.settled, site.told)
    models = [pod for pod in site.pods() if pod["metadata"]["namespace"] != "default"]
    assert models
    for pod in models:
        assert site.pool_of(pod) in site.preferred(pod), pod["metadata"]["name"]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    site.client.apply(account, manager="test")
    for index in range(5):
        site.client.create(plain(f"plain-{index}"))
    until(lambda: all(pod["status"]["phase"] == "Running" for pod in site.pods()), site.told)
    gpu_pools = {pool.labels["model-factory/pool"] for pool in site.pools if pool.gpus_per_node}
    for pod in site.pods():
        assert asks_for_gpus(pod) == (site.pool_of(pod) in gpu_pools), pod["metadata"]["name"]

    with_nodes = sorted(label for label in gpu_pools if site.counts.get(label))
    site.client.create(plain("unasked", nodeSelector={"model-factory/pool": with_nodes[0]}))
    (why,) = until(lambda: unschedulable(site.pods()), site.told)
    assert "untolerated taint" in why
