"""`factory diagram`: a stack in pictures, from what its program declares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model_factory.cli.files import write_file
from model_factory.cli.offline import declared
from model_factory.cli.options import DEFAULT_STACK, Cwd, StackName, console_for
from model_factory.cli.session import Session
from model_factory.preview.diagrams.architecture import Architecture
from model_factory.preview.diagrams.charts import diagrams


def diagram(
    stack: StackName = DEFAULT_STACK,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder; without it, docs/diagrams/<stack>.", file_okay=False),
    ] = None,
    cwd: Cwd = Path(),
) -> None:
    """Draw the stack in Mermaid: all of it, the inside of each cluster, each model's serving path. Asks no cloud."""
    session = Session.open(stack, cwd)
    folder = out or session.project.root / "docs" / "diagrams" / stack
    files = diagrams(Architecture.of(declared(session)), session.settings)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_file(folder / name, text)
    console_for(as_json=False).print(f"Drew {', '.join(files)} in {folder}.", soft_wrap=True)
