"""`factory logs`: what the servers of a model write, of all its replicas."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from model_factory.access.errors import AccessError
from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.options import DEFAULT_STACK, Cwd, StackName, console_for
from model_factory.cli.session import Session
from model_factory.cli.sites import Sites, live_sites, require_model
from model_factory.graph.masking import Masker
from model_factory.live.logs import Line, Source, Wanted, followed, lines, sources

_TONES: Final = ("cyan", "magenta", "green", "yellow", "blue")


def logs(
    model: Annotated[str, typer.Argument(help="The model.", show_default=False)],
    stack_name: StackName = DEFAULT_STACK,
    site: Sites = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written, until Ctrl-C.")] = False,
    previous: Annotated[
        bool, typer.Option("--previous", help="Of the run before, where a container was started anew.")
    ] = False,
    container: Annotated[
        str, typer.Option("--container", "-c", help="Of this container; without it of the server.", metavar="NAME")
    ] = "",
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="Only so many last lines of each replica.", metavar="N")
    ] = None,
    cwd: Cwd = Path(),
) -> None:
    """Print what a model's replicas write, each line with its site and Pod in front; what looks like a secret is struck.

    What cannot be read is said on stderr: a server that has not started has no log yet.
    """
    if follow and previous:
        raise BadInputError(
            "--follow goes on with what runs, and --previous shows what has ended; leave one of them out"
        )
    session = Session.open(stack_name, cwd)
    require_model(session, model)
    wanted = Wanted(container, tail, previous)
    try:
        clients = [(each.name, each.client()) for each in live_sites(session, site)]
        there = sources(clients, model)
        if not there and not follow:
            raise CommandError(f"no Pod of {model} is there; `factory status {model}` says why")
        _require_container(there, container)
        if follow:
            with closing(followed(lambda: sources(clients, model), wanted)) as found:
                _print(found)
        problems = _print(line for source in there for line in lines(source, wanted))
    except AccessError as error:
        raise CommandError(str(error)) from error
    if problems:
        raise CommandError(f"{problems} of {len(there)} replicas had no log to read")


def _require_container(there: Iterable[Source], container: str) -> None:
    known = {name for source in there for name in source.replica.containers}
    if container and known and container not in known:
        raise BadInputError(f"--container {container}: its Pods have {', '.join(sorted(known))}; name one of them")


def _print(found: Iterable[Line]) -> int:
    """How many could not be read."""
    out, errors = console_for(as_json=False), console_for(as_json=True)
    masker, tones = Masker(), dict[str, str]()
    problems = 0
    for line in found:
        problems += line.problem
        tone = tones.setdefault(line.source.pod, _TONES[len(tones) % len(_TONES)])
        _print_line(errors if line.problem else out, line, tone, masker)
    return problems


def _print_line(console: Console, line: Line, tone: str, masker: Masker) -> None:
    text = masker.text(line.text)
    front = f"{line.source.site} {line.source.pod}"
    console.print(Text.assemble((f"{front} ", tone), (text, "yellow" if line.problem else "")), soft_wrap=True)
    if not console.is_terminal:
        sys.stdout.flush()
