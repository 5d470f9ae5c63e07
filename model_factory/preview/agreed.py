"""What a preview would do, as a file that an `up` can be held to: it does that, or it stops before anything is changed.

Of each step it has a digest: of what is done to which resource, what changes of it, and of its inputs before and after. Values are not in
the file, and secrets not in the digests: whether one changes shows, not to what. The order of steps, times, what a cloud reports and names
that engines make up anew at each run count for nothing.

The program runs once more for the `up` itself, and may then say something else: `Bounds` holds that run to the preview that was compared.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from model_factory.graph.files import read_plain
from model_factory.graph.masking import UNKNOWN_TEXT
from model_factory.graph.names import told_apart
from model_factory.graph.urn import STACK_TYPE, name_of, type_of
from model_factory.graph.values import UNKNOWNS, listed, mapping
from model_factory.preview.events import LOGICAL_REPLACE, Report, Step
from model_factory.preview.wording import op_of, short_type

_MAX_BYTES: Final = 16 * 2**20
_SHOWN: Final = 10
_DEFAULTS: Final = "__defaults"
"""What a provider's SDK chose among the inputs: pulumi/pulumi-terraform-bridge, pkg/tfbridge/names.go and schema.go."""
# pulumi.com/docs/iac/concepts/resources/names/#autonaming: by default the logical name and 7 or 8 random digits.
_RANDOM: Final = re.compile(r"[-_]?(?=[a-z]*[0-9]|[a-f]+$)[0-9a-z]{6,16}$")
_TOKEN: Final = re.compile(r"[\w-]+")
_FLAGS: Final = ("retainOnDelete", "protect", "external")
_AUTONAMED: Final = "pulumi.com/autonamed"


class _Document(TypedDict):
    version: Literal[1]
    stack: str
    lock: str
    steps: dict[str, str]


_DOCUMENTS: Final = TypeAdapter(_Document)


