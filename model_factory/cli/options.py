"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from model_factory.cli.console import SafeConsole
from model_factory.cli.session import EngineName

DEFAULT_STACK: Final = "dev"
DEFAULT_LAB: Final = "lab"
"""The stack of `factory lab …` where none is named."""
STACK_VARIABLE: Final = "FACTORY_STACK"

StackName = Annotated[str, typer.Option("--stack", "-s", help="The stack to work on.", envvar=STACK_VARIABLE)]
Cwd = Annotated[
    Path, typer.Option("--cwd", "-C", help="Run as if started in this folder.", file_okay=False, exists=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines on stdout, and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Engine = Annotated[
    EngineName,
    typer.Option("--engine", help="auto: the local engine on local clouds, the Pulumi CLI on real accounts."),
]
Locked = Annotated[
    bool,
    typer.Option(
        "--locked", help="Refuse where the plan lock is missing or would change, as in CI, which cannot commit it."
    ),
]
Parallel = Annotated[int, typer.Option("--parallel", "-p", min=1, max=256, help="How many resources change at once.")]
ShowDiff = Annotated[bool, typer.Option("--diff", help="Show each changed property with its old and new value.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Print secrets in plain text.")]


def console_for(*, as_json: bool) -> Console:
    """Where people read: stdout, or stderr while stdout belongs to JSON. Colours are off in a pipe and under NO_COLOR."""
    return SafeConsole(
        stderr=as_json,
        highlight=False,
        width=None if "COLUMNS" in os.environ or _is_terminal(as_json) else 160,
    )


def _is_terminal(as_json: bool) -> bool:
    return os.isatty(2 if as_json else 1)
