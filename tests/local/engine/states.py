"""States, and a quick stand-in for encryption, that the engine's tests share."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from model_factory.graph.urn import STACK_TYPE, Urn
from model_factory.local.engine.errors import SecretsError
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.secrets import Crypter
from model_factory.local.wire import Value

PROJECT = "shop"
STACK = "dev"
STACK_URN = Urn.make(STACK, PROJECT, STACK_TYPE, "shop-dev")
PROVIDER_TYPE = "pulumi:providers:cloud"


class ScramblingCrypter:
    """Hides texts well enough to see that they are hidden, without the second that a real key costs."""

    def __init__(self, salt: str = "v1:salt:check") -> None:
        self.salt = salt
        self.calls = 0

    def encrypt(self, plaintext: str) -> str:
        self.calls += 1
        return f"{self.salt}|" + base64.b64encode(plaintext.encode()[::-1]).decode()

    def decrypt(self, ciphertext: str) -> str:
        self.calls += 1
        salt, _, text = ciphertext.partition("|")
        if salt != self.salt:
            raise SecretsError("the passphrase does not fit")
        return base64.b64decode(text)[::-1].decode()

    def for_salt(self, salt: str) -> Crypter:
        return self if salt == self.salt else ScramblingCrypter(salt)


def urn(name: str, type_: str = "cloud:index:Thing") -> str:
    return Urn.make(STACK, PROJECT, type_, name)


def stack(outputs: Mapping[str, Value] | None = None) -> ResourceState:
    return ResourceState(STACK_URN, STACK_TYPE, custom=False, outputs=dict(outputs or {}))


def provider(name: str = "main", id_: str = "p-1") -> ResourceState:
    return ResourceState(urn(name, PROVIDER_TYPE), PROVIDER_TYPE, custom=True, id=id_, parent=STACK_URN)


def thing(name: str, **fields: Any) -> ResourceState:
    """A resource under the stack, with an id, served by the provider `main`."""
    defaults: dict[str, Any] = {"id": f"i-{name}", "parent": STACK_URN, "provider": provider().reference}
    return ResourceState(urn(name), "cloud:index:Thing", custom=True, **{**defaults, **fields})
