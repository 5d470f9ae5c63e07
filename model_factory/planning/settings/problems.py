"""Problems of a stack file: each names file, line, key, what is wrong and what to do. All are raised together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_TOLD_MAX: Final = 200
"""Problems in the text of an error; a reader of so many needs no more."""

_FEW: Final = 12
_NEAREST_TOLD: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong: `Pulumi.dev.yaml:41: model-factory:models.llm.replicas: min 5 is above max 2; set min ≤ max`."""

    file: str
    """As shown to the user; empty when the input came without a file."""
    line: int
    """From 1; 0 when unknown."""
    key: str
    """The key as `ns:key.inner[0]`; empty for the file as a whole."""
    message: str
    """What is wrong; what to do. Never holds a secret's text."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class PlanningError(ValueError):
    """Base of the errors of planning: `problems` has them all, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        told = [str(each) for each in self.problems[:_TOLD_MAX]]
        more = len(self.problems) - len(told)
        super().__init__("\n".join([*told, f"and {more:,} more problems"] if more else told))


class SettingsError(PlanningError):
    """The stack file is refused. Nothing has been called."""


class PlanError(PlanningError):
    """A model fits on no offer."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` was probably meant to be, letters in the wrong order first, longer and shorter
    forms last; empty when none is close."""
    lowered = {choice.lower(): choice for choice in sorted(known, reverse=True)}
    found = difflib.get_close_matches(name.lower(), list(lowered), n=5, cutoff=0.6)
    swapped = [each for each in found if sorted(each) == sorted(name.lower())]
    begun = [
        each for each in lowered if min(len(each), len(name)) >= 3 and each[: len(name)] == name.lower()[: len(each)]
    ]
    likely = swapped or found or begun
    return lowered[likely[0]] if likely else ""


def instead(name: str, known: Sequence[str]) -> str:
    """The remedy for a wrong name: the nearest right one, or all when they are few, else those that are least unlike it. What YAML would
    read as a number stands in quotes."""
    if close := nearest(name, known):
        return f"write {as_text(close)}"
    if len(known) <= _FEW:
        return f"choose from {', '.join(sorted(known))}"
    first = difflib.get_close_matches(name.lower(), known, n=_NEAREST_TOLD, cutoff=0)
    return f"choose one of the {len(known)} there are, as {', '.join(first)}"


def as_text(name: str) -> str:
    """A name as a stack file has it: in quotes where YAML would read it as a number."""
    try:
        float(name)
    except ValueError:
        return name
    return f'"{name}"'


def shown(path: Sequence[str | int]) -> str:
    """A path as the user would write it: `model-factory:models.llm.clouds[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text if text.isprintable() else repr(text)


def show(given: object) -> str:
    """A value as the user wrote it, cut to a line. What is inside of lists and mappings is not shown: it may be a credential."""
    if isinstance(given, Mapping | list):
        return "a mapping" if isinstance(given, Mapping) else "a list"
    text = repr(given) if isinstance(given, str) else "nothing" if given is None else f"{given}"
    return text if len(text) <= 60 else text[:57] + "…"
