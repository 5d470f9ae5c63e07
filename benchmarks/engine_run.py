"""One operation of the local engine on a benchmark's folder, as its own process: `engine_run.py preview|up FOLDER`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import cast

from model_factory.local.engine.deploy import run
from model_factory.local.engine.request import Deployment, Operation, Program, Request
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore
from model_factory.local.providers.kubernetes.provider import KubernetesProvider


def main() -> None:
    operation, folder = sys.argv[1], Path(sys.argv[2])
    store = StackStore(folder / "stacks", "bench", "dev", lambda: PassphraseCrypter("bench", new_salt("bench")))
    deployment = Deployment(Request(cast("Operation", operation)), Program("bench", "dev", folder))
    messages: list[str] = []

    def note(event: object) -> None:
        if isinstance(event, dict) and (diagnostic := event.get("diagnosticEvent")):
            messages.append(str(diagnostic["message"]))

    outcome = run(
        deployment,
        store=store,
        providers={"kubernetes": KubernetesProvider},
        emit=note,
        cancel=threading.Event(),
    )
    if not outcome.ok:
        sys.exit("\n".join(messages) or "failed")
    print(dict(outcome.changes))


if __name__ == "__main__":
    main()
