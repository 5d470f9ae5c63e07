"""`factory logs`: of all replicas, each line with where it is from."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_factory.cli.errors import BadInputError, CommandError
from tests.cli.live import AWS, GCP, Cluster, Clusters, bring_up, factory, kubeconfig, pod


@pytest.fixture
def cluster(project: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Two replicas that have written something, and one of another model."""
    bring_up(
        project,
        dev_aws_us_east_1={"kubeconfig": kubeconfig("east")},
        dev_gcp_us_central1={"kubeconfig": kubeconfig("central")},
    )
    there = Clusters(monkeypatch)
    found = Cluster(pod("assistant", "assistant-b"), pod("assistant", "assistant-a"), pod("object-detector", "other"))
    found.written = {"assistant-a": ["one", "two"], "assistant-b": ["three"], "other": ["no"]}
    there.by_site |= {AWS: found, GCP: Cluster()}
    return found


@pytest.mark.usefixtures("cluster")
class TestLines:
    def test_are_those_of_all_replicas_with_site_and_pod(self, project: Path) -> None:
        result = factory(project, "logs", "assistant")
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines() == [
            f"{AWS} assistant-a one",
            f"{AWS} assistant-a two",
            f"{AWS} assistant-b three",
        ]

    def test_are_asked_for_as_they_are_wanted(self, project: Path, cluster: Cluster) -> None:
        result = factory(project, "logs", "assistant", "--previous", "--tail", "7", "--container", "fetch")
        assert result.exit_code == 0, result.output
        asked = cluster.asked[0]
        assert asked == {
            "pod": "assistant-a", "namespace": "model-assistant", "container": "fetch", "follow": False, "previous": True, "tail_lines": 7
        }  # fmt: skip

    def test_have_no_secret_in_them_and_do_nothing_to_a_terminal(self, project: Path, cluster: Cluster) -> None:
        cluster.written["assistant-a"] = ["token hf_abcdefghijklmnopqrstuvwxyz \x1b]0;x\x07"]
        told = factory(project, "logs", "assistant").stdout
        assert "hf_abc" not in told
        assert "\x1b" not in told

    def test_that_cannot_be_read_are_said_apart_and_fail(self, project: Path, cluster: Cluster) -> None:
        cluster.written["assistant-a"] = "container is waiting to start"
        result = factory(project, "logs", "assistant")
        assert isinstance(result.exception, CommandError)
        assert "1 of 2 replicas" in str(result.exception)
        assert result.stdout.splitlines() == [f"{AWS} assistant-b three"]
        assert "waiting to start" in result.stderr


@pytest.mark.usefixtures("cluster")
class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("asistant",), "assistant"),
            (("assistant", "--container", "nope"), "have fetch, server"),
            (("assistant", "--follow", "--previous"), "leave one of them out"),
        ],
    )
    def test_name_what_there_is(self, project: Path, arguments: tuple[str, ...], said: str) -> None:
        error = factory(project, "logs", *arguments).exception
        assert isinstance(error, BadInputError)
        assert said in str(error)

    def test_of_a_model_without_pods_lead_to_its_status(self, project: Path) -> None:
        error = factory(project, "logs", "assistant", "--site", GCP).exception
        assert isinstance(error, CommandError)
        assert "factory status assistant" in str(error)
