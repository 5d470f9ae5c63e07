"""`factory diagram`: a stack in pictures, from what its program declares."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from model_factory.cli.errors import CommandError
from model_factory.cli.offline import offline
from model_factory.cli.options import DEFAULT_STACK, Cwd, StackName, console_for
from model_factory.cli.session import Session
from model_factory.cli.values import plain
from model_factory.local.engine.deploy import Deployment, run
from model_factory.local.engine.events import EngineEvent
from model_factory.local.engine.model import ResourceState
from model_factory.local.wire import Properties
from model_factory.preview.architecture import Architecture, Resource
from model_factory.preview.diagram import diagrams


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
        (folder / name).write_text(text, encoding="utf-8")
    console_for(as_json=False).print(f"Drew {', '.join(files)} in {folder}.", soft_wrap=True)


def declared(session: Session) -> Sequence[Resource]:
    """Every resource that the stack's program declares, seen as if none existed yet.

    Raises:
        CommandError: the program fails; tells its errors.
    """
    errors: list[str] = []

    def listen(event: EngineEvent) -> None:
        said = event.get("diagnosticEvent")
        if said and said["severity"] == "error":
            errors.append(str(said["message"]).strip())

    collector = _Collector()
    with offline(session, None) as stack:
        outcome = run(
            Deployment(
                "preview",
                session.project.name,
                session.stack,
                session.project.root,
                config=stack.config.values,
                secret_config_keys=stack.config.secret_keys,
            ),
            store=stack.store,
            providers=stack.providers,
            emit=listen,
            cancel=threading.Event(),
            guard=collector,
        )
    if not outcome.ok:
        raise CommandError(f"stack {session.stack} cannot be drawn: {'; '.join(errors)}")
    return [_resource(state) for state in collector.states]


class _Collector:
    """A guard that forbids nothing and keeps what it sees."""

    def __init__(self) -> None:
        self.states: Sequence[ResourceState] = ()

    async def ready(self) -> None:
        """Nothing has to be waited for."""

    def resource(self, state: ResourceState) -> Properties:
        return state.inputs

    async def stack(self, states: Sequence[ResourceState]) -> None:
        self.states = states


def _resource(state: ResourceState) -> Resource:
    urns = {urn for each in state.property_dependencies.values() for urn in each}
    return Resource(
        state.urn, state.type, plain(state.inputs), state.parent, frozenset({*state.dependencies, *urns})
    )
