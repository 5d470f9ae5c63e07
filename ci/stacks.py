#!/usr/bin/env python3
"""The stacks of this checkout as the jobs of a workflow: a line NAME=JSON each, for $GITHUB_OUTPUT and fromJSON.

    ci/stacks.py [--sound]

`all` are those that have a file. `local` are on local clouds with rendered clusters (the lab has tests of its own, and clusters of one's
own are not in CI), and `real` in real accounts; of the real ones `prod` are of the environment
prod, and `before-prod` of the others. With --sound it fails where a file is wrong; without, such a stack is in `all` alone, so that its
preview can say what is wrong. A stack is added to every workflow by adding its file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def main() -> None:
    factory = os.environ.get("FACTORY", str(ROOT / ".venv" / "bin" / "factory"))
    listed = subprocess.run(
        [factory, "stack", "ls", "--json", "--cwd", str(ROOT)], stdout=subprocess.PIPE, text=True, check=True
    )
    found: list[dict[str, Any]] = json.loads(listed.stdout)
    for each in found:
        if not NAME.fullmatch(each["name"]):
            sys.exit(f"ci/stacks.py: {each['name']!r} is no name of a stack for CI; use letters, digits, and _ . -")
        if "local" not in each and sys.argv[1:] == ["--sound"]:
            sys.exit(
                f"ci/stacks.py: Pulumi.{each['name']}.yaml is wrong; `factory preview --stack {each['name']}` says why"
            )
    real = [each for each in found if each.get("local") is False]
    lists = {
        "all": found,
        "local": [each for each in found if each.get("local") and each["rendered"]],
        "real": real,
        "before-prod": [each for each in real if each["environment"] != "prod"],
        "prod": [each for each in real if each["environment"] == "prod"],
    }
    for name, stacks in lists.items():
        print(f"{name}={json.dumps([each['name'] for each in stacks])}")


if __name__ == "__main__":
    main()
