from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from model_factory.live.protocols.openai import prepare, told
from model_factory.live.protocols.protocol import GREETING, Ask, Call, RefusedError, Reply, ServerError

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


class Llm:
    """A server that has these paths, under these models' names; others have the status that is given."""

    def __init__(self, *paths: str, names: tuple[str, ...] = ("llm",), status: int = 404) -> None:
        self.paths, self.names, self.status = paths, names, status
        self.asked: list[Call] = []

    @property
    def ask(self) -> Ask:
        return self._ask

    def _ask(self, call: Call) -> Reply:
        self.asked.append(call)
        if call.path == "/v1/models":
            return Reply(200, json.dumps({"data": [{"id": name} for name in self.names]}).encode())
        return Reply(200, b"{}") if call.path in self.paths else Reply(self.status, b'{"error": "not for this model"}')


def document(call: Call) -> Mapping[str, Any]:
    return json.loads(call.body)


class TestPrepare:
    def test_text_is_a_chat_where_the_server_chats(self) -> None:
        llm = Llm(CHAT, COMPLETIONS)
        call = prepare("llm", b"hi", llm.ask)
        assert call.path == CHAT
        assert document(call)["messages"] == [{"role": "user", "content": "hi"}]
        assert document(call)["temperature"] == 0
        assert document(llm.asked[-1])["max_tokens"] == 1, "what finds out how costs one token"

    @pytest.mark.parametrize(("path", "key"), [(COMPLETIONS, "prompt"), (EMBEDDINGS, "input")])
    @pytest.mark.parametrize("status", [400, 404, 501])
    def test_else_what_the_server_has(self, path: str, key: str, status: int) -> None:
        call = prepare("llm", b"hi", Llm(path, status=status).ask)
        assert (call.path, document(call)[key]) == (path, "hi")

    def test_without_data_it_is_asked_a_question(self) -> None:
        assert document(prepare("llm", None, Llm(EMBEDDINGS).ask))["input"] == GREETING

    @pytest.mark.parametrize(("key", "path"), [("messages", CHAT), ("prompt", COMPLETIONS), ("input", EMBEDDINGS)])
    def test_json_of_its_own_says_what_it_is_and_has_the_model_s_name(self, key: str, path: str) -> None:
        call = prepare("llm", json.dumps({key: "x", "seed": 7}).encode(), Llm().ask)
        assert call.path == path
        assert document(call) == {"model": "llm", key: "x", "seed": 7}

    def test_a_name_that_is_given_stays(self) -> None:
        assert document(prepare("llm", b'{"prompt": "x", "model": "other"}', Llm().ask))["model"] == "other"

    def test_the_only_model_served_is_meant(self) -> None:
        assert document(prepare("llm", b"hi", Llm(CHAT, names=("SmolLM2.gguf",)).ask))["model"] == "SmolLM2.gguf"
        assert document(prepare("llm", b"hi", Llm(CHAT, names=("a", "llm")).ask))["model"] == "llm"

    def test_a_server_in_trouble_is_not_asked_in_other_ways(self) -> None:
        llm = Llm(status=503)
        with pytest.raises(ServerError, match="status 503"):
            prepare("llm", b"hi", llm.ask)
        assert [each.path for each in llm.asked] == ["/v1/models", CHAT]

    @pytest.mark.parametrize(("data", "said"), [(b'{"x": 1}', "without messages, prompt, input"), (b"\xff", "no text")])
    def test_what_it_cannot_be_asked_is_refused(self, data: bytes, said: str) -> None:
        with pytest.raises(RefusedError, match=said):
            prepare("llm", data, Llm(CHAT).ask)


class TestTold:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"choices": [{"message": {"content": " Hi! "}}], "usage": {"completion_tokens": 3}}, "Hi!  (3 tokens)"),
            ({"choices": [{"text": "and so on"}]}, "and so on"),
            ({"data": [{"embedding": [0.5, 0.25]}]}, "1 x 2 figures: 0.5 0.25"),
            ({"else": 1}, '{"else": 1}'),
        ],
    )
    def test_is_what_a_person_reads(self, body: Mapping[str, Any], said: str) -> None:
        assert told(Reply(200, json.dumps(body).encode())) == said
