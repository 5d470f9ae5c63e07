"""Kubernetes without a cluster: objects are checked as an API server would, and rendered to files."""
