"""Turns raw values into the classes of `model_factory.planning.settings.sections`, and pydantic's errors into problems with a remedy."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from model_factory.planning.settings.problems import as_text, instead, show
from model_factory.planning.settings.yamlfile import ENTRIES_MAX, LEVELS_MAX, VALUES_MAX, KeyPath, Secure

V = TypeVar("V", bound=BaseModel)
Covariant = TypeVar("Covariant", bound=BaseModel, covariant=True)
T = TypeVar("T")
Finding = tuple[KeyPath, str]
"""Where, and what is wrong; what to do."""

_KINDS: Final = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}


@dataclass(frozen=True, slots=True)
class Checked(Generic[Covariant]):
    """A value whose right fields can be relied on. Fields in `wrong` hold stand-ins, so that rules still judge all the others."""

    value: Covariant
    wrong: frozenset[str] = frozenset()
    """Python names of the fields that are missing or refused."""

    def right(self, *fields: str) -> bool:
        """Are all of these as the user wrote them?"""
        return self.wrong.isdisjoint(fields)


def check(kind: type[V], raw: object, path: KeyPath, stand_ins: Mapping[str, Any]) -> tuple[Checked[V], list[Finding]]:
    """Validates `raw` as `kind`. `stand_ins` are valid raw values of the required fields, used where the user's are not."""
    try:
        return Checked(kind.model_validate(raw, by_alias=True, by_name=False)), []
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_input=True)
    # A default that is made of a refused field is not a second mistake.
    findings = [finding(error, path, kind) for error in errors if error["type"] != "default_factory_not_called"]
    names = {field.alias or name: name for name, field in kind.model_fields.items()}
    bad = {str(error["loc"][0]) for error in errors if error["loc"]}
    given = (
        {key: value for key, value in raw.items() if key in names and key not in bad}
        if isinstance(raw, Mapping)
        else {}
    )
    wrong = (
        frozenset(names[key] for key in bad if key in names)
        if isinstance(raw, Mapping)
        else frozenset(kind.model_fields)
    )
    return Checked(kind.model_validate({**stand_ins, **given}, by_alias=True, by_name=False), wrong), findings


def check_plain(kind: TypeAdapter[T], raw: object, path: KeyPath, stand_in: T) -> tuple[T, list[Finding]]:
    """Validates `raw` as any type, `stand_in` taking its place when it is refused."""
    try:
        return kind.validate_python(raw), []
    except ValidationError as refused:
        return stand_in, [finding(error, path, None) for error in refused.errors(include_url=False)]


def decoded(raw: object) -> object:
    """Structured values of a key reach the program as JSON text; they are the same as written out. What is no JSON, or past
    a stack file's budget, stays text."""
    if isinstance(raw, str) and raw.lstrip()[:1] in {"{", "["}:
        with suppress(ValueError, RecursionError):
            value = json.loads(raw)
            return value if _left(value, VALUES_MAX, LEVELS_MAX) >= 0 else raw
    return raw


def _left(value: object, values: int, levels: int) -> int:
    """What a value leaves of a budget of `values`; below 0 where it is past that, or too deep or long."""
    if isinstance(value, dict):
        inside: Collection[object] = cast("Mapping[str, object]", value).values()
    else:
        inside = cast("list[object]", value) if isinstance(value, list) else ()
    values -= 1
    if levels < 0 or len(inside) > ENTRIES_MAX:
        return -1
    for each in inside:
        if values < 0:
            break
        values = _left(each, values, levels - 1)
    return values


def finding(error: ErrorDetails, path: KeyPath, kind: type[BaseModel] | None) -> Finding:
    """One of pydantic's errors as a place and a message in our words."""
    place = (*path, *(part for part in error["loc"] if part != "[key]"))
    given = error["input"]
    told = error["type"]
    message = error["msg"]
    if isinstance(given, Secure):
        message = "is encrypted, but planning must read it; write it in plain text (it is not a secret)"
    elif told == "missing":
        message = f"is missing; add it: {_description(kind, error['loc'])}"
    elif told == "extra_forbidden":
        known = _known(kind, error["loc"])
        message = f"unknown key; {instead(str(error['loc'][-1]), known)}" + (
            "" if len(known) > 12 else f" (known: {', '.join(known)})"
        )
    elif told in _KINDS:
        message = f"{show(given)} is not {_KINDS[told]}; write {_KINDS[told]} here"
    elif told == "literal_error":
        message = _choice(given, error.get("ctx", {}).get("expected", ""))
    elif told == "too_long":
        most = error.get("ctx", {}).get("max_length")
        message = f"has more than {most} entries; keep {most} at most"
    elif told == "too_short":
        message = "is empty; name at least one"
    return place, message


def _choice(given: object, expected: str) -> str:
    allowed = [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]
    if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
        close = [each for each in allowed if _same_number(each, given)]
        quoted = f'"{close[0]}"' if close else f"one of {', '.join(allowed)}, in quotes"
        return f'{given} is a number, and versions are text ("1.30" is not 1.3); write {quoted}'
    return not_among(given, allowed)


def not_among(given: object, allowed: Sequence[str]) -> str:
    """That a value is none of `allowed`, and the nearest of them."""
    return f"{show(given)} is not one of {', '.join(map(as_text, allowed))}; {_nearest_choice(given, allowed)}"


def _nearest_choice(given: object, allowed: Sequence[str]) -> str:
    if isinstance(given, str) and (remedy := instead(given, allowed)).startswith("write "):
        return remedy
    return "choose one"


def _same_number(text: str, number: float) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False


def _inner(kind: type[BaseModel] | None, loc: Sequence[str | int]) -> type[BaseModel] | None:
    """The class of the value at `loc`, past optional ones, lists and mappings."""
    inside = False  # the next part is a key of a mapping, or an index
    for part in loc:
        if inside:
            inside = False
            continue
        if kind is None:
            return None
        field = next((each for name, each in kind.model_fields.items() if part in (each.alias, name)), None)
        annotation = field.annotation if field is not None else None
        kind, outer = _class_in(annotation), get_origin(annotation)
        inside = isinstance(outer, type) and issubclass(outer, tuple | Mapping)
    return kind


def _class_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _class_in(each))), None)


def _known(kind: type[BaseModel] | None, loc: Sequence[str | int]) -> list[str]:
    owner = _inner(kind, loc[:-1])
    return sorted(field.alias or name for name, field in owner.model_fields.items()) if owner is not None else []


def _description(kind: type[BaseModel] | None, loc: Sequence[str | int]) -> str:
    owner = _inner(kind, loc[:-1])
    fields = owner.model_fields.items() if owner is not None else ()
    told = next((field.description for name, field in fields if loc[-1] in (field.alias, name)), None)
    first = (told or "it has no default").split(". ")[0].rstrip(".")
    return first[:1].lower() + first[1:]
