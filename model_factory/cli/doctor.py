"""`factory doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import typer
from rich.table import Table
from rich.text import Text

from model_factory.cli.called import pasteable
from model_factory.cli.errors import BadInputError
from model_factory.cli.options import DEFAULT_STACK, Cwd, Json, StackName, console_for
from model_factory.cli.session import Session
from model_factory.local.clouds import manager
from model_factory.planning.settings.placeholders import placeholders

_MIN_FREE_BYTES: Final = 1024**3
_SDKS: Final = ("pulumi", "pulumi-aws", "pulumi-gcp", "pulumi-kubernetes")
Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. A `note` costs nothing on local clouds; a `problem` makes the exit code 1."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


def doctor(stack: StackName = DEFAULT_STACK, cwd: Cwd = Path(), as_json: Json = False) -> None:
    """Check this machine and the stack. Exit code 1 when something must be mended."""
    findings = [*_machine(cwd), *_stack(stack, cwd)]
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=4) + "\n")
    else:
        marks = {"ok": ("✓", "green"), "note": ("·", "dim"), "problem": ("✗", "bold red")}
        console = console_for(as_json=False)
        table = Table.grid(padding=(0, 1, 0, 0))
        for finding in findings:
            line = Text(f"{finding.what}: {finding.found}")
            table.add_row(
                Text(*marks[finding.verdict]),
                line.append(f"; {pasteable(finding.remedy)}", "dim") if finding.remedy else line,
            )
        console.print(table)
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(1)


def _machine(cwd: Path) -> Iterator[Finding]:
    yield Finding("Python", "ok", platform.python_version())
    for name in _SDKS:
        yield Finding(name, "ok", metadata.version(name))
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        yield Finding(
            "PYTHONDONTWRITEBYTECODE",
            "note",
            "set",
            "imports take three times as long; unset it for quicker runs",
        )
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        yield Finding("Pulumi CLI", "note", "not on PATH", "stacks on local clouds need none; real accounts do")
    else:
        version = subprocess.run([pulumi, "version"], capture_output=True, text=True, timeout=30, check=False)
        yield Finding("Pulumi CLI", "ok", version.stdout.strip() or "found")
    free_bytes = shutil.disk_usage(cwd).free
    enough = free_bytes >= _MIN_FREE_BYTES
    yield Finding(
        "disk",
        "ok" if enough else "problem",
        f"{free_bytes / 1024**3:.1f} GiB free",
        "" if enough else "free at least 1 GiB",
    )


def _stack(stack: str, cwd: Path) -> Iterator[Finding]:
    try:
        session = Session.open(stack, cwd)
    except BadInputError as error:
        yield Finding(f"stack {stack}", "problem", str(error))
        return
    yield Finding(
        f"stack {stack}",
        "ok",
        f"valid, {len(session.settings.models)} models, {'local clouds' if session.is_local else 'real accounts'}",
    )
    yield from _values(session)
    lacking = session.lock_lacks()
    told = (lacking, session.lock_remedy) if lacking else ("says where each model runs", "")
    yield Finding(session.lock_file.name, "note" if lacking else "ok", *told)
    for section in session.settings.sections.values() if not session.is_local else ():
        if section.ENTRY[0]:
            yield Finding("who enters clusters", "note", *section.ENTRY)
    if not session.is_local and shutil.which("pulumi") is None:
        yield Finding(
            "engine",
            "problem",
            "real accounts need the Pulumi CLI",
            "install it as Pulumi's documentation says",
        )
    specs = session.clouds()
    for spec, cloud in zip(specs, manager.status(specs, session.project.root), strict=True):
        if cloud.running:
            yield Finding(f"local cloud {cloud.name}", "ok", f"running at {cloud.url}, pid {cloud.pid}")
        elif cloud.problem:
            yield Finding(f"local cloud {cloud.name}", "problem", "cannot use what it has stored", cloud.problem)
        elif _is_taken(spec.port):
            yield Finding(
                f"local cloud {cloud.name}",
                "problem",
                f"port {spec.port} is taken by another program",
                f"stop it, or change the port in {session.file.name}",
            )
        else:
            yield Finding(f"local cloud {cloud.name}", "note", "stopped", "`factory up` starts it")


def _values(session: Session) -> Iterator[Finding]:
    """What stands in the file for somebody's own: on a real account each is a problem, on local clouds they are told once."""
    found = placeholders(session.file)
    if not found:
        yield Finding("values", "ok", f"none of {session.file.name} is a placeholder that is known")
    elif session.is_local:
        kinds = ", ".join(dict.fromkeys(each.stands_for for each in found))
        yield Finding(
            "values", "note", f"{len(found)} are placeholders ({kinds})", "local clouds take them; real accounts do not"
        )
    else:
        for each in found:
            yield Finding(each.place, "problem", f"{each.value} is {each.stands_for}", each.remedy)


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
