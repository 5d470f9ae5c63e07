from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from model_factory.live.protocols.protocol import GREETING, Ask, Call, RefusedError, Reply, ServerError
from model_factory.live.protocols.tensorflow_serving import prepare, told


def serving(inputs: Mapping[str, tuple[str, list[int]]], signature: str = "serving_default") -> Ask:
    described = {
        name: {"dtype": dtype, "tensor_shape": {"dim": [{"size": str(size)} for size in shape]}}
        for name, (dtype, shape) in inputs.items()
    }
    document = {"metadata": {"signature_def": {"signature_def": {signature: {"inputs": described}}}}}

    def ask(call: Call) -> Reply:
        assert (call.method, call.path) == ("GET", "/v1/models/toxicity/metadata")
        return Reply(200, json.dumps(document).encode())

    return ask


def sent(data: bytes | None, inputs: Mapping[str, tuple[str, list[int]]]) -> Any:
    call = prepare("toxicity", data, serving(inputs))
    assert call.path == "/v1/models/toxicity:predict"
    return json.loads(call.body)


class TestPrepare:
    def test_text_goes_to_the_only_input(self) -> None:
        assert sent(b"hello", {"text": ("DT_STRING", [-1])}) == {"instances": [{"text": "hello"}]}

    def test_bytes_go_in_base64(self) -> None:
        assert sent(b"\xff", {"image": ("DT_STRING", [-1])}) == {"instances": [{"image": {"b64": "/w=="}}]}

    @pytest.mark.parametrize("own", [{"instances": [1]}, {"inputs": {"x": [1]}, "signature_name": "other"}])
    def test_its_own_json_is_sent_as_it_is(self, own: Mapping[str, Any]) -> None:
        assert sent(json.dumps(own).encode(), {}) == own

    def test_other_json_is_the_instances(self) -> None:
        assert sent(b"[[1, 2]]", {}) == {"instances": [[1, 2]]}
        assert sent(b'{"x": 1}', {}) == {"instances": [{"x": 1}]}

    def test_without_data_the_signature_is_filled(self) -> None:
        inputs = {"text": ("DT_STRING", [-1]), "x": ("DT_FLOAT", [-1, 2, -1]), "on": ("DT_BOOL", [-1])}
        assert sent(None, inputs) == {"instances": [{"text": GREETING, "x": [[0], [0]], "on": False}]}

    @pytest.mark.parametrize(
        ("inputs", "said"),
        [
            ({"x": ("DT_FLOAT", [-1])}, "takes DT_FLOAT, not text"),
            ({"a": ("DT_STRING", [-1]), "b": ("DT_STRING", [-1])}, "takes a, b; give --data as an object"),
        ],
    )
    def test_what_the_model_does_not_take_is_refused(self, inputs: Mapping[str, Any], said: str) -> None:
        with pytest.raises(RefusedError, match=said):
            sent(b"hello", inputs)

    def test_a_model_without_the_signature_is_refused_by_those_it_has(self) -> None:
        with pytest.raises(ServerError, match="it has train"):
            prepare("toxicity", None, serving({}, "train"))


class TestTold:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"predictions": [[0.5, 0.25]]}, "1 of 0.5 0.25"),
            ({"predictions": [{"score": 0.5}]}, '{"score": 0.5}'),
            ({"outputs": 1}, '{"outputs": 1}'),
        ],
    )
    def test_is_the_first_prediction(self, body: Mapping[str, Any], said: str) -> None:
        assert told(Reply(200, json.dumps(body).encode())) == said
