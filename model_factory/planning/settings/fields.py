"""The field types of a stack file: each checks one value and says what to write instead.

A check raises `PydanticCustomError` whose text is `what is wrong; what to do`, without the key and without file and line: those are
added where the error is reported. Checks that need two keys stand beside their section.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, LiteralString

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from model_factory.graph import quantity
from model_factory.planning.settings.problems import show

DNS_LABEL: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
"""Of names that resources are named after. DNS takes several hyphens side by side; repositories of ECR do not:
https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-create.html"""
PROJECT_ID: Final = r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$"
"""https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects"""
MODEL_NAME_MAX: Final = 40
"""Pods are named `<model>-<replica set>-<pod>` (17 more characters), and Kubernetes and the clouds stop at 63."""

_LABEL: Final = r"^[a-z]([a-z0-9_-]{0,61}[a-z0-9])?$"
_LABEL_VALUE: Final = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"
FOLDER: Final = r"[A-Za-z0-9_][A-Za-z0-9_.=-]*"
"""A folder of a bucket. S3 and Cloud Storage take more, but its name stands in IAM policies, where * and ${} stand for others', and in
options of mounts, which end at a comma or a space; and no .. leads out of it."""
_REVISION: Final = rf"^{FOLDER}$"
_REVISION_MAX: Final = 200
_HOST: Final = r"[a-z0-9]+(-+[a-z0-9]+)*(\.[a-z0-9]+(-+[a-z0-9]+)*)*(:(?P<port>[0-9]{1,5}))?"
_PART: Final = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
_IMAGE: Final = (
    rf"^(?P<name>({_HOST}/)?{_PART}(/{_PART})*)(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?@sha256:[0-9a-f]{{64}}$"
)
"""https://pkg.go.dev/github.com/distribution/reference"""
_IMAGE_SCHEMA: Final = re.sub(r"\?P<\w+>", "", _IMAGE)
"""ECMA's expressions have names of another form."""
_IMAGE_NAME_MAX: Final = 255
_PORT_MAX: Final = 65_535
_QUANTITY: Final = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,3}|m)?$"
"""No finer than a thousandth of a core:
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#meaning-of-cpu"""
_CORES_MAX: Final = 10_000
_EXACT_MAX: Final = 10**15
"""Whole numbers below it are exact as floats."""
_MEMORY_WITH_UNIT: Final = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmMgGtT])(i?)[bB]?\s*$")
_PRIVATE: Final = tuple(
    ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_NOBODYS: Final = tuple(
    ipaddress.IPv4Network(block) for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
)
"""Nobody calls from these: https://www.iana.org/assignments/iana-ipv4-special-registry"""
_SHARES: Final = (
    (r"mig\b|[1-9]g\.[0-9]+gb", "MIG"),
    (r"time-?slic|gpu\.shared", "time-slicing"),
    (r"mps\b", "MPS"),
)
_RESERVED_LABELS: Final = frozenset({"environment", "managed-by", "model", "stack"})


def refuse(kind: LiteralString, message: str) -> PydanticCustomError:
    """An error with `message` taken literally: braces in a user's value are not placeholders."""
    return PydanticCustomError(kind, "{text}", {"text": message})


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        shown = show(value)
        hint = _number_in(value)
        raise refuse(
            "number",
            f"{shown} is not a number{f'; write {hint}' if hint else '; write digits, without a unit'}",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise refuse("finite", f"{value} is not a finite number; write the amount needed")
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)


def _number_in(value: object) -> str:
    """`16GB` → `16`, when the text is a number with a unit: a help, the value is refused all the same."""
    found = _MEMORY_WITH_UNIT.match(value) if isinstance(value, str) else None
    if found is None:
        return ""
    amount, unit, binary = Decimal(found[1]), found[2].lower(), found[3]
    power = {"k": 1, "m": 2, "g": 3, "t": 4}[unit]
    gib = amount * (Decimal(1024) ** power if binary else Decimal(1000) ** power) / Decimal(1024) ** 3
    exact = f"{gib.quantize(Decimal('0.1')).normalize():f}"
    return f"{exact} (GiB are the unit already)"


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        shown = show(value)
        whole = f"; write {math.ceil(value)}" if isinstance(value, float) and 0 <= value < _EXACT_MAX else ""
        raise refuse("whole", f"{shown} is not a whole number{whole or '; write digits only'}")
    return value


def _whole_gpus(value: object) -> object:
    """Refuses parts of a GPU by the name under which they are asked for."""
    share = f"{value}".lower().removeprefix("nvidia.com/")
    kind = next((kind for pattern, kind in _SHARES if isinstance(value, str) and re.match(pattern, share)), "")
    if not kind and isinstance(value, float) and 0 < value < 1:
        kind = "sharing a GPU (MIG, time-slicing, MPS)"
    if kind:
        raise refuse("share", f"{show(value)}: {kind} is not planned yet; write whole GPUs, as 1")
    return value


def _text(value: object, most: int = 1_000) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise refuse("text", "it is empty; write a value")
    if not isinstance(value, str):
        raise refuse("text", f"{show(value)} is not text; put it in quotes")
    if len(value) > most:
        raise refuse("text", f"has {len(value):,} characters; write {most:,} at most")
    if not value.isprintable():
        raise refuse("text", f"{show(value)} has characters that are not printed, such as line breaks; remove them")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise refuse("boolean", f"{show(value)} is neither true nor false; write true or false")


def _cpu(value: object) -> str:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(_QUANTITY, text) or not quantity.amount(text):
        raise refuse(
            "cpu",
            f'{show(value)} is not an amount of CPU; write cores as 4 or "0.5", or millicores as "500m"',
        )
    if quantity.amount(text) > _CORES_MAX:
        raise refuse("cpu", f"{show(value)} is above {_CORES_MAX:,} cores; write less")
    return text


def is_image(value: str) -> bool:
    """Is it an image by its digest, in a form that container runtimes take?"""
    found = re.fullmatch(_IMAGE, value)
    return found is not None and len(found["name"]) <= _IMAGE_NAME_MAX and 0 <= int(found["port"] or 1) - 1 < _PORT_MAX


def _image(value: str) -> str:
    if is_image(value):
        return value
    name, _, digest = value.partition("@")
    tag = name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""
    if digest:
        raise refuse("image", f"{value!r} is not name@sha256:<64 hex digits>; copy name and digest from the registry")
    if tag == "latest" or not tag:
        raise refuse(
            "image",
            f"{value!r} changes under a running model ({tag or 'no tag'}, no digest); pin it as name@sha256:<64 hex digits>",
        )
    raise refuse("image", f"{value!r} has no digest, and a tag can move; pin it as {name}@sha256:<64 hex digits>")


def _revision(value: str) -> str:
    if not re.fullmatch(_REVISION, value):
        rule = "letters, digits and _ - . =, from a letter, a digit or _ on"
        raise refuse("revision", f"{value!r} is not a commit or the name of one folder ({rule}); write it as v1")
    return value


def _label_key(value: str) -> str:
    if not re.fullmatch(_LABEL, value):
        nearest = re.sub(r"[^a-z0-9_-]+", "-", value.lower()).strip("-_0123456789")[:63]
        raise refuse(
            "label",
            f"label name {value!r}: 1 to 63 of a-z, 0-9, - and _, from a letter on{f'; write {nearest}' if nearest else ''}",
        )
    if value in _RESERVED_LABELS:
        raise refuse("label", f"label {value!r} is set by the stack itself; choose another name")
    return value


def _label_value(value: str) -> str:
    if not re.fullmatch(_LABEL_VALUE, value):
        nearest = re.sub(r"[^a-z0-9_-]+", "-", value.lower()).strip("-_")[:63]
        raise refuse(
            "label",
            f"label value {value!r}: 1 to 63 of a-z, 0-9, - and _ (all clouds take these){f'; write {nearest}' if nearest else ''}",
        )
    return value


def _cidr(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as broken:
        try:
            nearest = (
                str(ipaddress.IPv4Network(value, strict=False))
                if "/" in value
                else f"{ipaddress.IPv4Address(value)}/32"
            )
        except ValueError:
            raise refuse("cidr", f"{value!r} is not an IPv4 range ({broken}); write it as 10.0.0.0/16") from broken
        raise refuse(
            "cidr",
            f"{value!r} is not an IPv4 range: bits are set beyond the prefix, or it has none; write {nearest}",
        ) from broken
    return str(network)


def is_private(cidr: str) -> bool:
    """Does the range lie in one that the internet does not route?"""
    return any(ipaddress.IPv4Network(cidr).subnet_of(home) for home in _PRIVATE)


def _private_cidr(value: str) -> str:
    if not is_private(_cidr(value)):
        raise refuse("cidr", f"{value} is not private; take it from {', '.join(map(str, _PRIVATE))}")
    return _cidr(value)


def _allowed_cidr(value: str) -> str:
    if ipaddress.IPv4Network(_cidr(value)).prefixlen < 8:
        raise refuse(
            "cidr",
            f"{value} opens the control plane to the world; list the ranges of your offices and runners",
        )
    if any(ipaddress.IPv4Network(value).subnet_of(each) for each in _NOBODYS):
        raise refuse("cidr", f"{value} is a range that nobody calls from; list those of your offices and runners")
    return _cidr(value)


def public(value: str) -> str:
    """A range that calls come from over the internet."""
    if is_private(value):
        raise refuse(
            "cidr",
            f"{value} is private, and these ranges call over the internet; list public ones, or remove it: the network "
            "reaches the private endpoint without",
        )
    return value


def sized(least: int, most: int, use: str) -> AfterValidator:
    """A range between /least (large) and /most (small), with what it is used for."""

    def check(value: str) -> str:
        prefix = ipaddress.IPv4Network(value).prefixlen
        if not least <= prefix <= most:
            rule = f"use /{least}" if least == most else f"use /{least} to /{most}"
            size = "small" if prefix > most else "large"
            raise refuse("cidr", f"{value} is too {size}: {rule} so {use}")
        return value

    return AfterValidator(check)


def _project_id(value: str) -> str:
    if not re.fullmatch(PROJECT_ID, value):
        raise refuse(
            "project",
            f"{value!r} is not a Google Cloud project id: 6 to 30 of a-z, 0-9 and -, from a letter on",
        )
    return value


def _text_schema(most: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": 1, "maxLength": most})


Text = Annotated[str, BeforeValidator(_text), _text_schema(1_000)]
Argument = Annotated[str, BeforeValidator(lambda value: _text(value, 10_000)), _text_schema(10_000)]
"""Of a command line: some servers take whole templates so."""
MANY: Final = Field(max_length=100)
"""Stands behind lists and mappings: `Annotated[tuple[Text, ...], MANY]`."""
LABELS: Final = Field(max_length=20)
"""The stack's and a model's are on one resource, and AWS takes 50 there with those of the stack itself:
https://docs.aws.amazon.com/tag-editor/latest/userguide/reference.html#tag-restrictions"""
Flag = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema({"type": "boolean"})]
WHOLE_GPUS: Final = BeforeValidator(_whole_gpus)
"""Stands behind the bounds: `Annotated[int, Within(1, 16), WHOLE_GPUS]`."""
Cpu = Annotated[
    str,
    BeforeValidator(_cpu),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _QUANTITY}, {"type": "number", "exclusiveMinimum": 0}]}),
]
Image = Annotated[
    str, BeforeValidator(_text), AfterValidator(_image), WithJsonSchema({"type": "string", "pattern": _IMAGE_SCHEMA})
]
Revision = Annotated[
    str,
    BeforeValidator(lambda value: _text(value, _REVISION_MAX)),
    AfterValidator(_revision),
    WithJsonSchema({"type": "string", "pattern": _REVISION, "maxLength": _REVISION_MAX}),
]
LabelKey = Annotated[
    str,
    BeforeValidator(_text),
    AfterValidator(_label_key),
    WithJsonSchema({"type": "string", "pattern": _LABEL}),
]
LabelValue = Annotated[
    str,
    BeforeValidator(_text),
    AfterValidator(_label_value),
    WithJsonSchema({"type": "string", "pattern": _LABEL_VALUE}),
]
_CIDR_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$"})
PrivateCidr = Annotated[str, BeforeValidator(_text), AfterValidator(_private_cidr), _CIDR_SCHEMA]
AllowedCidr = Annotated[str, BeforeValidator(_text), AfterValidator(_allowed_cidr), _CIDR_SCHEMA]
ProjectId = Annotated[str, BeforeValidator(_text), AfterValidator(_project_id)]


