from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_factory.local.clouds.kubernetes import control
from model_factory.local.clouds.kubernetes.cluster import Cluster, ClusterError, Reference


def config_map(name: str = "settings", namespace: str = "default", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "clouds" / "eks")


class TestLayout:
    """The layout of pulumi-kubernetes' renderYamlToDirectory."""

    def test_an_object_is_one_file_below_manifests(self, cluster: Cluster) -> None:
        cluster.create(config_map(a="b"))
        path = cluster.folder / "1-manifest" / "v1-configmap-default-settings.yaml"
        assert yaml.safe_load(path.read_text()) == config_map(a="b")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        folders = path.relative_to(cluster.folder).parents
        assert {stat.S_IMODE((cluster.folder / each).stat().st_mode) for each in folders} == {0o700}

    def test_groups_and_cluster_scope_stand_in_the_name(self) -> None:
        role = Reference("rbac.authorization.k8s.io/v1", "ClusterRole", "", "view")
        assert role.file == Path("1-manifest/rbac.authorization.k8s.io_v1-clusterrole-default-view.yaml")

    def test_definitions_of_custom_resources_come_first(self) -> None:
        crd = Reference("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "a.example.com")
        assert crd.file.parts[0] == "0-crd"

    def test_namespaces_come_before_what_is_in_them(self, cluster: Cluster) -> None:
        cluster.create(namespace("models"))
        cluster.create({**config_map(namespace="models"), "apiVersion": "a/v1"})
        assert [each.kind for each in cluster.objects()] == ["Namespace", "ConfigMap"]
        folders = [path.parent.name for path in sorted(cluster.folder.rglob("*.yaml"))]
        assert folders == ["0-namespace", "1-manifest"]

    def test_a_namespace_where_an_older_version_wrote_it_is_read_and_moves_when_written(self, cluster: Cluster) -> None:
        reference = Reference.of(namespace("models"))
        old = cluster.folder / "1-manifest" / reference.file.name
        old.parent.mkdir(parents=True)
        old.write_text(yaml.safe_dump(namespace("models")))
        cluster.create(config_map(namespace="models"))
        assert cluster.read(reference) == namespace("models")
        with pytest.raises(ClusterError, match="AlreadyExists"):
            cluster.create(namespace("models"))
        cluster.update(namespace("models"))
        assert not old.exists()
        assert (cluster.folder / reference.file).exists()

    def test_a_namespace_where_an_older_version_wrote_it_is_deleted_there(self, cluster: Cluster) -> None:
        reference = Reference.of(namespace("models"))
        cluster.create(namespace("models"))
        old = cluster.folder / "1-manifest" / reference.file.name
        old.parent.mkdir()
        (cluster.folder / reference.file).rename(old)
        assert cluster.delete(reference)
        assert not cluster.folder.exists()

    def test_text_that_other_readers_take_for_numbers_is_quoted(self, cluster: Cluster) -> None:
        cluster.create(config_map(exponent="1e3", octal="0o17", date="2026-01-01", flag="yes", lines="a\nb\n"))
        text = next(cluster.folder.glob("1-manifest/*")).read_text()
        assert "exponent: '1e3'" in text
        assert "octal: '0o17'" in text
        assert cluster.read(Reference.of(config_map())) == config_map(
            exponent="1e3", octal="0o17", date="2026-01-01", flag="yes", lines="a\nb\n"
        )

    def test_nothing_is_left_of_a_cluster_whose_objects_are_gone(self, cluster: Cluster) -> None:
        cluster.create(config_map())
        assert cluster.delete(Reference.of(config_map()))
        assert not cluster.folder.exists()


class TestRefusals:
    def test_a_second_object_of_the_same_name(self, cluster: Cluster) -> None:
        cluster.create(config_map())
        with pytest.raises(ClusterError, match="already exists") as caught:
            cluster.create(config_map(a="b"))
        assert (caught.value.reason, caught.value.status) == ("AlreadyExists", 409)

    def test_two_objects_that_share_a_file_name(self, cluster: Cluster) -> None:
        for name in ("a", "a-b"):
            cluster.create(namespace(name))
        cluster.create(config_map("b-c", "a"))
        with pytest.raises(ClusterError, match='which holds ConfigMap "b-c" in namespace a'):
            cluster.create(config_map("c", "a-b"))

    def test_a_namespace_that_does_not_exist(self, cluster: Cluster) -> None:
        with pytest.raises(ClusterError, match='namespace "models" does not exist'):
            cluster.create(config_map(namespace="models"))

    def test_a_change_of_an_immutable_field(self, cluster: Cluster) -> None:
        cluster.create({**config_map(a="b"), "immutable": True})
        with pytest.raises(ClusterError, match="data: field is immutable"):
            cluster.update({**config_map(a="c"), "immutable": True})

    def test_a_file_that_is_no_object(self, cluster: Cluster) -> None:
        cluster.create(config_map())
        (cluster.folder / Reference.of(config_map()).file).write_text("a: [")
        with pytest.raises(ClusterError, match="not YAML"):
            cluster.read(Reference.of(config_map()))


class TestObjects:
    def test_what_is_gone_reads_as_gone_and_deletes_quietly(self, cluster: Cluster) -> None:
        reference = Reference.of(config_map())
        assert cluster.read(reference) is None
        assert not cluster.delete(reference)

    def test_an_update_makes_anew_what_was_deleted_behind_our_back(self, cluster: Cluster) -> None:
        cluster.update(config_map(a="b"))
        assert cluster.read(Reference.of(config_map())) == config_map(a="b")

    def test_a_namespace_takes_its_objects_with_it(self, cluster: Cluster) -> None:
        cluster.create(namespace("models"))
        cluster.create(config_map(namespace="models"))
        cluster.create(config_map())
        cluster.delete(Reference.of(namespace("models")))
        assert list(cluster.objects()) == [Reference.of(config_map())]

    def test_a_reader_never_sees_half_an_object(self, cluster: Cluster) -> None:
        cluster.create(config_map(a="0" * 100_000))
        done, path = threading.Event(), cluster.folder / Reference.of(config_map()).file

        def write() -> None:
            for number in range(50):
                cluster.update(config_map(a=str(number % 10) * 100_000))
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            assert len(yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["data"]["a"]) == 100_000
        writer.join()
        assert [item.name for item in path.parent.iterdir()] == [path.name]

    def test_many_at_once_while_the_folder_comes_and_goes(self, cluster: Cluster) -> None:
        def churn(number: int) -> None:
            for _ in range(20):
                cluster.create(config_map(f"c{number}"))
                cluster.delete(Reference.of(config_map(f"c{number}")))

        threads = [threading.Thread(target=churn, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(cluster.objects()) == []


class TestControl:
    def test_a_fault_is_answered_as_often_as_asked_after_those_that_pass(self, cluster: Cluster) -> None:
        root = cluster.folder.parent
        control.set_faults(
            root,
            [
                {
                    "operation": "v1/ConfigMap.update",
                    "error": "Forbidden",
                    "status": 403,
                    "message": "no",
                    "skip": 1,
                }
            ],
        )
        cluster.create(config_map())
        cluster.update(config_map(a="1"))
        with pytest.raises(ClusterError, match="Forbidden: no"):
            cluster.update(config_map(a="2"))
        cluster.update(config_map(a="3"))
        assert control.faults(root) == []

    def test_concurrent_calls_use_a_fault_up_once(self, cluster: Cluster) -> None:
        control.set_faults(cluster.folder.parent, [{"operation": "*", "error": "Busy", "count": 3}])
        failures: list[ClusterError] = []

        def create(number: int) -> None:
            try:
                cluster.create(config_map(f"c{number}"))
            except ClusterError as error:
                failures.append(error)

        threads = [threading.Thread(target=create, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(failures) == 3
        assert len(list(cluster.objects())) == 9

    def test_latency_is_added_and_removed(self, cluster: Cluster) -> None:
        root = cluster.folder.parent
        assert control.set_latency(root, 5) == {"milliseconds": 5, "operations": {}}
        assert control.set_latency(root, 7, "*.create")["operations"] == {"*.create": 7}
        cluster.create(config_map())
        assert control.set_latency(root, 0) == {"milliseconds": 0, "operations": {}}
        assert not (root / "faults.json").exists()

    def test_status_counts_objects_by_cluster_and_kind(self, cluster: Cluster) -> None:
        cluster.create(namespace("models"))
        cluster.create(config_map(namespace="models"))
        Cluster(cluster.folder.parent / "gke").create(config_map())
        status = control.status(cluster.folder.parent)
        assert status["resources"] == {"ConfigMap": 2, "Namespace": 1}
        assert status["clusters"] == {"eks": {"ConfigMap": 1, "Namespace": 1}, "gke": {"ConfigMap": 1}}
        assert status["cloud"] == "kubernetes"

    def test_reset_forgets_objects_and_faults_and_leaves_other_files(self, cluster: Cluster) -> None:
        root = cluster.folder.parent
        cluster.create(config_map())
        (cluster.folder / "notes.txt").write_text("mine")
        control.set_faults(root, [{"operation": "*", "error": "Busy"}])
        status = control.reset(root)
        assert (status["resources"], status["faults"]) == ({}, [])
        assert (cluster.folder / "notes.txt").read_text() == "mine"

    def test_there_may_be_no_cluster_yet(self, tmp_path: Path) -> None:
        assert control.status(tmp_path / "none")["clusters"] == {}
        assert control.reset(tmp_path / "none")["clusters"] == {}
        assert not (tmp_path / "none").exists()
