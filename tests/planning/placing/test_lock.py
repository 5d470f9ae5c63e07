"""The plan lock says what the plan says and no more, is written whole or not at all, and is refused, with its line and a remedy, where it
is not as it was written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.kubernetes.serving import SERVING
from model_factory.planning.placing.lock import Lock, LockedPool, lock_file, read_lock, write_lock
from model_factory.planning.placing.plan import Plan, Site
from model_factory.planning.placing.unkept import unkept
from model_factory.planning.planned import market, planned
from model_factory.planning.settings.load import read_files
from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.sections import Settings
from model_factory.planning.settings.stackfile import read_project_file, read_stack_file, stack_files
from tests.planning.project import Edit, Project, put

EAST = Site("aws", "us-east-1")
TEXT = """\
version: 1
stack: dev
models:
  llm:
    aws/us-east-1: [l4x1-spot, l4x1-on-demand]
pools:
  aws/us-east-1:
    l4x1-on-demand: {capacity: on-demand, machineType: g6.xlarge}
    l4x1-spot: {capacity: spot, machineType: g6.xlarge}
"""


def plan_of(project: Project, lock: Lock | None, *edits: Edit) -> tuple[Settings, Plan]:
    project.write(*edits)
    reading = read_files(read_stack_file(project.stack_file), read_project_file(project.project_file), SERVING)
    return planned(reading, market(), lock)


class TestRoundTrip:
    def test_what_is_written_is_what_is_read(self, project: Project) -> None:
        _, plan = plan_of(project, None)
        path = lock_file(project.root, "dev")
        assert read_lock(path, "dev") is None
        assert write_lock(path, Lock.of(plan), "dev")
        assert read_lock(path, "dev") == Lock.of(plan)

    def test_a_plan_made_from_the_lock_is_the_lock(self, project: Project) -> None:
        _, plan = plan_of(project, None)
        lock = Lock.of(plan)
        _, again = plan_of(project, lock)
        assert Lock.of(again) == lock
        assert not lock.differing(Lock.of(again))

    def test_the_same_lock_is_not_written_twice(self, project: Project) -> None:
        path, lock = lock_file(project.root, "dev"), Lock.of(plan_of(project, None)[1])
        assert write_lock(path, lock, "dev")
        before = path.stat()
        assert not write_lock(path, lock, "dev")
        assert path.stat().st_mtime_ns == before.st_mtime_ns

    def test_prices_and_replicas_are_not_in_it(self, project: Project) -> None:
        few, many = (
            Lock.of(plan_of(project, None, put("model-factory:models/llm/replicas/max", count))[1]).text("dev")
            for count in (3, 4)
        )
        assert few == many
        assert "usd" not in few

    def test_anybody_may_read_it_as_the_other_files(self, project: Project) -> None:
        path = lock_file(project.root, "dev")
        write_lock(path, Lock.of(plan_of(project, None)[1]), "dev")
        assert path.stat().st_mode & 0o777 == 0o644

    def test_it_is_no_stack_file(self, project: Project) -> None:
        project.write()
        path = lock_file(project.root, "dev")
        path.write_text(TEXT)
        assert stack_files(project.root) == [project.stack_file]
        with pytest.raises(SettingsError, match=r"is a plan lock; the stack file is Pulumi\.dev\.yaml"):
            read_stack_file(path)


class TestWithout:
    def test_names_the_models_to_be_placed_anew_and_keeps_the_names_of_pools(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.dev.plan.yaml"
        path.write_text(TEXT)
        lock = read_lock(path, "dev")
        assert lock is not None
        assert lock.without("llm") == Lock({}, lock.pools)


class TestDiffering:
    def test_is_about_machines_and_not_about_names_of_pools(self) -> None:
        spot = LockedPool(capacity="spot", machine_type="g6.xlarge")
        large = LockedPool(capacity="spot", machine_type="g6.2xlarge")
        one = Lock({"a": {EAST: ("x",)}, "b": {EAST: ("x",)}}, {EAST: {"x": spot}})
        renamed = Lock({"a": {EAST: ("y",)}, "b": {EAST: ("x",)}}, {EAST: {"x": large, "y": spot}})
        assert one.differing(renamed) == {"b"}
        assert one.differing(Lock()) == {"a", "b"}


BROKEN: dict[str, tuple[Callable[[str], str], int, str]] = {
    "a version of the future": (
        lambda text: text.replace("version: 1", "version: 2"),
        1,
        "version",
    ),
    "no version": (lambda text: text.replace("version: 1\n", ""), 1, "version"),
    "another stack's": (
        lambda text: text.replace("stack: dev", "stack: prod"),
        2,
        "is the plan of stack prod, and this is dev",
    ),
    "a key of nobody": (lambda text: text + "prices: {}\n", 10, "prices"),
    "a site that no cloud has": (
        lambda text: text.replace("aws/us-east-1: [", "aws/us-east-9: ["),
        5,
        "'aws/us-east-9' is no cloud's region; write aws/us-east-",
    ),
    "a pool that is not there": (
        lambda text: text.replace("[l4x1-spot,", "[l4x1-spto,"),
        5,
        "'l4x1-spto' is no pool of aws/us-east-1; write l4x1-spot",
    ),
    "a model without a pool": (
        lambda text: text.replace("[l4x1-spot, l4x1-on-demand]", "[]"),
        5,
        "has no pool; name one of its site's",
    ),
    "a pool twice": (
        lambda text: text.replace("l4x1-on-demand]", "l4x1-spot]"),
        5,
        "l4x1-spot is there twice; keep one",
    ),
    "a machine type that is none": (
        lambda text: text.replace("on-demand, machineType: g6.xlarge", "on-demand, machineType: g6.xlagre"),
        8,
        "'g6.xlagre' is not a machine type of aws; write g6.xlarge",
    ),
    "a capacity that is none": (
        lambda text: text.replace("capacity: spot", "capacity: sopt"),
        9,
        "spot",
    ),
    "a machine type of the other cloud": (
        lambda text: text.replace("on-demand, machineType: g6.xlarge", "on-demand, machineType: g2-standard-4"),
        8,
        "'g2-standard-4' is not a machine type of aws",
    ),
    "a version that is no number": (
        lambda text: text.replace("version: 1", "version: true"),
        1,
        "True is not a whole number",
    ),
    "two pools that are bought in one way": (
        lambda text: text.replace("capacity: spot", "capacity: on-demand"),
        5,
        "l4x1-on-demand is on-demand as l4x1-spot is, and a model has one of each; keep one",
    ),
    "two kinds of accelerators": (
        lambda text: text.replace("on-demand, machineType: g6.xlarge", "on-demand, machineType: g6e.xlarge"),
        5,
        "l4x1-on-demand has l40s, and l4x1-spot l4; a model has one kind: keep one",
    ),
    "reserved machines of no reservation": (
        lambda text: text.replace("capacity: spot", "capacity: reserved"),
        9,
        "names no reservation; add reservation",
    ),
    "a reservation of machines that are bought otherwise": (
        lambda text: text.replace("{capacity: spot,", "{capacity: spot, reservation: cr-0123456789abcdef0,"),
        9,
        "no reservation holds (spot); remove it",
    ),
    "lists without end": (lambda text: text + "x: " + "[" * 5000, 10, "nests deeper than"),
    "a file of megabytes": (lambda text: text + "# more\n" * 300_000, 0, "is it another file?"),
    "a pool without a machine type": (
        lambda text: text.replace("{capacity: spot, machineType: g6.xlarge}", "{capacity: spot}"),
        9,
        "machineType",
    ),
    "a merge that nobody finished": (
        lambda text: text.replace("  llm:\n", "<<<<<<< ours\n  llm:\n=======\n  lmm:\n>>>>>>> theirs\n"),
        4,
        "has the marks of a merge; take one side whole",
    ),
    "no YAML": (lambda text: text.replace("models:", "models: ["), 5, "is not YAML"),
    "nothing": (lambda _: "", 1, "is empty or not a mapping; it starts with version:"),
}


class TestRefusals:
    @pytest.mark.parametrize("case", BROKEN)
    def test_name_file_and_line_and_what_to_do(self, case: str, tmp_path: Path) -> None:
        broken, line, told = BROKEN[case]
        path = tmp_path / "Pulumi.dev.plan.yaml"
        path.write_text(broken(TEXT))
        with pytest.raises(SettingsError) as refused:
            read_lock(path, "dev")
        (problem,) = refused.value.problems
        assert (problem.file, problem.line) == (path.name, line), problem
        assert told in str(problem)
        assert "`factory plan --apply --stack dev`" in problem.message

    def test_all_mistakes_are_told_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.dev.plan.yaml"
        path.write_text(TEXT.replace("stack: dev", "stack: prod").replace("g6.xlarge", "g6.none"))
        with pytest.raises(SettingsError) as refused:
            read_lock(path, "dev")
        assert [problem.line for problem in refused.value.problems] == [2, 8, 9]


class TestWriting:
    def test_a_disk_that_is_full_leaves_the_lock_as_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "Pulumi.dev.plan.yaml"
        path.write_text(TEXT)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(SettingsError, match=r"cannot be written \(No space left on device\).*; .*make room"):
            write_lock(path, Lock(), "dev")
        assert [each.name for each in tmp_path.iterdir()] == [path.name]
        assert path.read_text() == TEXT

    def test_a_folder_in_its_place_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.dev.plan.yaml"
        path.mkdir()
        with pytest.raises(SettingsError, match="cannot be written"):
            write_lock(path, Lock(), "dev")
        assert [each.name for each in tmp_path.iterdir()] == [path.name]

    def test_a_folder_in_its_place_is_no_missing_lock(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.dev.plan.yaml"
        path.mkdir()
        with pytest.raises(SettingsError, match=r"is a folder, and the plan is kept there; move it away$"):
            read_lock(path, "dev")

    @pytest.mark.parametrize("before", [TEXT, None], ids=["a file", "nothing yet"])
    def test_a_link_stays_one_and_leads_to_the_new_lock(self, before: str | None, tmp_path: Path) -> None:
        path, target = tmp_path / "Pulumi.dev.plan.yaml", tmp_path / "kept" / "dev.yaml"
        target.parent.mkdir()
        path.symlink_to(target)
        if before is not None:
            target.write_text(before)
        assert write_lock(path, Lock(), "dev")
        assert path.is_symlink()
        assert target.read_text() == Lock().text("dev")

    def test_a_writer_that_is_killed_leaves_a_whole_lock(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.dev.plan.yaml"
        for _ in range(3):
            with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
                assert writer.stdout is not None
                assert writer.stdout.readline() == b"began\n"
                writer.kill()
            lock = read_lock(path, "dev")
            assert lock is not None
            assert len(lock.models) in {1, 500}


WRITER = """
import sys
from pathlib import Path
from model_factory.planning.placing.lock import Lock, LockedPool, write_lock
from model_factory.planning.placing.plan import Site

