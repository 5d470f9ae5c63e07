"""A damaged file of the local Google Cloud is noticed when it starts, and says what to do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from model_factory.local.clouds import REFUSAL
from model_factory.local.clouds.gcp.store import Store
from model_factory.local.errors import CloudDataError

PAGE_BYTES = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "gcp.sqlite"
    with closing(Store(path)) as store:
        for number in range(300):
            key = f"compute/projects/p/global/networks/n{number:03}"
            store.put(
                key,
                "network",
                "compute/projects/p/global",
                {"name": f"n{number}", "note": "x" * 90},
                frozenset({f"t{number}"}),
                ready=True,
            )
    return path


def count(path: Path) -> int:
    with closing(Store(path)) as store:
        return store.counts().get("network", 0)


class TestDamage:
    def test_a_sound_file_is_read(self, path: Path) -> None:
        assert count(path) == 300

    def test_a_page_that_is_lost_or_overwritten_is_named(self, path: Path) -> None:
        data = path.read_bytes()
        pages = len(data) // PAGE_BYTES
        assert pages > 20
        for page in range(pages):
            start = page * PAGE_BYTES
            for damaged in (
                data[:start] + b"\xa5" * PAGE_BYTES + data[start + PAGE_BYTES :],
                data[:start] + bytes(PAGE_BYTES) + data[start + PAGE_BYTES :],
                data[:start],
            ):
                path.write_bytes(damaged)
                with pytest.raises(CloudDataError, match=r"gcp\.sqlite: .*remove it, with its -wal and -shm"):
                    count(path)

    def test_a_body_that_is_no_json_is_named(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("UPDATE resource SET body = replace(body, '\"note\"', 'note') WHERE key LIKE '%n007'")
            database.commit()
        with pytest.raises(CloudDataError, match="a body of table resource is not JSON"):
            count(path)

    def test_a_file_in_use_is_not_taken_for_damaged(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
            with pytest.raises(CloudDataError, match="no other local cloud has it"):
                count(path)

    def test_the_process_says_it_in_one_line(self, path: Path) -> None:
        path.write_bytes(b"no database" * 1000)
        command = [sys.executable, "-m", "model_factory.local.clouds.gcp", "--port", "0", "--data", str(path.parent)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"{REFUSAL}{path}: file is not a database")
        assert ended.stderr.count("\n") == 1
