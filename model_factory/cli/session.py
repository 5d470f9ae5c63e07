"""A command's session: the project, the stack's validated settings, and which engine drives it.

The stack file is validated here, before an engine starts, a cloud is called or a file is written.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final

from model_factory.cli.errors import BadInputError
from model_factory.cli.passphrase import find_passphrase
from model_factory.cli.project import (
    ProgramConfig,
    Project,
    find_project,
    program_config,
    require_stack_file,
)
from model_factory.cli.serving import serving
from model_factory.graph.pods import MODELS
from model_factory.local.clouds.kubernetes.place import clusters_refusal
from model_factory.local.clouds.manager import CLOUDS_PLACE, CloudSpec
from model_factory.local.engine.errors import SecretsError
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore
from model_factory.local.lab.node import requirements
from model_factory.planning.placing.lock import Lock, lock_file, read_lock, write_lock
from model_factory.planning.placing.plan import Plan
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.clusters import LAB
from model_factory.planning.settings.load import read_files
from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.providers import Providers
from model_factory.planning.settings.sections import Settings
from model_factory.planning.settings.stackfile import StackFile, read_stack_file

LAB_PLACE: Final = "lab"
"""The folder of `.factory` in which all lies that runs of the lab: its clouds, their clusters, the real node."""


class EngineName(StrEnum):
    """Which engine drives a stack. `auto`: the local engine on local clouds, the Pulumi CLI on real accounts."""

    AUTO = "auto"
    LOCAL = "local"
    PULUMI = "pulumi"


@dataclass
class Session:
    """One stack of one project. Not shared between commands."""

    project: Project
    stack: str
    file: StackFile
    settings: Settings
    plan: Plan
    lock: Lock | None
    """The plan as it was kept before this command; None where there was none."""

    @classmethod
    def open(cls, stack: str, start: Path | None = None, *, locked: bool = False, anew: bool = False) -> Session:
        """Find the project, validate the stack's file and plan lock, and place every model: where the lock has it while it fits there.

        `locked`: nothing may be placed that the lock does not have so. `anew`: as if there were no lock.

        Raises:
            BadInputError: no project, no such stack, or files that are wrong, every mistake of one file listed; or not as `locked`.
        """
        project = find_project((start or Path.cwd()).resolve())
        path = require_stack_file(project, stack)
        try:
            file = read_stack_file(path)
            reading = read_files(file, project.file, serving(project.root))
            lock = None if anew else read_lock(lock_file(project.root, stack), stack)
            settings, plan = planned(reading, market(), lock)
        except SettingsError as error:
            raise BadInputError(str(error)) from error
        if settings.rendered_to and (refusal := clusters_refusal(project.root, settings.rendered_to)):
            raise BadInputError(f"{file.name}: model-factory:local.renderTo: {refusal}")
        session = cls(project, stack, file, settings, plan, lock)
        if locked and (lacking := session.lock_lacks()):
            raise BadInputError(
                f"{session.lock_file.name}: {lacking}, and --locked takes it as it is; {session.lock_remedy}"
            )
        return session

    @property
    def lock_file(self) -> Path:
        """Where the plan is kept."""
        return lock_file(self.project.root, self.stack)

    def keep(self) -> bool:
        """Keeps the plan for the runs to come; False where it is kept already.

        Raises:
            BadInputError: its file cannot be written.
        """
        return self.write(Lock.of(self.plan))

    def write(self, kept: Lock) -> bool:
        """The same for another plan of the stack."""
        try:
            return kept != self.lock and write_lock(self.lock_file, kept, self.stack)
        except SettingsError as error:
            raise BadInputError(str(error)) from error

    def lock_lacks(self) -> str:
        """What the next `up` would write to the lock, in words; empty where it says all."""
        kept = Lock.of(self.plan)
        if self.lock is None:
            return "is not there"
        if kept == self.lock:
            return ""
        moved = sorted(kept.differing(self.lock))
        return f"would change for {', '.join(moved)}" if moved else "would change in its pools"

    @property
    def lock_remedy(self) -> str:
        """What to do where the lock lacks something."""
        first = "restore it from version control where the stack runs already; else " if self.lock is None else ""
        return f"{first}run `factory plan --keep --apply --stack {self.stack}`, look at what moves, and commit {self.lock_file.name}"

    @property
    def is_local(self) -> bool:
        return self.settings.is_local

    def engine(self, wanted: EngineName) -> EngineName:
        """The engine for this stack.

        Raises:
            BadInputError: the local engine is asked for a stack on real accounts, or the CLI is needed and not there.
        """
        if wanted is EngineName.LOCAL and not self.is_local:
            raise BadInputError(
                f"stack {self.stack} describes real accounts, and the local engine changes nothing outside loopback; "
                f"use --engine pulumi, or a stack whose endpoints are all on loopback, such as dev; "
                f"`factory preview` shows with any engine what it would do"
            )
        chosen = wanted
        if wanted is EngineName.AUTO:
            chosen = EngineName.LOCAL if self.is_local else EngineName.PULUMI
        if chosen is EngineName.PULUMI and shutil.which("pulumi") is None:
            why = (
                "was asked for with --engine pulumi"
                if self.is_local
                else f"is needed for the real accounts of stack {self.stack}"
            )
            raise BadInputError(
                f"the Pulumi CLI {why} and is not on PATH; install it as Pulumi's documentation says, then run this again; "
                f"`factory preview --engine local` needs none, and shows all of the stack as created"
            )
        return chosen

    @cached_property
    def crypter(self) -> PassphraseCrypter:
        """Made at first use: deriving a key takes a third of a second, and a stack without secrets needs none.

        A state that was written under another salt is read with that one.
        """
        salt = self.file.salt or new_salt(self.passphrase)
        return PassphraseCrypter(self.passphrase, salt)

    @cached_property
    def passphrase(self) -> str:
        return find_passphrase(self.project.work_dir, is_local=self.is_local)

    @cached_property
    def store(self) -> StackStore:
        return StackStore(self.project.work_dir / "stacks", self.project.name, self.stack, lambda: self.crypter)

    def program_config(self) -> ProgramConfig:
        """The configuration as the program reads it.

        Raises:
            BadInputError: a secret that the passphrase does not open.
        """

        def decrypt(text: str) -> str:
            try:
                return self.crypter.decrypt(text)
            except SecretsError as error:
                raise BadInputError(f"{self.file.name}: {error}") from error

        return program_config(self.project, self.file, decrypt)

    def clouds(self) -> list[CloudSpec]:
        """The local clouds that run as processes for this stack, at the ports of its endpoints; none on real accounts."""
        local = self.settings.local
        if local is None:
            return []
        providers = Providers.read(self.file.config)
        gcp = self.settings.gcp
        project = gcp.project if gcp is not None else providers.told("gcp:project")
        arguments = {"gcp": ("--project", project) if project else ()}
        kubernetes = ("--kubernetes", local.kubernetes.of_local_clouds, *self._real_node)
        place = LAB_PLACE if self.on_lab else CLOUDS_PLACE
        return [
            CloudSpec(cloud, port, float(local.transition_seconds), (*arguments.get(cloud, ()), *kubernetes), place)
            for cloud, port in providers.ports.items()
        ]

    @property
    def _real_node(self) -> tuple[str, ...]:
        """What tells a local cloud that this machine can be a node."""
        if not self.on_lab or requirements.obstacle():
            return ()
        return ("--real-node", str(self.project.work_dir / LAB_PLACE), "--real-node-taint", MODELS)

    @property
    def on_lab(self) -> bool:
        """Are its clusters control planes on this machine?"""
        return self.is_local and self.settings.clusters.of_local_clouds == LAB

    @property
    def kubernetes_minors(self) -> list[str]:
        """The minors of Kubernetes of the stack's clusters, such as "1.35"."""
        return list(dict.fromkeys(each.kubernetes_version for each in self.settings.sections.values()))

    @property
    def rendered_clusters(self) -> Path | None:
        """The folder that this stack's Kubernetes objects are rendered to; None for real clusters."""
        folder = self.settings.rendered_to
        return None if folder is None else self.project.root / folder

    def describe(self) -> str:
        where = "local clouds" if self.is_local else "real accounts"
        return f"{self.project.name}/{self.stack} on {where}"
