"""Where the `factory` command begins. Imports take most of a second, in which Ctrl-C is already a person's."""

from __future__ import annotations

import sys

from model_factory.cli.errors import EXIT_INTERRUPTED


def main() -> None:
    """Load the command and run it."""
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
