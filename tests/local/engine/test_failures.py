"""What is left when something goes wrong, and how the next run goes on from there."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import psutil
import pulumi
import pytest
from pulumi import ResourceOptions

from model_factory.local import wire
from model_factory.local.engine import journal_file
from model_factory.local.engine.errors import ProviderCallError
from model_factory.local.engine.model import Operation, OperationType, Snapshot
from tests.local.engine.stack import Bench, Thing


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def void(_: object) -> None:
    """A program's resources register themselves."""


def chain(**props: Any) -> Callable[[], None]:
    """good, then middle with these inputs, then last, which needs middle."""

    def body() -> None:
        good = Thing("good")
        middle = Thing("middle", props, ResourceOptions(depends_on=[good]))
        last = Thing("last", {"of": middle.computed})  # type: ignore[attr-defined]
        pulumi.export("good", good.computed)  # type: ignore[attr-defined]
        pulumi.export("last", last.computed)  # type: ignore[attr-defined]

    return body


class TestRefusedStep:
    @pytest.mark.parametrize("go_on", [False, True])
    def test_is_not_carried_out_and_ends_the_run(self, bench: Bench, go_on: bool) -> None:
        bench.up(lambda: void(Thing("gone")))
        bench.cloud.calls.clear()

        def refusal(metadata: Mapping[str, Any]) -> str:
            return "nobody wants it" if metadata["op"] == "create" and metadata["urn"].endswith("::middle") else ""

        outcome = bench.run("up", chain(), refusal=refusal, continue_on_error=go_on)
        assert outcome.result == "failed"
        assert [(urn.rsplit("::", 1)[-1], message) for urn, message in outcome.failures] == [
            ("middle", "nobody wants it")
        ]
        assert set(bench.resources()) == {"good", "gone"}
        assert bench.store.load().pending_operations == ()
        assert [name for call, name in bench.cloud.calls if call == "Create"] == ["good"]

    def test_of_a_deletion_keeps_the_object(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("gone")))

        def refusal(metadata: Mapping[str, Any]) -> str:
            return "no" if metadata["op"] == "delete" else ""

        outcome = bench.run("up", refusal=refusal)
        assert outcome.result == "failed"
        assert set(bench.resources()) == {"gone"}


