"""Starting and stopping clouds, with a stand-in that answers control calls at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from model_factory.local.clouds import REFUSAL, manager
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.errors import LocalCloudError, NotRunningError, PortBusyError

SERVER = """
import argparse, signal, sys, threading
from wsgiref.simple_server import WSGIRequestHandler, make_server
from model_factory.local.clouds import control

class Handler(WSGIRequestHandler):
    def log_message(self, *arguments): pass

class Cloud:
    name, version = "fake", "1"
    def __init__(self, data): self.data = data
    def counts(self): return {}
    def lacking(self): return {}
    def reset(self): pass
    def seed(self, document): pass

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--data")
parser.add_argument("--transition-seconds", type=float)
arguments = parser.parse_args()
BEHAVIOUR
controls = control.Controls(Cloud(arguments.data), transition_seconds=arguments.transition_seconds)
app = control.wsgi(controls, lambda environ, start_response: [])
server = make_server("127.0.0.1", arguments.port, app, handler_class=Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree whose `model_factory.local.clouds.fake` is the stand-in, beside the real `control`."""
    tree = tmp_path / "source"
    package = tree / "model_factory"
    real = Path(manager.__file__).parents[2]
    clouds = package / "local" / "clouds"
    (clouds / "fake").mkdir(parents=True)
    for folder in (package, package / "local", clouds):
        for each in (real / folder.relative_to(package)).iterdir():
            if not (folder / each.name).exists():
                (folder / each.name).symlink_to(each)
    (clouds / "fake" / "__init__.py").touch()
    behave(tree)
    monkeypatch.setattr(manager, "SOURCE", tree)
    return tree


def behave(tree: Path, behaviour: str = "") -> None:
    (tree / "model_factory" / "local" / "clouds" / "fake" / "__main__.py").write_text(
        SERVER.replace("BEHAVIOUR", behaviour)
    )


@pytest.fixture
def spec(source: Path, tmp_path: Path) -> Iterator[CloudSpec]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    spec = CloudSpec("fake", port, transition_seconds=0.7)
    yield spec
    manager.stop([spec], tmp_path)


class TestStart:
    def test_a_started_cloud_answers_and_a_stopped_one_is_gone(self, spec: CloudSpec, tmp_path: Path) -> None:
        (status,) = manager.start([spec], tmp_path)
        assert status.running
        assert status.pid
        assert status.transition_seconds == 0.7
        assert manager.status([spec], tmp_path)[0].pid == status.pid
        assert manager.stop([spec], tmp_path) == ["fake"]
        assert not psutil.pid_exists(status.pid)
        assert not manager.status([spec], tmp_path)[0].running

    def test_starting_twice_starts_one(self, spec: CloudSpec, tmp_path: Path) -> None:
        first = manager.start([spec], tmp_path)
        assert [status.pid for status in manager.start([spec], tmp_path)] == [status.pid for status in first]

    def test_a_cloud_outlives_the_interrupt_of_its_starter(self, spec: CloudSpec, tmp_path: Path) -> None:
        (status,) = manager.start([spec], tmp_path)
        assert status.pid
        assert os.getpgid(status.pid) != os.getpgid(0)

    def test_a_killed_cloud_is_started_again(self, spec: CloudSpec, tmp_path: Path) -> None:
        (status,) = manager.start([spec], tmp_path)
        assert status.pid
        os.kill(status.pid, signal.SIGKILL)
        psutil.Process(status.pid).wait(5)
        (again,) = manager.start([spec], tmp_path)
        assert again.pid != status.pid

    def test_one_that_ends_while_starting_shows_the_end_of_its_log(
        self, spec: CloudSpec, source: Path, tmp_path: Path
    ) -> None:
        behave(source, 'sys.exit("the data directory is cursed")')
        with pytest.raises(LocalCloudError, match="the data directory is cursed"):
            manager.start([spec], tmp_path)
        assert manager.stop([spec], tmp_path) == []

    def test_one_that_cannot_use_what_it_has_stored_says_so_at_start_and_in_its_status(
        self, spec: CloudSpec, source: Path, tmp_path: Path
    ) -> None:
        behave(source, f'sys.exit("{REFUSAL}calls.jsonl:3: a line is missing; remove it")')
        with pytest.raises(
            LocalCloudError, match=r"^local cloud fake cannot start: calls.jsonl:3: a line is missing; remove it$"
        ):
            manager.start([spec], tmp_path)
        assert manager.status([spec], tmp_path)[0].problem == "calls.jsonl:3: a line is missing; remove it"
        behave(source, 'print("ready", flush=True)')
        assert manager.start([spec], tmp_path)[0].problem == ""
        manager.stop([spec], tmp_path)
        assert manager.status([spec], tmp_path)[0].problem == ""

    def test_one_that_stays_silent_is_given_up_and_stopped(self, spec: CloudSpec, source: Path, tmp_path: Path) -> None:
        behave(source, "import time; time.sleep(60)")
        with pytest.raises(LocalCloudError, match="did not answer in time"):
            manager.start([spec], tmp_path, timeout_seconds=0.5)
        assert manager.stop([spec], tmp_path) == []


class TestPorts:
    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
    def test_who_listens_at_another_address_holds_no_port(self) -> None:
        with socket.create_server(("127.0.0.2", 0)) as other:
            assert manager._holder(other.getsockname()[1]) is None
        with socket.create_server(("0.0.0.0", 0)) as every:
            assert manager._holder(every.getsockname()[1])

    def test_a_port_that_another_program_holds_is_named_with_its_holder(self, spec: CloudSpec, tmp_path: Path) -> None:
        with (
            socket.create_server(("127.0.0.1", spec.port)),
            pytest.raises(PortBusyError, match=f"{os.getpid()}"),
        ):
            manager.start([spec], tmp_path)

    def test_another_projects_cloud_is_neither_used_nor_stopped(self, spec: CloudSpec, tmp_path: Path) -> None:
        other = tmp_path / "other"
        (status,) = manager.start([spec], other)
        try:
            with pytest.raises(PortBusyError, match=str(other)):
                manager.start([spec], tmp_path)
            assert not manager.status([spec], tmp_path)[0].running
            assert manager.stop([spec], tmp_path) == []
            assert status.pid
            assert psutil.pid_exists(status.pid)
        finally:
            manager.stop([spec], other)

    def test_a_cloud_that_runs_on_another_port_is_not_started_twice(self, spec: CloudSpec, tmp_path: Path) -> None:
        manager.start([spec], tmp_path)
        with pytest.raises(LocalCloudError, match=f"on port {spec.port}"):
            manager.start([CloudSpec("fake", spec.port + 1)], tmp_path)


class TestStop:
    def test_a_cloud_whose_record_was_removed_is_stopped_all_the_same(self, spec: CloudSpec, tmp_path: Path) -> None:
        (status,) = manager.start([spec], tmp_path)
        (spec.directory(tmp_path) / "process.json").unlink()
        assert manager.stop([spec], tmp_path) == ["fake"]
        assert status.pid
        assert not psutil.pid_exists(status.pid)

    def test_a_reused_pid_is_not_killed(self, spec: CloudSpec, tmp_path: Path) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
            spec.directory(tmp_path).mkdir(parents=True)
            record = {"pid": bystander.pid, "created": time.time() - 1000, "port": spec.port}
            (spec.directory(tmp_path) / "process.json").write_text(json.dumps(record))
            assert manager.stop([spec], tmp_path) == []
            assert bystander.poll() is None
            bystander.kill()

    def test_one_that_ignores_the_signal_is_killed(
        self, spec: CloudSpec, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = source / "model_factory" / "local" / "clouds" / "fake" / "__main__.py"
        path.write_text(
            path.read_text().replace("lambda *_: threading.Thread(target=server.shutdown).start()", "signal.SIG_IGN")
        )
        monkeypatch.setattr(manager, "STOP_SECONDS", 0.3)
        (status,) = manager.start([spec], tmp_path)
        assert manager.stop([spec], tmp_path) == ["fake"]
        assert status.pid
        assert not psutil.pid_exists(status.pid)


class TestCalls:
    def test_a_refusal_says_why(self, spec: CloudSpec, tmp_path: Path) -> None:
        manager.start([spec], tmp_path)
        with pytest.raises(LocalCloudError, match="seconds is -1"):
            manager.call(spec, "PUT", "transition", {"seconds": -1})
        assert manager.call(spec, "PUT", "transition", {"seconds": 2}) == {"seconds": 2}

    def test_a_cloud_that_is_not_there_is_said_so(self, spec: CloudSpec) -> None:
        with pytest.raises(NotRunningError, match="factory clouds start"):
            manager.reset([spec])


class TestFiles:
    def test_of_a_cloud_are_for_their_owner_only(self, source: Path, spec: CloudSpec, tmp_path: Path) -> None:
        behave(source, "(__import__('pathlib').Path(arguments.data) / 'state').write_text('secret')")
        folder = spec.directory(tmp_path)
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # as an earlier version left it
        manager.start([spec], tmp_path)
        manager.stop([spec], tmp_path)
        assert {oct(path.stat().st_mode & 0o077) for path in (folder, *folder.rglob("*"))} == {"0o0"}
        assert (folder / "data" / "state").exists()
