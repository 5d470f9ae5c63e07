"""A real Kubernetes on this machine, made of programs that Go builds from pinned modules. Knows nothing of the stack."""
