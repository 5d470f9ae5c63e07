"""The format is Pulumi's, what is damaged or foreign is refused, and no message holds a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.engine.errors import SecretsError
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt

# The salt and passphrase of Pulumi's own tests.
SALT = "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="
CRYPTER = PassphraseCrypter("password", SALT)


class TestFormat:
    def test_reads_what_pulumi_wrote(self) -> None:
        assert CRYPTER.decrypt("v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ==") == "pulumi"

    @given(st.text())
    def test_decrypts_what_it_encrypted(self, text: str) -> None:
        assert CRYPTER.decrypt(CRYPTER.encrypt(text)) == text

    def test_same_text_never_looks_the_same(self) -> None:
        assert len({CRYPTER.encrypt("x") for _ in range(50)}) == 50

    def test_new_salt_serves_its_passphrase_only(self) -> None:
        salt = new_salt("first")
        sealed = PassphraseCrypter("first", salt).encrypt("x")
        assert PassphraseCrypter("first", salt).decrypt(sealed) == "x"
        with pytest.raises(SecretsError, match="does not fit"):
            PassphraseCrypter("second", salt).decrypt(sealed)


class TestRefusals:
    def test_missing_passphrase_names_the_variable(self) -> None:
        with pytest.raises(SecretsError, match="PULUMI_CONFIG_PASSPHRASE"):
            PassphraseCrypter("", SALT).encrypt("x")
        with pytest.raises(SecretsError, match="PULUMI_CONFIG_PASSPHRASE"):
            new_salt("")

    @pytest.mark.parametrize("salt", ["", "v1", "v2:a:b", "v1:fozI5u6B030=", "v1:???:v1:a:b", "v1:fozI5u6B030=:v9:x:y"])
    def test_malformed_salt(self, salt: str) -> None:
        with pytest.raises(SecretsError):
            PassphraseCrypter("password", salt).encrypt("x")

    @pytest.mark.parametrize("value", ["", "v1:", "v2:YQ==:YQ==", "v1:YQ==:YQ==", "v1:!:!", "v1:F+6ZduKKd8G0/V7L:"])
    def test_malformed_value(self, value: str) -> None:
        with pytest.raises(SecretsError):
            CRYPTER.decrypt(value)

    def test_changed_value_is_not_decrypted_to_something_else(self) -> None:
        head, nonce, body = CRYPTER.encrypt("a long enough secret").split(":")
        changed = ("B" if body[5] != "B" else "C").join((body[:5], body[6:]))
        with pytest.raises(SecretsError, match="damaged"):
            CRYPTER.decrypt(f"{head}:{nonce}:{changed}")

    def test_key_is_derived_only_when_needed(self) -> None:
        assert PassphraseCrypter("", "nonsense").salt == "nonsense"

    def test_other_salt_keeps_the_passphrase(self) -> None:
        other = CRYPTER.for_salt(new_salt("password"))
        assert other.decrypt(other.encrypt("x")) == "x"
        assert CRYPTER.for_salt(SALT) is CRYPTER
