"""Where the `factory` command begins. Imports take most of a second, in which Ctrl-C is already a person's."""

from __future__ import annotations

import sys

from model_factory.cli.errors import EXIT_INTERRUPTED


def main() -> None:
    """Load the command and run it."""
    try:
        from model_factory.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(EXIT_INTERRUPTED)
    run()