class TestFailedCreate:
    def test_what_succeeded_is_kept_and_dependents_are_skipped(self, bench: Bench) -> None:
        outcome = bench.run("up", chain(fail="create"))
        assert not outcome.ok
        assert outcome.result == "failed"
        assert [(urn.rsplit("::", 1)[-1], message) for urn, message in outcome.failures] == [
            ("middle", "the cloud refused to create it")
        ]
        assert set(bench.resources()) == {"good"}
        assert bench.store.load().pending_operations == ()
        assert "last" not in dict(bench.cloud.calls).values()
        assert any("resOpFailedEvent" in event for event in bench.events)
        assert bench.messages("error") == ["the cloud refused to create it", "update failed"]

    def test_the_next_up_goes_on(self, bench: Bench) -> None:
        bench.run("up", chain(fail="create"))
        outcome = bench.up(chain())
        assert outcome.changes == {"create": 2, "same": 2}
        assert bench.cloud.names() == {"good", "middle", "last"}

    def test_nothing_is_deleted_after_a_failure(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("kept")))
        bench.run("up", chain(fail="create"))
        assert "kept" in bench.cloud.names()
        assert "kept" in bench.resources()

    def test_continue_on_error_makes_what_does_not_depend_on_it(self, bench: Bench) -> None:
        def program() -> None:
            bad = Thing("bad", {"fail": "create"})
            Thing("dependent", {"of": bad.computed})  # type: ignore[attr-defined]
            Thing("late", {}, ResourceOptions(depends_on=[Thing("early")]))

        outcome = bench.run("up", program, continue_on_error=True)
        assert not outcome.ok
        assert set(bench.resources()) == {"early", "late"}

    def test_a_failed_replacement_keeps_the_old_object(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one", {"forceNewZone": "a"})))
        old = bench.resources()["one"]
        bench.run("up", lambda: void(Thing("one", {"forceNewZone": "b", "fail": "create"})))
        assert bench.resources()["one"] == old
        assert list(bench.cloud.objects) == [old.id]

    def test_a_failed_update_keeps_the_old_inputs(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one", {"size": 1})))
        bench.run("up", lambda: void(Thing("one", {"size": 2, "fail": "update"})))
        assert bench.resources()["one"].inputs["size"] == 1
        assert bench.up(lambda: void(Thing("one", {"size": 2}))).changes["update"] == 1

    def test_a_failed_delete_keeps_what_it_depends_on(self, bench: Bench) -> None:
        def program() -> None:
            base = Thing("base")
            Thing("stuck", {"fail": "delete"}, ResourceOptions(depends_on=[base]))
            Thing("free")

        bench.up(program)
        outcome = bench.run("destroy", continue_on_error=True)
        assert not outcome.ok
        assert set(bench.resources()) == {"base", "stuck"}
        assert bench.cloud.names() == {"base", "stuck"}


class TestInvalidInputs:
    def test_no_object_is_made_and_the_property_is_named(self, bench: Bench) -> None:
        outcome = bench.run("up", lambda: void(Thing("one", {"forbidden": 1})))
        assert not outcome.ok
        assert "property forbidden value 1 has a problem: must not be set" in outcome.failures[0][1]
        assert bench.cloud.made("Create") == []

    @pytest.mark.parametrize("path", ["net.ranges[1]", 'net["ranges"][1]', "net.ranges[1].none", "net..", "[0]"])
    def test_a_value_within_others_is_shown_where_it_is_there(self, bench: Bench, path: str) -> None:
        outcome = bench.run("up", lambda: void(Thing("one", {"fault": path, "net": {"ranges": ["a", "b"]}})))
        shown = "'b'" if path.endswith("[1]") else "None"
        assert f"property {path} value {shown} has a problem: must not be set" in outcome.failures[0][1]

    @pytest.mark.parametrize("whole", [True, False])
    def test_a_value_within_secrets_is_not_shown(self, bench: Bench, whole: bool) -> None:
        def program() -> None:
            secret = pulumi.Output.secret({"ranges": ["s3cr3t"]})
            net = secret if whole else {"ranges": secret.apply(lambda each: each["ranges"])}
            Thing("one", {"fault": "net.ranges[0]", "net": net})

        outcome = bench.run("up", program)
        assert "property net.ranges[0] value" in outcome.failures[0][1]
        assert "s3cr3t" not in outcome.failures[0][1]

    def test_secret_values_are_not_shown(self, bench: Bench) -> None:
        outcome = bench.run("up", lambda: void(Thing("one", {"forbidden": pulumi.Output.secret("s3cr3t")})))
        assert "s3cr3t" not in outcome.failures[0][1]


class TestLog:
    def test_of_a_provider_is_told_as_messages_of_the_run(self, bench: Bench) -> None:
        log = logging.getLogger("model_factory.local.providers.retries")
        bench.cloud.hook = lambda method, name: log.info("%s of %s is asked again", method, name)
        bench.up(lambda: void(Thing("one")))
        assert bench.messages("info") == ["Create of one is asked again"]
        assert not logging.getLogger("model_factory.local.providers").handlers


class TestPartialFailure:
    def test_a_half_made_object_is_kept_and_retried(self, bench: Bench) -> None:
        outcome = bench.run("up", lambda: void(Thing("one", {"initFail": True})))
        assert not outcome.ok
        assert "never became ready" in outcome.failures[0][1]
        state = bench.resources()["one"]
        assert state.init_errors == ("never became ready",)
        assert list(bench.cloud.objects) == [state.id]
        # Unchanged inputs: an empty update waits for it again.
        again = bench.run("up", lambda: void(Thing("one", {"initFail": True})))
        assert not again.ok
        assert bench.cloud.made("Update") == ["one"]
        assert bench.up(lambda: void(Thing("one", {}))).changes["update"] == 1
        assert bench.resources()["one"].init_errors == ()

    def test_a_half_done_update_keeps_the_old_inputs(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one", {"size": 1})))
        bench.run("up", lambda: void(Thing("one", {"size": 2, "initFail": True})))
        state = bench.resources()["one"]
        assert (state.inputs["size"], state.outputs["size"]) == (1, 2)
        assert state.init_errors

    def test_replace_on_init_errors_by_option(self, bench: Bench) -> None:
        bench.run("up", lambda: void(Thing("one", {"initFail": True})))
        outcome = bench.up(lambda: void(Thing("one", {}, ResourceOptions(replace_on_changes=["#initerror"]))))
        assert outcome.changes["replace"] == 1


class TestProgramError:
    def test_it_deletes_nothing_and_keeps_outputs(self, bench: Bench) -> None:
        bench.up(chain())
        outputs = bench.up(chain()).outputs

        def broken() -> None:
            pulumi.export("new", 1)
            Thing("good")
            raise RuntimeError("a mistake")

        outcome = bench.run("up", broken)
        assert not outcome.ok
        assert any("a mistake" in message for message in bench.messages("error"))
        assert bench.cloud.names() == {"good", "middle", "last"}
        assert outcome.outputs == {**outputs, "new": 1}
        assert set(bench.resources()) == {"good", "middle", "last"}

    def test_a_child_process_that_exits_is_told(self, bench: Bench, tmp_path: Path) -> None:
        bench.up(chain())
        (tmp_path / "__main__.py").write_text("import os\nos._exit(3)\n")
        outcome = bench.run("up", chain(), in_process=None)
        assert outcome.failures == (("", "the program ended with exit code 3"),)
        assert len(bench.cloud.objects) == 3

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            (
                "import pulumi\npulumi.Config('app').require('size')\n",
                "Missing required configuration variable 'app:size'",
            ),
            ("this is no Python\n", "SyntaxError"),
            ("import not_a_module\n", "No module named 'not_a_module'"),
            ("import pulumi\npulumi.Output.from_input(1).apply(lambda _: 1 / 0)\n", "ZeroDivisionError"),
        ],
    )
    def test_what_was_wrong_is_the_failure(self, bench: Bench, tmp_path: Path, source: str, said: str) -> None:
        (tmp_path / "__main__.py").write_text(source)
        ((_, message),) = bench.run("preview", chain(), in_process=None).failures
        assert said in message
        assert bench.messages("error") == [message.removesuffix("\n")]

    def test_a_traceback_begins_in_the_author_s_code(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "__main__.py").write_text("def wrong():\n    raise ValueError('a mistake')\n\nwrong()\n")
        bench.run("preview", chain(), in_process=None)
        message = next(message for message in bench.messages("error") if "a mistake" in message)
        assert "__main__.py" in message
        assert "run_path" not in message
        assert "run_in_stack" not in message


class TestCancel:
    def test_running_steps_end_and_nothing_new_begins(self, bench: Bench) -> None:
        def hook(method: str, name: str) -> None:
            if (method, name) == ("Create", "good"):
                bench.cancel.set()
                time.sleep(0.5)

        bench.cloud.hook = hook
        outcome = bench.run("up", chain())
        assert (outcome.ok, outcome.cancelled, outcome.result) == (False, True, "canceled")
        assert set(bench.resources()) == {"good"}
        assert bench.store.load().pending_operations == ()
        bench.cancel.clear()
        bench.cloud.hook = lambda _method, _name: None
        bench.up(chain())
        assert bench.cloud.names() == {"good", "middle", "last"}

    def test_a_child_program_that_does_not_listen_is_ended(self, bench: Bench, tmp_path: Path) -> None:
        began, ended = tmp_path / "began", tmp_path / "ended"
        program = f"import pathlib, time\npathlib.Path({str(began)!r}).touch()\ntime.sleep(600)\npathlib.Path({str(ended)!r}).touch()\n"
        (tmp_path / "__main__.py").write_text(program)

        def cancel() -> None:
            wait_for(began.exists)
            bench.cancel.set()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        outcome = bench.run("up", chain(), in_process=None)
        canceller.join()
        assert outcome.cancelled
        assert not ended.exists()

    def test_ctrl_c_in_the_terminal_ends_cleanly(self, tmp_path: Path) -> None:
        (tmp_path / "main.py").write_text(_INTERRUPTED)
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "main.py"), str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd(),
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "creating"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().split() == ["canceled", "slow"]
        assert process.wait(20) == 0
        process.stdout.close()


