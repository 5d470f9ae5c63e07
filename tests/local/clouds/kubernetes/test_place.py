"""Rendered clusters stand inside the project, in folders that hold nothing else, whatever links say."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_factory.local.clouds.kubernetes import control
from model_factory.local.clouds.kubernetes.cluster import Cluster, ClusterError
from model_factory.local.clouds.kubernetes.place import cluster_refusal, clusters_refusal

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "index.md").write_text("ours")
    (tmp_path / "elsewhere").mkdir()
    return root


class TestClusters:
    def test_go_to_a_folder_of_their_own(self, project: Path) -> None:
        assert not clusters_refusal(project, ".factory/clouds/kubernetes")
        assert not cluster_refusal(project, ".factory/clouds/kubernetes/eks")
        Cluster(project / ".factory/clouds/kubernetes/eks").create(NAMESPACE)
        control.set_faults(project / ".factory/clouds/kubernetes", [{"operation": "*", "error": "Boom"}])
        assert not clusters_refusal(project, ".factory/clouds/kubernetes")
        assert not cluster_refusal(project, ".factory/clouds/kubernetes/eks")

    @pytest.mark.parametrize("refusal", [cluster_refusal, clusters_refusal])
    @pytest.mark.parametrize(
        "folder", ["", ".", "..", "../elsewhere", "docs/../..", "/etc", "link", "link/inside", "to-root"]
    )
    def test_do_not_leave_the_project_and_are_not_the_project(
        self, refusal: object, folder: str, project: Path
    ) -> None:
        (project / "link").symlink_to(project.parent / "elsewhere")
        (project / "to-root").symlink_to(project)
        assert "leads out of the project, or is the project itself" in refusal(project, folder)  # type: ignore[operator]

    def test_share_a_folder_with_nothing(self, project: Path) -> None:
        assert "holds index.md" in cluster_refusal(project, "docs")
        assert "holds index.md" in clusters_refusal(project, "docs")
        assert "holds index.md" in cluster_refusal(project, "docs/index.md")

    def test_hold_no_links(self, project: Path) -> None:
        place = project / "clusters" / "eks"
        place.mkdir(parents=True)
        (place / "1-manifest").symlink_to(project / "docs")
        assert "holds 1-manifest" in cluster_refusal(project, "clusters/eks")
        assert "holds eks" in clusters_refusal(project, "clusters")

    def test_may_stand_in_a_project_that_a_link_leads_to(self, project: Path, tmp_path: Path) -> None:
        (tmp_path / "work").symlink_to(project)
        assert not clusters_refusal(tmp_path / "work", "clusters")


class TestNames:
    @pytest.mark.parametrize("name", ["x/../../../../evil", "a\nb", "a\x00b"])
    @pytest.mark.parametrize("field", ["name", "namespace"])
    def test_lead_to_no_other_file(self, field: str, name: str, tmp_path: Path) -> None:
        cluster = Cluster(tmp_path / "clusters" / "eks")
        metadata = {"name": "settings", "namespace": "default", field: name}
        with pytest.raises(ClusterError, match="is no name"):
            cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        assert not list(tmp_path.rglob("*.yaml"))
