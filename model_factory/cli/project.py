"""The project on disk: Pulumi.yaml, the stack files, and the configuration that a program is given.

`model_factory.planning.settings.stackfile` reads the files, and `model_factory.planning.settings.load` says whether the values make sense.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from model_factory.cli.errors import BadInputError
from model_factory.local import go_json
from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.stackfile import (
    PROJECT_FILE,
    ProjectFile,
    StackFile,
    read_project_file,
    stack_files,
)
from model_factory.planning.settings.yamlfile import Secure


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a Pulumi.yaml."""

    root: Path
    file: ProjectFile

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def work_dir(self) -> Path:
        """Where all local state lives; ignored by git."""
        return self.root / ".factory"

    def stack_file(self, stack: str) -> Path:
        return self.root / f"Pulumi.{stack}.yaml"

    def stacks(self) -> list[str]:
        """The stacks that have a file, by name."""
        return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in stack_files(self.root))


@dataclass(frozen=True, slots=True)
class ProgramConfig:
    """What a program reads through `pulumi.Config`: texts by `namespace:key`, structured values as JSON."""

    values: Mapping[str, str]
    secret_keys: frozenset[str]


def find_project(start: Path) -> Project:
    """The project that `start` lies in, looking upwards.

    Raises:
        BadInputError: no Pulumi.yaml on the way up, or one that is not readable or has no name.
    """
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            try:
                file = read_project_file(folder / PROJECT_FILE)
            except SettingsError as error:
                raise BadInputError(str(error)) from error
            if not file.name:
                raise BadInputError("\n".join(map(str, file.problems)))
            return Project(folder, file)
    raise BadInputError(f"no {PROJECT_FILE} in {start} or above; run this in the project, or name it with --cwd")


def require_stack_file(project: Project, stack: str) -> Path:
    """The stack's file.

    Raises:
        BadInputError: there is none; names the nearest stack.
    """
    path = project.stack_file(stack)
    if not path.is_file():
        known = project.stacks()
        near = difflib.get_close_matches(stack, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known stacks: {', '.join(known) or 'none'}"
        # Where the project file is wrong, that may be why: its stackConfigDir leads elsewhere.
        wrong = "".join(f"\n{each}" for each in project.file.problems)
        raise BadInputError(f"stack {stack!r} has no file {path.name} in {project.root}; {hint}{wrong}")
    return path


def program_config(project: Project, file: StackFile, decrypt: Callable[[str], str]) -> ProgramConfig:
    """The stack's configuration over the project's defaults, secrets decrypted.

    Structured values are written as the Pulumi CLI writes them: some go on, as text, into a default provider's inputs.
    `decrypt` is called for `secure:` values alone, so a stack without secrets needs no passphrase.
    """
    texts: dict[str, str] = {}
    secret_keys: set[str] = set()
    for key, value in {**project.file.defaults, **file.config}.items():
        full_key = key if ":" in key else f"{project.name}:{key}"
        plain, secret = _reveal(value, decrypt)
        texts[full_key] = plain if isinstance(plain, str) else go_json.dumps(plain)
        if secret:
            secret_keys.add(full_key)
    return ProgramConfig(texts, frozenset(secret_keys))


def _reveal(value: object, decrypt: Callable[[str], str]) -> tuple[object, bool]:
    if isinstance(value, Secure):
        return decrypt(value.ciphertext), True
    if isinstance(value, dict):
        parts = {key: _reveal(item, decrypt) for key, item in cast("dict[str, object]", value).items()}
        return {key: plain for key, (plain, _) in parts.items()}, any(secret for _, secret in parts.values())
    if isinstance(value, list):
        items = [_reveal(item, decrypt) for item in cast("list[object]", value)]
        return [plain for plain, _ in items], any(secret for _, secret in items)
    return value, False
