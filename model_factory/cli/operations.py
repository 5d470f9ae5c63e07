"""preview, up, refresh and destroy: the same flow over either engine.

A change is previewed first, so that whatever a check can refuse is refused before anything is changed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.prompt import Prompt
from rich.text import Text

from model_factory.cli.called import pasteable
from model_factory.cli.clouds import ensure_running
from model_factory.cli.display import Display, Ended
from model_factory.cli.errors import EXIT_DRIFT, EXIT_INTERRUPTED, EXIT_NOT_AGREED, BadInputError, CommandError
from model_factory.cli.files import write_file
from model_factory.cli.held import held, held_elsewhere
from model_factory.cli.interrupts import interrupts
from model_factory.cli.progress import Progress
from model_factory.cli.reports import Files
from model_factory.cli.session import EngineName, Session
from model_factory.engines.protocol import Engine
from model_factory.engines.pulumi import PulumiError
from model_factory.graph.masking import Masker
from model_factory.local.engine.request import Operation, Request
from model_factory.planning.placing.lock import Lock
from model_factory.preview.agreed import Agreement, Bounds, NotAgreedError

_TITLES: Final[Mapping[Operation, str]] = {
    "preview": "Previewing",
    "up": "Updating",
    "refresh": "Refreshing",
    "destroy": "Destroying",
}
_NO_FILES: Final = Files()
_STOPPING: Final = "Stopping: steps in flight are finished, no new ones start. Ctrl-C again abandons them."
_ANSWERS: Final = ("yes", "no", "details")
_SHORT: Final[Mapping[str, str]] = {answer[0]: answer for answer in _ANSWERS}


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs operations on one stack. `yes`: nobody is asked."""

    session: Session
    engine: Engine
    display: Display
    yes: bool = False

    def preview(self, request: Request, files: Files, *, offline: str = "") -> None:
        """Show what `up` would do, and write the files asked for. Changes nothing but starts the local clouds, unless `offline`, which says
        why no cloud is asked."""
        files.prepare()
        if offline:
            self.display.console.print(Text(offline, "yellow"))
        else:
            self._mind_other_engine(request)
            self._start_clouds()
        # A preview by the CLI asks backend and clouds before it can show anything.
        instead = ""
        if request.operation == "preview" and self.engine.name == EngineName.PULUMI and not self.session.is_local:
            instead = "`factory preview --engine local` asks no cloud and no account, and compares with nothing, or with --state"
        try:
            ended = self._run(request)
        except PulumiError as error:
            if not instead:
                raise
            raise CommandError(f"{error}; {instead}") from error
        name = EngineName(self.engine.name)
        files.write(ended.report, ended.cost, self.session, name, show_same=self.display.show_same)
        if files.agreement is not None:
            files.agreement.unlink(missing_ok=True)
            if ended.outcome.ok:
                write_file(files.agreement, self._agreement(ended).text)
        self.display.preview(ended)
        self.display.require_ok(ended, "preview", instead)

    def up(self, request: Request, *, skip_preview: bool = False, agreed: Path | None = None) -> None:
        """Bring the clouds to what the program describes; with `agreed`, do what the preview in that file said, or stop.

        Policies judge the plan before the first change, also where nobody wants to see it: some of them look at the whole stack,
        which an update has only in the end.
        """
        self._require_agreement()
        if skip_preview and not self.yes:
            raise BadInputError("--skip-preview shows nothing to agree to; add --yes")
        if agreed is None:
            self._up(request, skip_preview=skip_preview)
            return
        if skip_preview:
            raise BadInputError("--agreed compares the preview with what was agreed to; leave out --skip-preview")
        try:
            terms = Agreement.read(agreed)
        except NotAgreedError as error:
            raise BadInputError(
                f"--agreed {agreed} holds no agreement: {error}; give what `factory preview --agreement` wrote"
            ) from error
        with tempfile.TemporaryDirectory(prefix="factory-") as folder:
            self._up(replace(request, plan=Path(folder) / "plan.json"), terms=terms)

    def _up(self, request: Request, *, skip_preview: bool = False, terms: Agreement | None = None) -> None:
        self._mind_other_engine(request)
        self._start_clouds()
        expected: int | None = None
        bounds: Bounds | None = None
        if not skip_preview or request.judges:
            planned = self._run(replace(request, operation="preview"))
            if not planned.outcome.ok:
                self._finish(planned, "preview")
            if terms is not None:
                self._require_agreed(terms, planned)
                # The program runs once more, and nobody has seen what it says then.
                bounds = Bounds(planned.report)
                request = replace(request, refusal=bounds.refusal)
            if planned.outcome.unchanged and not skip_preview:
                self._keep_plan()
                self._finish(planned, "up", note="All resources are unchanged.")
                return
            expected = len(planned.report.changed)
            if self.yes:
                self.display.forewarn(planned)
            self._confirm(planned, f"Update {self.session.stack}?")
        self._keep_plan()
        ended = self._run(request, expected_changes=expected)
        if bounds is not None and bounds.refused:
            self.display.end(ended, "up", engine=self.engine.name)
            lines = "".join(f"\n  {line}" for line in bounds.refused)
            raise CommandError(
                f"up of {self.session.stack} was stopped before what was not agreed to; what was done before is kept:{lines}\n"
                "Find out why the program says something else now than in its preview; then preview again with --agreement.",
                exit_code=EXIT_NOT_AGREED,
            )
        self._finish(ended, "up")

    def refresh(self, request: Request) -> None:
        """Read every resource back from its cloud, and keep in the state what was found; with `preview_only`, change neither."""
        if not request.preview_only:
            self._require_agreement()
        self._mind_other_engine(request)
        self._start_clouds()
        if not (request.preview_only or self.yes):
            self._confirm(
                self._run(replace(request, preview_only=True)),
                f"Keep what was found in the state of {self.session.stack}?",
            )
        ended = self._run(request)
        note, drifted = self._drift(ended, kept=not request.preview_only), bool(ended.report.changed)
        self._finish(ended, "refresh", note="" if request.preview_only and drifted else note)
        if request.preview_only and drifted:
            raise CommandError(note, exit_code=EXIT_DRIFT)

    def destroy(self, request: Request, files: Files = _NO_FILES) -> None:
        """Delete everything that the stack created; with `preview_only`, show what that would free and lose, and write the files asked for."""
        if request.preview_only:
            self.preview(request, files)
            return
        if files.wanted:
            raise BadInputError("--markdown, --html and --json-file hold the preview of a destroy; add --preview-only")
        self._require_agreement()
        self._mind_other_engine(request)
        self._start_clouds()
        if not self.yes:
            self._confirm(
                self._run(replace(request, preview_only=True)),
                f"Delete every resource of {self.session.stack}?",
            )
        ended = self._run(request, expected_changes=held(self.session, EngineName(self.engine.name)) or None)
        self._finish(ended, "destroy", note="Nothing of the stack is left." if ended.outcome.ok else "")

    def _run(self, request: Request, *, expected_changes: int | None = None) -> Ended:
        console, quiet, masker = self.display.console, self.display.as_json, Masker(self.engine.secrets)
        title = f"{_TITLES[request.operation]} {self.session.stack}"
        begins = "reading the state" if request.operation in ("refresh", "destroy") else ""
        with Progress(
            console, title, masker, expected_changes=expected_changes, quiet=quiet, begins=begins
        ) as progress:

            def stop() -> None:
                progress.stop()
                if not request.previews:
                    console.print(Text(f"\n{_STOPPING}", "yellow"), soft_wrap=True)

            def last_words() -> str:
                if request.previews:
                    return "Interrupted. Nothing was changed."
                left = progress.left()
                told = f"Abandoned under way: {left}" if left else "Nothing was under way"
                return pasteable(
                    f"Interrupted. {told}; what was done is kept. Run `factory {request.operation}` again to go on."
                )

            with interrupts(console, stop, last_words) as cancel:
                try:
                    outcome = self.engine.run(request, progress, cancel)
                except PulumiError:
                    if cancel.is_set():
                        # Ctrl-C reaches the CLI's own commands too, by which a stack is opened.
                        raise _interrupted("Nothing was changed.") from None
                    raise
        if outcome.cancelled and request.previews:
            raise _interrupted("Nothing was changed.")
        shown = replace(
            outcome,
            outputs=masker.value(outcome.outputs),
            outputs_before=masker.value(outcome.outputs_before),
        )
        return Ended(progress.report, shown)

    def _agreement(self, planned: Ended) -> Agreement:
        session = self.session
        lock = Lock.of(session.plan).text(session.stack)
        return Agreement.of(planned.report, f"{session.project.name}/{session.stack}", lock)

    def _require_agreed(self, terms: Agreement, planned: Ended) -> None:
        if differing := terms.differing(self._agreement(planned)):
            lines = "".join(f"\n  {line}" for line in differing)
            raise CommandError(
                f"up of {self.session.stack} would not do what was agreed to, and nothing was changed:{lines}\n"
                "Preview again with --agreement, and have that agreed to.",
                exit_code=EXIT_NOT_AGREED,
            )

    def _drift(self, ended: Ended, *, kept: bool) -> str:
        """`kept`: the state has it now, so that `up` sees it; else it looks once more."""
        if not ended.outcome.ok:
            return ""
        found = len(ended.report.changed)
        if not found:
            return "The clouds are as the state says: no drift."
        what = "1 resource" if found == 1 else f"{found} resources"
        return f"Drift in {what}; `factory up{'' if kept else ' --refresh'}` repairs it."

    def _start_clouds(self) -> None:
        ensure_running(self.session, self.display.console, quiet=self.display.as_json)

    def _mind_other_engine(self, request: Request) -> None:
        if told := held_elsewhere(self.session, EngineName(self.engine.name), request):
            self.display.console.print(Text.assemble(("warning: ", "yellow"), told), soft_wrap=True)

    def _keep_plan(self) -> None:
        """Before anything is changed, so that whatever becomes of the run, the next one places the models where this one did."""
        if self.session.keep():
            self.display.console.print(f"Wrote where each model runs to {self.session.lock_file.name}; commit it.")

    def _require_agreement(self) -> None:
        """Before anything is run: there is --yes, or somebody who can be asked."""
        nobody = self.display.as_json or not (sys.stdin.isatty() and self.display.console.is_terminal)
        if not self.yes and nobody:
            raise BadInputError("this changes the stack, and nobody can be asked here; add --yes")

    def _confirm(self, planned: Ended, question: str) -> None:
        if self.yes:
            return
        self.display.plan(planned)
        while True:
            shown = Text.assemble(f"{question} ", (f"[{'/'.join(_ANSWERS)}]", "prompt.choices"))
            given = Prompt.ask(
                shown,
                choices=[*_ANSWERS, *_SHORT],
                show_choices=False,
                case_sensitive=False,
                default="no",
                console=self.display.console,
            )
            answer = _SHORT.get(given, given)
            if answer == "yes":
                return
            if answer == "no":
                raise CommandError("Nothing was changed.", exit_code=EXIT_INTERRUPTED)
            self.display.details(planned)

    def _finish(self, ended: Ended, operation: Operation, note: str = "") -> None:
        self.display.end(ended, operation, note, engine=self.engine.name)
        self.display.require_ok(ended, operation)


def _interrupted(what: str) -> CommandError:
    return CommandError(f"Interrupted. {what}", exit_code=EXIT_INTERRUPTED)
