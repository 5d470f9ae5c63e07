"""A preview from a state file, or from none: no cloud, no account, no network, no secret.

The state is what `factory stack export` or `pulumi stack export` printed, of any stack and secrets provider. Its secrets stay
closed, and so do those of the stack file; both count as unchanged. Local clouds are neither started nor asked.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.project import program_config
from model_factory.cli.session import Session
from model_factory.engines.local import LocalEngine
from model_factory.engines.values import resource
from model_factory.graph.files import STATE_BYTES_MAX, read_plain_text
from model_factory.graph.resource import Resource, with_providers
from model_factory.local.engine.deploy import run
from model_factory.local.engine.disclosure import UNDISCLOSED, without_secrets
from model_factory.local.engine.errors import StateError
from model_factory.local.engine.request import Deployment, Program, Request
from model_factory.local.engine.secrets import Crypter
from model_factory.local.engine.store import StackStore
from model_factory.local.providers.offline import Known, offline_providers


@contextmanager
def offline(session: Session, state: Path | None) -> Generator[LocalEngine]:
    """The engine over the state in a file, or over none: then everything would be created.

    Raises:
        BadInputError: the file is not there or not JSON.
        CommandError: it is no state, or that of another stack.
    """
    with tempfile.TemporaryDirectory(prefix="factory-") as temporary:
        folder = Path(temporary)
        store = StackStore(folder, session.project.name, session.stack, _no_secrets)
        if state is not None:
            store.path.write_text(json.dumps(without_secrets(read_state(state))), encoding="utf-8")
        try:
            resources = store.load().resources
        except StateError as error:
            raise CommandError(f"--state {state}: {error}") from error
        known = Known.of((resource.type, resource.outputs) for resource in resources)
        if not resources:
            known.assumed.add("nothing of the stack exists")
        config = program_config(session.project, session.file, lambda _: UNDISCLOSED)
        program = Program(
            session.project.name,
            session.stack,
            session.project.root,
            config.values,
            config.secret_keys,
        )
        yield LocalEngine(program, store, offline_providers(known, folder / "clusters"), assumed=known.assumed)


def declared(session: Session) -> list[Resource]:
    """Every resource that the stack's program declares, the stack itself with what it exports among them, as if none existed yet.

    Asks no cloud and keeps nothing. Raises:
        CommandError: the program fails; tells its errors.
    """
    with offline(session, None) as engine:
        ended = run(
            Deployment(Request("preview"), engine.program),
            store=engine.store,
            providers=engine.providers,
            emit=lambda _: None,
        )
    if not ended.ok:
        told = "; ".join(message.strip() for _, message in ended.failures)
        raise CommandError(f"the program of {session.stack} fails: {told}")
    return with_providers(resource(state) for state in ended.planned)


def read_state(path: Path) -> Mapping[str, Any]:
    """The document in a file.

    Raises:
        BadInputError: the file is not there, or not a JSON object.
    """
    try:
        document: object = json.loads(read_plain_text(path, STATE_BYTES_MAX, pipe=True))
    except OSError as error:
        raise BadInputError(f"--state {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadInputError(
            f"--state {path} is not JSON: {error}; give what `factory stack export` or `pulumi stack export` wrote"
        ) from error
    if not isinstance(document, dict):
        raise BadInputError(
            f"--state {path} holds a {type(document).__name__}; give what `factory stack export` or "
            f"`pulumi stack export` wrote"
        )
    return cast("Mapping[str, Any]", document)


def _no_secrets() -> Crypter:
    raise AssertionError("a state without secrets needs no key")
