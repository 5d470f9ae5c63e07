from __future__ import annotations

import pytest

from model_factory.live.protocols.protocol import Call, RefusedError, Reply
from model_factory.live.protocols.torchserve import prepare, told


def nobody(call: Call) -> Reply:
    raise AssertionError(f"asked {call.path}")


class TestPrepare:
    @pytest.mark.parametrize(
        ("data", "content_type"),
        [
            (b'{"a": 1}', "application/json"),
            (b"hello", "text/plain; charset=utf-8"),
            (b"\xff\xd8\xff", "application/octet-stream"),
        ],
    )
    def test_data_goes_as_it_is_under_its_own_type(self, data: bytes, content_type: str) -> None:
        call = prepare("cats", data, nobody)
        assert (call.path, call.body, call.content_type) == ("/predictions/cats", data, content_type)

    def test_without_data_it_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(RefusedError, match="give --data"):
            prepare("cats", None, nobody)


class TestTold:
    @pytest.mark.parametrize(
        ("body", "said"), [(b'{"tabby": 0.9}', '{"tabby": 0.9}'), (b"[1, 2, [3]]", "1 2 3"), (b"tabby", "tabby")]
    )
    def test_is_short(self, body: bytes, said: str) -> None:
        assert told(Reply(200, body)) == said

    def test_a_long_one_says_how_long(self) -> None:
        assert told(Reply(200, b"x" * 5000)).endswith("(5000 characters)")
