"""Control of the rendered clusters: status, reset, faults and latency, with the meaning they have for the other clouds.

There is no process: what is set stands in `faults.json` beside the cluster folders, and every operation looks there first.
It therefore survives a restart, unlike the other clouds' faults, until `reset`. Operations are named
`<apiVersion>/<Kind>.<verb>` (`apps/v1/Deployment.create`; verbs create, read, update, delete), matched by shell patterns.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_factory.local.clouds.control import Fault, Plans
from model_factory.local.clouds.kubernetes.manifest import files, load
from model_factory.local.clouds.kubernetes.place import FAULTS_FILE, PARTS
from model_factory.local.clouds.kubernetes.schema import KUBERNETES_VERSION
from model_factory.local.errors import ControlError
from model_factory.local.folders import make_private, private


def before(root: Path, operation: str) -> Fault | None:
    """Wait out the latency of an operation; the fault it must answer, used up by asking, or None."""
    if not (root / FAULTS_FILE).exists():
        return None
    with _locked(root) as plans:
        fault, left = plans.after(operation)
        if left != plans:
            _write(root, left)
    time.sleep(plans.delay_seconds(operation))
    return fault


def faults(root: Path) -> list[Fault]:
    return list(_read(root).faults)


def set_faults(root: Path, wanted: Sequence[Fault | Mapping[str, Any]]) -> list[Fault]:
    """Replace the list of faults; ControlError says what is wrong with one."""
    parsed = tuple(item if isinstance(item, Fault) else Fault.parse(item) for item in wanted)
    with _locked(root) as plans:
        _write(root, plans.with_faults(parsed))
    return list(parsed)


def set_latency(root: Path, milliseconds: float, operation: str | None = None) -> dict[str, Any]:
    """Slow every operation, or those that match; 0 removes it, without an operation all of it."""
    if not 0 <= milliseconds < float("inf"):
        raise ControlError(f"milliseconds is {milliseconds!r}; give a number of milliseconds, 0 or more")
    with _locked(root) as plans:
        changed = plans.slowed(milliseconds, operation)
        _write(root, changed)
    return changed.latency()


def status(root: Path) -> dict[str, Any]:
    """As the other clouds' status, with the objects of each cluster; `pid` is None, as there is no process."""
    clusters = {folder.name: dict(sorted(_count(folder).items())) for folder in cluster_folders(root)}
    plans = _read(root)
    total: Counter[str] = Counter()
    for counts in clusters.values():
        total.update(counts)
    return {
        "cloud": "kubernetes",
        "version": KUBERNETES_VERSION,
        "pid": None,
        "data": str(root),
        "uptime_seconds": None,
        "resources": dict(sorted(total.items())),
        "clusters": clusters,
        "faults": plans.fault_list(),
        "latency_ms": plans.milliseconds,
        "transition_seconds": 0.0,
    }


def reset(root: Path) -> dict[str, Any]:
    """Forget every object, fault and latency. Files that are not ours stay."""
    for folder in cluster_folders(root):
        for part in PARTS:
            shutil.rmtree(folder / part, ignore_errors=True)
        if not any(folder.iterdir()):
            folder.rmdir()
    if root.exists():
        with _locked(root):
            (root / FAULTS_FILE).unlink(missing_ok=True)
        (root / f".{FAULTS_FILE}.lock").unlink(missing_ok=True)
    return status(root)


def cluster_folders(root: Path) -> list[Path]:
    """The rendered clusters under a root, by name."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if any((path / part).is_dir() for part in PARTS))


def _count(folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path in files(folder):
        try:
            kind = load(path.read_text(encoding="utf-8")).get("kind")
        except (ValueError, FileNotFoundError):
            kind = None
        counts[str(kind or "unreadable")] += 1
    return counts


@contextmanager
def _locked(root: Path) -> Generator[Plans]:
    make_private(root)
    with open(root / f".{FAULTS_FILE}.lock", "w", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _read(root)


def _read(root: Path) -> Plans:
    try:
        document: Any = json.loads((root / FAULTS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Plans()
    except ValueError as error:
        raise ControlError(f"{root / FAULTS_FILE} is not JSON: {error}; correct or delete it") from error
    latency = document.get("latency", {})
    return Plans(
        tuple(Fault.parse(item) for item in document.get("faults", [])),
        float(latency.get("milliseconds", 0)),
        {str(key): float(value) for key, value in latency.get("operations", {}).items()},
    )


def _write(root: Path, plans: Plans) -> None:
    path = root / FAULTS_FILE
    if plans == Plans():
        path.unlink(missing_ok=True)
        return
    draft = path.with_name(f".{FAULTS_FILE}.draft")
    document = {"faults": plans.fault_list(), "latency": plans.latency()}
    with open(draft, "w", encoding="utf-8", opener=private) as file:
        file.write(json.dumps(document, indent=2) + "\n")
    draft.replace(path)
