"""What the state of each engine holds of a stack on local clouds. The two know nothing of each other, and this command knows of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from model_factory.cli.called import command
from model_factory.cli.errors import BadInputError
from model_factory.cli.session import EngineName, Session
from model_factory.engines.pulumi import local_state, urns_in
from model_factory.graph.urn import is_default_provider
from model_factory.local.engine.request import Request
from model_factory.local.errors import LocalError
from model_factory.preview.wording import count

_CALLED: Final[Mapping[EngineName, str]] = {EngineName.LOCAL: "the local engine", EngineName.PULUMI: "the Pulumi CLI"}


def held_elsewhere(session: Session, engine: EngineName, request: Request) -> str:
    """What to tell of a stack of which the other engine holds resources, too; empty where that holds none.

    Raises:
        BadInputError: the other one alone holds the stack, and this is to change it: what stands would be made a second time, or would be
            left standing while nothing is said to be left.
    """
    if not session.is_local:
        return ""
    other = EngineName.LOCAL if engine is EngineName.PULUMI else EngineName.PULUMI
    there = held(session, other)
    if not there:
        return ""
    file = _state(session, other).relative_to(session.project.root)
    what = f"{_CALLED[other]} holds {count(there, 'resource')} of {session.stack} ({file})"
    if held(session, engine):
        return f"{what}, and so does {_CALLED[engine]}; neither sees what the other one changes"
    what = f"{what}, and {_CALLED[engine]} none"
    if request.previews:
        return f"{what}; this is seen from there, where nothing stands"
    again = command(f"{request.operation} --engine {other}")
    raise BadInputError(
        f"{what}: nothing was done. `{again}` goes on with what stands; if it stands no more, remove that file, "
        "and to go on from it under this engine hand the state on first (`stack export`, `stack import`)"
    )


def held(session: Session, engine: EngineName) -> int:
    """How many resources its state of the stack has, as displays count them."""
    return sum(not is_default_provider(urn) for urn in _urns(session, engine))


def _urns(session: Session, engine: EngineName) -> Iterable[str]:
    if engine is EngineName.PULUMI:
        return urns_in(_state(session, engine))
    try:
        return [resource.urn for resource in session.store.load().resources]
    except LocalError:
        return []  # The engine itself will say what is wrong with it; the other one can do without.


def _state(session: Session, engine: EngineName) -> Path:
    if engine is EngineName.PULUMI:
        return local_state(session.project.root, session.project.name, session.stack)
    return session.store.path
