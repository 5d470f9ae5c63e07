"""What an engine is asked to do, and over what: plain values that are handed on whole.

`Request` comes from the command line and goes to either engine. `Program` is the stack's own, which the local engine runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Operation = Literal["preview", "up", "refresh", "destroy"]

DEFAULT_PARALLEL: Final = 16


@dataclass(frozen=True, slots=True)
class PackSource:
    """A policy pack's folder, with PulumiPolicy.yaml and __main__.py, and the file that configures it, if any."""

    folder: Path
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An operation, and how it is done.

    `parallel` bounds provider calls under way. `refresh` looks for drift first. `preview_only` makes refresh and destroy show
    what they would do. `policy_packs` judge what a preview or an `up` would make; refresh and destroy do not ask them. `plan` is a file in
    which the Pulumi CLI keeps what a preview planned, and from which it takes all that an `up` may do. The local engine asks `refusal` of each
    step, by its metadata as events have it, before it carries it out: a text is why it may not, and ends the run.
    """

    operation: Operation
    parallel: int = DEFAULT_PARALLEL
    refresh: bool = False
    continue_on_error: bool = False
    preview_only: bool = False
    policy_packs: tuple[PackSource, ...] = ()
    plan: Path | None = None
    refusal: Callable[[Mapping[str, Any]], str] | None = None

    @property
    def previews(self) -> bool:
        """Whether nothing is changed."""
        return self.operation == "preview" or self.preview_only

    @property
    def judges(self) -> bool:
        """Whether policy packs are asked."""
        return bool(self.policy_packs) and self.operation in ("preview", "up")


@dataclass(frozen=True, slots=True)
class Program:
    """The program of one stack: the folder `root`, which holds `__main__.py`, or `in_process`, on a thread of this process.

    `config` has keys "namespace:name" and text values, structured ones as JSON, secrets decrypted; `secret_keys` names the secret
    ones. `env` is added to the environment of a child process.
    """

    project: str
    stack: str
    root: Path
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    secret_keys: frozenset[str] = frozenset()
    organization: str = "organization"
    in_process: Callable[[], None] | None = None
    python: Path = Path(sys.executable)
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def secrets(self) -> list[str]:
        """The secret texts of the configuration."""
        return [text for key, text in self.config.items() if key in self.secret_keys]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A request and the program that it is about."""

    request: Request
    program: Program
