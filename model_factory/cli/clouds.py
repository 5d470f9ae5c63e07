"""`factory clouds`: start, stop and look at the local clouds of a stack, and make them misbehave on purpose."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model_factory.cli.engine import workplace
from model_factory.cli.errors import BadInputError
from model_factory.cli.options import DEFAULT_STACK, Cwd, Json, StackName, console_for
from model_factory.cli.passphrase import passphrase_file
from model_factory.cli.session import Session
from model_factory.engines.pulumi import shell_environment
from model_factory.local.clouds import manager
from model_factory.local.clouds.kubernetes import control as kubernetes
from model_factory.local.clouds.manager import CloudSpec, CloudStatus
from model_factory.local.lab.nodes.pools import how_it_is
from model_factory.local.providers import background
from model_factory.preview.wording import count

app = typer.Typer(
    help="The local clouds of a stack: AWS and GCP on loopback, Kubernetes as rendered files.",
    no_args_is_help=True,
)

NodeFault = Literal["notice", "loss", "silence", "recovery"]
CloudName = Annotated[str, typer.Argument(help="aws, gcp or kubernetes.", metavar="CLOUD")]
MachineCloud = Annotated[str, typer.Argument(help="aws or gcp.", metavar="CLOUD")]


def ensure_running(session: Session, console: Console, *, quiet: bool = False) -> None:
    """Start those of the stack's local clouds that do not run; nothing for a stack on real accounts.

    Raises:
        LocalCloudError: one does not start, or its port is taken; names the holder.
    """
    specs = session.clouds()
    missing = [status.name for status in manager.status(specs, session.project.root) if not status.running]
    if not missing:
        return
    if not quiet:
        console.print(f"Starting the local clouds: {', '.join(missing)} …")
    manager.start(specs, session.project.root)


@app.command()
def start(stack: StackName = DEFAULT_STACK, cwd: Cwd = Path(), as_json: Json = False) -> None:
    """Start the local clouds that do not run; their state is as it was left."""
    session, specs = _open(stack, cwd)
    _show(session, manager.start(specs, session.project.root), as_json=as_json)


@app.command()
def stop(stack: StackName = DEFAULT_STACK, cwd: Cwd = Path()) -> None:
    """Stop the local clouds, and the providers that `env` started. Their state stays for the next start."""
    session, specs = _open(stack, cwd)
    stopped = manager.stop(specs, session.project.root)
    if background.stop(session.project.root):
        stopped.append("providers")
    console_for(as_json=False).print(f"Stopped: {', '.join(stopped)}." if stopped else "No local cloud was running.")


@app.command()
def status(stack: StackName = DEFAULT_STACK, cwd: Cwd = Path(), as_json: Json = False) -> None:
    """What runs where, and how much each cloud holds. Exit code 1 when one does not run."""
    session, specs = _open(stack, cwd)
    found = manager.status(specs, session.project.root)
    _show(session, found, as_json=as_json)
    if not all(cloud.running for cloud in found):
        raise typer.Exit(1)


@app.command()
def env(stack: StackName = DEFAULT_STACK, cwd: Cwd = Path(), as_json: Json = False) -> None:
    """What a shell needs to run the Pulumi CLI itself, and the AWS CLI, on the local clouds: eval "$(factory clouds env)".

    Then `pulumi preview -s dev`, `pulumi up -s dev` and all other commands work as on real accounts. Starts the clouds, and in
    the background the providers that Pulumi's plugins are stood in for by; `factory clouds stop` stops both. The CLI has a
    state of its own: `factory stack export | pulumi stack import -s dev` gives it that of the local engine. It will add an
    `encryptionsalt` to the stack's file.
    """
    session, _ = _open(stack, cwd)
    console = console_for(as_json=True)
    ensure_running(session, console)
    variables = shell_environment(workplace(session), passphrase_file(session.project.work_dir))
    aws = next((spec for spec in session.clouds() if spec.name == "aws"), None)
    if aws is not None:
        # The local clouds check no credential; without any, the AWS CLI signs nothing and refuses to call.
        variables |= {
            "AWS_ENDPOINT_URL": aws.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        }  # fmt: skip
        if region := session.program_config().values.get("aws:region"):
            variables["AWS_REGION"] = region
    if shutil.which("pulumi") is None:
        console.print("The Pulumi CLI is not on PATH; once it is, run this again.", style="yellow")
    if as_json:
        sys.stdout.write(json.dumps(variables, indent=4) + "\n")
    else:
        sys.stdout.write("".join(f"export {key}={shlex.quote(text)}\n" for key, text in variables.items()))


@app.command()
def reset(
    stack: StackName = DEFAULT_STACK,
    cwd: Cwd = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget every resource in the local clouds, as if new. The stack's state is left alone: `factory refresh` then sees it all gone."""
    session, specs = _open(stack, cwd)
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Forget everything in the local clouds of {stack}?")):
        raise BadInputError("nothing was forgotten; agree at the prompt, or add --yes")
    manager.reset(specs)
    if (clusters := session.rendered_clusters) is not None:
        kubernetes.reset(clusters)
    console_for(as_json=False).print("The local clouds are empty.")


