"""The policy pack as engines start it: `python -u -m pulumi.policy ENGINE policies`. It serves until it is ended."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Engines put this folder first on the path. There its modules would stand before libraries of the same name (kubernetes), and the
# package they belong to would not be found.
sys.path[:] = [str(HERE.parent), *(each for each in sys.path if Path(each).resolve() != HERE)]

from pulumi_policy import PolicyPack  # noqa: E402 (the path comes first)

from policies.pack import NAME, POLICIES, TITLE  # noqa: E402 (the path comes first)

if __name__ == "__main__":
    PolicyPack(name=NAME, policies=list(POLICIES), display_name=TITLE)
