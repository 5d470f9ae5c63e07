"""Secrets do not pass, whether an engine marked them, a caller knows them, or their place or shape tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_factory.graph.masking import MASK, UNKNOWN_TEXT, Masker, name_unknowns

MARKED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}


class TestValues:
    def test_what_an_engine_marked(self) -> None:
        assert Masker().value({"a": [MARKED]}) == {"a": [MASK]}

    @pytest.mark.parametrize(
        "name",
        [
            "password",
            "dbPassword",
            "apiToken",
            "secretKey",
            "secret_key",
            "accessKey",
            "DB_PASSWORD",
            "clientSecret",
            "private-key",
        ],
    )
    def test_what_its_name_gives_away(self, name: str) -> None:
        assert Masker().value({name: "x"}) == {name: MASK}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("secretName", "tls"),
            ("httpTokens", "required"),
            ("kmsKeyArn", "arn:aws:kms:us-east-1:1:key/2"),
            ("topologyKey", "zone"),
            ("automountServiceAccountToken", False),
            ("maxTokens", 3),
            ("password", ""),
        ],
    )
    def test_what_only_sounds_like_one_stays(self, name: str, value: Any) -> None:
        assert Masker().value({name: value}) == {name: value}

    def test_environment_variables_by_their_name(self) -> None:
        env = [{"name": "HF_TOKEN", "value": "x"}, {"name": "PORT", "value": "80"}]
        assert Masker().value({"env": env}) == {
            "env": [{"name": "HF_TOKEN", "value": MASK}, {"name": "PORT", "value": "80"}]
        }

    def test_all_data_of_a_kubernetes_secret(self) -> None:
        shown = Masker().properties(
            "kubernetes:core/v1:Secret", {"stringData": {"a": "b"}, "data": MARKED, "type": "Opaque"}
        )
        assert shown == {"stringData": {"a": MASK}, "data": MASK, "type": "Opaque"}

    def test_unknowns_stay_until_they_are_shown(self) -> None:
        unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
        assert Masker().value({"token": unknown, "note": unknown}) == {"token": unknown, "note": unknown}
        assert name_unknowns(f"at {unknown}") == f"at {UNKNOWN_TEXT}"

    def test_what_stands_in_a_key(self) -> None:
        assert Masker(["hunter2"]).value({"hunter2": 1}) == {MASK: 1}


class TestTexts:
    @pytest.mark.parametrize(
        "text",
        [
            "key AKIAIOSFODNN7EXAMPLE used",
            "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\ncut off",
            "postgres://user:pass@host/db",
            "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
            "token hf_" + "a" * 34,
            "ghp_" + "A" * 36,
            "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abcdef",
        ],
    )
    def test_shapes_of_secrets(self, text: str) -> None:
        assert MASK in Masker().text(text)

    def test_what_the_caller_knows_longest_first(self) -> None:
        assert Masker(["abc", "abcdef", "ab"]).text("abcdef abc ab") == f"{MASK} {MASK} ab"

    @pytest.mark.parametrize("escaped", [False, True])
    def test_all_of_a_service_account_key(self, escaped: bool) -> None:
        key = json.dumps({"project_id": "p1", "private_key": "k1", "type": "service_account", "client_id": "c1"})
        shown = Masker().text(f"with {json.dumps(key) if escaped else key} it")
        assert not any(part in shown for part in ("p1", "k1", "c1"))
        assert shown.startswith("with ")
        assert shown.endswith(" it")