_INTERRUPTED = """
import sys, time, pulumi
from pathlib import Path
from tests.local.engine.stack import Bench, Thing
bench = Bench(Path(sys.argv[1]))
def hook(method, name):
    print("creating", flush=True)
    time.sleep(1)
bench.cloud.hook = hook
def program():
    slow = Thing("slow")
    Thing("next", {}, pulumi.ResourceOptions(depends_on=[slow]))
outcome = bench.run("up", program)
print(outcome.result, *bench.resources())
"""


class TestInterruptedRun:
    """An unfinished create may have made an object that no state knows."""

    def interrupted(self, bench: Bench, *, made: bool) -> None:
        """As if `up` had been killed while it created `lost`: begun on disk, the end not."""
        bench.up(lambda: void([Thing("kept"), Thing("lost", {"size": 1})]))
        snapshot = bench.store.load()
        lost = next(state for state in snapshot.resources if state.name == "lost")
        if not made:
            del bench.cloud.objects[lost.id]
        begun = replace(lost, id="", outputs={})
        others = tuple(state for state in snapshot.resources if state is not lost)
        self.write(bench, replace(snapshot, resources=others, pending_operations=(Operation(begun, "creating"),)))

    def write(self, bench: Bench, snapshot: Snapshot) -> None:
        with bench.store.lock():
            bench.store.load()
            bench.store.write(snapshot)

    def program(self) -> None:
        Thing("kept")
        Thing("lost", {"size": 1})

    @pytest.mark.parametrize("made", [True, False])
    def test_up_finds_the_object_or_makes_it_anew(self, bench: Bench, made: bool) -> None:
        self.interrupted(bench, made=made)
        outcome = bench.up(self.program)
        assert outcome.changes == ({"same": 3} if made else {"same": 2, "create": 1})
        assert sorted(item["name"] for item in bench.cloud.objects.values()) == ["kept", "lost"]
        assert bench.store.load().pending_operations == ()
        assert not bench.up(self.program).changed

    @pytest.mark.parametrize("made", [True, False])
    def test_a_create_of_which_nobody_knows_is_pending_and_settled_by_the_next_up(
        self, bench: Bench, made: bool
    ) -> None:
        def lose(method: str, request: Any) -> None:
            if method == "Create" and request.name == "lost":
                if made:
                    inputs = wire.decode(request.properties)
                    bench.cloud.objects["id-lost"] = {"name": "lost", "urn": request.urn, **inputs}
                raise ProviderCallError(grpc.StatusCode.DATA_LOSS, "the answer was lost")

        bench.cloud.on_request = lose
        assert bench.run("up", self.program).failures[0][1] == "the answer was lost"
        assert [operation.type for operation in bench.store.load().pending_operations] == ["creating"]
        bench.cloud.on_request = lambda *_: None
        bench.up(self.program)
        assert sorted(item["name"] for item in bench.cloud.objects.values()) == ["kept", "lost"]
        assert bench.store.load().pending_operations == ()
        assert not bench.up(self.program).changed

    def test_what_a_create_had_not_come_to_is_done_by_the_next_up(self, bench: Bench) -> None:
        self.interrupted(bench, made=True)
        bench.cloud.find("lost")["size"] = 0
        assert bench.up(self.program).changes == {"same": 2, "update": 1}
        assert bench.cloud.find("lost")["size"] == 1

    @pytest.mark.parametrize("made", [True, False])
    def test_destroy_leaves_no_orphan(self, bench: Bench, made: bool) -> None:
        self.interrupted(bench, made=made)
        assert bench.destroy().ok
        assert not bench.cloud.objects
        assert not bench.store.load().resources

    def test_refresh_takes_it_into_the_state(self, bench: Bench) -> None:
        self.interrupted(bench, made=True)
        assert bench.run("refresh").ok
        assert set(bench.resources()) == {"kept", "lost"}

    def test_preview_says_what_up_will_do_and_writes_nothing(self, bench: Bench) -> None:
        self.interrupted(bench, made=True)
        before = bench.store.path.read_bytes()
        assert bench.preview(self.program).changes == {"same": 3}
        assert bench.store.path.read_bytes() == before

    def test_an_interrupted_replacement_keeps_the_old_copy_until_it_is_deleted(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one", {"forceNewZone": "a"})))
        old = bench.resources()["one"]
        new = replace(old, id="", outputs={}, inputs={**old.inputs, "forceNewZone": "b", "autoName": "one-new"})
        bench.cloud.objects["id-new"] = {
            "name": "one",
            "urn": old.urn,
            "forceNewZone": "b",
            "autoName": "one-new",
        }
        self.write(bench, replace(bench.store.load(), pending_operations=(Operation(new, "creating"),)))
        outcome = bench.up(lambda: void(Thing("one", {"forceNewZone": "b"})))
        assert outcome.changes == {"same": 2}
        assert list(bench.cloud.objects) == ["id-new"]
        assert bench.resources()["one"].id == "id-new"

    def test_the_old_copy_is_not_taken_for_the_replacement_that_was_not_made(self, bench: Bench) -> None:
        bench.up(self.program)
        old = bench.resources()["lost"]
        pending = (Operation(replace(old, id="", outputs={}), "creating"),)
        self.write(bench, replace(bench.store.load(), pending_operations=pending))
        assert bench.up(self.program).changes == {"same": 3}
        assert bench.resources()["lost"].id == old.id
        assert old.id in bench.cloud.objects

    @pytest.mark.parametrize("kind", ["updating", "deleting"])
    def test_a_change_that_the_program_took_back_is_found_and_undone(self, bench: Bench, kind: OperationType) -> None:
        """Killed after the cloud had done it; the program then asks for what the state says already."""
        bench.up(self.program)
        snapshot = bench.store.load()
        lost = next(state for state in snapshot.resources if state.name == "lost")
        if kind == "updating":
            bench.cloud.objects[lost.id]["size"] = 2
        else:
            del bench.cloud.objects[lost.id]
        self.write(bench, replace(snapshot, pending_operations=(Operation(lost, kind),)))
        outcome = bench.up(self.program)
        assert outcome.changes == {("update" if kind == "updating" else "create"): 1, "same": 2}
        assert bench.cloud.find("lost")["size"] == 1
        assert bench.store.load().pending_operations == ()

    @pytest.mark.parametrize("kind", ["updating", "deleting"])
    def test_a_change_that_was_not_done_leaves_nothing_open(self, bench: Bench, kind: OperationType) -> None:
        bench.up(self.program)
        snapshot = bench.store.load()
        lost = next(state for state in snapshot.resources if state.name == "lost")
        self.write(bench, replace(snapshot, pending_operations=(Operation(lost, kind),)))
        assert bench.up(self.program).changes == {"same": 3}
        assert bench.store.load().pending_operations == ()

    def test_a_deleted_but_not_yet_recreated_resource_is_not_deleted_twice(self, bench: Bench) -> None:
        options = ResourceOptions(delete_before_replace=True)
        bench.up(lambda: void(Thing("one", {"forceNewZone": "a"}, options)))
        failing = {"forceNewZone": "b", "fail": "create"}
        bench.run("up", lambda: void(Thing("one", failing, ResourceOptions(delete_before_replace=True))))
        state = next(state for state in bench.store.load().resources if state.name == "one")
        assert state.pending_replacement
        assert not bench.cloud.objects
        bench.cloud.calls.clear()
        bench.up(lambda: void(Thing("one", {"forceNewZone": "b"}, ResourceOptions(delete_before_replace=True))))
        assert bench.cloud.made("Delete") == []
        assert bench.cloud.names() == {"one"}
        assert not bench.up(lambda: void(Thing("one", {"forceNewZone": "b"}))).changed

    def test_dropping_it_from_the_program_then_only_forgets_it(self, bench: Bench) -> None:
        options = ResourceOptions(delete_before_replace=True)
        bench.up(lambda: void(Thing("one", {"forceNewZone": "a"}, options)))
        failing = {"forceNewZone": "b", "fail": "create"}
        bench.run("up", lambda: void(Thing("one", failing, ResourceOptions(delete_before_replace=True))))
        bench.cloud.calls.clear()
        bench.up(lambda: None)
        assert bench.cloud.made("Delete") == []
        assert bench.resources() == {}

    def test_an_old_copy_whose_deletion_failed_is_deleted_next_time(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one", {"forceNewZone": "a", "fail": "delete"})))
        outcome = bench.run("up", lambda: void(Thing("one", {"forceNewZone": "b"})))
        assert not outcome.ok
        assert len(bench.cloud.objects) == 2
        for item in bench.store.load().resources:
            if item.delete:
                self.write(bench, self.healed(bench.store.load()))
        assert bench.up(lambda: void(Thing("one", {"forceNewZone": "b"}))).ok
        assert len(bench.cloud.objects) == 1

    @staticmethod
    def healed(snapshot: Snapshot) -> Snapshot:
        """The cloud deletes again."""
        resources = tuple(
            replace(state, inputs={key: value for key, value in state.inputs.items() if key != "fail"})
            for state in snapshot.resources
        )
        return replace(snapshot, resources=resources)


class TestKilledAnywhere:
    """SIGKILL at any provider call: the next `up` converges and leaves no orphan."""

    @pytest.mark.slow
    @pytest.mark.parametrize("at", range(6))
    def test_the_next_up_converges(self, tmp_path: Path, at: int) -> None:
        (tmp_path / "main.py").write_text(_KILLED)
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        command = [sys.executable, str(tmp_path / "main.py"), str(tmp_path)]
        killed = subprocess.run([*command, str(at)], env=environment, check=False, cwd=Path.cwd())
        assert killed.returncode == -signal.SIGKILL
        ended = subprocess.run(
            [*command, "-1"], env=environment, check=False, cwd=Path.cwd(), capture_output=True, text=True
        )
        assert ended.stdout.splitlines()[-2:] == ["succeeded base tied top", "succeeded 0"], (
            ended.stdout,
            ended.stderr,
        )


# The cloud outlives the engine: its objects lie in files. A kill falls before or after the object is made.
_KILLED = """
import json, os, signal, sys
from pathlib import Path
import pulumi
from tests.local.engine.stack import Bench, Thing
root, at = Path(sys.argv[1]), int(sys.argv[2])
bench = Bench(root)
saved = root / "cloud.json"
if saved.exists():
    bench.cloud.objects.update(json.loads(saved.read_text()))
    for _ in range(1000): next(bench.cloud.numbers)
calls = 0
class Objects(dict):
    def __setitem__(self, key, value):
        global calls
        calls += 1
        if calls * 2 - 2 == at: os.kill(os.getpid(), signal.SIGKILL)
        super().__setitem__(key, value)
        saved.write_text(json.dumps(self))
        if calls * 2 - 1 == at: os.kill(os.getpid(), signal.SIGKILL)
    def pop(self, key, default=None):
        result = super().pop(key, default)
        saved.write_text(json.dumps(self))
        return result
bench.cloud.objects = Objects(bench.cloud.objects)
def program():
    base = Thing("base", {"size": 1})
    tied = Thing("tied", {"of": base.computed})
    Thing("top", {"of": tied.computed})
outcome = bench.run("up", program)
print(outcome.failures, bench.messages("error"))
print(outcome.result, *sorted(bench.cloud.find(n)["name"] for n in bench.cloud.names()))
assert len(bench.cloud.objects) == 3, bench.cloud.objects
print(bench.destroy().result, len(bench.cloud.objects))
"""


class TestFullDisk:
    def test_the_run_stops_before_the_cloud_is_asked_for_more(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.up(lambda: void(Thing("good")))

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(journal_file, "write_all", full)
        outcome = bench.run("up", chain())
        assert not outcome.ok
        assert "No space left on device" in outcome.failures[0][1]
        assert bench.cloud.names() == {"good"}


class TestEngineIsGone:
    def test_the_program_ends_with_it(self, tmp_path: Path) -> None:
        (tmp_path / "__main__.py").write_text(
            "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)\n"
        )
        source = (
            "import sys\nfrom pathlib import Path\nfrom tests.local.engine.stack import Bench\n"
            "Bench(Path(sys.argv[1])).run('preview', in_process=None)\n"
        )
        engine = subprocess.Popen(
            [sys.executable, "-c", source, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
        )
        pid_file = tmp_path / "pid"
        wait_for(lambda: pid_file.exists() and bool(pid_file.read_text()))
        pid = int(pid_file.read_text())
        engine.kill()
        engine.wait()
        wait_for(lambda: not psutil.pid_exists(pid))


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
