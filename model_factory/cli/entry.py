"""Where the `factory` command begins. Imports take most of a second, in which Ctrl-C is already a person's."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from model_factory.cli.errors import EXIT_INTERRUPTED


def main() -> None:
    """Load the command and run it."""
    _be_found()
    try:
        if sys.argv[1:2] == ["cluster-token"]:
            # A cluster's clients wait for it each time: it loads nothing else.
            from model_factory.cli.cluster_token import main as run
        else:
            from model_factory.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(EXIT_INTERRUPTED)
    run()


def _be_found() -> None:
    """Have kubeconfigs that call `factory` find it, where this one was called by its path: last, so that nothing else is found otherwise."""
    if shutil.which("factory") is None:
        folder = str(Path(sys.argv[0]).resolve().parent)
        os.environ["PATH"] = os.pathsep.join(filter(None, [os.environ.get("PATH"), folder]))
