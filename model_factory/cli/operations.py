"""preview, up, refresh and destroy: the same flow over either engine.

A change is previewed first, so that whatever a check can refuse is refused before anything is changed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from model_factory.cli.clouds import ensure_running
from model_factory.cli.errors import EXIT_DRIFT, EXIT_INTERRUPTED, BadInputError, CommandError
from model_factory.cli.offline import OfflineStack, assumption, offline
from model_factory.cli.policies import PolicyChoice, policy_packs
from model_factory.cli.progress import Progress
from model_factory.cli.providers import local_providers
from model_factory.cli.reports import Files
from model_factory.cli.session import EngineName, Session
from model_factory.cli.values import plain, secret_texts
from model_factory.engines import pulumi as pulumi_engine
from model_factory.graph.masking import Masker
from model_factory.graph.urn import STACK_TYPE
from model_factory.local.engine.deploy import Deployment, Outcome, run
from model_factory.local.engine.errors import StateError, StoreError
from model_factory.local.engine.model import Snapshot
from model_factory.local.wire import Value
from model_factory.preview.digest import digest
from model_factory.preview.events import Report
from model_factory.preview.outputs import print_outputs
from model_factory.preview.review import Heading, Review, review_of
from model_factory.preview.terminal import print_messages, print_review

Operation = Literal["preview", "up", "refresh", "destroy"]

_TITLES: Mapping[Operation, str] = {
    "preview": "Previewing",
    "up": "Updating",
    "refresh": "Refreshing",
    "destroy": "Destroying",
}
_ANSWERS = ("yes", "no", "details")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says of how an operation runs and is shown."""

    engine: EngineName = EngineName.AUTO
    as_json: bool = False
    yes: bool = False
    show_diff: bool = False
    show_same: bool = False
    refresh: bool = False
    skip_preview: bool = False
    parallel: int = 16
    continue_on_error: bool = False
    preview_only: bool = False
    """Show what a refresh would find, and keep nothing of it; drift ends with EXIT_DRIFT."""
    state: Path | None = None
    """Preview from this exported state, and ask no cloud."""
    policies: PolicyChoice = field(default_factory=PolicyChoice)
    """Which policy packs a preview and an `up` ask."""
    files: Files = field(default_factory=Files)
    """What a preview writes beside what it prints."""


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended. `outputs` are the stack's, plain JSON, secrets masked; `outputs_before` those in the state."""

    report: Report
    ok: bool
    cancelled: bool
    outputs: Mapping[str, Any]
    unchanged: bool
    outputs_before: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Runner:
    """Runs operations on one stack and shows them on `console`; JSON goes to stdout, everything else stays out of its way."""

    def __init__(self, session: Session, options: Options, console: Console) -> None:
        self._session = session
        self._options = options
        self._console = console
        self._engine = EngineName.LOCAL if _is_offline(options) else session.engine(options.engine)
        self._policy_packs = policy_packs(options.policies, session)

    @cached_property
    def _masker(self) -> Masker:
        """Knows the stack's secret configuration where it can be opened here."""
        if self._engine is EngineName.PULUMI or self._options.state is not None:
            return Masker()
        return Masker(secret_texts(self._session.program_config()))

    def preview(self) -> None:
        """Show what `up` would do. Changes nothing but starts the local clouds, unless it works from a state file. Writes the files asked for."""
        self._options.files.prepare()
        if self._options.state is None:
            ensure_running(self._session, self._console, quiet=self._options.as_json)
        result = self._run("preview")
        self._options.files.write(
            result.report, self._session, self._engine, show_same=self._options.show_same
        )
        if self._options.as_json:
            _print_json(digest(result.report, show_same=self._options.show_same))
        else:
            before = result.outputs_before
            differing = {name: value for name, value in result.outputs.items() if value != before.get(name)}
            self._show(replace(result, outputs=differing))
            if result.ok and not result.report.changed and not differing:
                self._console.print("Nothing would change.")
        self._require_ok(result, "preview")

    def up(self) -> None:
        """Bring the clouds to what the program describes."""
        self._require_agreement()
        ensure_running(self._session, self._console, quiet=self._options.as_json)
        expected: int | None = None
        if not self._options.skip_preview:
            planned = self._run("preview")
            if not planned.ok:
                self._finish(planned, "preview")
            if planned.unchanged:
                self._finish(planned, "up", note="All resources are unchanged.")
                return
            expected = len(planned.report.changed)
            self._confirm(planned, f"Update {self._session.stack}?")
        elif not self._options.yes:
            raise BadInputError("--skip-preview shows nothing to agree to; add --yes")
        self._finish(self._run("up", expected_changes=expected), "up")

    def refresh(self) -> None:
        """Read every resource back from its cloud, and keep in the state what was found."""
        if self._options.preview_only:
            self._look_for_drift()
            return
        self._require_agreement()
        ensure_running(self._session, self._console, quiet=self._options.as_json)
        if not self._options.yes:
            self._confirm(
                self._run("refresh", preview_only=True),
                f"Keep what was found in the state of {self._session.stack}?",
            )
        result = self._run("refresh")
        self._finish(result, "refresh", note=self._drift(result))

    def _look_for_drift(self) -> None:
        """Compare the state with the clouds, and change neither."""
        ensure_running(self._session, self._console, quiet=self._options.as_json)
        result = self._run("refresh", preview_only=True)
        note = self._drift(result)
        self._finish(result, "refresh", note="" if result.report.changed else note)
        if result.report.changed:
            raise CommandError(note, exit_code=EXIT_DRIFT)

    def _drift(self, result: Result) -> str:
        if not result.ok:
            return ""
        found = len(result.report.changed)
        if not found:
            return "The clouds are as the state says: no drift."
        what = "1 resource" if found == 1 else f"{found} resources"
        return f"Drift in {what}; `factory up --stack {self._session.stack}` repairs it."

    def destroy(self) -> None:
        """Delete everything that the stack created."""
        self._require_agreement()
        ensure_running(self._session, self._console, quiet=self._options.as_json)
        if not self._options.yes:
            self._confirm(
                self._run("destroy", preview_only=True), f"Delete every resource of {self._session.stack}?"
            )
        result = self._run("destroy")
        self._finish(result, "destroy", note="Nothing of the stack is left." if result.ok else "")

    def _run(
        self, operation: Operation, *, expected_changes: int | None = None, preview_only: bool = False
    ) -> Result:
        title = f"{_TITLES[operation]} {self._session.stack}"
        with Progress(
            self._console,
            title,
            self._masker,
            expected_changes=expected_changes,
            quiet=self._options.as_json,
        ) as progress:
            if self._engine is EngineName.PULUMI:
                return self._run_pulumi(operation, progress, preview_only=preview_only)
            return self._run_local(operation, progress, preview_only=preview_only)

    def _run_local(self, operation: Operation, progress: Progress, *, preview_only: bool) -> Result:
        session = self._session
        if self._options.state is not None:
            try:
                with offline(session, self._options.state) as stack:
                    result = self._deploy(operation, progress, stack, preview_only=preview_only)
                    if stack.assumed:
                        progress(assumption(stack.assumed))
                    return result
            except StateError as error:
                raise CommandError(str(error)) from error
        stack = OfflineStack(session.store, local_providers(session.project.root), session.program_config())
        return self._deploy(operation, progress, stack, preview_only=preview_only)

    def _deploy(
        self, operation: Operation, progress: Progress, stack: OfflineStack, *, preview_only: bool
    ) -> Result:
        session, options, config = self._session, self._options, stack.config
        deployment = Deployment(
            operation=operation,
            project=session.project.name,
            stack=session.stack,
            root=session.project.root,
            config=config.values,
            secret_config_keys=config.secret_keys,
            parallel=options.parallel,
            refresh=options.refresh,
            continue_on_error=options.continue_on_error,
            preview_only=preview_only,
            policy_packs=self._policy_packs,
        )
        with _interrupts(self._console) as cancel:
            try:
                outcome = run(
                    deployment,
                    store=stack.store,
                    providers=stack.providers,
                    emit=progress,
                    cancel=cancel,
                )
            except StoreError as error:
                raise CommandError(str(error)) from error
        return Result(
            progress.report,
            outcome.ok,
            outcome.cancelled,
            self._masker.value(plain(outcome.outputs)),
            unchanged=outcome.ok and _is_unchanged(outcome),
            outputs_before=self._masker.value(plain(_stack_outputs(outcome.snapshot))),
        )

    def _run_pulumi(self, operation: Operation, progress: Progress, *, preview_only: bool) -> Result:
        session, options = self._session, self._options
        with _interrupts(self._console) as cancel:
            try:
                outcome = pulumi_engine.run(
                    operation,
                    root=session.project.root,
                    project=session.project.name,
                    stack=session.stack,
                    is_local=session.is_local,
                    passphrase=session.passphrase if session.is_local else None,
                    emit=progress,
                    cancel=cancel,
                    parallel=options.parallel,
                    refresh=options.refresh,
                    continue_on_error=options.continue_on_error,
                    preview_only=preview_only,
                    policy_packs=self._policy_packs,
                )
            except pulumi_engine.PulumiError as error:
                raise CommandError(str(error)) from error
        report = progress.report
        return Result(
            report,
            outcome.ok,
            outcome.cancelled,
            self._masker.value(outcome.outputs),
            unchanged=outcome.ok and not report.changed,
        )

    def _require_agreement(self) -> None:
        """Before anything is run: there is --yes, or somebody who can be asked."""
        options = self._options
        if not options.yes and (options.as_json or not (sys.stdin.isatty() and self._console.is_terminal)):
            raise BadInputError("this changes the stack, and nobody can be asked here; add --yes")

    def _confirm(self, planned: Result, question: str) -> None:
        if self._options.yes:
            return
        self._show(planned, with_outputs=False)
        while True:
            answer = Prompt.ask(question, choices=list(_ANSWERS), default="no", console=self._console)
            if answer == "yes":
                return
            if answer == "no":
                raise CommandError("Nothing was changed.", exit_code=EXIT_INTERRUPTED)
            print_review(self._console, self._review(planned), show_diff=True)

    def _show(self, result: Result, *, with_outputs: bool = True) -> None:
        options = self._options
        print_review(
            self._console, self._review(result), show_diff=options.show_diff, show_same=options.show_same
        )
        if with_outputs and result.outputs and result.ok:
            self._console.print()
            print_outputs(self._console, result.outputs)

    def _review(self, result: Result) -> Review:
        return review_of(result.report, Heading(self._session.project.name, self._session.stack))

    def _finish(self, result: Result, operation: Operation, note: str = "") -> None:
        if self._options.as_json:
            _print_json(_summary(result, operation))
        else:
            self._show(result)
            if note:
                self._console.print(Text(f"\n{note}", "bold"))
            if result.ok and operation == "up":
                self._next_commands()
        self._require_ok(result, operation)

    def _next_commands(self) -> None:
        flag = "" if self._session.stack == "dev" else f" --stack {self._session.stack}"
        rows = [
            (f"factory preview{flag} --diff", "what an edit of the stack file would change"),
            (f"factory stack output{flag} --json", "the outputs for a machine"),
            (f"factory refresh{flag}", "look for drift"),
            (f"factory destroy{flag}", "delete everything again"),
        ]
        if self._session.is_local:
            rows.insert(2, ("factory clouds status", "what the local clouds hold"))
        width = max(len(command) for command, _ in rows)
        self._console.print("\nNext:")
        for command, what in rows:
            self._console.print(Text.assemble("  ", (f"{command:<{width}}", "cyan"), f"  {what}"))

    def _require_ok(self, result: Result, operation: Operation) -> None:
        if result.cancelled:
            raise CommandError(
                f"Interrupted. What was done is kept; run `factory {operation} --stack {self._session.stack}` again to go on.",
                exit_code=EXIT_INTERRUPTED,
            )
        if not result.ok:
            failed = [step.name for step in result.report.failed]
            what = (
                f"{len(failed)} of its resources failed: {', '.join(failed)}"
                if failed
                else "see the errors above"
            )
            review = self._review(result)
            if policies := sorted(each.policy for each in review.judged("mandatory")):
                count = f"{len(policies)} mandatory {'policy' if len(policies) == 1 else 'policies'}"
                rest = f", and {what}" if failed else ""
                what = f"it breaks {count}: {', '.join(policies)}{rest}"
            kept = (
                "" if operation == "preview" else " What succeeded is kept; mend the cause and run it again."
            )
            if self._options.as_json:
                print_messages(self._console, review)
            raise CommandError(f"{operation} of {self._session.stack} failed: {what}.{kept}")


