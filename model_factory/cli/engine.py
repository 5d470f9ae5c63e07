"""The engine of a stack, opened as the command line asks for it."""

from __future__ import annotations

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


@contextmanager
def opened(
    session: Session, wanted: EngineName, state: Path | None = None, *, refresh: bool = False
) -> Generator[Engine]:
    """The engine; with `state`, the local one over that exported state, which any stack can be previewed from.
    `refresh`: the clouds will be asked for drift.

    Raises:
        BadInputError: the stack cannot be driven by it, or a file is wrong.
        CommandError: `state` is no state, or that of another stack.
    """
    if state is not None:
        if wanted is EngineName.PULUMI:
            raise BadInputError("--state previews on the local engine; leave out --engine pulumi, or leave out --state")
        if refresh:
            raise BadInputError("--refresh asks the clouds, and --state asks none; leave one of them out")
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
