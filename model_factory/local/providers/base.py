"""Pulumi providers in Python: what a resource type declares, and the generic provider over such declarations.

A type declares the calls of its cloud (`ResourceType`) and how the cloud treats a change (`Rules`). The provider does the
rest of Pulumi's protocol: auto-names, defaults, validation before any call, the detailed difference, previews with unknowns,
waiting, partial failure, drift. It keeps no state of its own.
"""

# ruff: noqa: ARG002 - the defaults of hooks ignore what overrides use
from __future__ import annotations

import importlib
import pkgutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

from model_factory.local.providers.diff import Change, is_same
from model_factory.local.providers.errors import CancelledError, Failure, NotFoundError, UnsupportedError, WaitError
from model_factory.local.providers.rules import Rules
from model_factory.local.wire import Properties, Value

S = TypeVar("S")
T = TypeVar("T")

FIRST_WAIT_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 10.0
VISIBLE_SECONDS: Final = 3.0
"""How long a cloud may take to show an object that it has made: its reads lag behind its writes."""
URN_TAG: Final = "local-provider:urn-digest"
"""The key of the tag by which an object is found again; see `Call.urn_digest`."""


@dataclass(slots=True)
class Call(Generic[S]):
    """One operation on one resource, as a type's functions see it. `cloud` holds the clients of the cloud."""

    cloud: S
    urn: str
    type: str
    name: str = ""
    deadline: float = float("inf")
    cancelled: threading.Event = field(default_factory=threading.Event)
    id: str = ""
    urn_digest: str = ""
    """The tag value under which an object without a unique name can be found again (create and find)."""
    known: frozenset[str] = frozenset()
    """Ids that the state has for this URN already (find): the old object of a replacement is no orphan."""

    def created(self, object_id: str) -> str:
        """Say that the object exists. A failure after this keeps the object: it is recorded as partly made."""
        self.id = object_id
        return object_id

    def wait(self, probe: Callable[[], T | None], *, what: str) -> T:
        """Ask `probe` until it answers, ever less often.

        Raises WaitError when the operation's time-out passes, CancelledError when the engine cancels.
        """
        pause = FIRST_WAIT_SECONDS
        while (answer := probe()) is None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise WaitError(f"{what}: not done within the time-out; raise customTimeouts if the cloud is slow")
            if self.cancelled.wait(min(pause, left)):
                raise CancelledError(f"{what}: cancelled while waiting")
            pause = min(pause * 1.5, LONGEST_WAIT_SECONDS)
        return answer

    def visible(self, look: Callable[[], T | None]) -> T | None:
        """What `look` finds of an object that was just made, or makes on top of one: while that is not there (None, NotFoundError),
        it is asked again for as long as clouds take to show one. Once `look` has made an object itself, its errors are final."""
        until, pause, known = time.monotonic() + VISIBLE_SECONDS, FIRST_WAIT_SECONDS, self.id
        while True:
            over = time.monotonic() >= until or self.cancelled.is_set()
            try:
                found = look()
            except NotFoundError:
                if over or self.id != known:
                    raise
                found = None
            if found is not None or over:
                return found
            self.cancelled.wait(pause)
            pause *= 2

    def wait_for_state(
        self, probe: Callable[[], str], *, what: str, ready: Iterable[str], failed: Iterable[str] = ()
    ) -> None:
        """`wait` for an object with states: until `probe` gives one of `ready`; WaitError on one of `failed`."""
        wanted, bad = frozenset(ready), frozenset(failed)

        def settled() -> bool | None:
            state = probe()
            if state in bad:
                raise WaitError(f"{what}: became {state}")
            return True if state in wanted else None

        self.wait(settled, what=what)


@dataclass(frozen=True, slots=True)
class Update:
    """What to bring about: `old` is the object as the cloud has it now, `old_inputs` what was asked before, `new` what
    is asked now. Secret marks, nulls and internal keys are taken off."""

    id: str
    old: Properties
    old_inputs: Properties
    new: Properties
    rules: Rules

    def changed(self, *names: str) -> bool:
        """Whether one of these properties must be set: it differs from the cloud's, or the program stopped giving it."""
        return any(self._differs(name) for name in names)

    def _differs(self, name: str) -> bool:
        if name in self.new:
            return not is_same((name,), self.old.get(name), self.new[name], self.rules)
        return name in self.old_inputs


def _no_failures(_cloud: object, _inputs: Properties) -> Iterable[Failure]:
    return ()


Transition = Callable[[Properties, Properties], Iterable[Failure]]


def any_change(_olds: Properties, _news: Properties) -> Iterable[Failure]:
    """The transition of types whose objects take every change, or are replaced by it."""
    return ()


Onward = Callable[[Properties, Properties, Properties], Iterable[Failure]]


def any_way(_state: Properties, _olds: Properties, _news: Properties) -> Iterable[Failure]:
    """The way on of types whose objects go from every state to every other."""
    return ()


def nothing_found(_call: Call[S], _inputs: Properties) -> str | None:
    return None


def ready_at_once(_call: Call[S], _object_id: str, _inputs: Properties) -> None:
    return None


def project(old_inputs: Properties, outputs: Properties, rules: Rules) -> Properties:
    """The inputs that the object now stands for: each property that was asked for, with the cloud's value.

    With no old inputs (an import or a `get`), all that the cloud does not compute itself.
    """
    if not old_inputs:
        return {key: value for key, value in outputs.items() if key not in rules.computed}
    inputs = {
        key: _project((key,), value, outputs[key], rules) if key in outputs else value
        for key, value in old_inputs.items()
    }
    inputs |= {key: outputs[key] for key in rules.owned if outputs.get(key) and key not in inputs}
    return inputs