@dataclass(frozen=True, slots=True)
class Between:
    """A number from `least` to `most`, both included, whose unit stands in the key: `Annotated[Decimal, Between("0.01", "100")]`."""

    least: str
    most: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "number", "minimum": float(self.least), "maximum": float(self.most)}

    def check(self, value: object) -> Decimal:
        """`value` as it is, or the reason against it."""
        number = _number(value)
        if not Decimal(self.least) <= number <= Decimal(self.most):
            raise refuse("range", f"{show(value)} is outside {self.least} to {self.most}; write a number between them")
        return number


@dataclass(frozen=True, slots=True)
class Within:
    """A whole number from `least` to `most`, both included: `Annotated[int, Within(0, 10)]`."""

    least: int
    most: int
    why: str = ""
    """The reason for `least`, if it is not plain."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def check(self, value: object) -> int:
        """`value` as it is, or the reason against it."""
        number = _integer(value)
        if not self.least <= number <= self.most:
            reason = f" ({self.why})" if self.why and number < self.least else ""
            text = f"{show(number)} is outside {self.least} to {self.most}{reason}; write a number between them"
            raise refuse("range", text)
        return number


@dataclass(frozen=True, slots=True)
class Among:
    """A whole number out of a closed list: `Annotated[int, Among((1, 3, 5))]`."""

    allowed: tuple[int, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "integer", "enum": list(self.allowed)}

    def check(self, value: object) -> int:
        """`value` as it is, or the reason against it."""
        number = _integer(value)
        if number not in self.allowed:
            nearest = min(self.allowed, key=lambda known: (abs(known - number), known))
            raise refuse("choice", f"{show(number)} is not one of {', '.join(map(str, self.allowed))}; write {nearest}")
        return number
