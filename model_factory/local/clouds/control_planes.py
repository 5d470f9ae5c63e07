"""The control planes behind a local cloud's clusters: what should run is told here, and is made so meanwhile.

A cloud answers its calls at once; starting a control plane takes seconds. So the cloud says what it wants (`want`, `drop`), goes on, and
asks (`is_ready`, `problem`, `is_gone`) before it says ACTIVE or lets a cluster go. Nothing is wanted of a stack whose clusters are
rendered files: `Simulated` says yes to everything.

Control planes outlive the cloud's process, as daemons; `begin` finds them again. One that was killed is started again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from model_factory.access.errors import AccessError
from model_factory.local import daemon
from model_factory.local.clouds.control import AUTHENTICATE, PREFIX
from model_factory.local.errors import LabError
from model_factory.local.lab.control_plane import ControlPlane, ControlPlanePrograms
from model_factory.local.lab.nodes.fleets import NodePrograms

CLUSTERS: Final = "clusters"
"""The folder of a cloud's data that holds a folder a cluster."""
WATCH_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cluster's control plane should be: its minor, such as 1.35, the range of Services, and who its service accounts' tokens are from."""

    version: str
    service_range: str
    issuer: str


class ClusterPrograms(ControlPlanePrograms, NodePrograms, Protocol):
    """Where all programs of a cluster with simulated nodes lie."""


class Companions(Protocol):
    """What goes with a control plane: the cluster's nodes. Called from other threads than the cloud's."""

    def come(self, name: str, plane: ControlPlane, programs: ClusterPrograms) -> None:
        """The control plane is ready; also once more, after it was mended. May raise LabError, AccessError: it is tried again."""
        ...

    def go(self, name: str) -> None:
        """The control plane is about to go for good."""
        ...


class ControlPlanes(Protocol):
    """What a local cloud knows of its clusters' control planes. Names are the cloud's own, one a cluster."""

    def refusal(self, version: str) -> str:
        """Why no cluster can have this minor; empty where one can."""
        ...

    def want(self, name: str, wanted: Wanted) -> None:
        """Start it, mend it, or bring it to another version; returns at once."""
        ...

    def drop(self, name: str) -> None:
        """Stop it and remove all that it held; returns at once."""
        ...

    def is_ready(self, name: str) -> bool:
        """Whether it is as it was last wanted."""
        ...

    def problem(self, name: str) -> str:
        """Why it could not be made as it was last wanted; empty while it is tried, and once it is ready."""
        ...

    def is_gone(self, name: str) -> bool: ...

    def lacking(self) -> Mapping[str, str]:
        """Those that are not as they should be, and why; "" as long as it is tried."""
        ...

    def plane(self, name: str) -> ControlPlane | None:
        """None where there is none, or nothing of it yet that could be reached."""
        ...

    def begin(self, companions: Companions) -> None:
        """Until then, while a cloud reads what it has stored, wants are only taken down, and all is said to be ready or gone."""
        ...

    def reset(self) -> None:
        """Remove all."""
        ...


@dataclass(frozen=True, slots=True)
class Simulated:
    """No control planes: clusters are what the cloud says of them."""

    def refusal(self, version: str) -> str:  # noqa: ARG002  there is nothing that could refuse
        return ""

    def want(self, name: str, wanted: Wanted) -> None: ...

    def drop(self, name: str) -> None: ...

    def is_ready(self, name: str) -> bool:  # noqa: ARG002
        return True

    def problem(self, name: str) -> str:  # noqa: ARG002
        return ""

    def is_gone(self, name: str) -> bool:  # noqa: ARG002
        return True

    def lacking(self) -> Mapping[str, str]:
        return {}

    def plane(self, name: str) -> ControlPlane | None:  # noqa: ARG002
        return None

    def begin(self, companions: Companions) -> None: ...

    def reset(self) -> None: ...


class Real:
    """Control planes on this machine, a folder each under `folder`. Thread safe: a thread a cluster works while there is something to do."""

    def __init__(
        self, folder: Path, programs: Callable[[str], ClusterPrograms], authenticator_url: Callable[[str], str]
    ) -> None:
        """`authenticator_url` tells where a cluster's API server asks about tokens."""
        self._folder = folder
        self._programs = programs
        self._authenticator_url = authenticator_url
        self._lock = threading.Lock()
        self._wanted: dict[str, Wanted] = {}
        self._done: dict[str, Wanted] = {}
        self._problems: dict[str, tuple[str, float]] = {}
        self._working: set[str] = set()
        self._companions: Companions | None = None

    def _plane(self, name: str) -> ControlPlane:
        return ControlPlane(self._folder / name, self._programs)

    def refusal(self, version: str) -> str:
        if self._companions is None:  # what was done once is not refused when it is read again
            return ""
        try:
            self._programs(version)
        except LabError as error:
            return str(error)
        return ""

    def want(self, name: str, wanted: Wanted) -> None:
        with self._lock:
            self._wanted[name] = wanted
            self._problems.pop(name, None)
        self._work(name)

    def drop(self, name: str) -> None:
        with self._lock:
            self._wanted.pop(name, None)
            self._done.pop(name, None)
            self._problems.pop(name, None)
        self._work(name)

    def is_ready(self, name: str) -> bool:
        with self._lock:
            return self._companions is None or (name in self._wanted and self._done.get(name) == self._wanted[name])

    def problem(self, name: str) -> str:
        with self._lock:
            return self._problems[name][0] if name in self._problems else ""

    def is_gone(self, name: str) -> bool:
        with self._lock:
            busy = name in self._working or name in self._wanted
        return self._companions is None or (not busy and not self._plane(name).folder.exists())

    def lacking(self) -> Mapping[str, str]:
        with self._lock:
            lacking = [name for name, wanted in self._wanted.items() if self._done.get(name) != wanted]
            return {name: self._problems[name][0] if name in self._problems else "" for name in lacking}

    def plane(self, name: str) -> ControlPlane | None:
        found = self._plane(name)
        return found if found.exists and found.admin_kubeconfig.exists() else None

    def begin(self, companions: Companions) -> None:
        with self._lock:
            self._companions = companions
            wanted = set(self._wanted)
        for name in wanted | {each.name for each in _folders(self._folder)}:
            self._work(name)
        threading.Thread(target=self._watch, name="control planes", daemon=True).start()

    def reset(self) -> None:
        for name in [*self._wanted, *(each.name for each in _folders(self._folder))]:
            self.drop(name)

    def _work(self, name: str) -> None:
        """Have a thread see to it, unless one does already or there is no work yet."""
        with self._lock:
            if self._companions is None or name in self._working:
                return
            self._working.add(name)
            companions = self._companions
        threading.Thread(target=self._see_to, args=(name, companions), name=f"cluster {name}", daemon=True).start()

    def _see_to(self, name: str, companions: Companions) -> None:
        """Make it as it is wanted, until that is so, or is tried and fails. What is wanted may change meanwhile."""
        while True:
            with self._lock:
                wanted = self._wanted.get(name)
            problem = self._make(name, wanted, companions)
            with self._lock:
                if self._wanted.get(name) != wanted:
                    continue
                self._working.discard(name)
                if problem:
                    self._problems[name] = (problem, time.monotonic())
                    self._done.pop(name, None)
                elif wanted is not None:
                    self._done[name] = wanted
                    self._problems.pop(name, None)
                return

    def _make(self, name: str, wanted: Wanted | None, companions: Companions) -> str:
        """Returns why it cannot be."""
        plane = self._plane(name)
        try:
            if wanted is None:
                companions.go(name)
                _stop_companions(plane.folder)
                plane.remove()
            else:
                if plane.exists and plane.version != wanted.version:
                    plane.upgrade(wanted.version)
                plane.ensure(
                    wanted.version,
                    authenticator_url=self._authenticator_url(name),
                    service_range=wanted.service_range,
                    issuer=wanted.issuer,
                )
                companions.come(name, plane, self._programs(wanted.version))
        except (LabError, AccessError, OSError, ValueError) as error:
            _LOG.warning("cluster %s: %s", name, error)
            return str(error)
        return ""

    def _watch(self) -> None:
        """Start again what was killed; what could not be started is tried again after a while."""
        while True:
            time.sleep(WATCH_SECONDS)
            now = time.monotonic()
            with self._lock:
                settled = [name for name in self._wanted if name not in self._working]
                failed = {name for name, (_, at) in self._problems.items() if now - at < RETRY_SECONDS}
            for name in settled:
                if name not in failed and not self._plane(name).runs:
                    self._work(name)


