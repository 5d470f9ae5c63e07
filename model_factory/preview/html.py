"""A review as one HTML page: the whole, for an artifact or a browser. No script, no outside resource, light and dark.

What engines, clouds and programs wrote is escaped by the template engine, and a policy of the page itself forbids scripts and
requests. The pages are under templates/.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model_factory.graph.printable import printable
from model_factory.preview import costs
from model_factory.preview.changes import diff_lines
from model_factory.preview.dependents import Dependents
from model_factory.preview.nodes import together
from model_factory.preview.picture import layout
from model_factory.preview.review import DRIFT_NOTE, NOT_EVALUATED_NOTE, TITLES, WARNINGS_SHOWN, Review
from model_factory.preview.wording import op_of

_LABELS: Final = {
    "failed": "Failed", "blocked": "Refused", "destructive": "Replaces or deletes", "caution": "Look twice",
    "change": "Nothing is lost", "same": "No change",
}  # fmt: skip

_LIMITS: Final = {
    "dangers_shown": 20,
    "warnings_shown": WARNINGS_SHOWN,
    "names_in_line": 3,
    "members_with_inputs": 25,
    "diff_limit": 400,
}


def page(review: Review) -> str:
    """The page. Its size grows with the changes; identical ones are told once."""
    heading = review.heading
    return printable(
        _templates()
        .get_template("page.html")
        .render(
            review=review,
            heading=heading,
            name=f"{heading.project}/{heading.stack}",
            label=_LABELS[review.verdict.level],
        )
    )


def svg(dependents: Dependents) -> Markup:
    """What changes and what depends on it, as a picture inside a page. Nodes carry the class of what happens to them."""
    return Markup(_templates().get_template("dependents.svg").render(picture=layout(dependents)))  # noqa: S704 - the template has escaped it


@cache
def _templates() -> Environment:
    loader = PackageLoader("model_factory.preview")
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    templates.filters |= {"sentence": _sentence, "thousands": "{:,}".format}
    shared: dict[str, Any] = {
        **_LIMITS,
        "costs": costs, "diff_lines": diff_lines, "op_of": op_of, "svg": svg, "titles": TITLES, "together": together,
        "drift_note": DRIFT_NOTE, "not_evaluated_note": NOT_EVALUATED_NOTE,
        "style": Markup(loader.get_source(templates, "style.css")[0]),  # noqa: S704 - ours
    }  # fmt: skip
    templates.globals.update(shared)
    return templates


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
