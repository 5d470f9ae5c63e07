"""The clusters that a stack runs on, as its state tells of them, whichever engine keeps that."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from model_factory.access.errors import KubeconfigError
from model_factory.cli.called import by_shell, command
from model_factory.cli.engine import workplace
from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.held import held
from model_factory.cli.session import EngineName, Session
from model_factory.engines.pulumi import exported
from model_factory.engines.values import plain
from model_factory.graph.urn import name_of
from model_factory.graph.values import mapping
from model_factory.live.sites import PROVIDER, Site, site, with_program
from model_factory.local.clouds import manager
from model_factory.planning.settings.problems import instead

_PROGRAM: Final = "factory"

Sites = Annotated[
    list[str] | None, typer.Option("--site", help="Only at this site, as aws/us-east-1 (repeatable).", metavar="SITE")
]
OneSite = Annotated[str, typer.Option("--site", help="At this site, as aws/us-east-1.", metavar="SITE")]


def all_sites(session: Session) -> dict[str, str]:
    """The stack's sites, `aws/us-east-1`, and their logical names."""
    return {
        f"{cloud}/{region}": f"{session.stack}-{cloud}-{region}"
        for cloud in session.settings.clouds
        for region in session.settings.regions_of(cloud)
    }


def chosen_sites(session: Session, wanted: Sequence[str] | None) -> list[str]:
    """The sites that are asked for, all of them where none is named. BadInputError for one that the stack has not."""
    known = all_sites(session)
    for name in wanted or ():
        if name not in known:
            raise BadInputError(f"--site {name}: stack {session.stack} has no such site; {instead(name, list(known))}")
    return list(dict.fromkeys(wanted or known))


def require_model(session: Session, name: str) -> str:
    """The model's name. BadInputError where the stack has none of it."""
    known = [each.name for each in session.settings.models]
    if name not in known:
        raise BadInputError(f"stack {session.stack} has no model {name!r}; {instead(name, known)}")
    return name


def live_sites(session: Session, wanted: Sequence[str] | None = None) -> list[Site]:
    """Those of the sites that are asked for whose cluster is there.

    Raises:
        BadInputError: a site that the stack has not, or clusters that are files.
        CommandError: nothing of it stands, or its state cannot be read.
    """
    names = chosen_sites(session, wanted)
    logical = all_sites(session)
    providers = _providers(session)
    if not any(logical[name] in providers for name in names):
        raise CommandError(f"stack {session.stack} has no cluster at {', '.join(names)}; `factory up` makes it")
    _require_clouds(session)
    found: list[Site] = []
    for name in names:
        inputs = providers.get(logical[name])
        if inputs is None:
            continue
        reached = site(name, logical[name], inputs)
        if reached is None:
            raise BadInputError(_files(session))
        found.append(_callable(reached))
    return found


def _require_clouds(session: Session) -> None:
    """The local clouds vouch for the tokens of their clusters: without them an API server takes none, and says no more than that."""
    if not session.settings.clusters.tokens_are_local:
        return
    missing = [each.name for each in manager.status(session.clouds(), session.project.root) if not each.running]
    if missing:
        raise CommandError(
            f"the local {' and '.join(missing)} of stack {session.stack} {'does' if len(missing) == 1 else 'do'} not run, and with it no cluster "
            f"lets anyone in; `factory clouds start --stack {session.stack}` starts what is missing"
        )


def _files(session: Session) -> str:
    return (
        f"the clusters of stack {session.stack} are files: nothing runs in them; write model-factory:local: {{kubernetes: lab}} in "
        f"{session.file.name} and run `factory up`, or try the stack lab: make lab"
    )


def _callable(reached: Site) -> Site:
    """With a credential plugin of ours as it can be called here, where no shell may have its folder on PATH."""
    if not reached.kubeconfig or by_shell() is not None:
        return reached
    called, beside = Path(sys.argv[0]), Path(sys.executable).with_name(_PROGRAM)
    program = called.absolute() if called.name == _PROGRAM else beside
    try:
        return replace(reached, kubeconfig=with_program(reached.kubeconfig, _PROGRAM, str(program)))
    except KubeconfigError as error:
        raise CommandError(f"{reached.name}: {error}") from error


def _providers(session: Session) -> dict[str, Mapping[str, Any]]:
    """What each Kubernetes provider of the stack was told, by logical name."""
    return {
        name_of(urn): inputs
        for urn, type_, inputs in _resources(session)
        if type_ == PROVIDER and not name_of(urn).startswith("default")
    }


def _resources(session: Session) -> list[tuple[str, str, Mapping[str, Any]]]:
    if not session.is_local or (held(session, EngineName.PULUMI) and not held(session, EngineName.LOCAL)):
        session.engine(EngineName.PULUMI)
        return [
            (str(each["urn"]), str(each["type"]), mapping(each.get("inputs"))) for each in exported(workplace(session))
        ]
    if not session.store.exists():
        local = session.settings.local
        if local is not None and session.settings.clusters.folder(local.render_to) is not None:
            raise BadInputError(_files(session))
        raise CommandError(f"stack {session.stack} has no state here; `{command('up')}` makes it")
    return [
        (each.urn, each.type, plain(each.inputs, show_secrets=True))
        for each in session.store.load().resources
        if each.type == PROVIDER and not each.delete
    ]
