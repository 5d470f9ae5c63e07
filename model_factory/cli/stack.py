"""`factory stack`: the state of a stack, as Pulumi's own `stack` commands show it."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from model_factory.cli.called import command
from model_factory.cli.console import write
from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.files import write_file
from model_factory.cli.held import held
from model_factory.cli.options import DEFAULT_STACK, Cwd, Json, ShowSecrets, StackName, console_for
from model_factory.cli.project import Project, find_project
from model_factory.cli.session import EngineName, Session
from model_factory.engines.values import plain
from model_factory.graph.files import STATE_BYTES_MAX, read_plain_text
from model_factory.graph.masking import Masker
from model_factory.graph.urn import STACK_TYPE, is_default_provider
from model_factory.local.engine.disclosure import is_stripped, without_secrets
from model_factory.local.engine.model import Snapshot
from model_factory.local.engine.store import list_stacks
from model_factory.local.errors import LocalError
from model_factory.preview.outputs import print_outputs
from model_factory.preview.wording import count

app = typer.Typer(help="Show, export and import the state of a stack on the local engine.", no_args_is_help=True)

File = Annotated[
    Path | None, typer.Option("--file", "-f", help="The file; without it, stdout or stdin.", dir_okay=False)
]


@app.command("ls")
def list_(cwd: Cwd = Path(), as_json: Json = False) -> None:
    """The stacks that have a file: their environment, whether they are on local clouds, and whether they have state here, which is empty after a destroy."""
    project = find_project(cwd.resolve())
    files, with_state = project.stacks(), set(list_stacks(project.work_dir / "stacks"))
    rows = [
        {"name": name, **(_what_for(name, project) if name in files else {}), "hasState": name in with_state}
        for name in sorted({*files, *with_state})
    ]
    if as_json:
        _print_json(rows)
        return
    table = Table(
        "stack", "environment", "where", "state", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim"
    )
    for row in rows:
        where = "" if "local" not in row else "local clouds" if row["local"] else "real accounts"
        what = row.get("environment") or ("its file is wrong" if row["name"] in files else "it has no file")
        state = "none here" if not row["hasState"] else "empty" if row.get("resources") == 0 else "local state"
        table.add_row(str(row["name"]), str(what), where, state)
    console_for(as_json=False).print(table)


def _what_for(stack: str, project: Project) -> dict[str, Any]:
    """Nothing where its file is wrong: the other stacks are still to be listed."""
    try:
        session = Session.open(stack, project.root)
    except BadInputError:
        return {}
    told: dict[str, Any] = {
        "environment": session.settings.environment,
        "local": session.is_local,
        "rendered": session.rendered_clusters is not None,
    }
    with suppress(CommandError, LocalError):  # a state that cannot be read is there all the same
        if session.store.exists():
            told["resources"] = _standing(session.store.load())
    return told


@app.command()
def export(
    stack: StackName = DEFAULT_STACK, file: File = None, show_secrets: ShowSecrets = False, cwd: Cwd = Path()
) -> None:
    """Print the state in Pulumi's deployment format (version 3), which `pulumi stack import` reads."""
    session = _with_state(stack, cwd)
    text = json.dumps(session.store.export(show_secrets=show_secrets), indent=4) + "\n"
    if file is None:
        sys.stdout.write(text)
    else:
        write_file(file, text)


@app.command("strip")
def strip(
    file: File = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write here instead of stdout.", dir_okay=False)
    ] = None,
) -> None:
    """An exported state without its secrets, of any stack and secrets provider: for `preview --state` where secrets must not go.

    Opens nothing and needs no passphrase. The result cannot be imported again: the secrets are lost in it.
    """
    text = json.dumps(without_secrets(_document(file)), indent=4) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        write_file(out, text)


@app.command("import")
def import_(stack: StackName = DEFAULT_STACK, file: File = None, cwd: Cwd = Path()) -> None:
    """Replace the state by one that was exported; the one before is kept as a `.bak` file."""
    session = Session.open(stack, cwd)
    document = _document(file)
    if is_stripped(document):
        raise BadInputError(
            f"{file or 'stdin'} has lost its secrets in `factory stack strip`; import what `stack export` wrote"
        )

    with session.store.lock():
        imported = session.store.import_(document).resources
    console_for(as_json=False).print(f"Imported {count(len(imported), 'resource')} into {stack}.")


@app.command()
def output(
    name: Annotated[str | None, typer.Argument(help="One output; without it, all.")] = None,
    stack: StackName = DEFAULT_STACK,
    as_json: Json = False,
    show_secrets: ShowSecrets = False,
    cwd: Cwd = Path(),
) -> None:
    """The outputs of the stack. Secrets, and what looks like one, are masked unless --show-secrets is given."""
    session = _with_state(stack, cwd)
    snapshot = session.store.load()
    root = next((state for state in snapshot.resources if state.type == STACK_TYPE), None)
    outputs = plain(root.outputs if root else {}, show_secrets=show_secrets)
    outputs = outputs if show_secrets else Masker().value(outputs)
    if name is not None and name not in outputs:
        raise BadInputError(f"stack {stack} has no output {name!r}; it has {', '.join(outputs) or 'none'}")
    if as_json:
        _print_json(outputs if name is None else outputs[name])
    elif name is None and not outputs:
        told = (
            f"Stack {stack} has no outputs."
            if _standing(snapshot)
            else f"Stack {stack} is empty: nothing of it stands."
        )
        console_for(as_json=False).print(told)
    elif name is None:
        print_outputs(console_for(as_json=False), outputs)
    elif isinstance(outputs[name], str):
        write(outputs[name] + "\n")
    else:
        _print_json(outputs[name])


def _standing(snapshot: Snapshot) -> int:
    return sum(not is_default_provider(each.urn) for each in snapshot.resources)


def _document(file: Path | None) -> dict[str, Any]:
    exported = "give what `factory stack export` or `pulumi stack export` wrote"
    try:
        document: object = json.loads(read_plain_text(file, STATE_BYTES_MAX, pipe=True) if file else sys.stdin.read())
    except OSError as error:
        raise BadInputError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadInputError(f"{file or 'stdin'} is not JSON: {error}; {exported}") from error
    if not isinstance(document, dict):
        raise BadInputError(f"{file or 'stdin'} holds a {type(document).__name__}; {exported}")
    return cast("dict[str, Any]", document)


def _with_state(stack: str, cwd: Path) -> Session:
    session = Session.open(stack, cwd)
    if not session.store.exists():
        elsewhere = held(session, EngineName.PULUMI) if session.is_local else 0
        raise CommandError(
            f"stack {stack} has no state here: {count(elsewhere, 'resource')} of it stand under the Pulumi CLI, and `pulumi stack` "
            f'shows them once eval "$({command("clouds env")})" was said'
            if elsewhere
            else f"stack {stack} has no state here; `factory up --stack {stack}` makes it"
        )
    return session


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=4) + "\n")
