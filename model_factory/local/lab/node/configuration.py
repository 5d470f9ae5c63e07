"""What the services of a real node are told: pure, from names, addresses and folders to the texts of their files.

Where a setting is not the service's own default, a comment says what fails without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

import yaml

from model_factory.local.lab.node import network

CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"
"""In the node's own /run, which is a file system of its mount namespace."""
KUBELET_PORT: Final = 10250
METRICS_PORT: Final = 4443
CLUSTER_DOMAIN: Final = "cluster.local"
_KUBELET_HEALTH_PORT: Final = 10248
_API_HOST: Final = "kubernetes.default.svc"
"""One of the names in the API server's certificate."""
_KERNEL: Final[Mapping[str, str]] = {
    "vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}  # fmt: skip
"""What a kubelet sets in the kernel, for the whole machine: here it finds it set, in files laid over the kernel's, and leaves the machine be.
https://github.com/kubernetes/component-helpers/blob/master/node/util/sysctl/sysctl.go"""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a node's files are, under its folder."""

    root: Path

    @property
    def configuration(self) -> Path:
        return self.root / "etc"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def kubelet(self) -> Path:
        return self.root / "kubelet"

    @property
    def containerd(self) -> Path:
        return self.root / "containerd"

    @property
    def kernel(self) -> Path:
        return self.root / "etc" / "kernel"

    @property
    def pids(self) -> Path:
        return self.root / "pids.json"

    @property
    def supervisor(self) -> Path:
        """The supervisor's own folder: its process's record and its log."""
        return self.root / "supervisor"

    @property
    def forwarder(self) -> Path:
        return self.root / "forwarder"

    def file(self, name: str) -> Path:
        return self.configuration / name


@dataclass(frozen=True, slots=True)
class Names:
    """What a node is called and where it stands in its cluster."""

    node: str
    labels: Mapping[str, str]
    taints: Sequence[tuple[str, str, str]]
    """Key, value, effect."""
    provider_id: str
    pods: IPv4Network
    services: IPv4Network
    dns: IPv4Address
    group: str
    """The control group above all of its containers."""


def containerd(folders: Folders, *, pause: str, snapshotter: str) -> str:
    """config.toml, version 3. `pause` is the reference of the image that holds a Pod's namespaces."""
    return f"""version = 3
root = {json.dumps(str(folders.containerd))}
state = "/run/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]
[grpc]
  address = {json.dumps(CONTAINERD_SOCKET)}
[plugins."io.containerd.cri.v1.images"]
  snapshotter = {json.dumps(snapshotter)}
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = {json.dumps(pause)}
[plugins."io.containerd.cri.v1.images".registry]
  config_path = {json.dumps(str(folders.file("registries")))}
[plugins."io.containerd.cri.v1.runtime"]
  # Root without CAP_SYS_RESOURCE, as in many containers, may not lower a score; runc then fails to start anything.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [{json.dumps(str(folders.file("cni-programs")))}]
    conf_dir = {json.dumps(str(folders.file("cni")))}
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def registry_hosts(registry: str) -> str:
    """hosts.toml of every registry's name: all of them lead to the lab's own, since the node has no way to another.

    An image is so known by its whole name's path and its digest; one that nobody pushed is "not found".
    https://github.com/containerd/containerd/blob/main/docs/hosts.md
    """
    return f"""server = {json.dumps(registry)}
[host.{json.dumps(registry)}]
  capabilities = ["pull", "resolve"]
"""


def cni(pods: IPv4Network) -> str:
    """The network of Pods: a bridge, addresses of the node's Pod range, and its address for what leaves it."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            # Addresses of containers that are gone with a reboot would otherwise be kept for ever.
            "dataDir": "/run/cni-addresses",
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=1)


def kubelet(folders: Folders, names: Names, address: IPv4Address) -> str:
    """KubeletConfiguration."""
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(folders.file("ca.crt"))},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(folders.file("serving.crt")),
            "tlsPrivateKeyFile": str(folders.file("serving.key")),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{names.group}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "address": str(address),
            "port": KUBELET_PORT,
            "healthzPort": _KUBELET_HEALTH_PORT,
            "resolvConf": str(folders.file("resolv.conf")),
            "clusterDNS": [str(names.dns)],
            "clusterDomain": CLUSTER_DOMAIN,
            "providerID": names.provider_id,
            "enforceNodeAllocatable": ["pods"],
            "registerWithTaints": [
                {"key": key, "value": value, "effect": effect} for key, value, effect in names.taints
            ],
            # The machine's disk is its user's: what fills it is not the node's to clear away.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "nodeStatusUpdateFrequency": "10s",
            "podLogsDir": str(folders.root / "pod-logs"),
            "volumePluginDir": str(folders.kubelet / "volume-plugins"),
            "containerLogMaxSize": "10Mi",
            "shutdownGracePeriod": "0s",
            "serializeImagePulls": False,
            "maxPods": 58,
        }
    )


