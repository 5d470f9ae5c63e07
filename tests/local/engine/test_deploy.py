"""The engine's basic life of a stack, with the program in process and in a child process."""

from __future__ import annotations

from pathlib import Path

import pulumi

from tests.local.engine.stack import Bench, Thing


def two_things() -> None:
    first = Thing("first", {"size": 1})
    Thing("second", {"of": first.computed})  # type: ignore[attr-defined]
    pulumi.export("answer", first.computed)  # type: ignore[attr-defined]


class TestLifeOfAStack:
    def test_up_creates_then_changes_nothing(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        outcome = bench.up(two_things)
        assert bench.cloud.names() == {"first", "second"}
        assert outcome.changes == {"create": 3}
        assert outcome.outputs == {"answer": bench.resources()["first"].outputs["computed"]}
        again = bench.up(two_things)
        assert again.changes == {"same": 3}
        assert not again.changed

    def test_preview_changes_nothing(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        outcome = bench.preview(two_things)
        assert outcome.ok
        assert outcome.changes == {"create": 3}
        assert not bench.cloud.objects
        assert not bench.store.exists()

    def test_destroy_leaves_nothing(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        bench.up(two_things)
        outcome = bench.destroy()
        assert outcome.ok, outcome.failures
        assert not bench.cloud.objects
        assert not bench.store.load().resources
        assert outcome.changes == {"delete": 3}


class TestChildProcess:
    def test_program_folder_runs_in_a_process_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "__main__.py").write_text(
            "import pulumi, helper\n"
            "print('hello from the program')\n"
            "first = helper.Thing('first', {'size': pulumi.Config('app').require_int('size')})\n"
            "helper.Thing('second', {'of': first.computed})\n"
            "pulumi.export('answer', first.computed)\n"
        )
        (tmp_path / "helper.py").write_text(
            "import pulumi\n"
            "class Thing(pulumi.CustomResource):\n"
            "    def __init__(self, name, props, opts=None):\n"
            "        super().__init__('test:index:Thing', name, {'computed': None, **props}, opts)\n"
        )
        bench = Bench(tmp_path)
        options = {"in_process": None, "config": {"app:size": "7"}}
        assert bench.preview(two_things, **options).changes == {"create": 3}
        outcome = bench.up(two_things, **options)
        assert bench.cloud.find("first")["size"] == 7
        assert outcome.outputs["answer"] == bench.resources()["first"].outputs["computed"]
        assert "hello from the program" in bench.messages("info")
        assert bench.up(two_things, **options).changes == {"same": 3}