@app.command()
def fault(
    cloud: CloudName,
    operation: Annotated[
        str, typer.Argument(help="Pattern of operations, as eks:CreateNodegroup or container.*.create.")
    ],
    error: Annotated[str, typer.Option(help="The cloud's error code.")] = "InternalError",
    http_status: Annotated[int, typer.Option("--status", min=400, max=599, help="The HTTP status.")] = 500,
    message: Annotated[str, typer.Option(help="The message that the cloud answers.")] = "injected fault",
    count: Annotated[int, typer.Option(help="How many calls fail; -1: all.")] = 1,
    skip: Annotated[int, typer.Option(min=0, help="How many matching calls pass first.")] = 0,
    stack: StackName = DEFAULT_STACK,
    cwd: Cwd = Path(),
) -> None:
    """Let calls that match fail. Adds to the faults that are set; `factory clouds clear` removes them all."""
    session, specs = _open(stack, cwd)
    new = {
        "operation": operation,
        "error": error,
        "status": http_status,
        "message": message,
        "count": count,
        "skip": skip,
    }
    if cloud == "kubernetes":
        clusters = _clusters(session)
        kubernetes.set_faults(clusters, [*kubernetes.faults(clusters), new])
    else:
        spec = _spec(specs, cloud)
        manager.call(spec, "PUT", "faults", [*manager.call(spec, "GET", "faults"), new])
    console_for(as_json=False).print(f"{cloud}: {operation} will answer {http_status} {error}.")


@app.command()
def latency(
    cloud: CloudName,
    milliseconds: Annotated[int, typer.Argument(min=0, help="Added to each matching call; 0 removes it.")],
    operation: Annotated[str, typer.Option(help="Pattern of operations; without it, all calls.")] = "*",
    stack: StackName = DEFAULT_STACK,
    cwd: Cwd = Path(),
) -> None:
    """Make calls slower."""
    session, specs = _open(stack, cwd)
    if cloud == "kubernetes":
        kubernetes.set_latency(_clusters(session), milliseconds, None if operation == "*" else operation)
    else:
        spec = _spec(specs, cloud)
        manager.call(spec, "PUT", "latency", {"milliseconds": milliseconds, "operation": operation})
    console_for(as_json=False).print(f"{cloud}: {operation} takes {milliseconds} ms longer.")


@app.command()
def capacity(
    cloud: MachineCloud,
    machine: Annotated[str, typer.Argument(help="The machine type; on Google Cloud an accelerator, too.")],
    available: Annotated[int, typer.Argument(min=0, help="How many there are.")],
    place: Annotated[str, typer.Option(help="The region, on Google Cloud the zone.")],
    stack: StackName = DEFAULT_STACK,
    cwd: Cwd = Path(),
) -> None:
    """Say how many machines of a type a place has: what runs stays, more do not start."""
    _, specs = _open(stack, cwd)
    manager.call(
        _spec(specs, cloud, "aws or gcp"),
        "PUT",
        "capacity",
        {"place": place, "machine": machine, "available": available},
    )
    console_for(as_json=False).print(f"{cloud}: {place} has {available} {machine}.")


@app.command()
def nodes(stack: StackName = DEFAULT_STACK, cwd: Cwd = Path(), as_json: Json = False) -> None:
    """The simulated nodes of the clusters that have a control plane (`make lab`): machine, zone and how they are."""
    _, specs = _open(stack, cwd)
    found = {spec.name: manager.call(spec, "GET", "nodes") for spec in specs}
    if as_json:
        sys.stdout.write(json.dumps(found, indent=4) + "\n")
        return
    console = console_for(as_json=False)
    table = Table("cloud", "node", "machine", "zone", "state", box=None, pad_edge=False)
    for cloud, clusters in found.items():
        for each in (node for nodes in clusters.values() for node in nodes):
            labels = each["metadata"]["labels"]
            machine, zone = labels["node.kubernetes.io/instance-type"], labels["topology.kubernetes.io/zone"]
            table.add_row(cloud, each["metadata"]["name"], machine, zone, how_it_is(each))
    console.print(table if table.row_count else "No simulated nodes.")


