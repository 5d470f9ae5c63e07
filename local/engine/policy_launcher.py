"""Runs a policy pack: `python -u policy_launcher.py ENGINE FOLDER`, which is `python -u -m pulumi.policy` that ends with its engine.

The Pulumi CLI starts packs so. This file runs in the pack's own environment, which may know nothing of this project: it imports
the standard library and what every pack has.
"""

import os
import sys

# As `python -m`: the folder of this file would hide modules of the same names from the pack.
sys.path[0] = os.getcwd()  # noqa: PTH109 - before anything is imported

import runpy  # noqa: E402 - the path comes first
import threading  # noqa: E402


def _end_with_engine() -> None:
    """Nothing is ever written to our stdin: its end means that the engine is gone, however it went."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_engine, name="lifeline", daemon=True).start()
    runpy.run_module("pulumi.policy", run_name="__main__", alter_sys=True)
