"""Finds credentials written into a stack file in plain text. Their text never reaches a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from model_factory.graph.masking import SECRET_SHAPES
from model_factory.planning.settings.provider_keys import SECRETS
from model_factory.planning.settings.reading import decoded
from model_factory.planning.settings.stackfile import StackFile
from model_factory.planning.settings.yamlfile import KeyPath

_DUMMIES: Final = frozenset({"dummy", "local", "mock", "test"})
"""What SDKs are given for clouds on loopback, which ask for some credential and check none."""
_SECRET_NAME: Final = re.compile(
    r"(^|[_.-])(pass(word|wd|phrase)?|secrets?|token|credentials?|private_?key|api_?key|access_?key|secret_?key)([_.-]|$)"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def find_plain_credentials(file: StackFile, *, local: bool) -> Iterator[tuple[KeyPath, str]]:
    """Places and messages of credentials in plain text; `secure:` values are fine. On local clouds a dummy such as `test` is too."""
    for path, text in _texts((), file.config):
        if what := next((name for name, shape in SECRET_SHAPES.items() if shape.search(text)), ""):
            yield path, f"looks like {what} in plain text; {_remedy(path)}"
        elif text and _named_secret(path) and not (local and text in _DUMMIES):
            yield path, f"is a credential in plain text by its name; {_remedy(path)}"


def _named_secret(path: KeyPath) -> bool:
    keys = [part for part in path if isinstance(part, str)]
    return keys[0] in SECRETS or any(
        _SECRET_NAME.search(_CAMEL.sub("_", key.rpartition(":")[2]).lower()) for key in (keys[0], keys[-1])
    )


def _remedy(path: KeyPath) -> str:
    option = "--path " if len(path) > 1 else ""
    return f"rotate it, then store it encrypted: pulumi config set --secret {option}{next(iter(path))}"


def _texts(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
        if (inside := decoded(value)) is not value:
            yield from _texts(path, inside)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, str(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts((*path, str(key)), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts((*path, index), inner)
