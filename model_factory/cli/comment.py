"""`factory comment`: the comment of a stack, by a job that trusts what it reads in nothing.

The job that ran the preview of a pull request ran its author's code. What it leaves is data: it is read by its schema, judged and told
here, by the code and the tables of the checkout that this command is of.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from model_factory.cli.errors import BadInputError
from model_factory.cli.files import write_file
from model_factory.cli.options import DEFAULT_STACK, Cwd, StackName, console_for
from model_factory.cli.project import find_project
from model_factory.cli.reports import Artifact, Commit, Previous, RunUrl, cost_delta, earlier_runs
from model_factory.preview.comment import markdown, without_preview
from model_factory.preview.measured import RefusedError, read
from model_factory.preview.review import Heading, review_of

_LOG_BYTES = 20_000


def comment(
    out: Annotated[
        Path, typer.Option("--markdown", help="Write the comment here; under 60,000 bytes.", metavar="FILE")
    ],
    measured: Annotated[
        Path | None,
        typer.Option("--measured", help="What `factory preview --measured` wrote.", metavar="FILE"),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="What the preview printed: shown where it came to nothing.", metavar="FILE"),
    ] = None,
    stack_name: StackName = DEFAULT_STACK,
    commit: Commit = "",
    run_url: RunUrl = "",
    artifact: Artifact = "",
    previous: Previous = None,
    cwd: Cwd = Path(),
) -> None:
    """Write a stack's pull-request comment from what another job measured, believing nothing of it.

    A file that is not what `factory preview --measured` writes is refused: the comment says so, and by what.
    """
    project = find_project(cwd.resolve()).name
    heading = Heading(
        project=project,
        stack=stack_name,
        commit=commit,
        time=datetime.now(UTC),
        run_url=run_url,
        artifact=artifact,
        earlier=earlier_runs(previous, project, stack_name),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, _told(heading, measured, log))


def _told(heading: Heading, measured: Path | None, log: Path | None) -> str:
    if measured is not None and _is_there(measured):
        try:
            return _judged(heading, measured)
        except RefusedError as error:
            console_for(as_json=False).print(
                Text(f"{heading.stack}: {measured.name} is refused: {error}"), soft_wrap=True
            )
            why = "What the preview left is not what this repository's main branch reads; the run's own summary may say more."
            return without_preview(heading, why, str(error))
    if log is None or not _is_there(log):
        raise BadInputError(f"there is nothing of a preview of {heading.stack} here; give --measured or --log")
    if log.is_symlink() or not log.is_file():
        return without_preview(heading, "It did not come to one, and its log is refused:", "it is no plain file")
    with log.open("rb") as data:
        said = data.read(_LOG_BYTES).decode(errors="replace")
    return without_preview(heading, "It did not come to one. The end of the run's log:", said)


def _is_there(path: Path) -> bool:
    """Whatever it is: a link that leads nowhere, too."""
    return path.exists() or path.is_symlink()


def _judged(heading: Heading, measured: Path) -> str:
    report, engine = read(measured, heading.project, heading.stack)
    try:
        return markdown(review_of(report, replace(heading, engine=engine), cost=cost_delta(report)))
    except Exception as error:
        raise RefusedError(f"its resources cannot be read: {type(error).__name__}") from error