def of(kubernetes: str, data: Path, port: int) -> ControlPlanes:
    """What a cloud's program was told: `lab` or `files`. The cloud keeps its data there, and answers on the port."""
    if kubernetes == "files":
        return Simulated()
    # Only here: a cloud without control planes needs neither cryptography nor the lab.
    from model_factory.local.lab.programs import programs_for

    url = f"http://127.0.0.1:{port}{PREFIX}{AUTHENTICATE}"
    return Real(data.resolve() / CLUSTERS, programs_for, lambda name: f"{url}{name}")


def stop_all(data: Iterable[Path]) -> None:
    """Stop the control planes of clouds that do not run, whose data lies there. What they hold stays."""
    clusters = [folder for each in data for folder in _folders(each / CLUSTERS)]
    threads = [threading.Thread(target=_stop, args=(folder,)) for folder in clusters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _stop(folder: Path) -> None:
    _stop_companions(folder)
    ControlPlane(folder, _no_programs).stop()


def _stop_companions(folder: Path) -> None:
    """End what runs from a cluster's folder and is not the control plane's: a cloud that was killed could not."""
    if not folder.exists():
        return
    own = ControlPlane(folder, _no_programs).processes
    for each in folder.iterdir():
        if each.name not in own and (found := daemon.recorded(each)) is not None:
            daemon.stop(found.process, seconds=STOP_SECONDS)
            daemon.forget(each)


def _no_programs(version: str) -> ControlPlanePrograms:
    raise LabError(f"Kubernetes {version} is not started here; start the local clouds with `factory clouds start`")


def _folders(folder: Path) -> list[Path]:
    return [each for each in sorted(folder.iterdir()) if each.is_dir()] if folder.exists() else []
