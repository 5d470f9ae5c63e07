"""Pieces of GitHub's Markdown that what stands in them cannot leave: code, fences, folds, plain words."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable


def fold(summary: str, body: Iterable[str]) -> Iterable[str]:
    """A closed fold; `summary` is HTML."""
    yield f"<details><summary>{summary}</summary>"
    yield ""
    yield from body
    yield ""
    yield "</details>"
    yield ""


def fence(text: str, language: str) -> list[str]:
    """A fenced block that its content cannot close."""
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return [f"{fence}{language}", *text.splitlines(), fence]


def indented(lines: Iterable[str]) -> list[str]:
    """Under an item of a list."""
    return [f"  {line}" for line in lines]


def code(text: str) -> str:
    """A code span that its content cannot close."""
    text = " ".join(text.split()) or " "
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    if not ticks:
        return f"`{text}`"
    return f"{'`' * (ticks + 1)} {text} {'`' * (ticks + 1)}"


def cell(text: str) -> str:
    """Text in a table: a bar ends a cell even inside code."""
    return text.replace("|", "\\|").replace("\n", " ")


def words(text: str) -> str:
    """Words as they are: no markup, no mentions, no references."""
    text = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text).replace("@", "&#64;").replace("#", "&#35;")


def plain_word(text: str) -> str:
    """A name reduced to what names are made of."""
    return re.sub(r"[^\w.\-]", "", text)


def without_double_blanks(lines: Iterable[str]) -> Iterable[str]:
    """One blank line where there are several, save inside a fence, which is kept as it is."""
    fence, blank = "", True
    for line in lines:
        mark = line.lstrip()
        if fence:
            fence = "" if mark == fence else fence
        elif mark.startswith("```"):
            fence = mark[: len(mark) - len(mark.lstrip("`"))]
        elif not line and blank:
            continue
        blank = not line
        yield line
