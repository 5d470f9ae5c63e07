"""IAM policy documents: what is allowed to whom."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from model_factory.graph.values import at
from policies.authoring.resources import Props, Report

# Conditions that keep a statement for everybody inside an organisation or an account.
BOUNDS = ("aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:sourceaccount")


def allowed(document: object, report: Report) -> Iterator[Props]:
    """The statements of a document that allow something. What is no JSON is reported.

    The document is text or an object. Unknown statements are remembered by the report.
    """
    if document is None:
        return
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError as broken:
            report(f"the policy document is not JSON ({broken})")
            return
    for statement in _listed(at(document, "Statement")):
        with report.guard():
            if isinstance(statement, Mapping) and at(statement, "Effect") == "Allow":
                yield cast("Props", statement)


def texts_of(statement: Props, key: str) -> list[str]:
    """`Action`, `Resource` and the like: one text or a list of them."""
    return [each for each in _listed(at(statement, key)) if isinstance(each, str)]


def is_for_everybody(statement: Props) -> bool:
    """Whether anybody at all is meant, with no condition that keeps it inside an organisation or an account."""
    principal = at(statement, "Principal")
    anybody = principal == "*" or (
        isinstance(principal, Mapping) and any("*" in _listed(each) for each in cast("Props", principal).values())
    )
    conditions = at(statement, "Condition")
    keys = (
        [str(key).lower() for test in cast("Props", conditions).values() for key in test]
        if isinstance(conditions, Mapping)
        else []
    )
    return anybody and not any(key in BOUNDS for key in keys)


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
