"""What a preview would do, as a file that an `up` can be held to: it does that, or it stops before anything is changed.

Of each step it has a digest: of what is done to which resource, and of its inputs before and after. Values are not in the file, and secrets
not in the digests: whether one changes shows, not to what. The order of steps, times, what a cloud reports and names that engines make up
anew at each run count for nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from model_factory.graph.files import read_plain
from model_factory.graph.masking import UNKNOWN_TEXT
from model_factory.graph.urn import STACK_TYPE, name_of, type_of
from model_factory.graph.values import listed, mapping
from model_factory.preview.events import Report, Step
from model_factory.preview.wording import op_of, short_type

_MAX_BYTES: Final = 16 * 2**20
_SHOWN: Final = 10
_DEFAULTS: Final = "__defaults"
"""What a provider's SDK chose among the inputs: pulumi/pulumi-terraform-bridge, pkg/tfbridge/names.go and schema.go."""
# pulumi.com/docs/iac/concepts/resources/names/#autonaming: by default the logical name and 7 or 8 random digits.
_RANDOM: Final = re.compile(r"[-_]?(?=[a-z]*[0-9]|[a-f]+$)[0-9a-z]{6,16}$")
_TOKEN: Final = re.compile(r"[\w-]+")
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


def _of(step: Step, made_up: Mapping[str, str]) -> str:
    """An update by what its inputs were and will be; the id tells which object is replaced or deleted."""
    old, new = step.old or {}, step.new or {}
    text = json.dumps(
        [old.get("id"), sorted(step.keys), old.get("inputs"), new.get("inputs")], sort_keys=True, ensure_ascii=False
    )
    made = _makes(step)

    def stands_for(token: re.Match[str]) -> str:
        if token[0] in made_up:
            return made_up[token[0]]
        # What the program derives from such a name, as the handle of a volume from that of its bucket.
        derived = made and token[0].startswith(f"{step.name}-") and _RANDOM.fullmatch(token[0][len(step.name) :])
        return f"<{step.name}>" if derived else token[0]

    return _digest(_TOKEN.sub(stands_for, text))


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
