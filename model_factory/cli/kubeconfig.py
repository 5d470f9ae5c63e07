"""`factory kubeconfig`: a kubeconfig with a context for each site of the stack, for kubectl and whatever else reads one."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from model_factory.access.errors import KubeconfigError
from model_factory.cli.console import write
from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.options import DEFAULT_STACK, Cwd, StackName, console_for
from model_factory.cli.session import Session
from model_factory.cli.sites import Sites, live_sites
from model_factory.live.sites import contexts_in, kubeconfig_of

_STDOUT: Final = "-"


def kubeconfig(
    stack_name: StackName = DEFAULT_STACK,
    site: Sites = None,
    file: Annotated[
        str,
        typer.Option("--write", help="Write it here, for this user alone; - is stdout.", metavar="FILE"),
    ] = _STDOUT,
    cwd: Cwd = Path(),
) -> None:
    """Print a kubeconfig with a context a site, named STACK-CLOUD-REGION; the first is current.

    Credentials are asked for at each use, by the clouds' own commands (aws, gke-gcloud-auth-plugin), in the lab by this one: none stands in
    it. A context of your own that the stack file names comes with what your kubeconfig says of it.
    """
    session = Session.open(stack_name, cwd)
    sites = live_sites(session, site)
    try:
        document = kubeconfig_of(sites)
    except KubeconfigError as error:
        raise CommandError(str(error)) from error
    text = yaml.safe_dump(document, sort_keys=False)
    if file == _STDOUT:
        write(text)
        return
    path = Path(file).expanduser()
    _require_ours(path, {each.context_name for each in sites}, session.stack)
    _write_alone(path, text)
    console = console_for(as_json=False)
    console.print(f"Wrote {path}. For this shell:", soft_wrap=True)
    console.print(f"  export KUBECONFIG={shlex.quote(str(path))}", soft_wrap=True)


def _require_ours(path: Path, names: set[str], stack: str) -> None:
    """A file with contexts of others would lose them."""
    try:
        there = contexts_in(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, KubeconfigError) as error:
        raise BadInputError(
            f"--write {path}: there is something that is no kubeconfig ({error}); name another file"
        ) from error
    if others := sorted(each for each in there - names if not each.startswith(f"{stack}-")):
        raise BadInputError(
            f"--write {path}: it holds contexts that are not of stack {stack} ({', '.join(others)}), which would be lost; name another file, and "
            f"put both into KUBECONFIG, with {os.pathsep} between them"
        )


def _write_alone(path: Path, text: str) -> None:
    """Whole, and readable by its owner alone: a kubeconfig of somebody's may hold keys."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CommandError(f"{path} cannot be written: {error.strerror}; name another place") from error
