"""What the command tells a person when it cannot go on, and with which exit code."""

from __future__ import annotations

from typing import Final

EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_DRIFT: Final = 3
EXIT_NOT_AGREED: Final = 4
EXIT_INTERRUPTED: Final = 130


class CommandError(Exception):
    """The end of a command. `exit_code` is 1 where an operation failed, 2 where what was given is wrong, 3 for drift, 4 where
    it would do what was not agreed to."""

    def __init__(self, message: str, *, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class BadInputError(CommandError):
    """Something given is wrong: a file, a key, an option. Nothing was called or changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=EXIT_BAD_INPUT)
