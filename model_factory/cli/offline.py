"""A preview from a state file, or from none: no cloud, no account, no network, no secret.

The state is what `factory stack export` or `pulumi stack export` printed, of any stack and secrets provider. Its secrets stay
closed, and so do those of the stack file; both count as unchanged. Local clouds are neither started nor asked.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.project import ProgramConfig, program_config
from model_factory.cli.session import Session
from model_factory.cli.values import resource
from model_factory.graph.resource import Resource
from model_factory.local.engine.deploy import Deployment, run
from model_factory.local.engine.disclosure import UNDISCLOSED, without_secrets
from model_factory.local.engine.secrets import Crypter
from model_factory.local.engine.store import StackStore
from model_factory.local.providers.offline import Known, offline_providers


@dataclass(frozen=True, slots=True)
class OfflineStack:
    """All that a preview on the local engine needs of a stack, from its file and a state."""

    store: StackStore
    providers: Mapping[str, Callable[[], ResourceProviderServicer]]
    config: ProgramConfig
    assumed: Collection[str] = ()
    """What the run took for granted because the state does not tell it; complete when the run has ended."""


@contextmanager
def offline(session: Session, state: Path | None) -> Generator[OfflineStack]:
    """`session`'s stack over the state in a file, or over none: then everything would be created.

    Raises:
        BadInputError: the file is not there or not JSON.
        StateError: it is no state, or that of another stack.
    """
    with tempfile.TemporaryDirectory(prefix="factory-") as temporary:
        folder = Path(temporary)
        store = StackStore(folder, session.project.name, session.stack, _no_secrets)
        if state is not None:
            store.path.write_text(json.dumps(without_secrets(read_state(state))), encoding="utf-8")
        known = Known.of((resource.type, resource.outputs) for resource in store.load().resources)
        config = program_config(session.project, session.file, lambda _: UNDISCLOSED)
        yield OfflineStack(store, offline_providers(known, folder / "clusters"), config, known.assumed)


def declared(session: Session) -> list[Resource]:
    """Every resource that the stack's program declares, the stack itself with what it exports among them, as if none existed yet.

    Asks no cloud and keeps nothing. Raises:
        CommandError: the program fails; tells its errors.
    """
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
            emit=lambda _: None,
        )
    if not outcome.ok:
        told = "; ".join(message.strip() for _, message in outcome.failures)
        raise CommandError(f"the program of {session.stack} fails: {told}")
    return [resource(state) for state in outcome.planned]


def assumption(sentences: Collection[str]) -> dict[str, Any]:
    """The engine event that tells what was assumed."""
    message = f"assumed, as the state does not tell: {'; '.join(sorted(sentences))}"
    return {"diagnosticEvent": {"severity": "warning", "message": message, "color": "never"}}


def read_state(path: Path) -> Mapping[str, Any]:
    """The document in a file.

    Raises:
        BadInputError: the file is not there, or not a JSON object.
    """
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"))
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
