"""Texts of others as a terminal may get them: none of their characters does anything but stand there."""

from __future__ import annotations

import re
from typing import Final

# ECMA-48, 8.3.117: colours and weights. What writes them means no harm, and its words read better without.
_COLOURS: Final = re.compile(r"(?:\x1b\[|\x9b)[0-9;:]*m")
# Controls but tab and line feed; what turns the direction of text (https://trojansource.codes); separators that end a line; halves of
# characters, which cannot be written.
_ACTIVE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PICTURES: Final = 0x2400
_DELETE: Final = 0x7F


def uncoloured(text: str) -> str:
    """The text without colours."""
    return _COLOURS.sub("", text)


def printable(text: str) -> str:
    """The text without colours, and with a sign for each character that would act: `␛]0;…` for an escape."""
    if _ACTIVE.search(text) is None:
        return text
    return _ACTIVE.sub(_sign, uncoloured(text.replace("\r\n", "\n")))


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < ord(" "):
        return chr(_PICTURES + code)
    return "␡" if code == _DELETE else "\ufffd"