@app.command()
def node(
    cloud: MachineCloud,
    name: Annotated[str, typer.Argument(help="The node's name, from `factory clouds nodes`.")],
    happens: Annotated[
        NodeFault,
        typer.Argument(
            help="notice: its machine is taken back after --seconds; loss: it is gone at once; silence: its kubelet says nothing more; "
            "recovery: it speaks again.",
            metavar="FAULT",
        ),
    ],
    seconds: Annotated[int | None, typer.Option(min=0, help="From a notice to the loss; 120 unless told.")] = None,
    stack: StackName = DEFAULT_STACK,
    cwd: Cwd = Path(),
) -> None:
    """Let something happen to a simulated node."""
    _, specs = _open(stack, cwd)
    given = {} if seconds is None else {"seconds": seconds}
    manager.call(_spec(specs, cloud, "aws or gcp"), "POST", "nodes", {"node": name, "fault": happens, **given})
    console_for(as_json=False).print(f"{cloud}: {name}: {happens}.")


@app.command()
def clear(stack: StackName = DEFAULT_STACK, cwd: Cwd = Path()) -> None:
    """Remove every injected fault and latency."""
    session, specs = _open(stack, cwd)
    for spec in specs:
        manager.call(spec, "PUT", "faults", [])
        manager.call(spec, "PUT", "latency", {"milliseconds": 0})
    if (clusters := session.rendered_clusters) is not None:
        kubernetes.set_faults(clusters, [])
        kubernetes.set_latency(clusters, 0)
    console_for(as_json=False).print("No faults, no latency.")


def _open(stack: str, cwd: Path) -> tuple[Session, Sequence[CloudSpec]]:
    session = Session.open(stack, cwd)
    specs = session.clouds()
    if not specs:
        raise BadInputError(
            f"stack {stack} has real accounts; only stacks whose endpoints are on loopback have local clouds"
        )
    return session, specs


def _spec(specs: Sequence[CloudSpec], cloud: str, choices: str = "") -> CloudSpec:
    for spec in specs:
        if spec.name == cloud:
            return spec
    known = choices or f"{', '.join(spec.name for spec in specs)} or kubernetes"
    raise BadInputError(f"no local cloud {cloud!r}; choose {known}")


def _clusters(session: Session) -> Path:
    clusters = session.rendered_clusters
    if clusters is None:
        raise BadInputError(f"stack {session.stack} renders no clusters; name aws or gcp, whose API servers are real")
    return clusters


def _show(session: Session, clouds: Sequence[CloudStatus], *, as_json: bool) -> None:
    clusters = session.rendered_clusters
    rendered = None if clusters is None else kubernetes.status(clusters)
    if as_json:
        document = {cloud.name: {**asdict(cloud), "url": cloud.url} for cloud in clouds} | {"kubernetes": rendered}
        sys.stdout.write(json.dumps(document, indent=4, default=str) + "\n")
        return
    console = console_for(as_json=False)
    for cloud in clouds:
        state = f"running, pid {cloud.pid}" if cloud.running else "stopped"
        _show_one(console, cloud.name, f"{state}, {cloud.url}", cloud.resources or {}, len(cloud.faults))
        if cloud.problem:
            console.print(f"  it could not start: {cloud.problem}", markup=False, soft_wrap=True)
        for cluster, problem in cloud.clusters.items():
            told = f"does not run: {problem}" if problem else "is being started"
            console.print(f"  cluster {cluster} {told}", markup=False, soft_wrap=True)
    if clusters is not None and rendered is not None:
        place = str(clusters.relative_to(session.project.root))
        _show_one(console, "kubernetes", f"files, {place}", rendered["resources"], len(rendered["faults"]))


def _show_one(console: Console, name: str, where: str, holds: Mapping[str, int], faults: int) -> None:
    """What it holds in as many columns as there is room for, so that no kind is cut and no count stands apart from it."""
    told = f"; {count(faults, 'fault')} set" if faults else ""
    console.print(Text.assemble((name, "bold"), f": {where}{told}"), soft_wrap=True)
    kinds = [f"{number} {kind}" for kind, number in sorted(holds.items()) if number]
    console.print(Padding(Columns(kinds or ["nothing"], padding=(0, 2)), (0, 0, 0, 2)))
