"""Values as a reader may see them: secrets masked again, although engines mask what is marked as secret.

What is unmarked in a program is still struck here where its place or its shape says that it is a secret: a property named
`password`, an environment variable `DB_TOKEN`, the data of a Kubernetes Secret, a private key, a cloud's access key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from model_factory.graph.printable import uncoloured
from model_factory.graph.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWNS

MASK: Final = "[secret]"
UNKNOWN_TEXT: Final = "known after up"

SECRET_SHAPES: Final = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    "a Google service account key": re.compile(
        r'(\{[^{}]*)?\\?"type\\?"\s*:\s*\\?"service_account\\?"([^{}]*\})?|\\?"private_key(_id)?\\?"\s*:(\s*\\?"[^"]*")?'
    ),
    "a Google API key": re.compile(r"\bAIza[\w-]{35}"),
    "a Google access token": re.compile(r"\bya29\.[\w-]{20,}"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{20,}"),
    "an API key": re.compile(r"\b(sk|nvapi)-[\w-]{20,}|\bpul-[0-9a-f]{40}\b"),
    "a Slack token": re.compile(r"\bxox[abprs]-[\w-]{10,}"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}(\.[\w-]+)?"),
    "a bearer token": re.compile(r"(?i)(?<=bearer )[\w.~+/-]{16,}=*"),
    "a password in an address": re.compile(r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"),
}
"""What gives a credential away wherever it stands, by its name: the part of a text that matches is all secret."""

_UNKNOWN_IN_TEXT: Final = re.compile("|".join(sorted(UNKNOWNS)))
_SECRET_NAME: Final = re.compile(
    r"(?i)(^|[^a-z])(pass(word|wd|phrase)|token|secret|credentials?|(api|access|private|secret|signing|encryption)[-_.]?key)$"
    r"|(?<=[a-z])(Password|Passphrase|Token|Secret|ApiKey|AccessKey|PrivateKey|SecretKey|Credentials)$"
)
_SHORTEST_STRUCK: Final = 3


class Masker:
    """Masks values and texts. `secrets` are texts that the caller knows to be secret; those of under three letters are let be.

    Values not known yet stay as engines write them. Each text is looked at once: engines say the same many times.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({text for text in secrets if len(text) >= _SHORTEST_STRUCK}, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(text) for text in known)) if known else None
        self._struck: dict[str, str] = {}

    def text(self, text: str) -> str:
        """The text with every secret struck."""
        struck = self._struck.get(text)
        if struck is None:
            # A colour inside a secret would hide it from what follows, and from no reader.
            struck = uncoloured(text)
            struck = self._known.sub(MASK, struck) if self._known else struck
            for shape in SECRET_SHAPES.values():
                struck = shape.sub(MASK, struck)
            self._struck[text] = struck
        return struck

    def properties(self, type_: str, properties: Mapping[str, Any] | None) -> dict[str, Any]:
        """A resource's inputs or outputs."""
        shown = {self.text(key): self.value(item, key) for key, item in (properties or {}).items()}
        if type_.startswith("kubernetes:core/") and type_.endswith(":Secret"):
            for key in ("data", "stringData"):
                if key in shown:
                    shown[key] = _all_masked(shown[key])
        return shown

    def value(self, value: Any, name: str = "") -> Any:
        """A value; `name` is the property's own."""
        if isinstance(value, str):
            hidden = value and value not in UNKNOWNS and is_secret_name(name)
            return MASK if hidden else self.text(value)
        if isinstance(value, Mapping):
            if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
                return MASK
            shown = {self.text(str(key)): self.value(item, str(key)) for key, item in value.items()}
            if isinstance(label := value.get("name"), str) and is_secret_name(label) and "value" in shown:
                shown["value"] = MASK
            return shown
        if isinstance(value, Sequence):
            return [self.value(item, name) for item in value]
        return value


def is_secret_name(name: str) -> bool:
    """Does what is called so give its value away as a secret?"""
    return _SECRET_NAME.search(name) is not None


def name_unknowns(text: str) -> str:
    """The text with a word for every value in it that is not known yet."""
    return _UNKNOWN_IN_TEXT.sub(UNKNOWN_TEXT, text)


def _all_masked(value: Any) -> Any:
    return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK
