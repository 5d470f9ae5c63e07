"""The `factory` command."""

from __future__ import annotations

import json
import sys
import traceback
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from rich.text import Text

from model_factory.cli import (
    clouds,
    cluster_token,
    comment,
    cost,
    diagram,
    doctor,
    kubeconfig,
    lab,
    logs,
    offers,
    plan,
    prices,
    stack,
    status,
)
from model_factory.cli import request as requesting
from model_factory.cli.called import pasteable
from model_factory.cli.console import SafeConsole, write_error
from model_factory.cli.display import Display
from model_factory.cli.engine import asks_no_cloud, opened
from model_factory.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, CommandError
from model_factory.cli.examples import explain
from model_factory.cli.files import write_file
from model_factory.cli.operations import Runner
from model_factory.cli.options import (
    DEFAULT_STACK,
    Cwd,
    Engine,
    Json,
    Locked,
    Parallel,
    ShowDiff,
    StackName,
    Yes,
)
from model_factory.cli.policies import NoPolicies, PolicyChoice, PolicyPack, PolicyPackConfig, policy_packs
from model_factory.cli.project import find_project
from model_factory.cli.reports import (
    Agreement,
    Artifact,
    Commit,
    Files,
    Html,
    JsonFile,
    Markdown,
    Measured,
    Previous,
    RunUrl,
)
from model_factory.cli.serving import serving
from model_factory.cli.session import EngineName, Session
from model_factory.graph.masking import Masker
from model_factory.local.engine.request import DEFAULT_PARALLEL, Request
from model_factory.local.errors import LocalError
from model_factory.planning.settings.schema import json_schema

app = typer.Typer(
    help="Serve AI models on GPUs in more than one cloud: preview, change and check a stack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(clouds.app, name="clouds")
app.add_typer(stack.app, name="stack")
app.add_typer(cluster_token.app, name="cluster-token")
app.add_typer(lab.app, name="lab")
app.command("doctor")(doctor.doctor)
app.command("comment")(comment.comment)
app.command("cost")(cost.cost)
app.command("prices")(prices.prices)
app.command("diagram")(diagram.diagram)
app.command("plan")(plan.plan)
app.command("offers")(offers.offers)
app.command("kubeconfig")(kubeconfig.kubeconfig)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("request")(requesting.request)

ShowSame = Annotated[bool, typer.Option("--show-same", help="List unchanged resources too.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Look for drift first.")]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Preview from this exported state alone, for any stack: no cloud, no account, no secret.",
        dir_okay=False,
    ),
]
ContinueOnError = Annotated[
    bool, typer.Option("--continue-on-error", help="Go on with what does not depend on a failure.")
]


@app.command()
def preview(
    stack_name: StackName = DEFAULT_STACK,
    engine: Engine = EngineName.AUTO,
    as_json: Json = False,
    show_diff: ShowDiff = False,
    show_same: ShowSame = False,
    refresh: Refresh = False,
    locked: Locked = False,
    state: State = None,
    policy_pack: PolicyPack = None,
    policy_pack_config: PolicyPackConfig = None,
    no_policies: NoPolicies = False,
    parallel: Parallel = DEFAULT_PARALLEL,
    markdown: Markdown = None,
    html: Html = None,
    json_file: JsonFile = None,
    measured: Measured = None,
    agreement: Agreement = None,
    commit: Commit = "",
    run_url: RunUrl = "",
    artifact: Artifact = "",
    previous: Previous = None,
    cwd: Cwd = Path(),
) -> None:
    """Show what `up` would change, and change nothing; the plan lock, too, stays as it is. --json has the shape of `pulumi preview --json`.

    --markdown, --html, --json-file and --measured write the same preview to files, all in one run, also when it fails; --agreement
    when it succeeds.
    """
    session = Session.open(stack_name, cwd, locked=locked)
    packs = policy_packs(PolicyChoice.of(policy_pack, policy_pack_config, no_policies), session)
    request = Request("preview", parallel, refresh, policy_packs=packs)
    display = Display(session, as_json=as_json, show_diff=show_diff, show_same=show_same)
    files = Files(markdown, html, json_file, commit, run_url, artifact, previous, measured, agreement)
    offline = asks_no_cloud(session, engine, state)
    with opened(session, engine, state, asks_none=bool(offline), refresh=refresh) as chosen:
        Runner(session, chosen, display).preview(request, files, offline=offline)


@app.command()
def up(
    stack_name: StackName = DEFAULT_STACK,
    engine: Engine = EngineName.AUTO,
    yes: Yes = False,
    as_json: Json = False,
    show_diff: ShowDiff = False,
    refresh: Refresh = False,
    skip_preview: Annotated[
        bool,
        typer.Option(
            "--skip-preview", help="Show no preview first; needs --yes. Policies judge the plan all the same."
        ),
    ] = False,
    continue_on_error: ContinueOnError = False,
    locked: Locked = False,
    agreed: Annotated[
        Path | None,
        typer.Option(
            "--agreed",
            help="Do what `factory preview --agreement` wrote here, or stop before anything is changed, with exit code 4.",
            metavar="FILE",
            dir_okay=False,
        ),
    ] = None,
    policy_pack: PolicyPack = None,
    policy_pack_config: PolicyPackConfig = None,
    no_policies: NoPolicies = False,
    parallel: Parallel = DEFAULT_PARALLEL,
    cwd: Cwd = Path(),
) -> None:
    """Create, update and delete until the clouds are what the program describes. Previews first, then asks.

    Where each model runs is kept in Pulumi.STACK.plan.yaml, which is written before anything is changed: commit it.
    """
    session = Session.open(stack_name, cwd, locked=locked)
    packs = policy_packs(PolicyChoice.of(policy_pack, policy_pack_config, no_policies), session)
    request = Request("up", parallel, refresh, continue_on_error, policy_packs=packs)
    display = Display(session, as_json=as_json, show_diff=show_diff)
    with opened(session, engine) as chosen:
        Runner(session, chosen, display, yes).up(request, skip_preview=skip_preview, agreed=agreed)


@app.command()
def refresh(
    stack_name: StackName = DEFAULT_STACK,
    engine: Engine = EngineName.AUTO,
    yes: Yes = False,
    as_json: Json = False,
    show_diff: ShowDiff = False,
    preview_only: Annotated[
        bool,
        typer.Option("--preview-only", help="Show the drift and keep nothing of it; exit code 3 if there is any."),
    ] = False,
    parallel: Parallel = DEFAULT_PARALLEL,
    cwd: Cwd = Path(),
) -> None:
    """Read every resource back from its cloud, show the drift, and keep in the state what was found."""
    session = Session.open(stack_name, cwd)
    request = Request("refresh", parallel, preview_only=preview_only)
    display = Display(session, as_json=as_json, show_diff=show_diff)
    with opened(session, engine) as chosen:
        Runner(session, chosen, display, yes).refresh(request)


@app.command()
def destroy(
    stack_name: StackName = DEFAULT_STACK,
    engine: Engine = EngineName.AUTO,
    yes: Yes = False,
    as_json: Json = False,
    stop_clouds: Annotated[
        bool, typer.Option("--stop-clouds", help="Stop the local clouds when all is deleted.")
    ] = False,
    preview_only: Annotated[
        bool, typer.Option("--preview-only", help="Show what it would delete, free and lose, and delete nothing.")
    ] = False,
    continue_on_error: ContinueOnError = False,
    parallel: Parallel = DEFAULT_PARALLEL,
    markdown: Markdown = None,
    html: Html = None,
    json_file: JsonFile = None,
    commit: Commit = "",
    run_url: RunUrl = "",
    artifact: Artifact = "",
    previous: Previous = None,
    cwd: Cwd = Path(),
) -> None:
    """Delete everything that the stack created, in the reverse order. The plan lock stays: the next `up` places the models as it says.

    With --preview-only, --markdown, --html and --json-file write what it would delete, free and lose to files.
    """
    session = Session.open(stack_name, cwd)
    request = Request("destroy", parallel, continue_on_error=continue_on_error, preview_only=preview_only)
    files = Files(markdown, html, json_file, commit, run_url, artifact, previous, destroys=True)
    with opened(session, engine) as chosen:
        Runner(session, chosen, Display(session, as_json=as_json), yes).destroy(request, files)
    if stop_clouds and not preview_only:
        clouds.stop(stack_name, cwd)


@app.command()
def schema(
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Write here instead of stdout.", dir_okay=False)
    ] = None,
) -> None:
    """The JSON Schema of a stack file, for editors."""
    text = json.dumps(json_schema(serving(find_project(Path.cwd()).root)), indent=2, ensure_ascii=False) + "\n"
    if file is None:
        sys.stdout.write(text)
    else:
        write_file(file, text)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        sys.stdout.write(f"model-factory {metadata.version('model-factory')}\n")
        raise typer.Exit


explain(app)


def main() -> None:
    """Run the command; every expected error ends in one message and its exit code, never in a traceback."""
    try:
        app()
    except (CommandError, LocalError) as error:
        sys.stdout.flush()
        SafeConsole(stderr=True, highlight=False).print(
            Text.assemble(("error: ", "bold red"), Masker().text(pasteable(str(error)))), soft_wrap=True
        )
        sys.exit(error.exit_code if isinstance(error, CommandError) else EXIT_FAILED)
    except (KeyboardInterrupt, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != EXIT_INTERRUPTED:
            raise
        # Typer makes 130 of Ctrl-C, and says nothing.
        sys.stderr.write("Interrupted.\n")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone, as after `| head`.
        sys.stderr.close()
        sys.exit(EXIT_INTERRUPTED)
    except Exception:
        # A defect of ours. What it quotes may be of others.
        sys.excepthook = _print_traceback
        raise


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    lines = traceback.format_exception(kind, error, trace)
    write_error(Masker().text("".join(lines)))


if __name__ == "__main__":
    main()
