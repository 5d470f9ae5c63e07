"""Records the engine events that the snapshots render: `python -m tests.preview.record` from the repository's root.

Runs the real program on the local engine and local clouds in a scratch folder; writes tests/preview/recorded/*.json. Not a test.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from model_factory.cli.clouds import ensure_running
from model_factory.cli.options import console_for
from model_factory.cli.session import Session
from model_factory.local.engine.deploy import run
from model_factory.local.engine.request import Deployment, PackSource, Program, Request
from model_factory.local.providers.packages import local_providers
from tests.preview.recordings import keep
from tests.stacks.harness import ROOT, LocalStack

Event = dict[str, Any]
PACK = PackSource(ROOT / "policies", ROOT / "policies" / "config" / "dev.json")


def main() -> None:
    """Bring the dev stack up once, then preview one edit of its file after another."""
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder))
        try:
            keep("create-all", _run(stack, "preview", packs=(PACK,)))
            _run(stack, "up")
            keep("no-change", _preview(stack))
            original = stack.stack_file.read_text(encoding="utf-8")
            for name, edit in EDITS.items():
                stack.stack_file.write_text(original, encoding="utf-8")
                stack.edit(edit)
                keep(name, _preview(stack))
            stack.stack_file.write_text(original, encoding="utf-8")
            stack.edit(_policy_broken)
            keep("policy-broken", _run(stack, "preview", packs=(PACK,)))
            stack.stack_file.write_text(original, encoding="utf-8")
            _age_providers(stack)
            keep("provider-upgraded", _preview(stack, refresh=True))
        finally:
            stack.close()


def _one_replica(config: dict[str, Any]) -> None:
    config["model-factory:models"]["text-classifier"]["replicas"]["min"] = 2


def _machine_replaced(config: dict[str, Any]) -> None:
    config["model-factory:models"]["object-detector"]["cpu"] = 6


def _model_added(config: dict[str, Any]) -> None:
    models = config["model-factory:models"]
    models["reranker"] = {
        **models["embeddings"],
        "image": "reranker:1.0.0@sha256:" + "ab" * 32,
        "weights": {"uri": "bucket://reranker", "revision": "1.0.0"},
    }


def _model_moved(config: dict[str, Any]) -> None:
    config["model-factory:models"]["text-classifier"]["clouds"] = ["aws"]


def _cluster_destroyed(config: dict[str, Any]) -> None:
    for model in config["model-factory:models"].values():
        model["clouds"] = ["aws"]
    for key in [key for key in config if key.startswith("gcp:") or key == "model-factory:gcp"]:
        del config[key]


def _policy_broken(config: dict[str, Any]) -> None:
    """More GPUs in a pool than it may have, and more money than there is."""
    config["model-factory:models"]["assistant"]["replicas"]["max"] = 24


EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "one-replica": _one_replica,
    "machine-replaced": _machine_replaced,
    "model-added": _model_added,
    "model-moved": _model_moved,
    "cluster-destroyed": _cluster_destroyed,
}


def _age_providers(stack: LocalStack) -> None:
    """Make the state one that an older provider wrote: its version, and AWS resources without the tag that it did not read."""
    store = Session.open(stack.name, stack.root).store
    text = (
        json.dumps(store.export()).replace("default_7_51_1", "default_7_48_0").replace('"7.51.1"', '"7.48.0"')
    )
    document = json.loads(text)
    for resource in document["deployment"]["resources"]:
        if resource["type"].startswith("aws:"):
            for values in (resource.get("inputs", {}), resource.get("outputs", {})):
                for tags in ("tags", "tagsAll"):
                    values.get(tags, {}).pop("team", None)
    with store.lock():
        store.import_(document)


def _preview(stack: LocalStack, *, refresh: bool = False) -> list[Event]:
    return _run(stack, "preview", refresh=refresh)


def _run(
    stack: LocalStack,
    operation: Literal["preview", "up"],
    *,
    refresh: bool = False,
    packs: tuple[PackSource, ...] = (),
) -> list[Event]:
    session = Session.open(stack.name, stack.root)
    ensure_running(session, console_for(as_json=True), quiet=True)
    config = session.program_config()
    events: list[Event] = []
    outcome = run(
        Deployment(
            Request(operation, refresh=refresh, policy_packs=packs),
            Program(
                session.project.name, session.stack, session.project.root, config.values, config.secret_keys
            ),
        ),
        store=session.store,
        providers=local_providers(session.project.root),
        emit=events.append,
        cancel=threading.Event(),
    )
    if not (outcome.ok or packs):
        raise RuntimeError(f"{operation} failed: {outcome.failures}")
    return events


if __name__ == "__main__":
    main()
