from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_factory.local.lab import remains

MOUNTS = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0,  # noqa: S607
    reason="needs root, to mount",
)
SLEEP = "import sys, time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a lab"
    made.mkdir()
    return made


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for each in processes:
        each.kill()
        with each:
            each.wait()


def start(started: list[subprocess.Popen[str]], name: str, code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [name, "-c", code, *arguments]
    process = subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


class TestSweep:
    def test_the_labs_programs_of_this_folder_end_and_others_do_not(
        self, folder: Path, started: list[subprocess.Popen[str]]
    ) -> None:
        ours = start(started, "/cache/etcd", SLEEP, f"--data-dir={folder}/etcd")
        deaf = start(started, "python", DEAF, "model_factory.local.clouds.aws", str(folder))
        others = [
            start(started, "etcd", SLEEP, f"{folder}-of-another"),
            start(started, "vim", SLEEP, f"{folder}/settings.json"),
        ]
        found = remains.sweep(folder)
        assert {each.pid for each in found.processes} == {ours.pid, deaf.pid}
        assert None not in {ours.poll(), deaf.poll()}
        assert {each.poll() for each in others} == {None}
        assert not folder.exists()
        assert not remains.find(folder)

    def test_who_sweeps_is_not_swept(self, folder: Path) -> None:
        code = f"from pathlib import Path; from model_factory.local.lab import remains; print(remains.sweep(Path({str(folder)!r})).described())"
        done = subprocess.run(
            ["/bin/sh", "-c", '"$1" -c "$2" "$3"; echo "went on"', "runc", sys.executable, code, str(folder)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines() == [str([f"folder {folder}"]), "went on"]

    def test_write_protected_files_go_too(self, folder: Path) -> None:
        (folder / "modules").mkdir()
        (folder / "modules" / "file").write_text("")
        (folder / "modules").chmod(0o500)
        remains.sweep(folder)
        assert not folder.exists()

    def test_where_nothing_is_left_nothing_is_done(self, tmp_path: Path) -> None:
        assert not remains.sweep(tmp_path / "never")

    @MOUNTS
    def test_mounts_are_taken_away_before_files(self, folder: Path) -> None:
        """In a mount namespace of its own: the machine's stays as it is."""
        code = (
            "import subprocess, sys; from pathlib import Path; from model_factory.local.lab import remains\n"
            "folder = Path(sys.argv[1]); kept = folder.parent / 'kept'; kept.mkdir(); (kept / 'file').write_text('')\n"
            "for name in ('outer', 'outer/inner'):\n"
            "    (folder / name).mkdir(); subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', str(folder / name)], check=True)\n"
            "(folder / 'bound').mkdir(); subprocess.run(['mount', '--bind', str(kept), str(folder / 'bound')], check=True)\n"
            "found = remains.sweep(folder)\n"
            "print(sorted(str(each.relative_to(folder)) for each in found.mounts), folder.exists(), (kept / 'file').exists())\n"
        )
        done = subprocess.run(
            ["unshare", "--mount", sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False  # noqa: S607
        )  # fmt: skip
        assert done.stdout == "['bound', 'outer', 'outer/inner'] False True\n", done.stderr
