"""The rules for the arguments that a model adds to its server's command line: none may undo what the stack sets, or end the server."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Final

from model_factory.graph.masking import is_secret_name
from model_factory.planning.settings.problems import show
from model_factory.planning.settings.serving import RuntimeRules

_ENDING: Final = ("--help", "-h", "--version")


def check_arguments(args: Sequence[str], gpus: int, runtime: RuntimeRules) -> Iterator[tuple[int, str]]:
    """What is wrong with the arguments of a server that has so many GPUs: the index and the message."""
    # A word behind a flag may be its value, or one of several; behind a flag with = it is none.
    after_value = True
    for index, (argument, following) in enumerate(zip(args, [*args[1:], ""], strict=False)):
        words = argument.strip()
        flag, joined, value = words.partition("=")
        if refused := _flag(argument, runtime) or _value(flag, value if joined else following, gpus, runtime):
            yield index, refused
        elif after_value and not words.startswith("-"):
            yield (
                index,
                f"{show(argument)} belongs to no flag, and {runtime.title} takes none without; write --flag=value, or remove it",
            )
        elif joined and words.startswith("-") and not runtime.joined_values:
            yield index, f"{runtime.title} takes no value behind a =; write {flag} and {show(value)} as two arguments"
        after_value = bool(joined) if words.startswith("-") else after_value


def share_of(text: str) -> Decimal | None:
    """The share of a whole that a text says, above 0 and at most 1; None where it says another number or none."""
    share = Decimal(text) if re.fullmatch(r"(0?\.\d{1,6}|1(\.0{1,6})?)", text, re.ASCII) else Decimal(0)
    return share or None


def _meant(flag: str, known: Collection[str]) -> str:
    """The one of the known flags that a flag is taken for; empty for none."""
    # Servers take - and _ alike. Python's also take the beginning of a long flag for all of it:
    # docs.python.org/3/library/argparse.html#prefix-matching
    name = flag.replace("_", "-")
    found = next((each for each in sorted(known) if each.startswith(name)), "")
    return found if found == name or (found and name.startswith("--")) else ""


def _flag(argument: str, runtime: RuntimeRules) -> str:
    """What is wrong with a flag, whatever its value; empty for nothing."""
    flag = re.split(r"[=\s]", argument.strip(), maxsplit=1)[0]
    if owned := _meant(flag, runtime.owned_flags):
        same = owned == flag.replace("_", "-")
        meant = flag if same else f"{owned}, which {flag} is short for,"
        return f"the stack sets {meant} for {runtime.title} itself, from this model's other settings; remove it"
    if refused := _meant(flag, runtime.refused_flags):
        return f"{refused} {runtime.refused_flags[refused]}; remove it"
    if _meant(flag, _ENDING):
        return f"{runtime.title} ends with {flag}; remove it"
    if (flag.startswith("-") or "=" in argument) and is_secret_name(flag.lstrip("-")):
        return (
            f"the value of {flag} would stand in plain text in the stack file, the state and the Pod, and servers can be given none otherwise yet; "
            "remove it: callers are let in by namespace, and gated weights can be copied into bucket://path"
        )
    words, gap, value = argument.strip().partition(" ")
    if flag.startswith("-") and (argument != argument.strip() or (gap and "=" not in words)):
        told = f"{words}={value.lstrip(' =')}" if value else words
        return f"{show(argument)} is one argument with a space in it, which {runtime.title} takes for one name; write {show(told)}"
    return ""


def _value(flag: str, value: str, gpus: int, runtime: RuntimeRules) -> str:
    """What is wrong with the value of a flag; empty for nothing."""
    if share := _meant(flag, runtime.share_flags):
        rule = "a part of the memory of a GPU, above 0 and at most 1"
        return "" if share_of(value) else f"{show(value)} is not {rule}; write it as {share}=0.9"
    if parts := _meant(flag, runtime.parts_flags):
        number = int(value) if value.isascii() and value.isdecimal() and len(value) < 5 else 0
        if not number or gpus % number:
            return f"{show(value)} does not divide the {gpus} GPUs of a replica among whom {parts} shares out; write {parts}={gpus}"
    return ""
