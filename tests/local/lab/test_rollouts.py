"""Replicas that serve while Pods and nodes are replaced: watched from the first change to the last, and held to what is promised."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.nodes.fleet import Fleet
from model_factory.local.lab.nodes.pools import ZONE_LABEL, Pool, Rolling
from model_factory.local.lab.nodes.simulated import POOL, SimulatedNode
from model_factory.local.lab.programs import Programs
from tests.local.lab.stack_site import ZONES, Site, shape_of, stack_site, unschedulable, until

pytestmark = [pytest.mark.lab, pytest.mark.slow]
WATCH_SECONDS = 300


@dataclass
class Record:
    """How many replicas were available, after each change of the workload."""

    available: list[int] = field(default_factory=list[int])


@contextmanager
def recorded(client: ClusterClient, name: str, namespace: str) -> Iterator[Record]:
    """What the API server tells of a Deployment during the block."""
    record = Record()
    events = client.watch(
        "apps/v1",
        "Deployment",
        namespace=namespace,
        fields=f"metadata.name={name}",
        timeout_seconds=WATCH_SECONDS,
    )
    first = threading.Event()
    closed = threading.Event()

    def watch() -> None:
        for event in events:
            if event.type != "BOOKMARK":
                record.available.append(event.object["status"].get("availableReplicas", 0))
                first.set()
            if closed.is_set():
                break

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    assert first.wait(30)
    try:
        yield record
    finally:
        closed.set()
        # One more change ends the watch.
        client.patch(
            "apps/v1", "Deployment", name, {"metadata": {"annotations": {"watched": "x"}}}, namespace=namespace
        )
        thread.join(30)
        events.close()


@pytest.fixture
def site_of(own_plane: ControlPlane, programs: Programs, tmp_path: Path) -> Iterator[Callable[[str, str], Site]]:
    opened: list[Any] = []

    def open_site(stack: str, cloud: str) -> Site:
        context = stack_site(stack, cloud, own_plane, programs, tmp_path)
        opened.append(context)
        site = context.__enter__()
        until(site.settled, site.told)
        return site

    yield open_site
    for context in opened:
        context.__exit__(None, None, None)


def workload(site: Site, word: str) -> tuple[dict[str, Any], str, str]:
    """The Deployment whose name has the word, with its name and namespace."""
    (found,) = [each for each in site.client.list("apps/v1", "Deployment") if word in each["metadata"]["name"]]
    return found, found["metadata"]["name"], found["metadata"]["namespace"]


def roll(site: Site, name: str, namespace: str) -> None:
    template = {"metadata": {"annotations": {"rolled": "yes"}}}
    site.client.patch("apps/v1", "Deployment", name, {"spec": {"template": template}}, namespace=namespace)


def has_rolled(site: Site, name: str, namespace: str) -> bool:
    found = site.client.get("apps/v1", "Deployment", name, namespace=namespace)
    assert found is not None
    status, wanted = found["status"], found["spec"]["replicas"]
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return current and counts == [wanted] * 3


class TestRollout:
    def test_where_the_cloud_adds_nodes_it_ends_at_a_full_pool_and_loses_no_replica(
        self, site_of: Callable[[str, str], Site]
    ) -> None:
        site = site_of("prod", "gcp")
        found, name, namespace = workload(site, "text-classifier")
        with recorded(site.client, name, namespace) as record:
            roll(site, name, namespace)
            until(lambda: site.grow() or has_rolled(site, name, namespace), site.told)
            until(lambda: has_rolled(site, name, namespace), site.told)
        assert min(record.available) >= found["spec"]["replicas"]

    def test_where_nothing_adds_nodes_it_waits_for_one_says_so_and_loses_no_replica(
        self, site_of: Callable[[str, str], Site]
    ) -> None:
        site = site_of("prod", "aws")
        found, name, namespace = workload(site, "image-classifier")
        with recorded(site.client, name, namespace) as record:
            roll(site, name, namespace)
            (why,) = until(lambda: unschedulable(site.pods()), site.told)
            assert "Insufficient nvidia.com/gpu" in why
            (pool,) = [pool for pool in site.pools if pool.labels["model-factory/pool"] == "t4x1-on-demand"]
            site.add_node(pool, ZONES[2])
            until(lambda: has_rolled(site, name, namespace), site.told)
        assert min(record.available) >= found["spec"]["replicas"]


class TestNodes:
    def test_an_upgrade_of_a_full_pool_keeps_to_the_budget(self, site_of: Callable[[str, str], Site]) -> None:
        """EKS's way at maxUnavailable 1: as many nodes more as there are zones, twice; drained one after another."""
        site = site_of("prod", "aws")
        found, name, namespace = workload(site, "image-classifier")
        (declared,) = [pool for pool in site.pools if pool.labels["model-factory/pool"] == "t4x1-on-demand"]
        shape = shape_of(declared)
        made: list[str] = []

        def make(zone: str, _taken: object) -> SimulatedNode:
            made.append(f"t4x1-on-demand-new-{len(made)}")
            labels = {ZONE_LABEL: zone, "kubernetes.io/hostname": made[-1]}
            return SimulatedNode(made[-1], f"test:///{made[-1]}", "10.0.0.1", "t4x1-on-demand", "2", shape, labels)

        pool = Pool("t4x1-on-demand", "2", {"a": 1, "b": 1}, shape, make, Rolling(6, 0, 1), drain_seconds=900)
        others = [each for each in site.client.list("v1", "Node") if "t4x1" not in each["metadata"]["name"]]
        for each in others:  # not of this fleet
            site.client.patch("v1", "Node", each["metadata"]["name"], {"metadata": {"annotations": {POOL: None}}})
        fleet = Fleet(site.client, lambda: [pool], lambda: 0.1)
        with recorded(site.client, name, namespace) as record:
            until(lambda: not fleet.look(), site.told)
            until(lambda: has_rolled(site, name, namespace), site.told)
        assert {each["metadata"]["name"] for each in fleet.nodes()} == set(made)
        assert min(record.available) >= found["spec"]["replicas"] - 1

    def test_the_loss_of_a_node_costs_the_replicas_on_it_and_no_other(
        self, site_of: Callable[[str, str], Site]
    ) -> None:
        site = site_of("prod", "gcp")
        found, name, namespace = workload(site, "text-classifier")
        (lost, *_) = sorted(pod["spec"]["nodeName"] for pod in site.pods())
        with recorded(site.client, name, namespace) as record:
            site.client.delete("v1", "Node", lost)
            until(lambda: lost not in {pod["spec"].get("nodeName") for pod in site.pods()}, site.told)
            until(site.settled, site.told)
        assert min(record.available) >= found["spec"]["replicas"] - 1
