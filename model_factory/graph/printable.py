"""Texts of others as a terminal or the log of a CI job may get them: none of their characters does anything but stand there."""

from __future__ import annotations

import re
from typing import Final

# ECMA-48, 8.3.117: colours and weights. What writes them means no harm, and its words read better without.
_COLOURS: Final = re.compile(r"(?:\x1b\[|\x9b)[0-9;:]*m")
# Controls but tab and line feed; what turns the direction of text (https://trojansource.codes); separators that end a line; halves of
# characters, which cannot be written.
_ACTIVE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# What comparing by culture, as .NET does, passes over.
_UNSEEN: Final = "\u00ad\u034f\u180e\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff"
# github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs: `::name::` where a line begins, and `##[name]` anywhere in it.
_COMMANDS: Final = re.compile(rf"^[\s{_UNSEEN}]*:(?=[{_UNSEEN}]*:)|#(?=[{_UNSEEN}]*#[{_UNSEEN}]*\[)", re.MULTILINE)
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


def without_commands(text: str) -> str:
    """Lines as the log of a job of GitHub Actions may get them, where one that reads like a command to the runner is one: masking a word,
    raising an error, stopping all commands after it."""
    return _COMMANDS.sub(r"\g<0> ", text)


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < ord(" "):
        return chr(_PICTURES + code)
    return "␡" if code == _DELETE else "\ufffd"
