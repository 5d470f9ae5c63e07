"""What the project's components can serve, for whoever reads its stack files."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from model_factory.planning.settings.serving import Serving


def serving(root: Path) -> Serving:
    """The runtimes and the routes of weights of the project in `root`. Components belong to the project and not to this command, which
    may be installed apart from it."""
    with _components_of(root):
        from components.kubernetes.serving import SERVING
    return SERVING


def protocol_of(root: Path, runtime: str) -> str:
    """By which of `live.protocols` a runtime of that project is asked."""
    with _components_of(root):
        from components.kubernetes.runtimes import RUNTIMES
    return RUNTIMES[runtime].protocol


@contextmanager
def _components_of(root: Path) -> Generator[None]:
    before = sys.path.copy()
    sys.path.append(str(root))
    try:
        yield
    finally:
        sys.path[:] = before
