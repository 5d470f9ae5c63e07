"""Files that `factory preview` writes beside what it prints: the pull-request comment, the page, the digest; in any combination."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from model_factory.cli.errors import BadInputError
from model_factory.cli.files import write_file
from model_factory.cli.session import EngineName, Session
from model_factory.cost import Delta, before_and_after, bill_of, delta_of
from model_factory.graph.files import read_plain_text
from model_factory.preview.comment import MAX_BYTES, is_comment_of, markdown, runs_in
from model_factory.preview.digest import digest
from model_factory.preview.events import Report
from model_factory.preview.html import page
from model_factory.preview.measured import written
from model_factory.preview.review import Heading, Run, review_of

Markdown = Annotated[
    Path | None,
    typer.Option(
        "--markdown",
        help="Write the pull-request comment here: verdict, dangers, cost, policies, changes; under 60,000 bytes.",
        metavar="FILE",
        dir_okay=False,
    ),
]
Html = Annotated[
    Path | None,
    typer.Option("--html", help="Write the whole report here, as one page.", metavar="FILE", dir_okay=False),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json-file",
        help="Write here what --json prints; goes with every other output.",
        metavar="FILE",
        dir_okay=False,
    ),
]
Measured = Annotated[
    Path | None,
    typer.Option(
        "--measured",
        help="Write here what was found, as data: `factory comment` makes the comment of it where this code is not trusted.",
        metavar="FILE",
        dir_okay=False,
    ),
]
Agreement = Annotated[
    Path | None,
    typer.Option(
        "--agreement",
        help="Write here what it would do, in digests: `factory up --agreed FILE` does that, or stops.",
        metavar="FILE",
        dir_okay=False,
    ),
]
Commit = Annotated[
    str,
    typer.Option(
        "--commit",
        help="The commit that is previewed, for the report.",
        envvar=["FACTORY_COMMIT", "GITHUB_SHA"],
    ),
]
RunUrl = Annotated[
    str, typer.Option("--run-url", help="Where this preview runs, for the report.", envvar="FACTORY_RUN_URL")
]
Artifact = Annotated[
    str,
    typer.Option("--artifact", help="Link to, or name of, the whole report, for a comment that is shortened."),
]
Previous = Annotated[
    Path | None,
    typer.Option(
        "--previous",
        help="The comment that --markdown replaces; its links to earlier runs are kept.",
        metavar="FILE",
        dir_okay=False,
        exists=True,
    ),
]


@dataclass(frozen=True, slots=True)
class Files:
    """What to write where, and what only the caller knows."""

    markdown: Path | None = None
    html: Path | None = None
    json: Path | None = None
    commit: str = ""
    run_url: str = ""
    artifact: str = ""
    previous: Path | None = None
    measured: Path | None = None
    agreement: Path | None = None
    destroys: bool = False
    """It is the preview of a destroy."""

    @property
    def wanted(self) -> list[Path]:
        """The files asked for."""
        return [
            path for path in (self.markdown, self.html, self.json, self.measured, self.agreement) if path is not None
        ]

    def prepare(self) -> None:
        """Make the folders, before anything runs.

        Raises:
            BadInputError: a file that cannot be written there, or two in one place.
        """
        wanted = self.wanted
        if len({path.resolve() for path in wanted}) < len(wanted):
            raise BadInputError(
                "--markdown, --html, --json-file, --measured and --agreement need a file each; two are the same"
            )
        for path in wanted:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BadInputError(f"{path} cannot be written: {error.strerror}") from error

    def write(self, report: Report, cost: Delta, session: Session, engine: EngineName, *, show_same: bool) -> None:
        """Write what was asked for, after a preview, whether it succeeded or not."""
        if not self.wanted:
            return
        review = review_of(report, self._heading(session, engine), cost=cost)
        if self.json is not None:
            document = digest(report, show_same=show_same, review=review)
            write_file(self.json, json.dumps(document, indent=4, default=str) + "\n")
        if self.markdown is not None:
            write_file(self.markdown, markdown(review))
        if self.measured is not None:
            write_file(self.measured, written(report, engine.value))
        if self.html is not None:
            write_file(self.html, page(review))

    def _heading(self, session: Session, engine: EngineName) -> Heading:
        project, stack = session.project.name, session.stack
        return Heading(
            project=project,
            stack=stack,
            commit=self.commit,
            time=datetime.now(UTC),
            run_url=self.run_url,
            artifact=self.artifact or (str(self.html) if self.html else ""),
            engine=engine.value,
            earlier=earlier_runs(self.previous, project, stack),
            destroys=self.destroys,
        )


def earlier_runs(comment: Path | None, project: str, stack: str) -> tuple[Run, ...]:
    """The runs that the comment in a file tells of; none where it is not this stack's."""
    try:
        body = read_plain_text(comment, MAX_BYTES * 4) if comment else ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadInputError(f"--previous {comment} cannot be read: {why}") from error
    return runs_in(body) if is_comment_of(body, project, stack) else ()


def cost_delta(report: Report) -> Delta:
    """What the stack costs before and after, from the resources that the events tell of."""
    steps = [(step.op, step.old, step.new) for step in report.steps.values()]
    before, after = before_and_after(steps)
    today = datetime.now(UTC).date()
    return delta_of(bill_of(before, today=today), bill_of(after, today=today))
