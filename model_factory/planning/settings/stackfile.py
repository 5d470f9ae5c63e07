"""A Pulumi stack file as plain values with the line of every key. Knows Pulumi's frame (`config:` with `ns:key`), not our keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, cast

from model_factory.planning.settings.fields import DNS_LABEL
from model_factory.planning.settings.problems import Problem, instead, shown
from model_factory.planning.settings.yamlfile import KeyPath, YamlReader

FRAME: Final = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")
"""The keys that Pulumi itself reads: https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/"""
PROJECT_FILE: Final = "Pulumi.yaml"
LOCK_SUFFIX: Final = ".plan.yaml"
"""What the name of a plan lock ends with; it stands beside the stack file, and is none."""
_IDLE: Final = (
    "author",
    "config",
    "description",
    "license",
    "main",
    "name",
    "requiredPulumiVersion",
    "runtime",
    "template",
    "website",
)
"""Keys of `Pulumi.yaml` that change nothing of a run, or are read here: https://www.pulumi.com/docs/iac/concepts/projects/project-file/"""
_ACTING: Final = {
    "stackConfigDir": "move the stack files beside Pulumi.yaml, where they are read, and remove it",
    "backend": "remove it, and choose with `pulumi login` or PULUMI_BACKEND_URL; stacks on local clouds keep their state in .factory",
    "options": "remove it, and say --refresh where a run is to look for drift first",
    "plugins": "remove it; plugins come from PATH and from the packages that are installed",
    "packages": "remove it, and install the package's SDK in the virtual environment",
}
"""Keys that the Pulumi CLI acts on, and `factory` does not: it gives the CLI a project file of its own. What to do instead."""
_INTERPRETER: Final = ("toolchain", "virtualenv")
"""Options of Python that say where it is; `factory` runs the program in its own."""
NAME_MAX: Final = 100
"""Of stacks and projects, as Pulumi has it: https://www.pulumi.com/docs/iac/concepts/stacks/#create-a-stack"""


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

    def told(self, found: Iterable[tuple[KeyPath, str]]) -> tuple[Problem, ...]:
        """All problems, those of `found` after the frame's: what could not be read is not judged as well."""
        unread = {each.key for each in self.problems if each.key}
        judged = (self.problem(path, message) for path, message in found)
        return (*self.problems, *(each for each in judged if each.key not in unread))


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
    if not (name.startswith("Pulumi.") and name.endswith((".yaml", ".yml")) and stack):
        reader.report((), 0, "is not a stack file; its name is Pulumi.<stack>.yaml")
    elif fault := _name_fault(stack):
        reader.report((), 0, f"is of stack {stack!r}, {fault}; name it Pulumi.{_nearest(stack)}.yaml")
    if name.endswith(LOCK_SUFFIX):
        raise reader.fail(0, f"is a plan lock; the stack file is {name.removesuffix(LOCK_SUFFIX)}.yaml")
    values, lines = reader.read(path, _beside(path)), reader.lines
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
    for key in FRAME:
        if key not in ("config", "environment") and not isinstance(values.get(key, ""), str):
            reader.report((key,), lines[(key,)], "is not text; restore what Pulumi wrote")
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
        salt if isinstance(salt, str) else "",
        reader.text,
    )


def read_project_file(path: Path) -> ProjectFile:
    """Reads `Pulumi.yaml`. SettingsError when it is not YAML; what else is wrong is kept: values of settings do not belong into it."""
    reader = YamlReader(path.name)
    values = reader.read(path)
    name = values.get("name")
    if not isinstance(name, str) or not name:
        reader.report(("name",), reader.lines.get(("name",), 1), "is missing; write name: model-factory")
        name = ""
    elif fault := _name_fault(name):
        reader.report(("name",), reader.lines.get(("name",), 1), f"is {name!r}, {fault}; write {_nearest(name)}")
    for place, message in _unheard(values):
        reader.report(place, reader.lines.get(place, 1), message)
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


def _unheard(values: Mapping[str, object]) -> Iterable[tuple[KeyPath, str]]:
    """What `pulumi` does as a project file says, and `factory` would not."""
    for key in values:
        if key in _ACTING:
            yield (key,), f"is read by the Pulumi CLI alone, and `factory` would do otherwise; {_ACTING[key]}"
        elif key not in _IDLE:
            yield (key,), f"unknown key; {instead(key, (*_IDLE, *_ACTING))}"
    main = values.get("main", ".")
    if not isinstance(main, str) or PurePosixPath(main) != PurePosixPath("."):
        yield ("main",), f"is {main!r}, and `factory` runs the __main__.py beside {PROJECT_FILE}; write main: ."
    runtime = values.get("runtime", "python")
    named: Mapping[str, object] = cast("dict[str, object]", runtime) if isinstance(runtime, dict) else {"name": runtime}
    if named.get("name") != "python":
        yield ("runtime",), f"is {named.get('name')!r}, and the program is in Python; write python"
    options = named.get("options")
    for option in cast("dict[str, object]", options) if isinstance(options, dict) else ():
        if option not in _INTERPRETER:
            yield (
                ("runtime", "options", option),
                "is read by the Pulumi CLI alone; remove it, and check the program before a run, as `make check` does",
            )


def _name_fault(name: str) -> str:
    """What is wrong with the name of a stack or a project. What clouds call buckets, networks and clusters begins with it, and the
    strictest of them takes no other characters."""
    if re.fullmatch(DNS_LABEL, name) and len(name) <= NAME_MAX:
        return ""
    return f"which resources are named after: at most {NAME_MAX} lower-case letters, digits and single hyphens, from a letter on"


def _nearest(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").lstrip("0123456789-")
    return plain[:NAME_MAX].rstrip("-") or "dev"


def _beside(path: Path) -> str:
    """What to do where a stack file is not there."""
    there = [each.name for each in stack_files(path.parent)]
    return f"there is {', '.join(there)}" if there else "write one, or go to the project's folder"
