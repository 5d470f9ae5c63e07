"""The client of a cluster's API against a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_factory.access.client import ClusterClient
from model_factory.access.errors import ApiError, NoKindError, UnreachableError
from model_factory.local.lab.control_plane import ControlPlane
from tests.local.lab.spoiling import SpoilingServer, spoiling
from tests.local.providers.kubernetes.calls import Engine

pytestmark = [pytest.mark.lab, pytest.mark.slow]

NAMESPACE = "client"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


@pytest.fixture(scope="module", autouse=True)
def space(cluster: ClusterClient) -> Iterator[None]:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, manager="tests")
    yield
    cluster.delete("v1", "Namespace", NAMESPACE)


@pytest.fixture
def spoiled(control_plane: ControlPlane) -> Iterator[SpoilingServer]:
    with spoiling(str(control_plane.admin_kubeconfig)) as server:
        yield server


@pytest.fixture
def through(spoiled: SpoilingServer) -> Iterator[ClusterClient]:
    client = ClusterClient.of(spoiled.kubeconfig)
    yield client
    client.close()


def config_map(name: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"of": "tests"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class TestObjects:
    def test_what_is_applied_is_new_once_and_the_same_after(self, cluster: ClusterClient) -> None:
        first = cluster.apply(config_map("applied", a="b"), manager="one")
        again = cluster.apply(config_map("applied", a="b"), manager="one")
        assert (first.status, again.status) == (201, 200)
        assert first.object == again.object

    def test_a_conflict_names_field_and_owner(self, cluster: ClusterClient) -> None:
        cluster.apply(config_map("shared", a="b"), manager="one")
        with pytest.raises(ApiError) as conflict:
            cluster.apply(config_map("shared", a="c"), manager="two")
        assert conflict.value.reason == "Conflict"
        (cause,) = conflict.value.causes
        assert (cause.field, cause.message) == (".data.a", 'conflict with "one"')
        assert cluster.apply(config_map("shared", a="c"), manager="two", force=True).object["data"] == {"a": "c"}

    @pytest.mark.parametrize("write", ["create", "apply"])
    def test_a_field_that_no_schema_has_is_refused(self, cluster: ClusterClient, write: str) -> None:
        wrong = {**config_map("wrong"), "dota": {"a": "b"}}
        with pytest.raises(ApiError, match="dota"):
            cluster.create(wrong) if write == "create" else cluster.apply(wrong, manager="one")

    def test_a_list_is_whole_over_its_pages_and_follows_its_selectors(
        self, cluster: ClusterClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("model_factory.access.client._PAGE", 2)
        for number in range(5):
            cluster.apply(config_map(f"listed-{number}"), manager="one")
        names = {each["metadata"]["name"] for each in cluster.list("v1", "ConfigMap", namespace=NAMESPACE)}
        assert {f"listed-{number}" for number in range(5)} <= names
        one = cluster.list("v1", "ConfigMap", namespace=NAMESPACE, fields="metadata.name=listed-1", labels="of=tests")
        assert [(each["kind"], each["metadata"]["name"]) for each in one] == [("ConfigMap", "listed-1")]

    def test_a_watch_goes_on_from_a_listing_and_ends(self, cluster: ClusterClient) -> None:
        listing = cluster.listing("v1", "ConfigMap", namespace=NAMESPACE)
        cluster.apply(config_map("watched"), manager="one")
        cluster.delete("v1", "ConfigMap", "watched", namespace=NAMESPACE)
        events = cluster.watch(
            "v1",
            "ConfigMap",
            namespace=NAMESPACE,
            resource_version=listing.resource_version,
            fields="metadata.name=watched",
            timeout_seconds=1,
        )
        assert [event.type for event in events if event.type != "BOOKMARK"] == ["ADDED", "DELETED"]

    def test_only_the_very_object_is_deleted(self, cluster: ClusterClient) -> None:
        made = cluster.apply(config_map("once"), manager="one").object
        with pytest.raises(ApiError, match="Conflict"):
            cluster.delete("v1", "ConfigMap", "once", namespace=NAMESPACE, uid="another")
        assert cluster.delete("v1", "ConfigMap", "once", namespace=NAMESPACE, uid=made["metadata"]["uid"])
        assert not cluster.delete("v1", "ConfigMap", "once", namespace=NAMESPACE)

    def test_a_kind_that_is_not_served_is_no_object_that_is_gone(self, cluster: ClusterClient) -> None:
        assert cluster.get("v1", "ConfigMap", "none", namespace=NAMESPACE) is None
        with pytest.raises(NoKindError, match="CustomResourceDefinition"):
            cluster.get("none.example.com/v1", "Nothing", "none")

    def test_the_servers_warnings_are_kept(self, cluster: ClusterClient) -> None:
        # https://kubernetes.io/blog/2025/04/24/endpoints-deprecation/
        endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "old", "namespace": NAMESPACE}}
        (warning,) = cluster.apply(endpoints, manager="one").warnings
        assert "deprecated" in warning

    def test_a_stream_to_a_pod_that_is_not_there_says_so(self, cluster: ClusterClient) -> None:
        with pytest.raises(ApiError, match='pods "none" not found'):
            cluster.forward("none", 80, namespace=NAMESPACE)
        with pytest.raises(ApiError, match='pods "none" not found'):
            list(cluster.logs("none", namespace=NAMESPACE))


class TestBrokenConnections:
    def test_what_can_be_repeated_is(self, spoiled: SpoilingServer, through: ClusterClient) -> None:
        for lost in ("lost before", "lost after", "busy"):
            spoiled.spoil = {"GET": lost, "PATCH": lost}
            through.apply(config_map("repeated", a=lost), manager="one")
            found = through.get("v1", "ConfigMap", "repeated", namespace=NAMESPACE)
            assert found is not None
            assert found["data"] == {"a": lost}

    def test_a_create_is_not_repeated_but_where_nothing_was_done(
        self, spoiled: SpoilingServer, through: ClusterClient
    ) -> None:
        spoiled.spoil = {"POST": "lost after"}
        with pytest.raises(UnreachableError) as lost:
            through.create(config_map("created"))
        assert lost.value.sent
        spoiled.spoil = {"POST": "busy"}
        through.create(config_map("created-later"))

    def test_nobody_at_the_address_is_said_with_the_address(self, control_plane: ControlPlane) -> None:
        document = yaml.safe_load(Path(control_plane.admin_kubeconfig).read_text(encoding="utf-8"))
        document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
        with pytest.raises(UnreachableError, match=r"no answer from https://127\.0\.0\.1:9") as refused:
            ClusterClient.of(yaml.safe_dump(document)).version()
        assert not refused.value.sent

    @pytest.mark.parametrize("lost", ["lost before", "lost after", "busy"])
    def test_the_provider_finds_what_a_create_without_an_answer_made(
        self, spoiled: SpoilingServer, cluster: ClusterClient, tmp_path: Path, lost: Any
    ) -> None:
        engine = Engine(tmp_path, {"renderYamlToDirectory": "", "kubeconfig": spoiled.kubeconfig})
        metadata = {"name": f"found-{lost.replace(' ', '-')}", "namespace": NAMESPACE}
        inputs = engine.checked(CONFIG_MAP, {"metadata": metadata, "data": {"a": "b"}})
        spoiled.spoil = {"POST": lost}
        identity, state = engine.create(CONFIG_MAP, inputs)
        assert state["data"] == {"a": "b"}
        spoiled.spoil = {"PATCH": lost, "GET": lost}
        update = engine.update(CONFIG_MAP, identity, state, {**inputs, "data": {"a": "c"}})
        spoiled.spoil = {"DELETE": lost}
        engine.delete(CONFIG_MAP, identity, update)
        assert cluster.get("v1", "ConfigMap", metadata["name"], namespace=NAMESPACE) is None
