"""The engine of a stack, opened as the command line asks for it."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from model_factory.cli.errors import BadInputError
from model_factory.cli.offline import offline
from model_factory.cli.session import EngineName, Session
from model_factory.engines.local import LocalEngine
from model_factory.engines.protocol import Engine
from model_factory.engines.pulumi import PulumiEngine, Workplace
from model_factory.engines.values import secret_texts
from model_factory.local.engine.request import Program
from model_factory.local.providers.packages import local_providers


def asks_no_cloud(session: Session, wanted: EngineName, state: Path | None) -> str:
    """Why a preview asks no cloud, and what it compares the stack with; empty where it asks.

    It asks none over an exported `state`, and where a stack on real accounts is not to be driven by the Pulumi CLI, or cannot.
    """
    if state is not None:
        return f"Offline: {session.stack} is compared with {state}; no cloud, account or secret is asked for."
    if session.is_local or wanted is EngineName.PULUMI:
        return ""
    if wanted is EngineName.AUTO and shutil.which("pulumi") is not None:
        return ""
    why = "as --engine local asks no real account" if wanted is EngineName.LOCAL else "as the Pulumi CLI is not on PATH"
    return (
        f"Offline, {why}: {session.stack} is compared with nothing, so all of it shows as created. To see what an `up` would change, "
        "add --state FILE (`pulumi stack export` writes one), or preview with the Pulumi CLI, logged in to the stack's backend and clouds."
    )


@contextmanager
def opened(
    session: Session, wanted: EngineName, state: Path | None = None, *, asks_none: bool = False, refresh: bool = False
) -> Generator[Engine]:
    """The engine; where it `asks_none`, the local one over that exported state or over none, which any stack can be previewed from.
    `refresh`: the clouds will be asked for drift.

    Raises:
        BadInputError: the stack cannot be driven by it, or a file is wrong.
        CommandError: `state` is no state, or that of another stack.
    """
    if asks_none:
        if state is not None and wanted is EngineName.PULUMI:
            raise BadInputError("--state previews on the local engine; leave out --engine pulumi, or leave out --state")
        if refresh:
            what = "--state" if state is not None else "a preview without the Pulumi CLI"
            raise BadInputError(f"--refresh asks the clouds, and {what} asks none; leave one of them out")
        with offline(session, state) as engine:
            yield engine
    elif session.engine(wanted) is EngineName.PULUMI:
        yield PulumiEngine(workplace(session))
    else:
        config = session.program_config()
        program = Program(
            session.project.name,
            session.stack,
            session.project.root,
            config.values,
            config.secret_keys,
        )
        providers = local_providers(session.project.root)
        yield LocalEngine(program, session.store, providers, secrets=tuple(secret_texts(program)))


def workplace(session: Session) -> Workplace:
    """Where the Pulumi CLI finds the stack."""
    passphrase = session.passphrase if session.is_local else None
    return Workplace(session.project.root.resolve(), session.project.name, session.file, session.is_local, passphrase)
