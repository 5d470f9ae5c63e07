"""A policy pack's process: started as the Pulumi CLI starts packs written in Python, asked over gRPC, ended with the run.

Not here: what its answers mean for a resource. See `model_factory.local.engine.policy`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal

import grpc
import yaml
from google.protobuf import empty_pb2
from google.protobuf.message import Message
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from model_factory.graph.files import read_plain_text
from model_factory.local.engine.errors import PolicyError
from model_factory.local.engine.policy_config import PolicySetting, read_policy_config, reconcile, to_request
from model_factory.local.engine.request import Deployment, PackSource
from model_factory.local.environment import for_child
from model_factory.local.loopback import GRPC_OPTIONS

Stream = Literal["info", "info#err"]

_PROJECT_FILE: Final = "PulumiPolicy.yaml"
_LAUNCHER: Final = Path(__file__).with_name("policy_launcher.py")
# Packs get it as their engine, and the Python SDK asks nothing of it.
_NO_ENGINE: Final = "127.0.0.1:0"
_START_SECONDS: Final = 60.0
# A process that the pack started and let go may hold its output open.
_DRAIN_SECONDS: Final = 1.0
_TAIL_LINES: Final = 25


class PolicyPack:
    """One pack. `start` and `open` come first; then `info` and `settings` say what it holds, and it answers questions.

    Every call blocks. A pack that ends, raises or refuses gives PolicyError. `say` takes what it prints, on threads of ours.
    """

    def __init__(self, source: PackSource, deployment: Deployment, say: Callable[[Stream, str], None]) -> None:
        self._source = source
        self._program = deployment.program
        self._dry_run = deployment.request.previews
        self._say = say
        self._manifest: Mapping[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._readers: list[threading.Thread] = []
        self._first_lines: SimpleQueue[str | None] = SimpleQueue()
        # What it writes on stderr before it serves: said with the failure, if it fails.
        self._early: deque[str] = deque(maxlen=_TAIL_LINES)
        self._serves = False
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._closed = False
        self.info = analyzer_pb2.AnalyzerInfo()
        self.settings: Mapping[str, PolicySetting] = {}

    @property
    def label(self) -> str:
        return f"policy pack {self.info.name or self._source.folder}"

    @property
    def version(self) -> str:
        """That of PulumiPolicy.yaml, which counts, or the SDK's stand-in."""
        return str(self._manifest.get("version") or self.info.version)

    @cached_property
    def severities(self) -> Mapping[str, int]:
        return {policy.name: policy.severity for policy in self.info.policies}

    # -- start and end -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, and do not wait for it.

        Raises PolicyError where there is no pack, or none in Python.
        """
        self._manifest = _manifest(self._source.folder)
        command = [
            str(_interpreter(self._source.folder, self._manifest, self._program.python)),
            "-u",
            str(_LAUNCHER),
        ]
        with self._lock:
            if self._closed:
                raise PolicyError("", f"{self.label} was ended before it was started")
            try:
                process = self._process = subprocess.Popen(
                    [*command, _NO_ENGINE, str(self._source.folder.resolve())],
                    cwd=self._source.folder, env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    # Ctrl-C in the terminal is for the engine.
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise PolicyError("", f"{self.label} cannot be started: {error}") from error
        self._readers = [
            threading.Thread(target=read, args=(process,), name="policy-output", daemon=True)
            for read in (self._read_out, self._read_err)
        ]
        for thread in self._readers:
            thread.start()

    def open(self) -> None:
        """Wait until the pack serves, tell it of the stack, and configure it. Raises PolicyError."""
        given = read_policy_config(self._source.config) if self._source.config is not None else {}
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self._port()}", options=GRPC_OPTIONS)
        program = self._program
        request = analyzer_pb2.AnalyzerStackConfigureRequest(
            stack=program.stack, project=program.project, organization=program.organization, dry_run=self._dry_run,
            config=program.config, config_secret_keys=sorted(program.secret_keys),
        )  # fmt: skip
        self._ask("ConfigureStack", request, wait_for_ready=True, timeout=_START_SECONDS)
        self.info = self._ask("GetAnalyzerInfo", empty_pb2.Empty())
        if self._source.config is not None and not self.info.supportsConfig:
            raise PolicyError("", f"{self.label} takes no configuration, and {self._source.config} is given for it")
        self.settings = reconcile(self.info, given, self._source.config)
        if self.info.supportsConfig:
            self._ask("Configure", to_request(self.settings))

    def close(self) -> None:
        """End the process, whatever it does. All that it has printed has been said then."""
        with self._lock:
            self._closed = True
            process = self._process
        if self._channel is not None:
            self._channel.close()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        for thread in self._readers:
            thread.join(_DRAIN_SECONDS)

    # -- questions -----------------------------------------------------------------------------------------------------

    def remediate(self, request: analyzer_pb2.AnalyzeRequest) -> analyzer_pb2.RemediateResponse:
        return self._ask("Remediate", request, request.urn)

    def analyze(self, request: analyzer_pb2.AnalyzeRequest) -> analyzer_pb2.AnalyzeResponse:
        return self._ask("Analyze", request, request.urn)

    def analyze_stack(self, request: analyzer_pb2.AnalyzeStackRequest) -> analyzer_pb2.AnalyzeResponse:
        return self._ask("AnalyzeStack", request)

    @cached_property
    def _stub(self) -> analyzer_pb2_grpc.AnalyzerStub:
        if self._channel is None:
            raise AssertionError("the pack has not been opened")
        return analyzer_pb2_grpc.AnalyzerStub(self._channel)

    def _ask(self, method: str, request: Message, urn: str = "", **options: Any) -> Any:
        call: Any = getattr(self._stub, method)
        try:
            return call(request, **options)
        # A call on a channel that was closed meanwhile is a ValueError.
        except (grpc.RpcError, ValueError) as error:
            raise PolicyError(urn, self._failure(error)) from error

    def _failure(self, error: Exception) -> str:
        process = self._process
        if not self._closed and process is not None:
            code = self._ended(process)
            if code is not None:
                return f"{self.label} ended with exit code {code} in the middle of the run"
        details: Any = getattr(error, "details", lambda: "")()
        return f"{self.label} failed: {str(details or error).removeprefix('Exception calling application: ')}"

    @staticmethod
    def _ended(process: subprocess.Popen[bytes]) -> int | None:
        """The exit code, if it has gone. The connection may break a moment before."""
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            return None

    # -- its output ----------------------------------------------------------------------------------------------------

    def _port(self) -> int:
        """The port, which is the first line on stdout."""
        try:
            line = self._first_lines.get(timeout=_START_SECONDS)
        except Empty as error:
            raise PolicyError("", f"{self.label} does not serve after {_START_SECONDS:.0f} s{self._said()}") from error
        if line is not None and line.strip().isdigit():
            self._listen()
            return int(line)
        if line is not None:
            raise PolicyError(
                "", f"{self.label} prints {line.strip()!r} before it serves; nothing may come before its port"
            )
        for thread in self._readers:
            thread.join()
        code = self._process.wait() if self._process is not None else 0
        why = "" if code else "; its __main__.py has to make a PolicyPack"
        raise PolicyError("", f"{self.label} ended with exit code {code} before it served{why}{self._said()}")

    def _listen(self) -> None:
        """From now on what the pack writes is said at once."""
        with self._lock:
            self._serves = True
            for line in self._early:
                self._say("info#err", line)

    def _said(self) -> str:
        """The end of what the pack wrote on stderr."""
        return "".join(f"\n  {line.rstrip()}" for line in self._early)

    def _read_out(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        with process.stdout as stream:
            first = stream.readline()
            self._first_lines.put(first.decode(errors="replace") if first else None)
            for line in stream:
                self._say("info", line.decode(errors="replace"))

    def _read_err(self, process: subprocess.Popen[bytes]) -> None:
        if process.stderr is None:
            return
        with process.stderr as stream:
            for line in stream:
                text = line.decode(errors="replace")
                with self._lock:
                    if self._serves:
                        self._say("info#err", text)
                    else:
                        self._early.append(text)

    def _environment(self) -> dict[str, str]:
        program = self._program
        return for_child() | {
            "PULUMI_ORGANIZATION": program.organization, "PULUMI_PROJECT": program.project, "PULUMI_STACK": program.stack,
            "PULUMI_DRY_RUN": str(self._dry_run).lower(), "PULUMI_CONFIG": json.dumps(dict(program.config)),
        }  # fmt: skip


def _manifest(folder: Path) -> Mapping[str, Any]:
    file = folder / _PROJECT_FILE
    try:
        document: object = yaml.safe_load(read_plain_text(file, 2**20))
    except OSError as error:
        raise PolicyError("", f"{folder} is no policy pack: {file.name}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise PolicyError("", f"{file} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise PolicyError("", f"{file} holds a {type(document).__name__}; a mapping is needed")
    manifest: dict[str, Any] = dict(document)
    runtime: Any = manifest.get("runtime")
    name = runtime.get("name") if isinstance(runtime, dict) else runtime
    if name != "python":
        raise PolicyError("", f"{file}: policy packs of runtime {name!r}: not supported by the local engine, which runs those in "
                          "python; use the Pulumi CLI (--engine pulumi)")  # fmt: skip
    if manifest.get("main"):
        raise PolicyError("", f"{file}: `main`: not supported by the local engine; put __main__.py beside {file.name}")
    return manifest


def _interpreter(folder: Path, manifest: Mapping[str, Any], python: Path) -> Path:
    """That of the pack's virtual environment where it names one that is there, or else the program's."""
    runtime: Any = manifest.get("runtime")
    options: Any = runtime.get("options") if isinstance(runtime, dict) else None
    named = options.get("virtualenv") if isinstance(options, dict) else None
    own = folder.resolve() / str(named) / "bin" / "python" if named else python
    return own if own.is_file() else python
