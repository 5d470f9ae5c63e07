"""`factory request`: a model's answer, or the figures of many, through a cluster that is a server on loopback."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from model_factory.access.forward import Forward
from model_factory.cli import request
from model_factory.cli.errors import BadInputError, CommandError
from model_factory.graph.pods import SIMULATED
from model_factory.live.protocols.protocol import Call, Reply
from tests.cli.live import AWS, GCP, Cluster, Clusters, bring_up, deployment, factory, kubeconfig, pod
from tests.live.conftest import server as server
from tests.live.server import Server


class Forwarding(Cluster):
    """Its Pods' ports lead to a server here."""

    def __init__(self, url: str, *objects: Any) -> None:
        super().__init__(*objects)
        self._address = ("127.0.0.1", int(urlsplit(url).port or 0))
        self.forwarded: list[tuple[str, int, str]] = []

    def forward(self, pod: str, port: int, *, namespace: str) -> Forward:
        self.forwarded.append((pod, port, namespace))
        return Forward(socket.create_connection(self._address), lambda: "")


def llm(call: Call) -> Reply:
    """A server of OpenAI's API that says what it was asked."""
    if call.path == "/v1/models":
        return Reply(200, b'{"data": [{"id": "assistant"}]}')
    asked = json.loads(call.body)["messages"][0]["content"]
    if asked == "fail":
        return Reply(503, b"no room\nin the queue")
    return Reply(200, json.dumps({"choices": [{"message": {"content": f"You said {asked}"}}]}).encode())


@pytest.fixture
def serving(server: Callable[..., Server]) -> Server:
    return server(llm)


@pytest.fixture
def cluster(project: Path, serving: Server, monkeypatch: pytest.MonkeyPatch) -> Forwarding:
    bring_up(
        project,
        dev_aws_us_east_1={"kubeconfig": kubeconfig("east")},
        dev_gcp_us_central1={"kubeconfig": kubeconfig("central")},
    )
    there = Clusters(monkeypatch)
    waits = pod("assistant", "assistant-0", waiting={"reason": "ImagePullBackOff"})
    found = Forwarding(
        serving.url, deployment("assistant", 3), waits, *(pod("assistant", f"assistant-{n}") for n in (1, 2))
    )
    there.by_site |= {
        AWS: found,
        GCP: Cluster(deployment("embeddings", 1), pod("embeddings", "e", waiting={"reason": "ErrImagePull"})),
    }
    return found


