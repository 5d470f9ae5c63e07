"""Which policy packs an operation asks: those named on the command line, or the project's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from model_factory.cli.errors import BadInputError
from model_factory.cli.session import Session
from model_factory.local.engine.request import PackSource

_MANIFEST: Final = "PulumiPolicy.yaml"

PolicyPack = Annotated[
    list[Path] | None,
    typer.Option(
        "--policy-pack",
        help="Ask the policy pack in this folder (repeatable), instead of the project's own in policies/.",
        file_okay=False,
    ),
]
PolicyPackConfig = Annotated[
    list[Path] | None,
    typer.Option(
        "--policy-pack-config",
        help="Levels and settings as JSON, one file for each pack; the project's own has policies/config/ENVIRONMENT.json.",
        dir_okay=False,
    ),
]
NoPolicies = Annotated[bool, typer.Option("--no-policies", help="Ask no policies.")]


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """What the command line says of policies."""

    packs: tuple[Path, ...] = ()
    configs: tuple[Path, ...] = ()
    off: bool = False

    @classmethod
    def of(cls, packs: list[Path] | None, configs: list[Path] | None, off: bool) -> PolicyChoice:
        return cls(tuple(packs or ()), tuple(configs or ()), off)


def policy_packs(choice: PolicyChoice, session: Session) -> tuple[PackSource, ...]:
    """The packs to ask, with their configuration: in the project's own, what its folder has for the stack's environment.

    Raises:
        BadInputError: a folder that is no pack, a file that is not there, or options that do not go together.
    """
    if choice.off:
        if choice.packs or choice.configs:
            raise BadInputError("--no-policies asks none, and --policy-pack names some; leave one of them out")
        return ()
    own = session.project.root / "policies"
    folders = choice.packs or ((own,) if (own / _MANIFEST).is_file() else ())
    for folder in folders:
        if not (folder / _MANIFEST).is_file():
            raise BadInputError(f"--policy-pack {folder} is no policy pack: it has no {_MANIFEST}")
    for config in choice.configs:
        if not config.is_file():
            raise BadInputError(f"--policy-pack-config {config} is not there")
    if choice.configs and len(choice.configs) != len(folders):
        raise BadInputError(
            f"--policy-pack-config is given {len(choice.configs)} times for {len(folders)} policy packs; give one for each"
        )
    if choice.configs:
        return tuple(map(PackSource, folders, choice.configs))
    if choice.packs:
        return tuple(PackSource(folder) for folder in folders)
    config = own / "config" / f"{session.settings.environment}.json"
    return tuple(PackSource(folder, config if config.is_file() else None) for folder in folders)
