"""A Pulumi stack file as plain values with the line of every key. Knows YAML and Pulumi's frame (`config:` with `ns:key`), not our keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from model_factory.planning.settings.problems import Problem, SettingsError, instead, shown

KeyPath = tuple[str | int, ...]
"""A place in the file's `config:` — ("model-factory:models", "llm", "replicas", "min") — or in the file, for reading only."""

FRAME: Final = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")
"""The keys that Pulumi itself reads: https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/"""
LOCK_SUFFIX: Final = ".plan.yaml"
"""What the name of a plan lock ends with; it stands beside the stack file, and is none."""
_NODES_MAX: Final = 100_000
_CHARACTERS_MAX: Final = 2_000_000
"""Far above any stack; more takes minutes to read."""
_STACK_NAME_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Secure:
    """An encrypted value (`secure: v1:…`). Opaque: planning does not decrypt it, and none is told from another."""

    ciphertext: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class StackFile:
    """What a stack file says under `config:`, and where."""

    name: str = ""
    """File name, as shown to the user."""
    stack: str = ""
    config: Mapping[str, object] = field(default_factory=dict[str, object])
    """`ns:key` → str, int, float, bool, None, list, dict or `Secure`."""
    lines: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int], repr=False)
    problems: tuple[Problem, ...] = ()
    """What is wrong with the frame; the values could be read all the same."""
    salt: str = ""
    """The `encryptionsalt` that Pulumi wrote; empty without one."""
    text: str = field(default="", repr=False)
    """The file as it was read."""

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest key around it that is written down."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at `path`."""
        return Problem(self.name, self.line(path), shown(path), message)


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What `Pulumi.yaml` says."""

    file: str
    """File name, as shown to the user."""
    name: str
    """The project's; empty where it is missing, which is among the problems."""
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    """Values for every stack, by key with or without a namespace. Planning refuses them."""
    problems: tuple[Problem, ...] = ()


def stack_files(folder: Path) -> list[Path]:
    """The stack files in a folder, by name."""
    return sorted(each for each in folder.glob("Pulumi.*.yaml") if not each.name.endswith(LOCK_SUFFIX))


def read_stack_file(path: Path) -> StackFile:
    """Reads `Pulumi.<stack>.yaml`. SettingsError when it is not there, not YAML, or not a mapping; lesser problems are kept."""
    name = path.name
    reader = YamlReader(name)
    stack = name.removeprefix("Pulumi.").removesuffix(".yaml").removesuffix(".yml")
    if not (name.startswith("Pulumi.") and name.endswith((".yaml", ".yml"))) or not 0 < len(stack) <= _STACK_NAME_MAX:
        reader.report((), 0, "is not a stack file; its name is Pulumi.<stack>.yaml")
    if name.endswith(LOCK_SUFFIX):
        raise reader.fail(0, f"is a plan lock; the stack file is {name.removesuffix(LOCK_SUFFIX)}.yaml")
    root = reader.read(path)
    values, lines = reader.mapping(root, ()), reader.lines
    for key in values:
        if key in FRAME:
            continue
        remedy = (
            f"move it below config: {'' if ':' in key else 'as model-factory:'}{key}"
            if ":" in key
            else instead(key, FRAME)
        )
        reader.report((key,), lines[(key,)], f"unknown key; {remedy}")
    if "environment" in values:
        reader.report(
            ("environment",),
            lines[("environment",)],
            "Pulumi ESC environments are not read here; write their values below config",
        )
    config = values.get("config")
    if not isinstance(config, dict) or not config:
        reader.report(
            ("config",),
            lines.get(("config",), 1),
            "is missing or empty; list the stack's settings below config:",
        )
        config = {}
    below: dict[KeyPath, int] = {place[1:]: line for place, line in lines.items() if place[:1] == ("config",)}
    salt = values.get("encryptionsalt")
    return StackFile(
        name,
        stack,
        {str(key): value for key, value in config.items()},
        below,
        tuple(reader.problems),
        str(salt) if salt else "",
        reader.text,
    )


def read_project_file(path: Path) -> ProjectFile:
    """Reads `Pulumi.yaml`. SettingsError when it is not YAML; what else is wrong is kept: values of settings do not belong into it."""
    reader = YamlReader(path.name)
    values = reader.mapping(reader.read(path), ())
    name = values.get("name")
    if not isinstance(name, str) or not name:
        reader.report(("name",), reader.lines.get(("name",), 1), "is missing; write name: model-factory")
        name = ""
    config = values.get("config")
    defaults: dict[str, object] = {}
    for key, entry in config.items() if isinstance(config, dict) else ():
        declared = entry if isinstance(entry, dict) else {} if entry is None else {"value": entry}
        if {"default", "value"} & set(declared):
            defaults[str(key)] = declared.get("default", declared.get("value"))
            place: KeyPath = ("config", str(key))
            reader.report(
                place,
                reader.lines.get(place, 1),
                "holds a value; defaults live in planning, values in the stack file",
            )
    return ProjectFile(path.name, name, defaults, tuple(reader.problems))


