"""The process that keeps simulated nodes alive and runs their Pods: kwok, one a cluster.

Source of its flags and stages: https://kwok.sigs.k8s.io/docs/user/configuration. It listens nowhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_factory.graph.pods import SIMULATED
from model_factory.local import daemon
from model_factory.local.errors import LabError
from model_factory.local.folders import take_private

STAGES: Final = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
"""What happens to nodes and Pods, and when: Pods are Ready at once, Jobs complete at once, what is deleted is gone at once."""
LEASE_SECONDS: Final = 40
"""As long as a kubelet's lease holds."""
STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Kwok:
    """The kwok of the cluster that `kubeconfig` leads to; its record and log lie in `folder`."""

    folder: Path
    program: Path
    stages: Path
    """kwok's folder of Stage files."""
    kubeconfig: Path

    def ensure(self) -> None:
        """Start it where it does not run, or runs otherwise. Raises LabError where it is not there."""
        missing = [path for path in (self.program, *self._stage_files()) if not path.is_file()]
        if missing:
            raise LabError(f"there is no {missing[0]}; build the lab's programs with `factory lab build`")
        command = self._command()
        digest = hashlib.sha256("\0".join(command).encode()).hexdigest()
        found = daemon.recorded(self.folder)
        if found is not None and found.facts.get("digest") == digest:
            return
        if found is not None:
            daemon.stop(found.process, seconds=STOP_SECONDS)
        take_private(self.folder)
        daemon.spawn(command, self.folder, source=self.folder, facts={"digest": digest})

    @property
    def runs(self) -> bool:
        return daemon.recorded(self.folder) is not None

    def stop(self) -> None:
        """End it. Its nodes stay, and turn NotReady."""
        if (found := daemon.recorded(self.folder)) is not None:
            daemon.stop(found.process, seconds=STOP_SECONDS)
        daemon.forget(self.folder)

    def _stage_files(self) -> list[Path]:
        return [self.stages / each for each in STAGES]

    def _command(self) -> list[str]:
        return [
            str(self.program),
            f"--kubeconfig={self.kubeconfig}",
            f"--manage-nodes-with-annotation-selector={SIMULATED}=fake",
            f"--node-lease-duration-seconds={LEASE_SECONDS}",
            *(f"--config={path}" for path in self._stage_files()),
        ]