@pytest.mark.usefixtures("cluster")
class TestOne:
    def test_prints_the_answer_and_how_long_it_took(self, project: Path, cluster: Forwarding) -> None:
        result = factory(project, "request", "assistant", "--data", "hello")
        assert result.exit_code == 0, result.output
        answer, figures = result.stdout.splitlines()
        assert answer == "You said hello"
        assert f"assistant at {AWS} assistant-1: " in figures
        assert " ms, OpenAI's API" in figures
        assert cluster.forwarded == [("assistant-1", 8000, "model-assistant")], "a replica that is ready, once"

    @pytest.mark.parametrize("way", ["file", "stdin", "text"])
    def test_data_is_a_file_stdin_or_a_text(self, project: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
        (project / "question.txt").write_text("from a file", encoding="utf-8")
        monkeypatch.chdir(project)
        given, said = {
            "file": ("question.txt", "from a file"),
            "stdin": ("-", "from stdin"),
            "text": ("x.txt", "x.txt"),
        }[way]
        result = factory(project, "request", "assistant", "-d", given, stdin="from stdin")
        assert result.stdout.startswith(f"You said {said}\n"), result.output

    def test_json_has_the_whole_answer(self, project: Path) -> None:
        told = json.loads(factory(project, "request", "assistant", "-d", "hello", "--json").stdout)
        assert (told["model"], told["site"], told["requests"], told["failures"]) == ("assistant", AWS, 1, 0)
        assert told["document"] == {"choices": [{"message": {"content": "You said hello"}}]}
        assert told["latencyMs"]["p50"] == told["latencyMs"]["max"] > 0

    def test_an_address_is_asked_past_the_clusters(self, project: Path, serving: Server, cluster: Forwarding) -> None:
        result = factory(project, "request", "assistant", "-d", "hello", "--url", serving.url)
        assert result.stdout.startswith("You said hello\n")
        assert cluster.forwarded == []


@pytest.mark.usefixtures("cluster")
class TestMany:
    def test_repeats_are_figures_over_one_connection(self, project: Path, cluster: Forwarding) -> None:
        result = factory(project, "request", "assistant", "-d", "hello", "--repeat", "5")
        assert result.exit_code == 0, result.output
        assert "5 requests in" in result.stdout
        assert all(f"p{part} " in result.stdout for part in (50, 95, 99))
        assert "0 failed" in result.stdout
        assert {name for name, _, _ in cluster.forwarded} == {"assistant-1"}

    def test_a_rate_is_spread_over_all_that_are_ready(self, project: Path, cluster: Forwarding) -> None:
        result = factory(project, "request", "assistant", "-d", "hello", "--rate", "200", "--repeat", "40", "--json")
        told = json.loads(result.stdout)
        assert (told["requests"], told["failures"]) == (40, 0)
        assert told["pods"] == ["assistant-1", "assistant-2"]
        assert {name for name, _, _ in cluster.forwarded} <= {"assistant-1", "assistant-2"}


@pytest.mark.usefixtures("cluster")
class TestFailures:
    def test_any_is_exit_code_one_with_status_and_words(self, project: Path, server: Callable[..., Server]) -> None:
        seen = 0

        def failing(call: Call) -> Reply:
            nonlocal seen
            seen += call.path.endswith("completions")
            return (
                Reply(503, b"no room\nin the queue") if seen == 3 and call.path.endswith("completions") else llm(call)
            )

        url = server(failing).url
        result = factory(project, "request", "assistant", "-d", "hello", "-n", "4", "--url", url, "--json")
        assert isinstance(result.exception, CommandError)
        assert result.exception.exit_code == 1
        assert "1 of 4 requests failed: status 503: no room / in the queue" in str(result.exception)
        assert json.loads(result.stdout)["problems"] == [{"problem": "status 503: no room / in the queue", "count": 1}]

    def test_a_model_that_is_not_ready_says_what_it_waits_for(self, project: Path) -> None:
        error = factory(project, "request", "embeddings").exception
        assert isinstance(error, CommandError)
        assert f"no replica of embeddings can answer: {GCP}: ErrImagePull" in str(error)

    def test_a_model_on_simulated_nodes_says_that_these_run_nothing(self, project: Path, cluster: Forwarding) -> None:
        node = {"kind": "Node", "metadata": {"name": "n1", "annotations": {SIMULATED: "fake"}}}
        cluster.objects = (*cluster.objects, node)
        error = factory(project, "request", "assistant").exception
        assert isinstance(error, CommandError)
        assert f"{AWS}: its nodes are simulated, and run nothing" in str(error)
        assert cluster.forwarded == []

    def test_a_server_that_refuses_from_the_start_is_quoted(self, project: Path) -> None:
        error = factory(project, "request", "assistant", "-d", "fail").exception
        assert isinstance(error, CommandError)
        assert error.exit_code == 1
        assert "status 503: no room / in the queue" in str(error)

    def test_data_that_is_nothing_for_the_model_is_bad_input(self, project: Path) -> None:
        error = factory(project, "request", "assistant", "-d", '{"x": 1}').exception
        assert isinstance(error, BadInputError)
        assert "without messages, prompt, input" in str(error)

    def test_nobody_at_an_address_is_said(self, project: Path) -> None:
        error = factory(project, "request", "assistant", "--url", "http://127.0.0.1:9").exception
        assert isinstance(error, CommandError)
        assert "does not answer" in str(error)

    @pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://h", "http://h/path"])
    def test_what_is_no_address_is_refused(self, project: Path, url: str) -> None:
        assert isinstance(factory(project, "request", "assistant", "--url", url).exception, BadInputError)


@pytest.mark.usefixtures("cluster")
class TestInterrupted:
    def test_has_the_figures_of_what_was_answered_by_then(self, project: Path, server: Callable[..., Server]) -> None:
        def interrupting(call: Call) -> Reply:
            if len(serving.calls) == 5:
                signal.raise_signal(signal.SIGINT)
            return llm(call)

        serving = server(interrupting)
        # Who runs tests in the background has them ignore it.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            result = factory(project, "request", "assistant", "-d", "hello", "-n", "100000", "--url", serving.url)
        finally:
            signal.signal(signal.SIGINT, before)
        assert result.exit_code == 130
        assert "You said hello" in result.stdout
        assert "0 failed" in result.stdout


class TestData:
    def test_that_looks_like_a_file_which_is_not_there_is_said_to_be_text(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert request._given("notes.md") == b"notes.md"
        assert "no file is named notes.md: it is taken as text" in capsys.readouterr().err
        assert request._given("a text, with an end.") == b"a text, with an end."
        assert capsys.readouterr().err == ""
