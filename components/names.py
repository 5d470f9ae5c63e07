"""Names that outside parties limit. Logical names are deterministic; Pulumi adds a random suffix to the physical ones."""

import hashlib

# Pulumi's auto-names are "<logical name>-<7 hex digits>".
AUTO_NAME_SUFFIX = 8


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


def fit_auto_named(name: str, limit: int) -> str:
    """A logical name whose auto-name has at most `limit` characters."""
    return fit(name, limit - AUTO_NAME_SUFFIX)
