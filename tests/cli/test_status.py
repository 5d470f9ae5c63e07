"""`factory status`: a line a model and site, and an exit code that says whether all that is wanted is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from model_factory.cli import status
from model_factory.cli.errors import BadInputError
from tests.cli.live import AWS, GCP, NODE, Cluster, Clusters, bring_up, deployment, factory, kubeconfig, pod

CRASH = {"reason": "ErrImagePull", "message": "not found"}


@pytest.fixture
def clusters(project: Path, monkeypatch: pytest.MonkeyPatch) -> Clusters:
    """The clusters of a dev stack: all models of AWS are served, one of Google Cloud is not."""
    bring_up(
        project,
        dev_aws_us_east_1={"kubeconfig": kubeconfig("east")},
        dev_gcp_us_central1={"kubeconfig": kubeconfig("central")},
    )
    there = Clusters(monkeypatch)
    served = [
        each
        for model, number in (("assistant", 1), ("image-classifier", 2), ("object-detector", 1))
        for each in (deployment(model, number), *(pod(model, f"{model}-{n}") for n in range(number)))
    ]
    there.by_site[AWS] = Cluster(*served, NODE)
    waits = pod("embeddings", "embeddings-1", waiting=CRASH)
    there.by_site[GCP] = Cluster(deployment("embeddings", 2), pod("embeddings", "embeddings-0"), waits, NODE)
    return there


def rows(result: Result) -> dict[str, dict[str, Any]]:
    return {each["model"]: each for each in json.loads(result.stdout)}


@pytest.mark.usefixtures("clusters")
class TestRows:
    def test_are_all_models_that_are_planned(self, project: Path) -> None:
        found = rows(factory(project, "status", "--json"))
        assert {name: (each["ready"], each["wanted"]) for name, each in found.items()} == {
            "assistant": (1, 1), "image-classifier": (2, 2), "object-detector": (1, 1), "embeddings": (1, 2), "text-classifier": (0, 1),
        }  # fmt: skip
        assert found["embeddings"]["pending"] == [{"reason": "ErrImagePull: not found", "count": 1}]
        assert found["text-classifier"]["pending"] == [{"reason": "not deployed", "count": 1}]

    def test_say_what_is_served_and_where(self, project: Path) -> None:
        found = rows(factory(project, "status", "image-classifier", "--json"))["image-classifier"]
        assert (found["site"], found["revision"]) == (AWS, "r7")
        assert found["pools"] == [{"name": "g6-xlarge", "count": 2}]
        assert found["image"].startswith("registry.example/image-classifier:v1@sha256:")
        assert [each["pod"] for each in found["replicas"]] == ["image-classifier-0", "image-classifier-1"]

    def test_of_a_table_have_what_of_it_a_person_reads(self, project: Path) -> None:
        told = factory(project, "status").stdout
        (line,) = (line for line in told.splitlines() if line.startswith("embeddings"))
        assert line.split()[:5] == ["embeddings", GCP, "1/2", "r7", "v1@sha256:0123456789ab"]
        assert "ErrImagePull: not found" in line
        assert "5 of 7 replicas ready at 2 sites" in told
        assert "\x1b" not in told

    def test_in_a_narrow_terminal_keep_model_site_figures_and_reason(self, project: Path) -> None:
        told = factory(project, "status", columns=80).stdout
        assert all(len(line) <= 80 for line in told.splitlines())
        (line,) = (line for line in told.splitlines() if line.startswith("embeddings"))
        assert "ErrImagePull" in line


class TestExitCode:
    def test_is_one_where_a_wanted_replica_is_not_ready(self, project: Path, clusters: Clusters) -> None:
        assert clusters
        assert factory(project, "status").exit_code == 1
        assert factory(project, "status", "embeddings").exit_code == 1

    def test_is_zero_where_all_are(self, project: Path, clusters: Clusters) -> None:
        assert clusters
        assert factory(project, "status", "assistant").exit_code == 0
        assert factory(project, "status", "--site", AWS).exit_code == 0

    def test_is_one_where_a_cluster_does_not_answer_and_its_models_say_why(
        self, project: Path, clusters: Clusters
    ) -> None:
        clusters.by_site[GCP].down = "connection refused"
        result = factory(project, "status", "--json")
        assert result.exit_code == 1
        found = rows(result)
        assert found["embeddings"]["pending"] == [{"reason": "Unreachable: connection refused", "count": 1}]
        assert found["assistant"]["ready"] == 1

    def test_is_two_for_a_model_that_the_stack_has_not(self, project: Path) -> None:
        error = factory(project, "status", "asistant").exception
        assert isinstance(error, BadInputError)
        assert "assistant" in str(error)


class TestSecrets:
    def test_in_what_a_cluster_says_are_struck(self, project: Path, clusters: Clusters) -> None:
        clusters.by_site[GCP].down = "bearer abcdefghijklmnopqrstuvwxyz012345 is refused"
        for arguments in ((), ("--json",)):
            told = factory(project, "status", *arguments).stdout
            assert "abcdefghijklmnop" not in told
            assert "[secret]" in told


class TestWatch:
    def test_tells_each_change_once(self, project: Path, clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(status, "WATCH_SECONDS", 0.0)
        embeddings = clusters.by_site[GCP]
        looks = 0
        look = embeddings.list

        def changing(*arguments: Any, **options: Any) -> Any:
            nonlocal looks
            looks += arguments[1] == "Deployment"
            if looks == 3:
                embeddings.objects = (deployment("embeddings", 1), pod("embeddings", "embeddings-0"), NODE)
            if looks == 6:
                raise KeyboardInterrupt
            return look(*arguments, **options)

        monkeypatch.setattr(embeddings, "list", changing)
        result = factory(project, "status", "embeddings", "--watch", "--json")
        assert [json.loads(line)[0]["wanted"] for line in result.stdout.splitlines() if line.startswith("[")] == [2, 1]
