"""Where Kubernetes objects go."""

from __future__ import annotations

import pytest

from model_factory.planning.settings.clusters import Clusters, LabClusters, NamedClusters, RenderedClusters
from model_factory.planning.settings.sections import LocalSettings

SITE = "aws/us-east-1"


def _given(**keys: object) -> Clusters:
    return LocalSettings.model_validate(keys).kubernetes


class TestChoices:
    def test_are_files_where_nothing_is_said(self) -> None:
        assert _given() == RenderedClusters() == _given(kubernetes="files")

    def test_name_the_lab_and_clusters_of_ones_own(self) -> None:
        assert _given(kubernetes="lab") == LabClusters()
        assert _given(kubernetes={SITE: "kind-dev"}) == NamedClusters({SITE: "kind-dev"})

    @pytest.mark.parametrize("choice", [Clusters(), LabClusters(), NamedClusters({SITE: "kind-dev"})])
    def test_only_files_have_a_folder(self, choice: Clusters) -> None:
        assert choice.folder("x") is None
        assert RenderedClusters().folder("x") == "x"

    def test_only_named_ones_have_a_context(self) -> None:
        assert NamedClusters({SITE: "kind-dev"}).context(SITE) == "kind-dev"
        assert [each.context(SITE) for each in (Clusters(), RenderedClusters(), LabClusters())] == [None] * 3

    def test_local_clouds_start_control_planes_for_the_lab_alone(self) -> None:
        told = {each.of_local_clouds for each in (RenderedClusters(), NamedClusters({SITE: "kind-dev"}))}
        assert told == {"files"}
        assert LabClusters().of_local_clouds == "lab"
