"""Which registry a model's image comes from. Pure."""


def in_own_registry(image: str) -> bool:
    """Is this an image of the stack's own registry? It is where the name has no slash: no registry and no owner."""
    return "/" not in image


def image_in(repository_url: str, image: str) -> str:
    """The image in a repository: the tag, for the reader, and the digest, which decides. What stood before them is dropped,
    because the repository is the model's own. ValueError without a digest."""
    name, at, digest = image.partition("@")
    if not at:
        raise ValueError(f"image {image!r} has no digest; pin it as name@sha256:<64 hex digits>")
    _, colon, tag = name.partition(":")
    return f"{repository_url}{colon}{tag}@{digest}"
