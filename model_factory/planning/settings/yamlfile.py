"""A YAML file as plain values with the line of every key, within one budget of characters, values, levels and digits.

Read with libyaml, whose port reads the file in Pulumi. What readers of YAML take for different values (`02`, `1_000`) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import yaml

from model_factory.graph.files import read_plain_text
from model_factory.planning.settings.problems import Problem, SettingsError, show, shown

if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeLoader as _Loader
else:
    from yaml import CSafeLoader as _Loader

KeyPath = tuple[str | int, ...]
"""A place in the file's `config:` — ("model-factory:models", "llm", "replicas", "min") — or in the file, for reading only."""

VALUES_MAX: Final = 60_000
"""Those that anchors stand for are counted at each place. Far above any stack: one of 1,000 models has about 25,000."""
ENTRIES_MAX: Final = 2_000
"""Of one list or mapping."""
LEVELS_MAX: Final = 30
DIGITS_MAX: Final = 30
"""Characters of a number."""
KEY_MAX: Final = 200
_CHARACTERS_MAX: Final = 2_000_000

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_FLOAT: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DISPUTED: Final = re.compile(
    r"[-+]?_*[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]0[xob][0-9a-fA-F_]+|0[xob][0-9a-fA-F_]+"
)
"""A number to some readers of YAML, text or another number to others: `010` is 10, 8, or text, and `0o17` is text to YAML 1.1."""
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG: Final = "tag:yaml.org,2002:"
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}
_STRUCTURES: Final = {yaml.SequenceStartEvent: f"{_TAG}seq", yaml.MappingStartEvent: f"{_TAG}map"}


@dataclass(frozen=True, slots=True)
class Secure:
    """An encrypted value (`secure: v1:…`). Opaque: planning does not decrypt it, and none is told from another."""

    ciphertext: str = field(default="", repr=False, compare=False)


