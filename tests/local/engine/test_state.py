"""States read back as they were written, look as Pulumi writes them, and foreign or damaged ones are refused."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.local import wire
from model_factory.local.engine.errors import StateError
from model_factory.local.engine.model import CustomTimeouts, Operation, ResourceState, Snapshot, now
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.state import (
    Codec,
    decode_snapshot,
    encode_snapshot,
    new_manifest,
    passphrase_provider,
    passphrase_salt,
)
from model_factory.local.engine.store import StackStore
from model_factory.local.wire import Asset, Output, ResourceReference, Secret, Value
from tests.local.engine.states import PROJECT, STACK, ScramblingCrypter, provider, stack, thing, urn

CODEC = Codec(ScramblingCrypter)
SHOWING = Codec(ScramblingCrypter, show_secrets=True)

keys = st.text(max_size=6).filter(lambda key: key != wire.SIGNATURE_KEY)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False).map(lambda number: int(number) if number.is_integer() else number)
    | st.text()
)
leaves: st.SearchStrategy[Value] = (
    plain
    | st.just(wire.UNKNOWN)
    | st.builds(ResourceReference, st.just(urn("x")), st.none() | st.text(), st.sampled_from(["", "1.2.3"]))
    | st.builds(Asset, st.just(wire.ASSET_SIGNATURE), st.fixed_dictionaries({"text": st.text()}))
)
values: st.SearchStrategy[Value] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3) | st.builds(Secret, inner),
    max_leaves=8,
)


def full_snapshot() -> Snapshot:
    a = thing(
        "a",
        inputs={
            "float": 1.5,
            "infinite": math.inf,
            "whole": 3,
            "none": None,
            "list": [1, True, "é<>&\u2028"],
            "secret": Secret({"a": 1, "inner": Secret("x")}),
            "asset": Asset(wire.ASSET_SIGNATURE, {"text": "hi", "hash": hashlib.sha256(b"hi").hexdigest()}),
            "component": ResourceReference(stack().urn),
        },
        outputs={"resource": ResourceReference(provider().urn, "p-1", "1.0.0")},
        protect=True,
        retain_on_delete=True,
        init_errors=("not ready",),
        additional_secret_outputs=("secret",),
        aliases=(urn("a0"),),
        custom_timeouts=CustomTimeouts(create=60, read=5),
        ignore_changes=("a[*].b",),
        replace_on_changes=("c",),
        refresh_before_update=True,
        created=now(),
        modified=now(),
        source_position="project:///__main__.py#1",
    )
    b = thing(
        "b",
        dependencies=(a.urn,),
        property_dependencies={"x": (a.urn,), "y": ()},
        deleted_with=a.urn,
        replace_with=(a.urn,),
    )
    return Snapshot(
        (stack({"endpoint": Secret("https://x")}), provider(), a, b, replace(b, id="old", delete=True),
         thing("c", pending_replacement=True, external=True, import_id="seen-at")),
        (Operation(thing("d", id=""), "creating"),),
        new_manifest(),
    )  # fmt: skip


class TestRoundTrip:
    @given(st.dictionaries(keys, values, max_size=4))
    def test_values(self, properties: dict[str, Value]) -> None:
        for codec in (CODEC, SHOWING):
            assert codec.decode_properties(json.loads(json.dumps(codec.encode_properties(properties)))) == properties

    @pytest.mark.parametrize("codec", [CODEC, SHOWING])
    def test_every_field(self, codec: Codec) -> None:
        snapshot = full_snapshot()
        assert decode_snapshot(json.loads(json.dumps(encode_snapshot(snapshot, codec))), codec) == snapshot

    def test_fields_of_newer_formats_survive(self) -> None:
        document = {
            **CODEC.encode_resource(thing("a")),
            "stackTrace": [{"sourcePosition": "x"}],
            "later": {"k": 1},
        }
        assert CODEC.encode_resource(CODEC.decode_resource(document)) == document

    def test_outputs_keep_their_value_and_secrecy(self) -> None:
        encoded = CODEC.encode_properties({"a": Output(1, secret=True), "b": Output([2]), "c": Output(wire.UNKNOWN)})
        assert CODEC.decode_properties(encoded) == {"a": Secret(1), "b": [2], "c": wire.UNKNOWN}

    def test_not_a_number(self) -> None:
        decoded = CODEC.decode_properties(CODEC.encode_properties({"a": math.nan}))["a"]
        assert isinstance(decoded, float)
        assert math.isnan(decoded)


class TestShape:
    def test_a_secret_is_its_json_text_encrypted(self) -> None:
        sealed = CODEC.encode_properties({"a": Secret({"k": "v"})})["a"]
        assert sealed.keys() == {wire.SIGNATURE_KEY, "ciphertext"}
        assert ScramblingCrypter().decrypt(sealed["ciphertext"]) == '{"k":"v"}'

    def test_secrets_are_nowhere_in_plain_text(self) -> None:
        hidden = "hunter2"
        state = thing("a", inputs={"p": Secret(hidden), "q": [{"r": Secret({hidden: hidden})}]})
        assert hidden not in json.dumps(encode_snapshot(Snapshot((state,)), CODEC))
        assert hidden in json.dumps(encode_snapshot(Snapshot((state,)), SHOWING))

    def test_empty_fields_are_left_out(self) -> None:
        assert CODEC.encode_resource(stack()).keys() == {"urn", "custom", "type"}

    def test_version_is_three_unless_a_feature_needs_four(self) -> None:
        plain_document = encode_snapshot(Snapshot((stack(),)), CODEC)
        assert (plain_document["version"], plain_document.get("features")) == (3, None)
        document = encode_snapshot(Snapshot((thing("a", replace_with=(urn("b"),)),)), CODEC)
        assert (document["version"], document["features"]) == (4, ["replaceWith"])

    def test_no_passphrase_is_asked_for_without_secrets(self) -> None:
        def none() -> ScramblingCrypter:
            raise AssertionError("asked for a passphrase")

        codec = Codec(none)
        assert decode_snapshot(encode_snapshot(Snapshot((stack(),)), codec), codec).resources == (stack(),)


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = cast("dict[str, Any]", json.loads(json.dumps(encode_snapshot(full_snapshot(), CODEC))))
    change(document)
    return document


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "key"),
        [
            (lambda d: d.update(version=5), "version"),
            (lambda d: d.update(version=2), "version"),
            (lambda d: d.update(version="3"), "version"),
            (lambda d: d.pop("version"), "version"),
            (lambda d: d.update(features=["views"]), "features"),
            (lambda d: d.update(deployment=[]), "deployment"),
            (lambda d: d["deployment"]["manifest"].update(magic="0"), "manifest.magic"),
            (lambda d: d["deployment"].update(resources={}), "resources"),
            (lambda d: d["deployment"]["resources"].append(3), "resources[6]"),
            (lambda d: d["deployment"]["resources"][2].pop("urn"), "resources[2].urn"),
            (lambda d: d["deployment"]["resources"][2].update(inputs=[]), urn("a")),
            (lambda d: d["deployment"]["resources"][2].update(protect="yes"), urn("a")),
            (
                lambda d: d["deployment"]["resources"][2].update(inputs={"a": {wire.SIGNATURE_KEY: "?"}}),
                urn("a"),
            ),
            (lambda d: d["deployment"]["resources"][2]["inputs"]["secret"].update(plaintext="1"), urn("a")),
            (lambda d: d["deployment"]["resources"][2]["inputs"]["secret"].pop("ciphertext"), urn("a")),
            (
                lambda d: d["deployment"]["pending_operations"][0].update(type="thinking"),
                "pending_operations[0]",
            ),
        ],
    )
    def test_each_names_the_place(self, change: Callable[[dict[str, Any]], object], key: str) -> None:
        with pytest.raises(StateError) as caught:
            decode_snapshot(broken(change), CODEC)
        assert key in caught.value.key
        assert caught.value.remedy in str(caught.value)

    @pytest.mark.parametrize("document", [None, [], 3, "text"])
    def test_what_is_no_object(self, document: object) -> None:
        with pytest.raises(StateError):
            decode_snapshot(document, CODEC)

    def test_other_secrets_providers_are_named(self) -> None:
        assert passphrase_salt(None) is None
        assert passphrase_salt(passphrase_provider("v1:x:y")) == "v1:x:y"
        with pytest.raises(StateError, match="service"):
            passphrase_salt({"type": "service", "state": {}})


@pytest.mark.cli
@pytest.mark.skipif(shutil.which("pulumi") is None, reason="no Pulumi CLI on PATH")
class TestPulumiCli:
    def test_a_state_file_imports_and_comes_back_equal(self, tmp_path: Path) -> None:
        passphrase = "correct horse"
        salt = new_salt(passphrase)
        store = StackStore(tmp_path / "ours", PROJECT, STACK, lambda: PassphraseCrypter(passphrase, salt))
        with store.lock():
            store.load()
            ours = store.write(full_snapshot())
        (tmp_path / "backend").mkdir()
        (tmp_path / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: yaml\n")

        def pulumi(*arguments: str) -> str:
            environment = os.environ | {
                "PULUMI_BACKEND_URL": (tmp_path / "backend").as_uri(),
                "PULUMI_CONFIG_PASSPHRASE": passphrase,
                "PULUMI_HOME": str(tmp_path / "home"),
                "PULUMI_SKIP_UPDATE_CHECK": "1",
            }
            command = ["pulumi", *arguments, "--non-interactive", "--cwd", str(tmp_path)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        pulumi("stack", "init", STACK)
        pulumi("stack", "import", "--file", str(store.path))
        for arguments in ((), ("--show-secrets",)):
            back = decode_snapshot(
                json.loads(pulumi("stack", "export", *arguments)),
                Codec(lambda: PassphraseCrypter(passphrase, salt)),
            )
            assert [without_noise(state) for state in back.resources] == [without_noise(s) for s in ours.resources]


def without_noise(state: ResourceState) -> ResourceState:
    # Pulumi drops lists of dependencies that are empty.
    return replace(state, property_dependencies={k: v for k, v in state.property_dependencies.items() if v})
