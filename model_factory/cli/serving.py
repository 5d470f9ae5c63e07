"""What the project's components can serve, for whoever reads its stack files."""

from __future__ import annotations

import sys
from pathlib import Path

from model_factory.planning.settings.serving import Serving


def serving(root: Path) -> Serving:
    """The runtimes and the routes of weights of the project in `root`. Components belong to the project and not to this command, which
    may be installed apart from it."""
    before = sys.path.copy()
    sys.path.append(str(root))
    try:
        from components.kubernetes.serving import SERVING
    finally:
        sys.path[:] = before
    return SERVING
