"""Where rendered clusters may stand: inside the project, in a folder that holds nothing else.

Objects are written there, and `reset` deletes them: neither may touch a file that somebody else put there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

CRDS: Final = "0-crd"
NAMESPACES: Final = "0-namespace"
MANIFESTS: Final = "1-manifest"
PARTS: Final = (CRDS, NAMESPACES, MANIFESTS)
"""A cluster's folders, in the order in which they can be applied by hand."""
FAULTS_FILE: Final = "faults.json"
_OWN: Final = "choose a folder of its own, or move that elsewhere"


def cluster_refusal(project: Path, folder: str) -> str:
    """Why no cluster may be rendered to `folder`, relative to the project; empty where one may. Links are followed."""
    place = _inside(project, folder)
    if place is None:
        return f"{folder!r} leads out of the project, or is the project itself; write a folder inside"
    foreign = next(_foreign(place), None)
    return "" if foreign is None else f"{folder!r} holds {foreign}, which is no part of a rendered cluster; {_OWN}"


def clusters_refusal(project: Path, folder: str) -> str:
    """The same for the folder that gets a folder for each cluster."""
    place = _inside(project, folder)
    if place is None:
        return f"{folder!r} leads out of the project, or is the project itself; write a folder inside"
    for entry in _entries(place):
        if entry.name.lstrip(".").startswith(FAULTS_FILE) and not entry.is_symlink():
            continue
        foreign = entry.name if entry.is_symlink() or not entry.is_dir() else next(_foreign(entry), None)
        if foreign is not None:
            return f"{folder!r} holds {entry.name}, which is no rendered cluster; {_OWN}"
    return ""


def _inside(project: Path, folder: str) -> Path | None:
    root = project.resolve()
    place = (root / folder).resolve()
    return place if root in place.parents else None


def _foreign(cluster: Path) -> Iterator[str]:
    for entry in _entries(cluster):
        if entry.name not in PARTS or entry.is_symlink() or not entry.is_dir():
            yield entry.name


def _entries(folder: Path) -> list[Path]:
    """What a folder holds; nothing where it is not there, or goes meanwhile. What is no folder holds itself."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        return [folder]
