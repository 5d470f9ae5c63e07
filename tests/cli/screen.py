"""A terminal small enough to read: what stands on it after a command wrote, and all that ever stood on it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_PARTS = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+")
_CONTROL = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


@dataclass
class Screen:
    """Takes what a pseudo-terminal of `columns` × `rows` was written, of which each control must be one that is known here."""

    columns: int = 80
    rows: int = 24
    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0
    cursor_shown: bool = True
    colours: int = 0
    frames: list[list[str]] = field(default_factory=list[list[str]])
    """What could be seen each time that something was about to be erased."""
    _drawn: bool = False

    def feed(self, text: str) -> None:
        at = 0
        for part in _PARTS.finditer(text):
            assert part.start() == at, f"unknown: {text[at : part.start()]!r}"
            at = part.end()
            self._take(part[0])
        assert at == len(text), f"unknown: {text[at:]!r}"

    @property
    def seen(self) -> list[str]:
        return [line.rstrip() for line in self.lines[-self.rows :]]

    def _take(self, part: str) -> None:
        if part == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.lines):
                self.lines.append("")
        elif part == "\r":
            self.column = 0
        elif control := _CONTROL.fullmatch(part):
            self._obey(*control.groups())
        else:
            assert part.isprintable(), f"unknown: {part!r}"
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + part + line[self.column + len(part) :]
            self.column += len(part)
            self._drawn = True

    def _obey(self, private: str, number: str, letter: str) -> None:
        if private:
            assert number == "25"
            self.cursor_shown = letter == "h"
        elif letter == "m":
            self.colours += 1
        elif letter == "A":
            self.row -= int(number or 1)
            assert self.row >= max(len(self.lines) - self.rows, 0), (
                "above what can be seen, where it would be left behind"
            )
        else:
            assert (letter, number) == ("K", "2"), f"unknown: {number}{letter}"
            if self._drawn:
                self.frames.append(self.seen)
            self._drawn = False
            self.lines[self.row] = ""
