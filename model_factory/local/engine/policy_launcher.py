"""Runs a policy pack: `python -u policy_launcher.py ENGINE FOLDER`, which is `python -u -m pulumi.policy` that ends with its engine.

The Pulumi CLI starts packs so. This file runs in the pack's own environment, which may know nothing of this project: it imports
the standard library and what every pack has. A policy that raises has its traceback printed, which the SDK swallows; and one
cost is taken out of the SDK: it reads the properties of a resource from the wire again for every policy.
"""

import os
import sys

# As `python -m`: the folder of this file would hide modules of the same names from the pack.
sys.path[0] = os.getcwd()  # noqa: PTH109 - before anything is imported

import logging  # noqa: E402 - the path comes first
import runpy  # noqa: E402
import threading  # noqa: E402
from typing import Any  # noqa: E402


def _end_with_engine() -> None:
    """Nothing is ever written to our stdin: its end means that the engine is gone, however it went."""
    os.read(0, 1)
    os._exit(1)


class _Reader:
    """Stands where the SDK has `json_format`, and reads each message of a request once.

    What it hands out is read only: the SDK copies it before policies see it.
    """

    def __init__(self, original: Any) -> None:
        self._original = original
        self._read: dict[int, tuple[Any, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def MessageToDict(self, message: Any) -> Any:
        known = self._read.get(id(message))
        # A message that is kept keeps its place in memory, so that this is the same one.
        if known is not None and known[0] is message:
            return known[1]
        if len(self._read) >= 8192:  # more than one request asks for
            self._read.clear()
        result = self._original.MessageToDict(message)
        self._read[id(message)] = (message, result)
        return result


def _tune_sdk() -> None:
    import pulumi_policy.policy as sdk

    module: Any = sdk
    if hasattr(module, "json_format"):  # another version of the SDK may be built otherwise, and does without
        module.json_format = _Reader(module.json_format)


if __name__ == "__main__":
    threading.Thread(target=_end_with_engine, name="lifeline", daemon=True).start()
    logging.getLogger("grpc._server").addHandler(logging.StreamHandler())
    _tune_sdk()
    runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)