def inputs_still_there(old_inputs: Properties, outputs: Properties, rules: Rules) -> Properties:
    """As `project`; what was asked for and the cloud has no longer is left out, so that it shows as drift."""
    inputs = project(old_inputs, outputs, rules)
    return {key: value for key, value in inputs.items() if key in outputs or not value}


def _project(path: tuple[str | int, ...], asked: Value, found: Value, rules: Rules) -> Value:
    if is_same(path, asked, found, rules) or (found is None and not asked):
        return asked
    if isinstance(asked, dict) and isinstance(found, dict):
        # A map (tags) is reported whole; of an object only what was asked for, as the cloud fills in the rest.
        kept = {key: _project((*path, key), value, found.get(key), rules) for key, value in asked.items()}
        whole = path[0] in rules.owned
        return {key: value for key, value in ({**found, **kept} if whole else kept).items() if value is not None}
    if isinstance(asked, list) and isinstance(found, list) and len(asked) == len(found):
        pairs = enumerate(zip(asked, found, strict=True))
        return [_project((*path, index), old, new, rules) for index, (old, new) in pairs]
    return found


# No slots: `ResourceType[Session](…)` sets an attribute, which a frozen generic class with slots cannot take.
@dataclass(frozen=True)
class ResourceType(Generic[S]):
    """A resource type: the calls of its life, and the rules of its changes.

    All functions get plain properties (no marks, nulls, or internal keys) and raise ProviderError.

    create: make the object and answer its id at once; `call.created(id)` where further calls follow.
    ready: wait until the object can be used; after create and update. A WaitError there is a partial failure: the object
        is recorded, and the next run takes up with `update`.
    read: the object as the cloud has it, in Pulumi's property names, inputs included; None when it is gone.
    update: bring it about; answers the id where the cloud changed it. None: every change replaces.
    delete: start the deletion. NotFoundError counts as done. The provider then waits until `read` gives None, unless the
        answer is False: something is meant to stay behind (`skipDestroy`).
    find: the id of the object that a create with these inputs left behind when it was killed or its answer was lost, if it did.
    repeatable: a second create with these inputs makes no second object, since the cloud refuses its name or sets the same again.
    check: what is wrong with the inputs, without a call; unknown values pass.
    transition: what is wrong with new inputs for an object that has old ones and stays (old, new); without a call, unknown values pass.
    onward: what is wrong with new inputs for an object in such a state (outputs, old inputs, new inputs): what a cloud did to it by itself is there.
        Asked in a preview too, where what is not known passes; without a call.
    refine: change the computed difference (conditional rules); gets old and new inputs.
    inputs_of: the inputs an object stands for, given the old inputs and the outputs (Read).
    """

    token: str
    create: Callable[[Call[S], Properties], str]
    read: Callable[[Call[S], str, Properties], Properties | None]
    delete: Callable[[Call[S], str, Properties], bool | None]
    update: Callable[[Call[S], Update], str | None] | None = None
    ready: Callable[[Call[S], str, Properties], None] = ready_at_once
    find: Callable[[Call[S], Properties], str | None] = nothing_found
    repeatable: bool = False
    check: Callable[[S, Properties], Iterable[Failure]] = _no_failures
    transition: Transition = any_change
    onward: Onward = any_way
    refine: Callable[[Properties, Properties, list[Change]], list[Change]] | None = None
    inputs_of: Callable[[Properties, Properties, Rules], Properties] = project
    rules: Rules = field(default_factory=Rules)


Function = Callable[[S, Properties], Properties]
"""An invoke: arguments → result. Raises ProviderError."""


def types_in(package: ModuleType) -> dict[str, ResourceType[Any]]:
    """All types that the modules of a package declare in `TYPES`, by token: a new module needs no other mention."""
    names = [f"{package.__name__}.{found.name}" for found in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(name) for name in names]
    return {declared.token: declared for module in modules for declared in getattr(module, "TYPES", ())}


class Registry(ABC, Generic[S]):
    """What a concrete provider supplies. `model_factory.local.providers.provider.Provider` does the protocol over it."""

    name: str
    version: str
    types: Mapping[str, ResourceType[S]] = {}
    functions: Mapping[str, Function[S]] = {}

    def resource_type(self, token: str) -> ResourceType[S]:
        """The declaration of a type; UnsupportedError, naming it, where there is none."""
        return self._declared(self.types, token)

    def function(self, token: str) -> Function[S]:
        """The declaration of a function; UnsupportedError, naming it, where there is none."""
        return self._declared(self.functions, token)

    def _declared(self, declarations: Mapping[str, T], token: str) -> T:
        if token not in declarations:
            raise UnsupportedError(
                f"the local {self.name} provider does not implement {token}; use the Pulumi CLI with Pulumi's own plugin for it"
            )
        return declarations[token]

    @abstractmethod
    def configure(self, config: Properties) -> S:
        """Clients for the provider's configuration. ConfigurationError where it is wrong or leads outside loopback."""

    def check_config(self, config: Properties) -> Iterable[Failure]:
        """What is wrong with the provider's configuration."""
        return ()

    def session(self, cloud: S, inputs: Mapping[str, Value]) -> S:
        """The clients for one resource (its region); by default the provider's own."""
        return cloud

    def prepare(self, cloud: S, declared: ResourceType[S], inputs: Properties) -> None:
        """Complete checked inputs from the provider's configuration (region, default tags); in place."""
