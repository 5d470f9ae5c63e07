"""Folders and files for their owner only: what lies in them holds secrets, and other users of the machine can read none of it."""

from __future__ import annotations

import os
from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner only; one that is there is kept as it is.

    Raises FileNotFoundError where one goes again meanwhile.
    """
    for each in reversed([missing for missing in (folder, *folder.parents) if not missing.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)


def take_private(folder: Path) -> None:
    """`make_private`, and close to others a folder that is there."""
    make_private(folder)
    folder.chmod(0o700)


def private(path: str, flags: int) -> int:
    """For `open(…, opener=private)`: a file that is made is for the owner only."""
    return os.open(path, flags, 0o600)
