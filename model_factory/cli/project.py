"""The project on disk: Pulumi.yaml, the stack files, and the configuration that a program is given.

Reads files and nothing else. Whether the values make sense is for `model_factory.planning.settings.load`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from model_factory.cli.errors import BadInputError
from model_factory.local import go_json

PROJECT_FILE = "Pulumi.yaml"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a Pulumi.yaml; `name` is the project's name in it."""

    root: Path
    name: str
    defaults: Mapping[str, Any]

    @property
    def file(self) -> Path:
        return self.root / PROJECT_FILE

    @property
    def work_dir(self) -> Path:
        """Where all local state lives; ignored by git."""
        return self.root / ".factory"

    def stack_file(self, stack: str) -> Path:
        return self.root / f"Pulumi.{stack}.yaml"

    def stacks(self) -> list[str]:
        """The stacks that have a file, by name."""
        return sorted(
            path.name.removeprefix("Pulumi.").removesuffix(".yaml")
            for path in self.root.glob("Pulumi.*.yaml")
        )


@dataclass(frozen=True, slots=True)
class ProgramConfig:
    """What a program reads through `pulumi.Config`: texts by `namespace:key`, structured values as JSON."""

    values: Mapping[str, str]
    secret_keys: frozenset[str]


def find_project(start: Path) -> Project:
    """The project that `start` lies in, looking upwards.

    Raises:
        BadInputError: no Pulumi.yaml on the way up, or one that is not readable.
    """
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            document = _read_yaml(folder / PROJECT_FILE)
            name = document.get("name")
            if not isinstance(name, str):
                raise BadInputError(f"{PROJECT_FILE}: name is missing; add `name: model-factory`")
            return Project(folder, name, _defaults(document, name))
    raise BadInputError(
        f"no {PROJECT_FILE} in {start} or above; run this in the project, or name it with --cwd"
    )


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
        raise BadInputError(f"stack {stack!r} has no file {path.name} in {project.root}; {hint}")
    return path


def program_config(project: Project, stack_file: Path, decrypt: Callable[[str], str]) -> ProgramConfig:
    """The stack's configuration over the project's defaults, secrets decrypted.

    Structured values are written as the Pulumi CLI writes them: some go on, as text, into a default provider's inputs.
    `decrypt` is called for `secure:` values alone, so a stack without secrets needs no passphrase.
    """
    values: dict[str, Any] = dict(project.defaults)
    values |= _read_yaml(stack_file).get("config") or {}
    texts: dict[str, str] = {}
    secret_keys: set[str] = set()
    for key, value in values.items():
        full_key = key if ":" in key else f"{project.name}:{key}"
        plain, secret = _reveal(value, decrypt)
        texts[full_key] = plain if isinstance(plain, str) else go_json.dumps(plain)
        if secret:
            secret_keys.add(full_key)
    return ProgramConfig(texts, frozenset(secret_keys))


def encryption_salt(stack_file: Path) -> str | None:
    """The stack file's `encryptionsalt`, as the Pulumi CLI writes it."""
    salt = _read_yaml(stack_file).get("encryptionsalt")
    return str(salt) if salt else None


def endpoint_ports(values: Mapping[str, str]) -> dict[str, int]:
    """The port of each cloud's endpoints in a configuration, by cloud. Takes the first where they differ."""
    urls = {
        "aws": [
            url for services in json.loads(values.get("aws:endpoints", "[]")) for url in services.values()
        ],
        "gcp": [
            url for key, url in values.items() if key.startswith("gcp:") and key.endswith("CustomEndpoint")
        ],
    }
    ports = {cloud: [urlsplit(url).port for url in found] for cloud, found in urls.items()}
    return {cloud: port for cloud, found in ports.items() for port in found[:1] if port is not None}


def _defaults(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Values that Pulumi.yaml gives to every stack: `value` or `default` of a key, or the bare value."""
    defaults: dict[str, Any] = {}
    for key, declared in (document.get("config") or {}).items():
        full_key = key if ":" in key else f"{name}:{key}"
        if not isinstance(declared, dict):
            defaults[full_key] = declared
        elif "default" in declared or "value" in declared:
            defaults[full_key] = declared.get("default", declared.get("value"))
    return defaults


def _reveal(value: Any, decrypt: Callable[[str], str]) -> tuple[Any, bool]:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return decrypt(str(value["secure"])), True
        parts = {key: _reveal(item, decrypt) for key, item in value.items()}
        return {key: plain for key, (plain, _) in parts.items()}, any(secret for _, secret in parts.values())
    if isinstance(value, list):
        items = [_reveal(item, decrypt) for item in value]
        return [plain for plain, _ in items], any(secret for _, secret in items)
    return value, False


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise BadInputError(f"{path.name} is not valid YAML: {error}") from error
    except OSError as error:
        raise BadInputError(f"{path.name} cannot be read: {error.strerror}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadInputError(f"{path.name} holds a {type(document).__name__}; a mapping is needed")
    return document