def kube_proxy(folders: Folders, names: Names, address: IPv4Address) -> str:
    """KubeProxyConfiguration."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(folders.file("kube-proxy.kubeconfig"))},
            "mode": "nftables",
            "clusterCIDR": str(names.pods),
            "hostnameOverride": names.node,
            "bindAddress": str(address),
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            # The table of connections is the whole machine's: its limits cannot be set from a network namespace.
            "conntrack": {"maxPerCore": 0, "min": 0},
        }
    )


def hosts(link: network.Link) -> str:
    """/etc/hosts for the node's services. The API server is at the host's end of the link, which its certificate does not know."""
    return f"127.0.0.1 localhost\n{link.host} {_API_HOST}\n"


def kubeconfig(folders: Folders, user: str, *, api_port: int) -> str:
    """For one of the node's services: `user`.crt and .key beside it."""
    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "cluster",
                    "cluster": {
                        "server": f"https://{_API_HOST}:{api_port}",
                        "certificate-authority": str(folders.file("ca.crt")),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate": str(folders.file(f"{user}.crt")),
                        "client-key": str(folders.file(f"{user}.key")),
                    },
                }
            ],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": user}}],
            "current-context": "cluster",
        }
    )


def kernel_files() -> Mapping[str, str]:
    """What lies over files of /proc/sys in the node's mount namespace, by their names there."""
    return _KERNEL


def setup(folders: Folders, link: network.Link) -> list[Sequence[str]]:
    """What is prepared inside the namespaces before any service starts."""
    logs = folders.root / "var-log"
    return [
        # Mounts of volumes must reach containers (mountPropagation); this namespace shares with nobody outside.
        ["mount", "--make-rshared", "/"],
        # Sockets, names of network namespaces and locks lie there under fixed names, which other nodes have, too.
        ["mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run"],
        ["mkdir", "-p", "/run/netns", "/run/containerd", "/run/lock"],
        # The kubelet links its containers' logs under /var/log, wherever they are.
        ["mount", "--bind", str(logs), "/var/log"],
        ["mount", "--bind", str(folders.file("hosts")), "/etc/hosts"],
        *(
            ["mount", "--bind", str(folders.kernel / name.replace("/", ".")), f"/proc/sys/{name}"]
            for name in _KERNEL
            if Path("/proc/sys", name).exists()
        ),
        *network.inside(link),
    ]


def services(folders: Folders, names: Names, link: network.Link, programs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The services, in the order of their start; programs by the names that their makers give them."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(names.labels.items()))

    def service(name: str, *arguments: str, wait_for: str | None = None) -> dict[str, Any]:
        command = [str(programs[name]), *arguments]
        return {"name": name, "command": command, "log": str(folders.logs / f"{name}.log"), "wait_for": wait_for}

    return [
        service("containerd", "--config", str(folders.file("containerd.toml")), "--log-level", "warn"),
        service(
            "kubelet",
            f"--config={folders.file('kubelet.yaml')}",
            f"--kubeconfig={folders.file('kubelet.kubeconfig')}",
            f"--hostname-override={names.node}",
            f"--node-ip={link.node}",
            f"--root-dir={folders.kubelet}",
            f"--cert-dir={folders.kubelet / 'pki'}",
            *([f"--node-labels={labels}"] if labels else []),
            "--v=1",
            wait_for=CONTAINERD_SOCKET,
        ),
        service("kube-proxy", f"--config={folders.file('kube-proxy.yaml')}", "--v=1"),
        service(
            "kube-router",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--run-loadbalancer=false",
            f"--kubeconfig={folders.file('kube-router.kubeconfig')}",
            f"--hostname-override={names.node}",
            f"--service-cluster-ip-range={names.services}",
            "--enable-cni=false",
            "--enable-ipv6=false",
            "--health-port=0",
        ),
        service(
            "metrics-server",
            f"--kubeconfig={folders.file('metrics-server.kubeconfig')}",
            f"--authentication-kubeconfig={folders.file('metrics-server.kubeconfig')}",
            f"--authorization-kubeconfig={folders.file('metrics-server.kubeconfig')}",
            f"--bind-address={link.node}",
            f"--secure-port={METRICS_PORT}",
            f"--tls-cert-file={folders.file('metrics-serving.crt')}",
            f"--tls-private-key-file={folders.file('metrics-serving.key')}",
            f"--kubelet-certificate-authority={folders.file('ca.crt')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",
            # Simulated nodes have no kubelet: this one alone is asked.
            f"--node-selector=kubernetes.io/hostname={names.node}",
        ),
    ]


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)
