"""Requests as Triton takes them, made of a model's own description."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from components.kubernetes.runtimes import RUNTIMES
from model_factory.live.protocols import PROTOCOLS
from model_factory.live.protocols.kserve import prepare, told
from model_factory.live.protocols.protocol import GREETING, Call, RefusedError, Reply, ServerError


def triton(*inputs: tuple[str, str, list[int]], name: str = "embeddings") -> Any:
    """A server with one model that has these inputs: name, datatype, shape."""
    described = {"name": name, "inputs": [{"name": n, "datatype": d, "shape": s} for n, d, s in inputs]}

    def ask(call: Call) -> Reply:
        match call.method, call.path:
            case "GET", path if path == f"/v2/models/{name}/ready":
                return Reply(200, b"")
            case "GET", path if path == f"/v2/models/{name}":
                return Reply(200, json.dumps(described).encode())
            case "POST", "/v2/repository/index":
                return Reply(
                    200,
                    json.dumps([{"name": name, "state": "READY"}, {"name": "off", "state": "UNAVAILABLE"}]).encode(),
                )
            case _:
                return Reply(400, b'{"error":"no such model"}')

    return ask


def inputs_of(call: Call) -> list[dict[str, Any]]:
    return json.loads(call.body)["inputs"]


class TestPrepare:
    def test_text_goes_to_the_only_input(self) -> None:
        call = prepare("embeddings", b"hello", triton(("TEXT", "BYTES", [-1, 1])))
        assert call.path == "/v2/models/embeddings/infer"
        assert inputs_of(call) == [{"name": "TEXT", "datatype": "BYTES", "shape": [1, 1], "data": ["hello"]}]

    def test_a_list_is_a_batch(self) -> None:
        call = prepare("embeddings", b'["a", "b", "c"]', triton(("TEXT", "BYTES", [-1, 1])))
        assert inputs_of(call)[0] | {"name": ""} == {
            "name": "",
            "datatype": "BYTES",
            "shape": [3, 1],
            "data": ["a", "b", "c"],
        }

    def test_numbers_fill_the_shape(self) -> None:
        call = prepare("embeddings", b"[[1, 2], [3, 4], [5, 6]]", triton(("X", "FP32", [-1, 2])))
        assert inputs_of(call) == [{"name": "X", "datatype": "FP32", "shape": [3, 2], "data": [1, 2, 3, 4, 5, 6]}]

    def test_values_come_by_name_and_the_rest_by_itself(self) -> None:
        call = prepare("embeddings", b'{"A": [1, 2]}', triton(("A", "INT64", [-1]), ("B", "BOOL", [1])))
        assert [(each["name"], each["shape"], each["data"]) for each in inputs_of(call)] == [
            ("A", [2], [1, 2]),
            ("B", [1], [False]),
        ]

    @pytest.mark.parametrize(
        ("datatype", "shape", "data"),
        [("BYTES", [-1, 1], [GREETING]), ("FP32", [-1, 3, 2], [0] * 6), ("INT32", [1], [0])],
    )
    def test_without_data_any_model_is_asked_something_it_takes(
        self, datatype: str, shape: list[int], data: list[Any]
    ) -> None:
        (tensor,) = inputs_of(prepare("embeddings", None, triton(("X", datatype, shape))))
        assert tensor["data"] == data
        assert -1 not in tensor["shape"]

    def test_its_own_json_is_sent_as_it_is(self) -> None:
        own = b'{"inputs": [{"name": "X"}], "id": "7"}'
        assert prepare("embeddings", own, triton(("X", "FP32", [1]))).body == own

    def test_bytes_that_are_no_text_follow_the_header(self) -> None:
        data = b"\xff\xd8\xff\x00"
        call = prepare("embeddings", data, triton(("FILE", "BYTES", [-1, 1])))
        length = int(call.headers["Inference-Header-Content-Length"])
        (tensor,) = json.loads(call.body[:length])["inputs"]
        following = call.body[length:]
        assert following == struct.pack("<I", 4) + data
        assert tensor["parameters"] == {"binary_data_size": len(following)}
        assert "data" not in tensor

    def test_the_only_model_served_is_meant_where_the_repository_names_its_own(self) -> None:
        call = prepare("assistant", b"hello", triton(("TEXT", "BYTES", [1]), name="minilm"))
        assert call.path == "/v2/models/minilm/infer"

    @pytest.mark.parametrize(
        ("data", "inputs", "said"),
        [
            (b"hello", [("X", "FP32", [1])], "takes FP32, not text; give --data as JSON"),
            (b"\xff\xfe", [("X", "FP32", [1])], "neither text nor JSON"),
            (b"hello", [("A", "BYTES", [1]), ("B", "BYTES", [1])], "takes A, B; give --data as an object"),
        ],
    )
    def test_what_a_model_does_not_take_is_refused_with_what_it_takes(
        self, data: bytes, inputs: Any, said: str
    ) -> None:
        with pytest.raises(RefusedError, match=said):
            prepare("embeddings", data, triton(*inputs))

    def test_a_server_that_says_no_is_quoted(self) -> None:
        with pytest.raises(ServerError, match="the server has no model llm; it serves none"):
            prepare("llm", b"x", lambda _: Reply(400, b'{"error":"no"}'))


class TestTold:
    def test_is_a_line_an_output_with_its_first_values(self) -> None:
        body = {"outputs": [{"name": "E", "datatype": "FP32", "shape": [1, 384], "data": [0.123456789] * 384}]}
        assert told(Reply(200, json.dumps(body).encode())) == f"E FP32[1,384]: {' '.join(['0.123457'] * 6)} …"

    def test_is_the_text_where_it_is_something_else(self) -> None:
        assert told(Reply(200, b"plain")) == "plain"


def test_every_runtime_is_asked_by_a_protocol_that_is_there() -> None:
    assert {each.protocol for each in RUNTIMES.values()} <= PROTOCOLS.keys()
    assert all("http" in each.ports for each in RUNTIMES.values())
