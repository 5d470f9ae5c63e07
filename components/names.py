"""Logical names are deterministic; Pulumi adds a random suffix to the physical ones, which outside parties limit."""

from model_factory.graph.names import fit

# Pulumi's auto-names are "<logical name>-<7 hex digits>".
AUTO_NAME_SUFFIX = 8


def fit_auto_named(name: str, limit: int) -> str:
    """A logical name whose auto-name has at most `limit` characters."""
    return fit(name, limit - AUTO_NAME_SUFFIX)