class YamlReader:
    """Reads one file, noting lines and collecting problems."""

    def __init__(self, name: str, *, first_key: str = "config") -> None:
        self.name = name
        self._first_key = first_key
        self.lines: dict[KeyPath, int] = {}
        """Of every key and item. What an anchor stands for is at the line of its alias."""
        self.problems: list[Problem] = []
        self.text = ""
        self._left = VALUES_MAX
        self._events: Iterator[Any] = iter(())
        self._named: dict[str, tuple[object, int]] = {}
        self._open: list[str] = []

    def report(self, path: KeyPath, line: int, message: str) -> None:
        """Keeps a problem at `path`."""
        self.problems.append(Problem(self.name, line, shown(path), message))

    def fail(self, line: int, message: str) -> SettingsError:
        """The problems so far and this one, which ends the reading."""
        return SettingsError([*self.problems, Problem(self.name, line, "", message)])

    def read(self, path: Path, missing: str = "write one, or go to the project's folder") -> dict[str, object]:
        """The file's mapping. SettingsError when it is not there (`missing` is the remedy), not YAML, not a mapping, or past the budget; what is
        wrong with single values is kept in `problems`, and None stands for them."""
        try:
            self.text = read_plain_text(path, 4 * _CHARACTERS_MAX)
        except FileNotFoundError as error:
            raise self.fail(0, f"does not exist; {missing}") from error
        except UnicodeDecodeError as broken:
            raise self.fail(0, f"cannot be read as UTF-8 text ({broken})") from broken
        except OSError as broken:
            raise self.fail(0, f"cannot be read: {broken.strerror}; is it another file?") from broken
        if len(self.text) > _CHARACTERS_MAX:
            raise self.fail(
                0, f"has {len(self.text):,} characters, and {_CHARACTERS_MAX:,} are read; is it another file?"
            )
        try:
            return self._document()
        except yaml.MarkedYAMLError as broken:
            mark = broken.problem_mark or broken.context_mark
            line = min(mark.line + 1, len(self.text.splitlines())) if mark is not None else 0
            raise self.fail(
                line, f"is not YAML: {broken.problem or broken.context}{_remedy(self.text, line)}"
            ) from broken
        except yaml.YAMLError as broken:
            raise self.fail(0, f"is not YAML: {str(broken).splitlines()[0]}") from broken

    def _document(self) -> dict[str, object]:
        self._events = yaml.parse(self.text, Loader=_Loader)
        empty = f"is empty or not a mapping; it starts with {self._first_key}:"
        next(self._events)  # the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise self.fail(1, empty)
        value = self._value(next(self._events), (), 0)
        if not isinstance(value, dict):
            raise self.fail(1, empty)
        next(self._events)  # the document's end
        further = next(self._events)
        if not isinstance(further, yaml.StreamEndEvent):
            raise self.fail(further.start_mark.line + 1, "is not YAML of one document; keep what is above ---")
        return cast("dict[str, object]", value)

    def _value(self, event: Any, path: KeyPath, level: int) -> object:
        line: int = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event.anchor, line)
        if level > LEVELS_MAX:
            raise self.fail(line, f"nests deeper than {LEVELS_MAX} levels; write it flatter")
        before = self._left
        self._spend(1, line)
        if event.anchor:
            self._open.append(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path, line)
        else:
            if event.tag not in (None, "!", _STRUCTURES[type(event)]):
                self.report(_told(path), line, f"tag {show(event.tag)} has no meaning here; remove it")
            is_list = isinstance(event, yaml.SequenceStartEvent)
            value = self._list(path, level) if is_list else self._mapping(path, level)
        if event.anchor:
            self._open.pop()
            self._named[event.anchor] = value, before - self._left
        return value

    def _aliased(self, name: str, line: int) -> object:
        if name in self._open:
            raise self.fail(line, f"*{name} stands inside of what it names, and would have no end; write it out")
        if name not in self._named:
            raise self.fail(line, f"*{name} names no anchor above it; write the value out, or &{name} before it")
        value, size = self._named[name]
        self._spend(size, line)
        return value

    def _spend(self, values: int, line: int) -> None:
        self._left -= values
        if self._left < 0:
            raise self.fail(line, f"has over {VALUES_MAX:,} values, with those that anchors expand to; write fewer")

    def _count(self, values: Collection[object], event: Any) -> None:
        if len(values) == ENTRIES_MAX:
            told = f"is entry {ENTRIES_MAX + 1:,} of its list or mapping, and {ENTRIES_MAX:,} are read; write fewer"
            raise self.fail(event.start_mark.line + 1, told)

    def _list(self, path: KeyPath, level: int) -> list[object]:
        values: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            self._count(values, event)
            place = (*path, len(values))
            self.lines[place] = event.start_mark.line + 1
            values.append(self._value(event, place, level + 1))
        return values

    def _mapping(self, path: KeyPath, level: int) -> object:
        values: dict[str, object] = {}
        merged: list[tuple[object, int]] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            self._count(values, event)
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                merged.append((self._value(next(self._events), (*path, "<<"), level + 1), line))
            elif (key := self._key(event, path, level)) is None:
                self._value(next(self._events), (*path, "?"), level + 1)
            elif key in values:
                told = f"is there twice, first on line {self.lines[*path, key]}; keep one"
                self.report(_told((*path, key)), line, told)
                self._value(next(self._events), (*path, "?"), level + 1)
            else:
                self.lines[*path, key] = line
                values[key] = self._value(next(self._events), (*path, key), level + 1)
        for value, line in merged:
            self._merge(values, value, path, line)
        sealed = values.get("secure")
        return Secure(sealed) if set(values) == {"secure"} and isinstance(sealed, str) else values

    def _key(self, event: Any, path: KeyPath, level: int) -> str | None:
        """None for what is no key, which is reported."""
        line = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent):
            self._value(event, (*path, "?"), level + 1)
            self.report(_told(path), line, "a key is a list, a mapping or an alias; keys are plain text")
            return None
        key = str(event.value)
        if len(key) > KEY_MAX or not key.isprintable():
            wrong = f"has {len(key):,} characters" if len(key) > KEY_MAX else "has characters that cannot be seen"
            self.report(_told(path), line, f"key {show(key)} {wrong}; keys are printable, and of {KEY_MAX} at most")
            return None
        return key

    def _merge(self, values: dict[str, object], value: object, path: KeyPath, line: int) -> None:
        """`<<`: what is written out wins, then the first mapping that has the key (https://yaml.org/type/merge.html)."""
        for each in cast("list[object]", value) if isinstance(value, list) else [value]:
            if not isinstance(each, dict):
                self.report(_told(path), line, "<< takes a mapping or a list of mappings; write *<anchor of one>")
                continue
            for key, inner in cast("dict[str, object]", each).items():
                if key not in values:
                    values[key] = inner
                    self.lines[*path, key] = line

    def _scalar(self, event: Any, path: KeyPath, line: int) -> object:
        text: str = event.value
        try:
            if event.tag in (None, "!"):
                return _plain(text) if event.implicit[0] and event.tag is None else text
            return _tagged(event.tag, text)
        except ValueError as broken:
            self.report(_told(path), line, f"{show(text)} {broken}")
            return None


def _told(path: KeyPath) -> KeyPath:
    return path[1:] if path[:1] == ("config",) and len(path) > 1 else path


def _plain(text: str) -> object:
    """What text without quotes stands for; ValueError says what is wrong with it, and what to do."""
    if text in _WORDS:
        return _WORDS[text]
    if _NO_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    if not _DISPUTED.fullmatch(text) and not _FLOAT.fullmatch(text):
        return text
    if len(text) > DIGITS_MAX:
        raise ValueError(
            f"has {len(text):,} digits, and a number has {DIGITS_MAX} at most; correct it, or quote it where it is text"
        )
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:1] == "0" else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    digits = text.replace("_", "").lstrip("+").lstrip("0")
    remedy = f"write {digits}, or quote it" if _INTEGER.fullmatch(digits) or _FLOAT.fullmatch(digits) else "quote it"
    raise ValueError(f"is a number to some readers of YAML, and another or text to others; {remedy} where it is text")


def _tagged(tag: str, text: str) -> object:
    kind = tag.removeprefix(_TAG)
    if kind in ("str", "timestamp"):
        return text
    if kind not in _KINDS:
        raise ValueError(f"has tag {show(tag)}, which has no meaning here; remove it")
    value = _plain(text)
    if type(value) not in _KINDS[kind]:
        raise ValueError(f"cannot be read as {kind}; correct it, or remove the tag")
    return float(cast("float", value)) if kind == "float" else value


def _remedy(text: str, line: int) -> str:
    lines = text.splitlines()
    if 0 < line <= len(lines) and "\t" in lines[line - 1]:
        return "; indent with spaces, not tabs"
    return "; check indentation, quotes and colons there and on the line before"