class YamlReader:
    """Turns YAML nodes into plain values, noting lines and collecting problems."""

    def __init__(self, name: str, *, first_key: str = "config") -> None:
        self.name = name
        self._first_key = first_key
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self.text = ""
        self._left = _NODES_MAX
        self._open: list[Node] = []

    def report(self, path: KeyPath, line: int, message: str) -> None:
        self.problems.append(Problem(self.name, line, shown(path), message))

    def fail(self, line: int, message: str) -> SettingsError:
        return SettingsError([*self.problems, Problem(self.name, line, "", message)])

    def read(self, path: Path) -> Node:
        try:
            self.text = text = path.read_text(encoding="utf-8")
        except FileNotFoundError as missing:
            there = [each.name for each in stack_files(path.parent)] if path.parent.is_dir() else []
            remedy = f"there is {', '.join(there)}" if there else "write one, or go to the project's folder"
            raise self.fail(0, f"does not exist; {remedy}") from missing
        except (OSError, UnicodeDecodeError) as broken:
            raise self.fail(0, f"cannot be read as UTF-8 text ({broken})") from broken
        if len(text) > _CHARACTERS_MAX:
            raise self.fail(0, f"has {len(text):,} characters, and {_CHARACTERS_MAX:,} are read; is it another file?")
        try:
            node = YAML(typ="safe", pure=True).compose(text)
        except RecursionError as broken:
            raise self.fail(0, "nests too deep; write it flatter") from broken
        except MarkedYAMLError as broken:
            mark = broken.problem_mark or broken.context_mark
            line = mark.line + 1 if mark is not None else 0
            raise self.fail(
                line, f"is not YAML: {broken.problem or broken.context}{_yaml_remedy(text, line)}"
            ) from broken
        except YAMLError as broken:
            raise self.fail(0, f"is not YAML: {str(broken).splitlines()[0]}") from broken
        if not isinstance(node, MappingNode):
            raise self.fail(1, f"is empty or not a mapping; it starts with {self._first_key}:")
        return node

    def mapping(self, node: Node, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in self._pairs(node):
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self.report(path, line, "a key is a list or a mapping; keys are plain text")
                continue
            key = str(key_node.value)
            place = (*path, key)
            if key in values:
                self.report(_told(place), line, f"is there twice, first on line {self.lines[place]}; keep one")
                continue
            self.lines[place] = line
            values[key] = self.value(value_node, place)
        return values

    def value(self, node: Node, path: KeyPath) -> object:
        self._left -= 1
        if self._left < 0 or any(node is outer for outer in self._open):
            raise self.fail(
                node.start_mark.line + 1,
                "anchors expand without end, or to over 100,000 values; write them out",
            )
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
            values = self.mapping(node, path)
        finally:
            self._open.pop()
        sealed = values.get("secure")
        return Secure(sealed) if set(values) == {"secure"} and isinstance(sealed, str) else values

    def _item(self, node: Node, path: KeyPath) -> object:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _pairs(self, node: Node) -> Iterator[tuple[Node, Node]]:
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for merged in value.value if isinstance(value, SequenceNode) else [value]:
                    yield from self._pairs(merged)
            else:
                yield key, value

    def _scalar(self, node: ScalarNode, path: KeyPath) -> object:
        try:
            return _plain(node)
        except (ConstructorError, ValueError) as broken:
            self.report(
                _told(path),
                node.start_mark.line + 1,
                f"{node.value!r} cannot be read as {node.tag} ({broken}); quote it",
            )
            return None


def _told(path: KeyPath) -> KeyPath:
    return path[1:] if path[:1] == ("config",) and len(path) > 1 else path


def _plain(node: ScalarNode) -> object:
    text = str(node.value)
    match str(node.tag).removeprefix("tag:yaml.org,2002:"):
        case "str" | "timestamp":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            digits = text.replace("_", "")
            return int(digits, 0) if digits.lstrip("+-")[:2].lower() in {"0x", "0o", "0b"} else int(digits)
        case "float":
            digits = text.replace("_", "").lower()
            return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
        case other:
            raise ValueError(f"tag {other} has no meaning in a stack file")


def _yaml_remedy(text: str, line: int) -> str:
    lines = text.splitlines()
    if 0 < line <= len(lines) and "\t" in lines[line - 1]:
        return "; indent with spaces, not tabs"
    return "; check indentation, quotes and colons there and on the line before"
