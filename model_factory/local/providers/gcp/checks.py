"""What can be said against an input before any call, beyond what Google's published model says."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from model_factory.graph.paths import parse, to_text
from model_factory.local.limits import at, load_limits
from model_factory.local.providers.errors import Failure
from model_factory.local.providers.gcp.session import Gcp
from model_factory.local.wire import Properties, Unknown, Value

Check = Callable[[Gcp, Properties], Iterable[Failure]]
LIMITS: Final = Path(__file__).with_name("limits.csv")
COMPUTE_NAME: Final = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
GKE_NAME: Final = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"
BUCKET_NAME: Final = r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"
ACCOUNT_ID: Final = r"[a-z][-a-z0-9]{4,28}[a-z0-9]"
REPOSITORY_ID: Final = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
MEMBER: Final = r"allUsers|allAuthenticatedUsers|(user|serviceAccount|group|domain|principal|principalSet|deleted:\w+|project(Owner|Editor|Viewer)):\S+"
ROLE: Final = r"roles/[\w.]+|(projects|organizations)/[^/]+/roles/[\w.]+"
LOCATION: Final = r"[a-z]+(-[a-z]+\d+(-[a-z])?)?"
LABEL_KEY: Final = r"[a-z][a-z0-9_-]{0,62}"
LABEL_VALUE: Final = r"[a-z0-9_-]{0,63}"


def pattern(path: str, expression: str, rule: str) -> Check:
    """The text must match; `rule` says how, for people."""

    def check(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        for where, value in at(inputs, parse(path)):
            if not re.fullmatch(expression, str(value)):
                yield Failure(to_text(where), f"is {value!r}; {rule}")

    return check


def limits(token: str) -> Check:
    """What stands in `limits.csv` about a type."""
    rules = load_limits(LIMITS).get(token, ())

    def check(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        for rule in rules:
            yield from (Failure(to_text(path), fault) for path, fault in rule.faults("Google", inputs))

    return check


def cidr(path: str, *, shortest: int = 0, longest: int = 32) -> Check:
    """An IPv4 range without host bits, with a prefix between two lengths."""

    def check(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        for where, value in at(inputs, parse(path)):
            try:
                network = ipaddress.ip_network(str(value))
            except ValueError as error:
                yield Failure(to_text(where), f"is {value!r}, which is no CIDR range: {error}")
                continue
            if network.version == 4 and not shortest <= network.prefixlen <= longest:
                yield Failure(to_text(where), f"is {value!r}; use a prefix from /{shortest} to /{longest}")

    return check


def at_most(low: str, high: str) -> Check:
    """A pair of numbers under one object: the first must not be above the second."""

    def check(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        lows, highs = list(at(inputs, parse(low))), list(at(inputs, parse(high)))
        for (where, least), (_, most) in zip(lows, highs, strict=False):
            if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
                yield Failure(
                    to_text(where), f"is {least}, above {high} {most}; give a minimum that is not above the maximum"
                )

    return check


def labels(path: str) -> Check:
    """Google's rules for label keys and values: https://cloud.google.com/resource-manager/docs/labels-overview#requirements"""

    def check(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        for where, found in at(inputs, parse(path)):
            for key, value in found.items() if isinstance(found, dict) else ():
                place = f"{to_text(where)}.{key}"
                if not re.fullmatch(LABEL_KEY, key):
                    yield Failure(
                        place, "is no label key: lowercase letters, digits, - and _, a letter first, at most 63"
                    )
                elif isinstance(value, str) and not re.fullmatch(LABEL_VALUE, value):
                    yield Failure(place, f"is {value!r}: lowercase letters, digits, - and _, at most 63")

    return check


def refuse(name: str, unless: Value, why: str) -> Check:
    """An input that the provider takes with one value only."""

    def check(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        value = inputs.get(name)
        if value is not None and value != unless and not isinstance(value, Unknown):
            yield Failure(name, f"is {value!r}; {why}")

    return check
