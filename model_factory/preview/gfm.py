"""Pieces of GitHub's Markdown that what stands in them cannot leave: code, fences, folds, plain words.

What stands in code is only shown: GitHub looks there for no mention, reference, link, image, emoji or formula.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from typing import Final

# A word that GitHub makes something of by itself: a mention or an address, #1 or owner/repo#1 or GH-1 (which tells the other issue of it), a
# link, a commit, a formula.
# docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls
# github.github.com/gfm/#autolinks-extension-
_ACTS: Final = re.compile(
    r"@|#\d|\bgh-\d|://|\bwww\.|\b(mailto|xmpp):|(?<![0-9a-z])[0-9a-f]{7,64}(?![0-9a-z])|\$(?!\d)", re.IGNORECASE
)
_MARKS: Final = re.compile(r"([\\`*_\[\]~#])")
_BLOCK: Final = re.compile(r"^(\d+(?=[.)])|(?=[-+=]))")
"""What makes a list, a line or a heading of what it begins."""
_MENTION: Final = re.compile(r"(?<!\w)@(?=[A-Za-z0-9])")


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
    """Words as they are: no markup, and what GitHub would make a mention, reference or link of stands in code."""
    return _BLOCK.sub(r"\1\\", _each_word(text, code, _plain))


def html_words(text: str) -> str:
    """The same inside HTML, as in a fold's summary, where Markdown is not read."""
    return _each_word(text, html_code, html.escape)


def html_code(text: str) -> str:
    """Code inside HTML; on one line, as a blank one would end the HTML."""
    return f"<code>{html.escape(' '.join(text.split()))}</code>"


def without_mentions(text: str) -> str:
    """A whole comment that notifies nobody: not where it is read, and not where it is quoted as plain text, as an answer by mail does.

    As Renovate and Dependabot do it: renovatebot/renovate#1083, dependabot/dependabot-core#3157.
    """
    return _MENTION.sub("@\u200b", text)


def _plain(word: str) -> str:
    return _MARKS.sub(r"\\\1", html.escape(word, quote=False))


def _each_word(text: str, active: Callable[[str], str], plain: Callable[[str], str]) -> str:
    return " ".join((active if _ACTS.search(word) else plain)(word) for word in text.split())


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
