"""The lab's real node: a kubelet with containerd, runc and a network of its own on this machine, which joins one cluster."""
