"""How this command was called, so that a command which is told of can be pasted as it stands and does what is said of it."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from model_factory.cli.options import DEFAULT_LAB, DEFAULT_STACK, STACK_VARIABLE

_NAME: Final = "factory"
_LAB: Final = "lab "
_TOLD: Final = re.compile(r"`factory (\S[^`]*)`")
_WITH_ENGINE: Final = frozenset({"preview", "up", "refresh", "destroy"})
_WITHOUT_STACK: Final = frozenset(
    {
        "offers",
        "prices",
        "schema",
        "stack ls",
        "stack strip",
        "lab build",
        "lab machine",
        "lab status",
        "lab clean",
        "cluster-token aws",
        "cluster-token gcp",
    }
)
_WITHOUT_CWD: Final = _WITHOUT_STACK - {"stack ls", "lab status"}
_GROUPS: Final = frozenset({"stack", "clouds", "lab", "cluster-token"})


def command(told: str) -> str:
    """`up --diff` as it can be typed where this command was: `.venv/bin/factory up --diff --stack staging --engine pulumi`.

    It is called as this one was, and keeps of its stack, engine and folder what the other takes and does not say itself.
    """
    own, pipe, rest = told.partition(" | ")
    words = own.split()
    name = " ".join(words[: 2 if words[0] in _GROUPS else 1])
    return " ".join([shlex.quote(program()), own, *map(shlex.quote, _kept(name, words))]) + pipe + rest


def pasteable(text: str) -> str:
    """The text with each `factory …` in it as it can be typed here."""
    return _TOLD.sub(lambda found: f"`{command(found[1])}`", text)


def program() -> str:
    """`factory` where the shell finds this very program by that name; else the way to it."""
    called = Path(sys.argv[0])
    if called.name != _NAME:
        # As a module, or by a test: nothing that could be typed.
        return _NAME
    found = by_shell()
    if found is not None and Path(found).resolve() == called.resolve():
        return _NAME
    here = Path.cwd()
    typed = str(called.relative_to(here)) if called.is_relative_to(here) else str(called)
    return typed if os.sep in typed else f".{os.sep}{typed}"


def by_shell() -> str | None:
    """What the shell that called finds by our name. The folder that `entry` adds to PATH, last and for this process alone, is none of its."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if len(folders) > 1 and folders[-1] == str(Path(sys.argv[0]).resolve().parent):
        folders.pop()
    return shutil.which(_NAME, path=os.pathsep.join(folders))


def _kept(name: str, words: list[str]) -> Iterator[str]:
    given = _given()
    usual = os.environ.get(STACK_VARIABLE)
    stack = given.stack or usual or given.default
    default = DEFAULT_LAB if name.startswith(_LAB) else DEFAULT_STACK
    # What a variable said may have been said to this one command alone.
    if stack and (stack != default or usual) and "--stack" not in words and name not in _WITHOUT_STACK:
        yield from ("--stack", stack)
    if given.engine and "--engine" not in words and name in _WITH_ENGINE:
        yield from ("--engine", given.engine)
    if given.cwd and "--cwd" not in words and name not in _WITHOUT_CWD:
        yield from ("--cwd", given.cwd)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-s", "--stack")
    parser.add_argument("--engine")
    parser.add_argument("-C", "--cwd")
    parser.add_argument("-y", action="store_true")  # so that -ys dev is taken apart
    arguments = sys.argv[1:] if Path(sys.argv[0]).name == _NAME else []
    given = parser.parse_known_args(arguments)[0]
    # The commands of the lab have a stack of their own where none is named.
    given.default = DEFAULT_LAB if arguments[:1] == [_LAB.strip()] else DEFAULT_STACK
    return given
