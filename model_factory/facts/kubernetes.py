"""Kubernetes itself: what came with which version."""

from __future__ import annotations

from typing import Final

IMAGE_VOLUMES: Final = "1.35"
"""The first minor version with volumes of images on by default (KEP-4639), stable in the next one:
https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes"""