def _is_offline(options: Options) -> bool:
    """Whether the stack is previewed from a state file, which any stack can be.

    Raises:
        BadInputError: what is asked for besides would have to ask a cloud.
    """
    if options.state is None:
        return False
    if options.engine is EngineName.PULUMI:
        raise BadInputError(
            "--state previews on the local engine; leave out --engine pulumi, or leave out --state"
        )
    if options.refresh:
        raise BadInputError("--refresh asks the clouds, and --state asks none; leave one of them out")
    return True


def _is_unchanged(outcome: Outcome) -> bool:
    """Whether a preview leaves nothing to do: no step, no output that differs, nothing left over from a run cut short."""
    return (
        not outcome.changed
        and not outcome.metadata_differs
        and not outcome.snapshot.pending_operations
        and bool(outcome.snapshot.resources)
        and _stack_outputs(outcome.snapshot) == outcome.outputs
    )


def _stack_outputs(snapshot: Snapshot) -> Mapping[str, Value]:
    return next((state.outputs for state in snapshot.resources if state.type == STACK_TYPE), {})


def _summary(result: Result, operation: Operation) -> dict[str, Any]:
    return {
        "operation": operation,
        "result": "succeeded" if result.ok else "canceled" if result.cancelled else "failed",
        "changeSummary": dict(result.report.changes),
        "durationSeconds": result.report.duration_seconds,
        "outputs": dict(result.outputs),
        "diagnostics": digest(result.report).get("diagnostics", []),
    }


def _print_json(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=4, default=str) + "\n")


@contextmanager
def _interrupts(console: Console) -> Generator[threading.Event]:
    """The first Ctrl-C or SIGTERM asks the operation to end cleanly, the second abandons what is in flight."""
    cancel = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if cancel.is_set():
            os._exit(
                128 + number
            )  # the journal holds every step that was begun; the next run resumes from it
        cancel.set()
        console.print(
            Text(
                "\nStopping: steps in flight are finished, no new ones start. Ctrl-C again abandons them.",
                "yellow",
            )
        )

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
