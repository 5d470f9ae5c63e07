"""Encryption of secrets at rest, in the format of Pulumi's passphrase secrets provider.

Salt `v1:<base64 of 8 bytes>:<check>`, where check is an encrypted value that decrypts to `pulumi`; value
`v1:<base64 of a 12-byte nonce>:<base64 of ciphertext and tag>`. AES-256-GCM under PBKDF2-SHA256 with 1,000,000 rounds.
Source: pulumi/pulumi, pkg/secrets/passphrase and sdk/go/common/resource/config/crypt.go.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import threading
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from model_factory.local.engine.errors import SecretsError

ROUNDS: Final = 1_000_000
_CHECK: Final = "pulumi"


class Crypter(Protocol):
    """Encrypts and decrypts texts for one salt."""

    @property
    def salt(self) -> str: ...
    def encrypt(self, plaintext: str) -> str: ...
    def decrypt(self, ciphertext: str) -> str: ...
    def for_salt(self, salt: str) -> Crypter:
        """The same passphrase for another salt: a state file brings its own."""
        ...


class PassphraseCrypter:
    """A passphrase and a salt. The key is derived at first use (a third of a second), and the passphrase is checked then.

    Safe to use from several threads. Raises SecretsError where the passphrase does not fit the salt.
    """

    def __init__(self, passphrase: str, salt: str) -> None:
        self._passphrase = passphrase
        self._salt = salt
        self._cipher: AESGCM | None = None
        self._lock = threading.Lock()

    @property
    def salt(self) -> str:
        return self._salt

    def encrypt(self, plaintext: str) -> str:
        return _seal(self._open(), plaintext)

    def decrypt(self, ciphertext: str) -> str:
        try:
            return _unseal(self._open(), ciphertext)
        except InvalidTag as error:
            raise SecretsError("a secret does not decrypt under this stack's key; the state was changed or damaged: restore "
                               "it from its .bak file or an export") from error  # fmt: skip

    def for_salt(self, salt: str) -> PassphraseCrypter:
        return self if salt == self._salt else PassphraseCrypter(self._passphrase, salt)

    def _open(self) -> AESGCM:
        with self._lock:
            if self._cipher is None:
                self._cipher = self._derive()
            return self._cipher

    def _derive(self) -> AESGCM:
        version, _, rest = self._salt.partition(":")
        raw, _, check = rest.partition(":")
        if version != "v1" or not raw or not check:
            raise SecretsError(f"encryption salt {self._salt[:24]!r} is not of the form v1:<salt>:<check>; restore it from the "
                               "state's .bak file or an export")  # fmt: skip
        if not self._passphrase:
            raise SecretsError("this stack's secrets are encrypted and no passphrase is set; set PULUMI_CONFIG_PASSPHRASE or "
                               "PULUMI_CONFIG_PASSPHRASE_FILE")  # fmt: skip
        cipher = _cipher(self._passphrase, _unbase64(raw))
        try:
            fits = _unseal(cipher, check) == _CHECK
        except InvalidTag:
            fits = False
        if not fits:
            raise SecretsError("the passphrase does not fit this stack's secrets; set PULUMI_CONFIG_PASSPHRASE to the one they "
                               "were encrypted with")  # fmt: skip
        return cipher


def new_salt(passphrase: str) -> str:
    """A fresh salt for a new stack, with its check. Refuses an empty passphrase."""
    if not passphrase:
        raise SecretsError("a new stack needs a passphrase for its secrets; set PULUMI_CONFIG_PASSPHRASE or "
                           "PULUMI_CONFIG_PASSPHRASE_FILE")  # fmt: skip
    raw = os.urandom(8)
    return f"v1:{_base64(raw)}:{_seal(_cipher(passphrase, raw), _CHECK)}"


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ROUNDS, dklen=32))


def _seal(cipher: AESGCM, plaintext: str) -> str:
    nonce = os.urandom(12)
    return f"v1:{_base64(nonce)}:{_base64(cipher.encrypt(nonce, plaintext.encode(), None))}"


def _unseal(cipher: AESGCM, value: str) -> str:
    parts = value.split(":")
    if len(parts) != 3 or parts[0] != "v1":
        raise SecretsError("an encrypted value is not of the form v1:<nonce>:<ciphertext>; restore the state from its .bak "
                           "file or an export")  # fmt: skip
    nonce = _unbase64(parts[1])
    if len(nonce) != 12:
        raise SecretsError(f"an encrypted value has a nonce of {len(nonce)} bytes, not 12; restore the state from its .bak file "
                           "or an export")  # fmt: skip
    return cipher.decrypt(nonce, _unbase64(parts[2]), None).decode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SecretsError(
            "an encrypted value is not base64; restore the state from its .bak file or an export"
        ) from error
