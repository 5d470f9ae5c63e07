"""Files that a command is asked to write."""

from __future__ import annotations

from pathlib import Path

from model_factory.cli.errors import CommandError


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file whole. CommandError, naming it, where the disk is full or the place is not ours to write."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}; free some space, or name another place"
        ) from error