class NotAgreedError(ValueError):
    """A file that holds no agreement."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`stack` is `project/stack`; `lock` the digest of where each model runs; `steps` the digest of each step by `operation urn`."""

    stack: str
    lock: str
    steps: Mapping[str, str]

    @classmethod
    def of(cls, report: Report, stack: str, lock: str) -> Agreement:
        """What a finished preview said; `lock` is the text of the plan lock."""
        # What a refresh found is no change to be made; what is to be done about it is a step of its own.
        found = {id(step) for (_, under), step in report.steps.items() if under == "refresh"}
        steps = [step for step in report.changed if step.type != STACK_TYPE and id(step) not in found]
        made_up = dict(name for step in steps for name in _made_up(step))
        return cls(stack, _digest(lock), {f"{step.op} {step.urn}": _of(step, made_up) for step in steps})

    @classmethod
    def read(cls, path: Path) -> Agreement:
        """Raises NotAgreedError."""
        try:
            found = _DOCUMENTS.validate_json(read_plain(path, _MAX_BYTES), strict=True, extra="forbid")
        except OSError as error:
            raise NotAgreedError(f"it cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise NotAgreedError(f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None
        return cls(found["stack"], found["lock"], found["steps"])

    @property
    def text(self) -> str:
        """The file."""
        document: _Document = {
            "version": 1,
            "stack": self.stack,
            "lock": self.lock,
            "steps": dict(sorted(self.steps.items())),
        }
        return json.dumps(document, indent=1) + "\n"

    def differing(self, now: Agreement) -> list[str]:
        """What is now not as it was agreed, a line each; empty where all is."""
        if self.stack != now.stack:
            return [f"it is of {self.stack}, and this is {now.stack}"]
        lines = [] if self.lock == now.lock else ["where the models run: the plan lock is another"]
        for title, keys in (
            ("new", now.steps.keys() - self.steps.keys()),
            ("gone", self.steps.keys() - now.steps.keys()),
            ("changed", {key for key in self.steps.keys() & now.steps.keys() if self.steps[key] != now.steps[key]}),
        ):
            lines += [f"{title}: {_told(key)}" for key in sorted(keys)[:_SHOWN]]
            if len(keys) > _SHOWN:
                lines.append(f"{title}: {len(keys) - _SHOWN} more")
        return lines


def without_made_up(value: Any, report: Report) -> Any:
    """Outputs of a preview: a text with a name in it that `up` would choose anew is not known yet."""
    made_up = {name for step in report.changed for name, _ in _made_up(step)}

    def known(each: Any) -> Any:
        if isinstance(each, str):
            return UNKNOWN_TEXT if any(name in each for name in made_up) else each
        if isinstance(each, Mapping):
            return {key: known(item) for key, item in cast("Mapping[str, Any]", each).items()}
        return [*map(known, cast("list[Any]", each))] if isinstance(each, list) else each

    return known(value)


def _told(key: str) -> str:
    op, _, urn = key.partition(" ")
    return f"{op_of(op).planned} {short_type(type_of(urn))} {name_of(urn)}"


class Bounds:
    """A finished preview, held against the steps of the `up` after it, each before it is carried out.

    A step is in bounds where the preview had it: the same done to the same object, no more of it changed than was foreseen, and its inputs
    those of the preview, wherever that knew them; what it knew not may come to anything. In place of a replacement an update will do. Not
    thread-safe: an engine asks from one thread.
    """

    def __init__(self, planned: Report) -> None:
        self._planned = planned
        self._made_before = dict(name for step in planned.steps.values() for name in _made_up(step))
        self._made_now: dict[str, str] = {}
        self.refused: list[str] = []
        """What was out of bounds, a line each."""

    def refusal(self, metadata: Mapping[str, Any]) -> str:
        """Why a step may not be carried out, by its metadata as events have it; empty where it may."""
        step = Report(self._planned.masker).add({"resourcePreEvent": {"metadata": metadata}})
        if not isinstance(step, Step) or not step.is_change or step.type == STACK_TYPE:
            return ""
        self._made_now.update(_made_up(step))
        steps = self._planned.steps
        planned = steps.get((step.urn, step.op)) or (
            steps.get((step.urn, LOGICAL_REPLACE)) if step.op == "update" else None
        )
        if planned is not None and self._holds(planned, step):
            return ""
        self.refused.append(f"{'new' if planned is None else 'changed'}: {_told(f'{step.op} {step.urn}')}")
        return f"not carried out, as it is not what was agreed to: {self.refused[-1]}"

    def _holds(self, planned: Step, now: Step) -> bool:
        foreseen, found = _plain(planned, self._made_before), _plain(now, self._made_now)
        return {*now.keys} <= {*planned.keys} and {*now.diffs} <= {*planned.diffs} and _admits(foreseen, found)


def _admits(foreseen: Any, found: Any) -> bool:
    """Whether a value is the one foreseen, as far as that was known."""
    if isinstance(foreseen, str) and foreseen in UNKNOWNS:
        return True
    if isinstance(foreseen, dict) and isinstance(found, dict):
        before, now = mapping(cast("object", foreseen)), mapping(cast("object", found))
        return before.keys() == now.keys() and all(_admits(before[key], now[key]) for key in before)
    if isinstance(foreseen, list) and isinstance(found, list):
        items, others = listed(cast("object", foreseen)), listed(cast("object", found))
        return len(items) == len(others) and all(map(_admits, items, others))
    return type(foreseen) is type(found) and foreseen == found


def _of(step: Step, made_up: Mapping[str, str]) -> str:
    kinds = {path: each.get("diffKind", each.get("kind")) for path, each in (step.detailed_diff or {}).items()}
    # A secret is one text before and after: that it changes stands here alone.
    changes = [sorted(step.keys), sorted(step.diffs), kinds]
    return _digest(json.dumps([changes, _plain(step, made_up)], sort_keys=True, ensure_ascii=False))


def _plain(step: Step, made_up: Mapping[str, str]) -> Any:
    """What its inputs were and will be, without made-up names; which object is replaced or deleted, and whether it outlives that."""
    old, new = step.old or {}, step.new or {}
    values = [
        old.get("id") or "",
        *([bool(state.get(flag)) for flag in _FLAGS] for state in (old, new)),
        old.get("inputs"),
        new.get("inputs"),
    ]
    derived = _derived(step, made_up) if _makes(step) else frozenset[str]()

    def stands_for(token: re.Match[str]) -> str:
        return f"<{step.name}>" if token[0] in derived else made_up.get(token[0], token[0])

    return _substituted(values, lambda text: _TOKEN.sub(stands_for, text))


def _substituted(value: Any, of: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return of(value)
    if isinstance(value, Mapping):
        return {of(str(key)): _substituted(inner, of) for key, inner in mapping(cast("object", value)).items()}
    return [_substituted(inner, of) for inner in listed(cast("object", value))] if isinstance(value, list) else value


def _derived(step: Step, made_up: Mapping[str, str]) -> frozenset[str]:
    """What a program may make of the step's name and a made-up one, as the handle of a volume of the name of its bucket and the options."""
    inputs = (step.new or {}).get("inputs")
    names = {token[0] for token in _TOKEN.finditer(json.dumps(inputs, ensure_ascii=False))} & made_up.keys()
    hashes = (told_apart(name, *more) for name in names for more in ((), *([each] for each in _lists(inputs))))
    return frozenset(f"{step.name}-{each}" for each in hashes)


def _lists(value: Any) -> Iterator[Sequence[Any]]:
    if isinstance(value, list):
        yield listed(cast("object", value))
    for inner in mapping(value).values() or listed(value):
        yield from _lists(inner)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _made_up(step: Step) -> Iterator[tuple[str, str]]:
    """The names of an object to be made that an engine or a provider invents at each run, each with what stands for it."""
    if not _makes(step):
        return
    inputs = mapping((step.new or {}).get("inputs"))
    metadata = mapping(inputs.get("metadata"))
    chosen = {str(key): inputs.get(str(key)) for key in listed(inputs.get(_DEFAULTS))}
    if mapping(metadata.get("annotations")).get(_AUTONAMED):
        chosen["metadata.name"] = metadata.get("name")
    for key, name in chosen.items():
        if isinstance(name, str) and (random := _RANDOM.search(name)):
            kept = name[: random.start()]
            # Where a name may not be as long, its end is cut.
            if kept and (step.name in kept or step.name.startswith(kept)):
                yield name, f"<{key} of {step.name}>"


def _makes(step: Step) -> bool:
    return step.op in {"create", "replace", "create-replacement"}
