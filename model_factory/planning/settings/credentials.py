"""Finds credentials written into a stack file in plain text. Their text never reaches a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from model_factory.planning.settings.provider_keys import SECRETS
from model_factory.planning.settings.stackfile import KeyPath, StackFile

_DUMMIES: Final = frozenset({"dummy", "local", "mock", "test"})
"""What SDKs are given for clouds on loopback, which ask for some credential and check none."""
_SECRET_NAME: Final = re.compile(
    r"(^|[_.-])(pass(word|wd|phrase)?|secrets?|token|credentials?|private_?key|api_?key|access_?key|secret_?key)([_.-]|$)"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SHAPES: Final = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a Google service account key": re.compile(r'"private_key(_id)?"\s*:|"type"\s*:\s*"service_account"'),
    "a Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[0-9A-Za-z]{20,}|github_pat_[0-9A-Za-z_]{20,})"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{20,}"),
    "an API key": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}|\bnvapi-[A-Za-z0-9_-]{20,}|\bpul-[0-9a-f]{40}\b"),
    "a Slack token": re.compile(r"\bxox[abpr]-[0-9A-Za-z-]{10,}"),
    "a JSON web token": re.compile(r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}"),
    "a password in an address": re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@"),
}


def find_plain_credentials(file: StackFile, *, local: bool) -> Iterator[tuple[KeyPath, str]]:
    """Places and messages of credentials in plain text; `secure:` values are fine. On local clouds a dummy such as `test` is too."""
    for path, text in _texts((), file.config):
        if what := next((name for name, shape in _SHAPES.items() if shape.search(text)), ""):
            yield path, f"looks like {what} in plain text; {_remedy(path)}"
        elif text and _named_secret(path) and not (local and text in _DUMMIES):
            yield path, f"is a credential in plain text by its name; {_remedy(path)}"


def _named_secret(path: KeyPath) -> bool:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if path[0] in SECRETS:
        return True
    return bool(_SECRET_NAME.search(_CAMEL.sub("_", key.rpartition(":")[2]).lower()))


def _remedy(path: KeyPath) -> str:
    option = "--path " if len(path) > 1 else ""
    return f"rotate it, then store it encrypted: pulumi config set --secret {option}{next(iter(path))}"


def _texts(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, str(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts((*path, str(key)), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts((*path, index), inner)
