"""What an operation shows when it has ended: to people, or as JSON on stdout while people read on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rich.console import Console
from rich.text import Text

from model_factory.cli.called import command, pasteable
from model_factory.cli.console import json_text
from model_factory.cli.errors import EXIT_INTERRUPTED, CommandError
from model_factory.cli.options import console_for
from model_factory.cli.reports import cost_delta
from model_factory.cli.session import EngineName, Session
from model_factory.cost import Delta
from model_factory.engines.protocol import Outcome
from model_factory.local.engine.request import Operation
from model_factory.preview.agreed import without_made_up
from model_factory.preview.digest import digest
from model_factory.preview.events import Diagnostic, Report
from model_factory.preview.outputs import print_outputs
from model_factory.preview.review import Heading, Review, review_of
from model_factory.preview.terminal import print_messages, print_review, print_warnings


@dataclass(frozen=True)
class Ended:
    """An operation that has ended: what was said, and how it came out."""

    report: Report
    outcome: Outcome

    @cached_property
    def cost(self) -> Delta:
        """What the stack costs before and after it."""
        return cost_delta(self.report)


class Display:
    """Shows operations of one stack."""

    def __init__(
        self, session: Session, *, as_json: bool = False, show_diff: bool = False, show_same: bool = False
    ) -> None:
        self._session = session
        self.as_json = as_json
        self._show_diff = show_diff
        self.show_same = show_same
        self.console: Console = console_for(as_json=as_json)
        self._told: set[Diagnostic] = set()
        """Warnings that were shown: the preview before a change says them, and the change again."""

    def preview(self, ended: Ended) -> None:
        """A preview: what would change, and of the outputs those that differ."""
        if self.as_json:
            _print_json(digest(ended.report, show_same=self.show_same, review=self._review(ended, priced=True)))
            return
        before, after = ended.outcome.outputs_before, ended.outcome.outputs
        differing = {name: value for name, value in after.items() if value != before.get(name)}
        self._show(ended, without_made_up(differing, ended.report), planned=True)
        if ended.outcome.ok and not ended.report.changed and not differing:
            self.console.print("Nothing would change.")

    def plan(self, ended: Ended) -> None:
        """What would change, for somebody who is asked whether it shall."""
        self._show(ended, {}, planned=True)

    def forewarn(self, ended: Ended) -> None:
        """The warnings of a preview that nobody is asked about: what moves, and why. Once it is kept, the update no longer sees a move."""
        if not self.as_json:
            print_warnings(self.console, self._review(ended), self._told)
        self._remember(ended)

    def details(self, ended: Ended) -> None:
        """`plan`, with each property that would change."""
        print_review(self.console, self._review(ended, priced=True), show_diff=True, show_models=True, told=self._told)

    def end(self, ended: Ended, operation: Operation, note: str = "", *, engine: str = EngineName.LOCAL) -> None:
        """The end of a command that changes things. `engine` did it."""
        if self.as_json:
            _print_json(_summary(ended, operation))
            return
        self._show(ended, ended.outcome.outputs, planned=operation == "preview")
        if note:
            self.console.print(Text(f"\n{pasteable(note)}", "bold"))
        if ended.outcome.ok and operation == "up":
            self._next_commands(engine)

    def require_ok(self, ended: Ended, operation: Operation, instead: str = "") -> None:
        """Raises CommandError where the operation failed or was interrupted. `instead`: what to try where it came to nothing."""
        stack = self._session.stack
        if ended.outcome.cancelled:
            raise CommandError(
                f"Interrupted. What was done is kept; run `factory {operation}` again to go on.",
                exit_code=EXIT_INTERRUPTED,
            )
        if ended.outcome.ok:
            return
        failed = [step.name for step in ended.report.failed]
        what = f"{len(failed)} of its resources failed: {', '.join(failed)}" if failed else "see the errors above"
        review = self._review(ended)
        if policies := sorted(each.policy for each in review.judged("mandatory")):
            count = f"{len(policies)} mandatory {'policy' if len(policies) == 1 else 'policies'}"
            rest = f", and {what}" if failed else ""
            what = f"it breaks {count}: {', '.join(policies)}{rest}"
        kept = " What succeeded is kept; mend the cause and run it again."
        if operation == "preview":
            kept = f" {instead}." if instead and not policies else ""
        if self.as_json:
            print_messages(self.console, review)
        raise CommandError(f"{operation} of {stack} failed: {what}.{kept}")

    def _show(self, ended: Ended, outputs: Mapping[str, Any], *, planned: bool = False) -> None:
        print_review(
            self.console,
            self._review(ended, priced=planned),
            show_diff=self._show_diff,
            show_same=self.show_same,
            show_models=planned,
            told=self._told,
        )
        self._remember(ended)
        if outputs and ended.outcome.ok:
            self.console.print()
            print_outputs(self.console, outputs)

    def _review(self, ended: Ended, *, priced: bool = False) -> Review:
        heading = Heading(self._session.project.name, self._session.stack)
        report = replace(ended.report, diagnostics=[_as_typed(note) for note in ended.report.diagnostics])
        return review_of(report, heading, cost=ended.cost if priced else None)

    def _remember(self, ended: Ended) -> None:
        self._told.update(_as_typed(note) for note in ended.report.diagnostics if note.severity == "warning")

    def _next_commands(self, engine: str) -> None:
        stack, here = self._session.stack, engine == EngineName.LOCAL
        rows = [(command("preview --diff"), "what an edit of the stack file would change")]
        if here:
            rows.append((command("stack output --json"), "the outputs for a machine"))
        elif not self._session.is_local:
            rows.append((f"pulumi stack output --stack {stack} --json", "the outputs for a machine"))
        if self._session.is_local:
            rows.append((command("clouds status"), "what the local clouds hold"))
        rows.append((command("refresh"), "look for drift"))
        rows.append((command("destroy"), "delete everything again"))
        width = max(len(typed) for typed, _ in rows)
        fits = width + max(len(what) for _, what in rows) + 4 <= self.console.width
        self.console.print("\nNext:")
        for typed, what in rows:
            # A command that a terminal breaks is still one line when it is copied.
            line = (f"{typed:<{width}}", "cyan"), f"  {what}"
            self.console.print(
                Text.assemble("  ", *line) if fits else Text(f"  # {what}\n  ", "dim").append(typed, "cyan"),
                soft_wrap=True,
            )


def _as_typed(note: Diagnostic) -> Diagnostic:
    """The message with commands that can be pasted here: what a comment or a page says is read elsewhere."""
    error = note.error and replace(note.error, remedy=pasteable(note.error.remedy))
    return replace(note, message=pasteable(note.message), error=error)


def _summary(ended: Ended, operation: Operation) -> dict[str, Any]:
    outcome, report = ended.outcome, ended.report
    return {
        "operation": operation,
        "result": "succeeded" if outcome.ok else "canceled" if outcome.cancelled else "failed",
        "changeSummary": dict(report.changes),
        "durationSeconds": report.duration_seconds,
        "outputs": dict(outcome.outputs),
        "diagnostics": digest(report).get("diagnostics", []),
    }


def _print_json(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json_text(json.dumps(document, indent=4, default=str)) + "\n")
