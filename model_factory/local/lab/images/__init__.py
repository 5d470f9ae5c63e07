"""The container images of the lab's models, made of Debian's packages and PyPI's wheels: no Docker, no registry to pull from.

The same locks give the same bytes, on any machine and at any time, so that an image's digest can stand in a stack file.
"""
