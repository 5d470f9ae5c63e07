"""The lab's programs of one minor of Kubernetes, found in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_factory.local.errors import LabError, ProgramsMissingError
from model_factory.local.lab import cache
from model_factory.local.lab.modules import DEFAULT_MINOR, MINORS, Module


@dataclass(frozen=True, slots=True)
class Programs:
    """Where each program is, and `version`, the Kubernetes that they are, such as "v1.35.4"."""

    version: str
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    etcd: Path
    kubelet: Path
    kube_proxy: Path
    containerd: Path
    containerd_shim: Path
    cni: Path
    """The folder of the CNI plugins: bridge, loopback, host-local, portmap. Other programs lie in it, too."""
    coredns: Path
    kube_router: Path
    metrics_server: Path
    registry: Path
    kwok: Path
    pause: Path
    """What holds a Pod's namespaces; needs no file beside it."""
    stages: Path
    """The folder of kwok's Stage files, such as `node/fast/node-initialize.yaml`, as in its module's kustomize/stage."""


def programs_for(minor: str = DEFAULT_MINOR) -> Programs:
    """The programs of a Kubernetes minor such as "1.35".

    Raises:
        ProgramsMissingError: they are not built.
        LabError: the lab has no such minor.
    """
    modules = modules_of(minor)
    missing = [module.name for module in modules if not cache.folder_of(module).is_dir()]
    if missing:
        raise ProgramsMissingError(
            f"The lab's programs for Kubernetes {minor} are not built yet ({', '.join(missing)} in {cache.root()}); "
            f"run `factory lab build{'' if minor == DEFAULT_MINOR else f' --kubernetes {minor}'}`"
        )
    found = {program: cache.folder_of(module) / program for module in modules for program in module.programs}
    folders = {folder: cache.folder_of(module) / folder for module in modules for folder in module.folders}
    return Programs(
        version=[module.kubernetes for module in modules if module.kubernetes][-1],
        kube_apiserver=found["kube-apiserver"],
        kube_controller_manager=found["kube-controller-manager"],
        kube_scheduler=found["kube-scheduler"],
        etcd=found["etcd"],
        kubelet=found["kubelet"],
        kube_proxy=found["kube-proxy"],
        containerd=found["containerd"],
        containerd_shim=found["containerd-shim-runc-v2"],
        cni=found["bridge"].parent,
        coredns=found["coredns"],
        kube_router=found["kube-router"],
        metrics_server=found["metrics-server"],
        registry=found["registry"],
        kwok=found["kwok"],
        pause=found["pause"],
        stages=folders["stages"],
    )


def modules_of(minor: str) -> tuple[Module, ...]:
    """What the programs of a Kubernetes minor are built of.

    Raises:
        LabError: the lab has no such minor.
    """
    if (modules := MINORS.get(minor)) is None:
        raise LabError(
            f"The lab has no Kubernetes {minor}, only {' and '.join(MINORS)}; set the cluster's Kubernetes version to one of them"
        )
    return modules
