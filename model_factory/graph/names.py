"""Names that outside parties limit."""

from __future__ import annotations

import hashlib
import json


def fit(name: str, limit: int) -> str:
    """The name itself where it has at most `limit` characters, else its beginning and four hex digits of its hash.

    Two long names that begin alike stay apart, and the same name always gives the same answer.
    """
    if limit < 6:
        raise ValueError(f"a limit of {limit} characters leaves no room for a name and its hash; use 6 or more")
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:4]
    return f"{name[: limit - 5].rstrip('-')}-{digest}"


def told_apart(*parts: object) -> str:
    """Eight hex digits of a hash: a name with them is another one for other parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
