"""A state without its secrets holds none, and still is a state."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model_factory.local import wire
from model_factory.local.engine.disclosure import UNDISCLOSED, is_stripped, without_secrets
from model_factory.local.engine.secrets import Crypter
from model_factory.local.engine.state import Codec, decode_snapshot
from model_factory.local.wire import Secret

NEEDLE = "sesame-open-0123456789"


def marked(**fields: str) -> dict[str, str]:
    return {wire.SIGNATURE_KEY: wire.SECRET_SIGNATURE, **fields}


def document(inputs: Any, **deployment: Any) -> dict[str, Any]:
    resource = {
        "urn": "urn:pulumi:s::p::a:b:C::one",
        "type": "a:b:C",
        "custom": True,
        "id": "1",
        "inputs": inputs,
    }
    empty = {"time": "", "magic": "", "version": ""}
    return {"version": 3, "deployment": {"manifest": empty, "resources": [resource], **deployment}}


def no_crypter() -> Crypter:
    raise AssertionError("nothing is to be opened")


SECRETS = st.one_of(
    st.just(marked(ciphertext=f"v1:{NEEDLE}")),
    st.just(marked(plaintext=json.dumps(NEEDLE))),
    st.just(marked(plaintext=json.dumps({"nested": [NEEDLE]}))),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), SECRETS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


class TestWithoutSecrets:
    @given(st.dictionaries(st.text(min_size=1, max_size=3), VALUES, max_size=4))
    def test_no_secret_stays_wherever_it_stood(self, inputs: dict[str, Any]) -> None:
        had = NEEDLE in json.dumps(inputs)
        result = without_secrets(document(inputs))
        assert NEEDLE not in json.dumps(result)
        assert is_stripped(result) is had
        assert without_secrets(result) == result

    def test_is_read_without_a_key_and_what_was_secret_stays_so(self) -> None:
        given_ = document(
            {"a": marked(ciphertext="v1:x"), "b": 1}, secrets_providers={"type": "awskms", "state": {"k": 1}}
        )
        snapshot = decode_snapshot(without_secrets(given_), Codec(no_crypter))
        assert snapshot.resources[0].inputs == {"a": Secret(UNDISCLOSED), "b": 1}
        assert snapshot.secrets_provider is None

    def test_drops_operations_that_only_a_cloud_could_settle(self) -> None:
        pending = [{"resource": {}, "type": "creating"}]
        assert "pending_operations" not in without_secrets(document({}, pending_operations=pending))["deployment"]

    def test_leaves_what_it_was_given_alone(self) -> None:
        given_ = document({"a": marked(ciphertext="v1:x")})
        before = json.dumps(given_)
        without_secrets(given_)
        assert json.dumps(given_) == before

    def test_a_state_without_secrets_is_not_taken_for_stripped(self) -> None:
        assert not is_stripped(document({"a": "x", "b": [UNDISCLOSED]}))
