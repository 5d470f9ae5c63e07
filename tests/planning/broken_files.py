"""Files that somebody could hand over: a right one, damaged in ways that people, editors, merges and attackers damage them. A number gives
always the same file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Damage = Callable[[Random, str], str]

NUMBERS = (
    "0", "-1", "02", "1_000", "0x10", "0o7", "1e308", "1e-300", "1e999", ".inf", "-.inf", ".nan", "-0.0", "6.5", "00", "1:30", "9" * 29,
    "9" * 400, "0x" + "f" * 5000, "0." + "0" * 400 + "1", "1000000000000", "٣", "!!int x", "!!float 3", "6GB", "16Gi", "500m", "2.0",
)  # fmt: skip
TEXTS = (
    '""', '" "', "~", "null", "yes", "true", "!!str 5", '"\\e[31mred\\e[0m"', '"a\\0b"', '"\\n"', '"\\u202e"', '"\\ud800"', "a" * 2_000, "'" + "a/" * 600 + "'",
    "../../etc/passwd", "'{\"a\": 1}'", "'" + "[" * 5_000 + "]" * 5_000 + "'", "'" + '{"a":' * 900 + "1" + "}" * 900 + "'", "'{{{'", "$(id)", "http://127.0.0.1:4610",
    "http://evil.example\\\\@127.0.0.1:1", "us-east-1", "aws", "gcp", "AKIAIOSFODNN7EXAMPLE", "10.0.0.0/8", "999.1.1.1/99", "1.35", '"1.35"', "l4", "g6.xlarge",
    "hf://a/b", "s3://a/b", "!x 1", "!!binary aGk=", "!!python/object/apply:os.system [ls]", "*nowhere", "&here 1", "2026-01-02", "<<", "%", "@", "`",
)  # fmt: skip
SHAPES = (
    "[]", "{}", "[[]]", "[~]", "[1, a, {}]", "{a: b}", "{min: 1, max: 2}", "{min: 3, max: 1}", "{secure: v1:abc}", "{secure: [1]}", "[{secure: v1:abc}]", "{? [a] : b}",
    "[" * 500 + "]" * 500, "{a: " * 60 + "1" + "}" * 60, "&x [*x]", "&x {<<: *x}", "&x {a: *x}", "{<<: 5}", "{<<: [{a: 1}, 2]}", "[" + "a, " * 3_000 + "]",
    "{" + ", ".join(f"k{number}: {number}" for number in range(3_000)) + "}", "[us-east-1, us-east-1]", "[spot, spot, reserved]", "{aws/us-east-1: {min: 1, max: 1}}",
    "{" + ", ".join(f"x{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 9) if level else 1}]" for level in range(9)) + "}",
    "{" + ", ".join(f"x{level}: &x{level} {{<<: [{', '.join([f'*x{level - 1}'] * 9)}]}}" if level else "x0: &x0 {k: 1}" for level in range(9)) + "}",
    "{regions: 2}", "{clouds: 9}", "{data: {eu: [eu-west-1]}}", "{usdPerMonth: 1}", "[{name: a, zone: b, machineType: c, machines: 1}]",
)  # fmt: skip
_KEY = re.compile(r"(?P<head> *(- )?[\w:/-]{1,60}:(?= |$)| *-(?= ))( (?P<number>[0-9.]+)$)?")
SIGNS = "{}[]:,&*!|>%@`\"'#-?\t\n \\\0\x1b\x85\u202e\ufeff<~0aé"


def damaged(number: int, right: str) -> str:
    """The file of this number, made of a right one by one to four damages."""
    order = Random(number)  # noqa: S311 - not for secrets
    text = right
    for _ in range(order.choice((1, 1, 1, 2, 2, 3, 4))):
        text = order.choice(DAMAGES)(order, text)
    return text


def _other_value(order: Random, text: str) -> str:
    """Puts another value at some key or item."""
    return _at_some_key(order, text, lambda head, _: [f"{head} {_value(order)}"])


def _other_number(order: Random, text: str) -> str:
    """Puts another number where one is."""
    return _at_some_key(order, text, lambda head, _: [f"{head} {order.choice(NUMBERS)}"], "number")


def _no_key(order: Random, text: str) -> str:
    return _at_some_key(order, text, lambda _, __: [])


def _further_key(order: Random, text: str) -> str:
    """Puts a key beside some key: one that is known elsewhere, or nowhere, or there already."""

    def add(head: str, block: list[str]) -> list[str]:
        known = re.findall(r"[A-Za-z:-]+(?=:)", text) or ["a"]
        key = order.choice(
            (order.choice(known), "spot", "regions", "a:b", "model-factory:rules", "k" * 300, "<<", "? [a]\n")
        )
        indent = head[: len(head) - len(head.lstrip(" -"))].replace("-", " ")
        return [*block, f"{indent}{key}: {_value(order)}"]

    return _at_some_key(order, text, add)


def _lines(order: Random, text: str) -> str:
    """Takes lines out, doubles or swaps them, or moves them in and out: what a bad merge leaves."""
    lines = text.splitlines(keepends=True) or [""]
    at = order.randrange(len(lines))
    some = slice(at, at + order.choice((1, 1, 2, 5)))
    match order.randrange(5):
        case 0:
            lines[some] = []
        case 1:
            lines[some] = lines[some] * order.choice((2, 2, 50))
        case 2:
            lines[some] = reversed(lines[some])
        case 3:
            lines[some] = [f"  {line}" for line in lines[some]]
        case _:
            lines[some] = [line.removeprefix("  ") for line in lines[some]]
    return "".join(lines)


def _signs(order: Random, text: str) -> str:
    """Writes, overwrites or takes out a few characters."""
    for _ in range(order.choice((1, 1, 2, 8))):
        at = order.randrange(len(text) + 1)
        text = text[:at] + order.choice(("", *SIGNS)) + text[at + order.randrange(2) :]
    return text


def _cut(order: Random, text: str) -> str:
    return text[: order.randrange(len(text) + 1)]


def _conflict(order: Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    at = order.randrange(len(lines) + 1)
    return "".join([*lines[:at], "<<<<<<< ours\n", *lines[at : at + 1], "=======\n>>>>>>> theirs\n", *lines[at:]])


DAMAGES: tuple[Damage, ...] = (
    *(_other_value,) * 5, *(_other_number,) * 3, _no_key, *(_further_key,) * 2, *(_lines,) * 2, *(_signs,) * 2, _cut, _conflict,
)  # fmt: skip


def _value(order: Random) -> str:
    return order.choice(order.choice((NUMBERS, TEXTS, SHAPES)))


def _at_some_key(order: Random, text: str, change: Callable[[str, list[str]], list[str]], what: str = "head") -> str:
    """The file with what `change(head, lines)` makes of the lines of one key, `head` being the first up to its colon or dash."""
    lines = text.split("\n")
    there = [number for number, line in enumerate(lines) if (found := _KEY.match(line)) and found[what]]
    if not there:
        return text
    at = order.choice(there)
    head = _KEY.match(lines[at])["head"]  # type: ignore[index]
    indent = len(head) - len(head.lstrip(" "))
    end = next(
        (n for n in range(at + 1, len(lines)) if len(lines[n]) - len(lines[n].lstrip(" ")) <= indent), len(lines)
    )
    return "\n".join([*lines[:at], *change(head, lines[at:end]), *lines[end:]])