site = Site("aws", "us-east-1")
pools = {site: {"l4x1-spot": LockedPool(capacity="spot", machine_type="g6.xlarge")}}
few, many = (Lock({f"m{n}": {site: ("l4x1-spot",)} for n in range(count)}, pools) for count in (1, 500))
write_lock(Path(sys.argv[1]), few, "dev")
print("began", flush=True)
while True:
    write_lock(Path(sys.argv[1]), many, "dev")
    write_lock(Path(sys.argv[1]), few, "dev")
"""
"""Writes a large lock and a small one in turns, until it is killed."""


class TestUnkept:
    def test_without_a_lock_one_note_tells_the_day_of_the_prices(self, project: Project) -> None:
        settings, plan = plan_of(project, None)
        (note,) = unkept(settings, plan, None)
        newest = max(leg.offer.as_of for each in plan.placements for leg in each.legs)
        assert note.file == "Pulumi.dev.plan.yaml"
        assert f"at the prices of {newest}" in note.message
        assert "factory plan --keep --apply" in note.message

    def test_a_model_that_the_lock_does_not_have_is_told_with_its_place(self, project: Project) -> None:
        _, plan = plan_of(project, None)
        lock = Lock.of(plan).without("resnet")
        settings, again = plan_of(project, lock)
        (note,) = unkept(settings, again, lock)
        assert note.key == "model-factory:models.resnet"
        assert note.line == project.line_of("resnet:")
        (placed,) = again.of_model("resnet")
        assert f"{placed.site} ({placed.first.offer.machine_type} on-demand)" in note.message

    def test_a_lock_that_has_all_leaves_nothing_to_tell(self, project: Project) -> None:
        lock = Lock.of(plan_of(project, None)[1])
        settings, plan = plan_of(project, lock)
        assert list(unkept(settings, plan, lock)) == []
