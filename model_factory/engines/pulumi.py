"""The Pulumi CLI as the engine of a stack: the same program and stack file, driven through `pulumi.automation`.

For a stack on local clouds, state lives in a file backend under `.factory/pulumi`, and our own providers are served to the
CLI for those packages whose plugin it does not have; nothing is downloaded. For real accounts, backend, secrets and plugins
are the user's own.

The CLI writes `encryptionsalt` (and loses comments) in the stack file it is given, so it is given a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TextIO, cast

from pulumi import automation

from model_factory.engines.protocol import Emit, EngineEvent, Outcome
from model_factory.graph.files import STATE_BYTES_MAX, read_plain_text
from model_factory.graph.masking import MASK
from model_factory.graph.urn import is_default_provider
from model_factory.graph.values import SECRET_SIGNATURE, SIGNATURE_KEY
from model_factory.local.engine.errors import EngineError
from model_factory.local.engine.request import Operation, PackSource, Request
from model_factory.local.environment import for_child, past_proxies
from model_factory.local.providers import background
from model_factory.local.providers.packages import PROVIDERS
from model_factory.local.providers.serve import VARIABLE, serve
from model_factory.planning.settings.stackfile import StackFile, read_stack_file

PASSPHRASE_VARIABLE: Final = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105  (a name)
PASSPHRASE_FILE_VARIABLE: Final = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105  (a name)
_TOKEN_VARIABLE: Final = "PULUMI_ACCESS_TOKEN"  # noqa: S105  (a name)

_ARGUMENTS: Final[Mapping[Operation, tuple[str, ...]]] = {
    "preview": (),
    "up": ("--yes", "--skip-preview"),
    "refresh": ("--yes", "--skip-preview"),
    "destroy": ("--yes", "--skip-preview"),
}
# Experimental, says `pulumi up --help`: what is beyond its plan fails. pulumi.com/docs/iac/concepts/plans/
_PLAN: Final[Mapping[Operation, str]] = {"preview": "--save-plan", "up": "--plan"}
_STEP_EVENTS: Final = ("resourcePreEvent", "resOutputsEvent")
_POLL_SECONDS: Final = 0.05
_TAIL_LINES: Final = 20
_NO_CHANGE: Final = frozenset({"same", "read", "refresh"})


class PulumiError(EngineError):
    """The CLI could not be brought to start the operation; its own words."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the CLI finds one stack: the project's folder, and for a stack on local clouds its backend and passphrase."""

    root: Path
    project: str
    file: StackFile
    is_local: bool
    passphrase: str | None = None

    @property
    def stack(self) -> str:
        return self.file.stack

    @property
    def folder(self) -> Path:
        """Our copies of the project and stack files; the committed ones stay as they are."""
        return self.root / ".factory" / "pulumi" / "stacks" / self.stack

    @property
    def config_file(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def environment(self) -> dict[str, str]:
        """What the CLI's environment needs beside the user's own."""
        found = {"PULUMI_SKIP_UPDATE_CHECK": "true", **past_proxies()}
        if self.is_local:
            backend = _backend(self.root)
            backend.mkdir(parents=True, exist_ok=True)
            found |= {
                "PULUMI_BACKEND_URL": backend.as_uri(),
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            }
            if self.passphrase is not None:
                found[PASSPHRASE_VARIABLE] = self.passphrase
        return found

    def open(self) -> automation.Stack:
        """The stack, created in the backend where it is not there yet, with our copy of its file up to date.

        Raises:
            PulumiError: the CLI refuses, for example a wrong passphrase.
        """
        self.write()
        try:
            return automation.create_or_select_stack(
                self.stack,
                work_dir=str(self.folder),
                opts=automation.LocalWorkspaceOptions(env_vars=self.environment()),
            )
        except (automation.CommandError, RuntimeError, ValueError, OSError, subprocess.CalledProcessError) as error:
            said = str(error).rpartition("stderr:")[2].strip() or "it said nothing"
            raise PulumiError(f"the Pulumi CLI cannot open stack {self.stack}: {said}") from error

    def write(self) -> None:
        """Our copies of the files, up to date."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "Pulumi.yaml").write_text(f"name: {self.project}\nruntime: python\n", encoding="utf-8")
        text = self.file.text
        salt = read_stack_file(self.config_file).salt if self.config_file.is_file() else ""
        if salt and not self.file.salt:
            text = f"{text.rstrip()}\nencryptionsalt: {salt}\n"
        self.config_file.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class PulumiEngine:
    """The CLI over the stack at `place`. Events are the CLI's own JSON, given out from the thread that calls."""

    place: Workplace

    @property
    def name(self) -> str:
        return "pulumi"

    @property
    def secrets(self) -> Collection[str]:
        """None: the CLI opens them, and masks them itself."""
        return ()

    def run(self, request: Request, emit: Emit, cancel: threading.Event | None = None) -> Outcome:
        """See `Engine`. The first time `cancel` is found set, the CLI is asked to finish what it began. Raises PulumiError."""
        place, cancel = self.place, cancel or threading.Event()
        opened = place.open()
        summary: dict[str, Any] = {}
        failures: list[str] = []

        def take(event: EngineEvent) -> None:
            summary.update(event.get("summaryEvent") or {})
            diagnostic: Mapping[str, Any] = event.get("diagnosticEvent") or {}
            if diagnostic.get("severity") == "error":
                failures.append(str(diagnostic.get("message", "")))
            if not _is_internal(event):
                emit(event)

        with _attached(place) as environment:
            command = opened.workspace.pulumi_command.command
            code, said = _operate([command, *_arguments(request, place)], place.root, environment, take, cancel)
        cancelled = cancel.is_set()
        if code and not summary and not failures and not cancelled:
            raise PulumiError(f"pulumi {request.operation} ended with exit code {code}: {said}")
        changes: Mapping[str, int] = dict(summary.get("resourceChanges") or {})
        return Outcome(
            code == 0,
            cancelled,
            changes,
            _outputs(opened) if code == 0 and not request.previews else {},
            unchanged=code == 0 and not changes.keys() - _NO_CHANGE,
        )


def exported(place: Workplace) -> list[Mapping[str, Any]]:
    """The resources of a stack's state, their secrets in plain text; old copies that await deletion are left out.

    Raises:
        PulumiError: the CLI refuses: there is no such stack, or it is not logged in.
    """
    place.write()
    try:
        opened = automation.select_stack(
            place.stack,
            work_dir=str(place.folder),
            opts=automation.LocalWorkspaceOptions(env_vars=place.environment()),
        )
        state: Any = opened.export_stack().deployment
    except (automation.CommandError, RuntimeError, ValueError, OSError, subprocess.CalledProcessError) as error:
        said = str(error).rpartition("stderr:")[2].strip() or "it said nothing"
        raise PulumiError(f"the Pulumi CLI cannot export stack {place.stack}: {said}") from error
    resources: list[Mapping[str, Any]] = (state or {}).get("resources") or []
    return [opened_secrets(each) for each in resources if not each.get("delete")]


def opened_secrets(value: Any) -> Any:
    """A value of an export with `--show-secrets`, without the marks of secrets."""
    if isinstance(value, list):
        return [opened_secrets(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found = cast("dict[str, Any]", value)
    if found.get(SIGNATURE_KEY) == SECRET_SIGNATURE and "plaintext" in found:
        return json.loads(found["plaintext"])
    return {key: opened_secrets(each) for key, each in found.items()}


def local_state(root: Path, project: str, stack: str) -> Path:
    """Where the CLI keeps the state of a stack on local clouds."""
    return _backend(root) / ".pulumi" / "stacks" / project / f"{stack}.json"


def urns_in(state: Path) -> list[str]:
    """Every resource in a file that `local_state` names; none where the CLI has not written it, or not whole."""
    try:
        document: Any = json.loads(read_plain_text(state, STATE_BYTES_MAX))
    except (OSError, ValueError):
        return []
    latest = document["checkpoint"].get("latest") or {}
    return [resource["urn"] for resource in latest.get("resources") or ()]


def _backend(root: Path) -> Path:
    return root / ".factory" / "pulumi" / "state"


def _arguments(request: Request, place: Workplace) -> list[str]:
    operation = request.operation
    return [
        operation,
        *(("--preview-only",) if request.preview_only else _ARGUMENTS[operation]),
        *("--stack", place.stack, "--config-file", str(place.config_file)),
        *("--non-interactive", "--color", "never", "--parallel", str(request.parallel)),
        *(("--refresh",) if request.refresh and operation != "refresh" else ()),
        *(("--continue-on-error",) if request.continue_on_error and operation in ("up", "destroy") else ()),
        *((_PLAN[operation], str(request.plan)) if request.plan and operation in _PLAN else ()),
        *(_policy_arguments(request.policy_packs, place.folder) if request.judges else ()),
    ]


def _is_internal(event: EngineEvent) -> bool:
    """Whether it is a step of a default provider: the CLI's log has these, and its displays and counts leave them out."""
    body: Mapping[str, Any] = next((event[kind] for kind in _STEP_EVENTS if kind in event), {})
    step: Mapping[str, Any] = body.get("metadata") or {}
    return is_default_provider(str(step.get("urn", "")))


def _policy_arguments(packs: Sequence[PackSource], folder: Path) -> list[str]:
    """The CLI wants a configuration for each pack or for none: a pack without one gets an empty one, written to `folder`."""
    arguments = [part for pack in packs for part in ("--policy-pack", str(pack.folder.resolve()))]
    if not any(pack.config for pack in packs):
        return arguments
    empty = folder / "policy-config.json"
    empty.write_text("{}\n", encoding="utf-8")
    configs = (pack.config or empty for pack in packs)
    return [
        *arguments,
        *(part for config in configs for part in ("--policy-pack-config", str(config.resolve()))),
    ]


def plugins_to_serve(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The packages of ours that the CLI has no plugin for: neither installed in the SDK's version, nor on PATH, nor
    attached by the user."""
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    attached = {item.partition(":")[0] for item in environment.get(VARIABLE, "").split(",")}
    return [
        name
        for name in PROVIDERS
        if name not in attached
        and not (home / "plugins" / f"resource-{name}-v{_sdk_version(name)}").is_dir()
        and shutil.which(f"pulumi-resource-{name}", path=environment.get("PATH")) is None
    ]


def shell_environment(place: Workplace, passphrase_file: Path) -> dict[str, str]:
    """What a `pulumi` that is run by hand needs in its environment to work on a stack on local clouds, as the engine does.

    Starts the providers' server in the background, and where the CLI is there, makes the stack in its backend.

    Raises:
        PulumiError: the CLI refuses. ServerError: the providers cannot be served.
    """
    if shutil.which("pulumi") is not None:
        place.open()
    variables = replace(place, passphrase=None).environment()
    if not {PASSPHRASE_VARIABLE, PASSPHRASE_FILE_VARIABLE} & os.environ.keys():
        variables[PASSPHRASE_FILE_VARIABLE] = str(passphrase_file)
    # Ours may stand there from an earlier call: they are told anew, and other packages' are kept.
    attached = [item for item in os.environ.get(VARIABLE, "").split(",") if item.partition(":")[0] not in PROVIDERS]
    ports = background.start(place.root)
    wanted = plugins_to_serve({key: text for key, text in os.environ.items() if key != VARIABLE})
    attached += [f"{name}:{ports[name]}" for name in wanted]
    return {VARIABLE: ",".join(filter(None, attached)), **variables}


def _surroundings(place: Workplace) -> dict[str, str]:
    """The user's environment; for a stack on local clouds, what it needs, since the program and its packs inherit it."""
    if place.is_local:
        pulumi = {key: text for key, text in os.environ.items() if key.startswith("PULUMI_") and key != _TOKEN_VARIABLE}
        return for_child(os.environ) | pulumi
    # PYTHONDONTWRITEBYTECODE triples the time of the program's imports.
    return {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def _attached(place: Workplace) -> Generator[dict[str, str]]:
    """The CLI's environment; while the block runs, our providers are served to it where it needs them."""
    environment = {
        **_surroundings(place),
        **place.environment(),
        "PULUMI_AUTOMATION_API": "true",
        "PULUMI_DEBUG_COMMANDS": "true",
    }
    wanted = dict.fromkeys(plugins_to_serve(environment) if place.is_local else (), 0)
    with serve(wanted, root=place.root) as served:
        ours = served.environment[VARIABLE] if wanted else ""
        joined = ",".join(part for part in (environment.get(VARIABLE, ""), ours) if part)
        yield {**environment, VARIABLE: joined} if joined else environment


def _operate(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    emit: Callable[[EngineEvent], None],
    cancel: threading.Event,
) -> tuple[int, str]:
    """Run the CLI and hand its events on as they come; its exit code and the end of what it wrote on stderr."""
    with tempfile.TemporaryDirectory(prefix="pulumi-") as temporary:
        log = Path(temporary) / "events"
        log.touch()
        with (
            (Path(temporary) / "stderr").open("w+", encoding="utf-8") as errors,
            log.open(encoding="utf-8") as events,
        ):
            # A session of its own: Ctrl-C reaches us, and we pass it on once. A second one would make the CLI abandon
            # what it began.
            process = subprocess.Popen(
                [*command, "--event-log", str(log)],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            try:
                code = _follow(process, events, emit, cancel)
            except BaseException:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
            errors.seek(0)
            return code, "\n".join(errors.read().splitlines()[-_TAIL_LINES:]).strip()


def _follow(
    process: subprocess.Popen[bytes],
    events: TextIO,
    emit: Callable[[EngineEvent], None],
    cancel: threading.Event,
) -> int:
    partial, asked = "", False
    while True:
        ended = process.poll() is not None  # asked before reading, so that nothing written by then is missed
        while line := events.readline():
            partial += line
            if partial.endswith("\n"):
                emit(json.loads(partial))
                partial = ""
        if ended:
            return process.returncode
        if cancel.is_set() and not asked:
            asked = True
            process.send_signal(signal.SIGINT)
        if asked:
            _pause(process)
        else:
            cancel.wait(_POLL_SECONDS)


def _pause(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _outputs(stack: automation.Stack) -> dict[str, Any]:
    return {name: MASK if value.secret else value.value for name, value in stack.outputs().items()}


def _sdk_version(package: str) -> str:
    return metadata.version(f"pulumi-{package}")
