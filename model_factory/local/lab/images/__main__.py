"""`python -m model_factory.local.lab.images`: makes the images in the lab's cache, and tells the digest of each."""

import sys

from model_factory.local.lab.images.store import ImageStore

for name, image in ImageStore(lambda text: print(text, file=sys.stderr)).images().items():  # noqa: T201 (a command of its own)
    size_mib = sum(layer.size_bytes for layer in image.layers) >> 20
    sys.stdout.write(f"{name}@{image.digest}  {size_mib} MiB\n")
