"""Values as a reader may see them: secrets masked, unknowns named, both again although engines mask what is marked as secret.

What is unmarked in a program is still struck here where its place or its shape says that it is a secret: a property named
`password`, an environment variable `DB_TOKEN`, the data of a Kubernetes Secret, a private key, a cloud's access key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

MASK: Final = "[secret]"
UNKNOWN: Final = "known after up"

_SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark, not a secret
# What Pulumi writes for text, a flag, a number, a list and an object not known yet (sdk/go/common/resource/plugin/rpc.go).
_UNKNOWNS: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
_UNKNOWN_IN_TEXT: Final = re.compile("|".join(sorted(_UNKNOWNS)))
_SECRET_NAME: Final = re.compile(
    r"(?i)(^|[^a-z])(pass(word|wd|phrase)|token|secret|credentials?|(api|access|private|secret|signing|encryption)[-_.]?key)$"
    r"|(?<=[a-z])(Password|Passphrase|Token|Secret|ApiKey|AccessKey|PrivateKey|SecretKey|Credentials)$"
)
_SECRET_SHAPES: Final = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{22,}\b"),
    re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    re.compile(r"\bya29\.[\w-]{20,}"),
    re.compile(r"\bAIza[\w-]{35}\b"),
    re.compile(r"\bxox[abprs]-[\w-]{10,}"),
    re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"),
    re.compile(r"(?i)(?<=bearer )[\w.~+/-]{16,}=*"),
    re.compile(r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"),
)
_SHORTEST_STRUCK: Final = 3


class Masker:
    """Masks values and texts. `secrets` are texts that the caller knows to be secret; those of under three letters are let be."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({text for text in secrets if len(text) >= _SHORTEST_STRUCK}, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(text) for text in known)) if known else None

    def text(self, text: str) -> str:
        """The text with every secret struck and every unknown named."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for shape in _SECRET_SHAPES:
            text = shape.sub(MASK, text)
        return _UNKNOWN_IN_TEXT.sub(UNKNOWN, text)

    def properties(self, type_: str, properties: Mapping[str, Any] | None) -> dict[str, Any]:
        """A resource's inputs or outputs."""
        shown = {key: self.value(item, key) for key, item in (properties or {}).items()}
        if type_.startswith("kubernetes:core/") and type_.endswith(":Secret"):
            for key in ("data", "stringData"):
                if key in shown:
                    shown[key] = _all_masked(shown[key])
        return shown

    def value(self, value: Any, name: str = "") -> Any:
        """A value; `name` is the property's own."""
        if isinstance(value, str):
            if value in _UNKNOWNS:
                return UNKNOWN
            return MASK if value and _SECRET_NAME.search(name) else self.text(value)
        if isinstance(value, Mapping):
            if value.get(_SIGNATURE_KEY) == _SECRET_SIGNATURE:
                return MASK
            shown = {str(key): self.value(item, str(key)) for key, item in value.items()}
            if (
                isinstance(label := value.get("name"), str)
                and _SECRET_NAME.search(label)
                and "value" in shown
            ):
                shown["value"] = MASK
            return shown
        if isinstance(value, Sequence):
            return [self.value(item, name) for item in value]
        return value


def _all_masked(value: Any) -> Any:
    return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK
