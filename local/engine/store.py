"""Where a stack's state lies. INTERFACE FIRST; the implementation follows in the next commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from local.engine.journal import Journal
from local.engine.model import Snapshot
from local.engine.secrets import Crypter
from local.wire import Value


class StackStore:
    """One stack's state under `root` (the project's .factory/stacks): <stack>.json, .json.bak, .journal, .lock."""

    def __init__(self, root: Path, project: str, stack: str, crypter: Callable[[], Crypter]) -> None: ...

    def lock(self) -> AbstractContextManager[None]:
        """Hold the stack alone; LockedError names a live holder. Needed by journal, write, import_, remove; not by load."""
        raise NotImplementedError

    def exists(self) -> bool:
        raise NotImplementedError

    def load(self) -> Snapshot:
        """The state, a left-over journal folded in (in memory; on disk too where the lock is held). Empty for a new stack."""
        raise NotImplementedError

    def journal(self, snapshot: Snapshot) -> Journal:
        """A journal over the snapshot that `load` returned."""
        raise NotImplementedError

    def write(self, snapshot: Snapshot) -> None:
        raise NotImplementedError

    def remove(self) -> None:
        raise NotImplementedError

    def export(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """As `pulumi stack export`."""
        raise NotImplementedError

    def import_(self, document: Mapping[str, Any]) -> Snapshot:
        """As `pulumi stack import`; pending operations are dropped, as Pulumi does."""
        raise NotImplementedError


def list_stacks(root: Path) -> list[str]:
    raise NotImplementedError


def read_outputs(root: Path, project: str, stack: str, crypter: Callable[[], Crypter]) -> dict[str, Value]:
    """The outputs of another stack of ours (stack references), secrets kept as Secret. StateError where there is none."""
    raise NotImplementedError
