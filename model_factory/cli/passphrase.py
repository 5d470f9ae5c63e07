"""Where the passphrase of a stack's secrets comes from: the two variables that the Pulumi CLI reads, else, for stacks on
local clouds alone, a file of random bytes made once a checkout, which only its owner can read.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from model_factory.cli.errors import BadInputError
from model_factory.engines.pulumi import PASSPHRASE_FILE_VARIABLE, PASSPHRASE_VARIABLE

_BYTES = 32


def passphrase_file(work_dir: Path) -> Path:
    """Where the passphrase of a checkout's stacks on local clouds is kept."""
    return work_dir / "passphrase"


def find_passphrase(work_dir: Path, *, is_local: bool) -> str:
    """The passphrase.

    Raises:
        BadInputError: none is set for a stack with real accounts, or its file cannot be read.
    """
    if (given := os.environ.get(PASSPHRASE_VARIABLE)) is not None:
        return given
    if named := os.environ.get(PASSPHRASE_FILE_VARIABLE):
        try:
            return Path(named).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadInputError(f"PULUMI_CONFIG_PASSPHRASE_FILE: {named} cannot be read: {error.strerror}") from error
    if not is_local:
        raise BadInputError(
            "this stack's secrets need a passphrase; set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE"
        )
    return _own_passphrase(passphrase_file(work_dir))


def _own_passphrase(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = secrets.token_urlsafe(_BYTES)
        descriptor, name = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # the first of two commands that race here wins, and both read its text
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return path.read_text(encoding="utf-8")
