"""What a cloud's error codes are down to, and what helps: a table a cloud, of this one shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model_factory.graph.refusal import Cause

_BY_STATUS: Final[Mapping[int, Cause]] = {
    401: "permission",
    403: "permission",
    404: "not-found",
    429: "throttling",
}
_REMEDIES: Final[Mapping[Cause, str]] = {
    "throttling": "run it again, with fewer calls at once (--parallel)",
    "not-found": "what the call names is gone or elsewhere: `factory refresh` shows what was changed outside",
    "bad-input": "mend the value that the message names where the stack sets it, and preview again",
}


@dataclass(frozen=True, slots=True)
class Causes:
    """One cloud's table. Of `patterns`, expressions for a whole error code, the first that fits counts; without any, the HTTP status tells
    what it can. `remedies` say what this cloud asks for besides what is the same everywhere."""

    patterns: tuple[tuple[Cause, str], ...]
    remedies: Mapping[Cause, str]

    def cause(self, codes: tuple[str, ...], status: int) -> Cause | None:
        """The cause of an error with these codes, the most exact first; None where nothing tells it."""
        for code in codes:
            for cause, pattern in self.patterns:
                if re.fullmatch(pattern, code):
                    return cause
        return _BY_STATUS.get(status)

    def remedy(self, cause: Cause, operation: str) -> str:
        """What helps, in one sentence."""
        return (self.remedies.get(cause) or _REMEDIES[cause]).format(operation=operation)
