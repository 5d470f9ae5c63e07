"""The Kubernetes provider: any kind of the published schemas, as pulumi-kubernetes' render mode would treat it."""
