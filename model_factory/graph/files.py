"""Files that others brought, read whole: plain ones, and no more of one than its kind has."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

STATE_BYTES_MAX: Final = 512 * 2**20
"""Of a stack, as exported or kept."""


def read_plain(path: Path, bytes_max: int, *, pipe: bool = False) -> bytes:
    """What a file holds; a link is followed. `pipe`: one that the caller named himself may be a pipe, as `<(command)` is.

    A repository carries links to anything: to a device that never ends, or to a pipe that nobody writes to, which an open waits for.

    Raises:
        OSError: it is not there, no plain file, or larger than `bytes_max`; `strerror` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if pipe else os.O_NONBLOCK))
    try:
        found = os.fstat(descriptor)
        if not (stat.S_ISREG(found.st_mode) or (pipe and stat.S_ISFIFO(found.st_mode))):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            if found.st_size > bytes_max or len(data := file.read(bytes_max + 1)) > bytes_max:
                raise OSError(errno.EFBIG, f"it has more than {bytes_max:,} bytes", str(path))
    finally:
        os.close(descriptor)
    return data


def read_plain_text(path: Path, bytes_max: int, *, pipe: bool = False) -> str:
    """The same as UTF-8. Raises UnicodeDecodeError too."""
    return read_plain(path, bytes_max, pipe=pipe).decode()
