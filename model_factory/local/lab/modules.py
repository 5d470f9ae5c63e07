"""What the lab is made of: Go modules in `go/`, each with its go.mod and go.sum, and the programs built of them.

One module holds all that compiles together, so that each package is compiled once. kwok needs newer packages than Kubernetes 1.35
does. A further minor of Kubernetes is a module of what an upgrade exchanges; the rest is the first one's.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SOURCES: Final = Path(__file__).parent / "go"
_KUBERNETES: Final = "k8s.io/kubernetes"
_CONTAINERD: Final = "github.com/containerd/containerd/v2/cmd"
_CNI: Final = "github.com/containernetworking/plugins/plugins"
_REQUIRED_GO: Final = re.compile(r"^go (\d+)\.(\d+)", re.MULTILINE)
_DIGEST_CHARACTERS: Final = 12

# Raised when what a build leaves in its folder changes: folders of older forms are then made anew.
_FORM: Final = 1


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module, and what is kept of it.

    `programs` leads from a program's name to its main package, `folders` from a folder's name to the folder of a dependency that it is
    a copy of (`module path`, `path in it`). `kubernetes` is the Kubernetes version that its programs tell as theirs.
    """

    name: str
    programs: Mapping[str, str] = field(hash=False)
    kubernetes: str = ""
    folders: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]], hash=False)

    @property
    def source(self) -> Path:
        """The folder of its go.mod and go.sum."""
        return _SOURCES / self.name

    @property
    def files(self) -> list[Path]:
        """All that is in that folder."""
        return sorted(path for path in self.source.rglob("*") if path.is_file())

    @property
    def required_go(self) -> tuple[int, int]:
        """The oldest Go that builds it, from its go.mod."""
        ((major, minor),) = _REQUIRED_GO.findall((self.source / "go.mod").read_text(encoding="utf-8"))
        return int(major), int(minor)

    @property
    def link_flags(self) -> str:
        """For the linker: no debug information, and the version, which the sources do not hold."""
        flags = ["-s", "-w"]
        if self.kubernetes:
            major, minor, _ = self.kubernetes.removeprefix("v").split(".")
            said = {"gitVersion": self.kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
                flags += [f"-X {package}.{name}={value}" for name, value in said.items()]
        return " ".join(flags)

    @property
    def digest(self) -> str:
        """Of all that decides what is built, but for the Go that builds it, which the folder's `built.json` names: a newer Go is no
        reason to build for minutes again.
        """
        described = {"programs": dict(self.programs), "kubernetes": self.kubernetes, "folders": dict(self.folders)}
        parts = [
            json.dumps([_FORM, platform.machine(), described, self.link_flags], sort_keys=True).encode(),
            *(path.read_bytes() for path in self.files),
        ]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:_DIGEST_CHARACTERS]


def _kubernetes(*names: str) -> dict[str, str]:
    return {name: f"{_KUBERNETES}/cmd/{name}" for name in names}


BASE: Final = Module(
    name="v1.35",
    kubernetes="v1.35.4",
    programs={
        **_kubernetes("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"),
        "etcd": "go.etcd.io/etcd/server/v3",
        "containerd": f"{_CONTAINERD}/containerd",
        "containerd-shim-runc-v2": f"{_CONTAINERD}/containerd-shim-runc-v2",
        "bridge": f"{_CNI}/main/bridge",
        "loopback": f"{_CNI}/main/loopback",
        "host-local": f"{_CNI}/ipam/host-local",
        "portmap": f"{_CNI}/meta/portmap",
        "coredns": "github.com/coredns/coredns",
        "kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
        "metrics-server": "./metrics-server",
        "registry": "github.com/distribution/distribution/v3/cmd/registry",
    },
)  # fmt: skip
KWOK: Final = Module(
    name="kwok",
    programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    # What its simulated nodes and Pods do is told by these files, which it does not hold.
    folders={"stages": ("sigs.k8s.io/kwok", "kustomize/stage")},
)
PAUSE: Final = Module(name="pause", programs={"pause": "model-factory/lab/pause"})
NEXT: Final = Module(
    name="v1.36",
    kubernetes="v1.36.3",
    programs=_kubernetes("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"),
)

# A minor of Kubernetes is made of these; where two have a program, the last one's counts.
MINORS: Final[Mapping[str, tuple[Module, ...]]] = {
    "1.35": (BASE, KWOK, PAUSE),
    "1.36": (BASE, KWOK, PAUSE, NEXT),
}
DEFAULT_MINOR: Final = "1.35"
