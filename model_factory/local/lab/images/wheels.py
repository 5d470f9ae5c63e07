"""PyPI's wheels, pinned by version and hash, as entries of layers. pip fetches them, from wherever this machine has it fetch."""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZipFile

from model_factory.local.errors import LabError
from model_factory.local.lab.images.layers import File

LOCK: Final = Path(__file__).with_name("wheels.csv")
PYTHON: Final = "3.11"
"""Of the images, not of this process: it is Debian 12's, and Triton's Python backend is built for it."""
_PLATFORMS: Final = (
    *(f"manylinux_2_{minor}_x86_64" for minor in (35, 34, 31, 28, 27, 26, 24, 17)),
    "manylinux2014_x86_64",
)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel, by what it is called on the index, and the file's hash."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """For pip, which checks the hash."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def read_lock(path: Path = LOCK) -> dict[str, Wheel]:
    """The wheels by name."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: Wheel(**row) for row in csv.DictReader(file)}


def fetch(wheels: Sequence[Wheel], kept: Path) -> list[Path]:
    """The wheels' files in the folder `kept`, each named by its hash; what is there is not fetched again. LabError where pip cannot."""
    kept.mkdir(parents=True, exist_ok=True)
    paths = [kept / f"{each.sha256}.whl" for each in wheels]
    missing = [each for each, path in zip(wheels, paths, strict=True) if not path.is_file()]
    if missing:
        with TemporaryDirectory(dir=kept) as folder:
            for file in download([each.requirement for each in missing], Path(folder)):
                # pip has checked the hashes of all.
                file.replace(kept / f"{hashlib.sha256(file.read_bytes()).hexdigest()}.whl")
    return paths


def download(requirements: Sequence[str], folder: Path) -> list[Path]:
    """Wheels for the images' Python and Linux, without what they depend on."""
    listed = folder / "requirements.txt"
    listed.write_text("\n".join(requirements), encoding="utf-8")
    platforms = [argument for name in _PLATFORMS for argument in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON, *platforms]
    command += ["--dest", str(folder), "--requirement", str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    listed.unlink()
    if done.returncode != 0:
        last = (done.stderr.strip() or "it says nothing").splitlines()[-1]
        named = ", ".join(each.partition(" ")[0] for each in requirements)
        raise LabError(f"pip does not bring {named} ({last}); mend its way to PyPI, and start again")
    return sorted(folder.glob("*.whl"))


def entries(wheel: Path, into: str) -> Iterator[File]:
    """What a wheel installs below the folder `into`, scripts left out.

    Files of its .data folder for pure or platform libraries go where the others go: packaging.python.org, binary distribution format.
    """
    with ZipFile(wheel) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            name, inside = info.filename, re.fullmatch(r"[^/]+\.data/([^/]+)/(.+)", info.filename)
            if inside is not None:
                if inside[1] not in {"purelib", "platlib"}:
                    continue
                name = inside[2]
            # Zip keeps the mode of Unix in the upper half; wheels made elsewhere have none.
            yield File(f"{into}/{name}", archive.read(info), bool(info.external_attr >> 16 & 0o100))
