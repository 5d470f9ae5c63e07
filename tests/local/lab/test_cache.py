from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from model_factory.local.lab import cache


def fill(folder: Path, _: int) -> None:
    (folder / "program").write_text("made")


class TestRoot:
    def test_it_is_outside_of_every_clone(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache.root() == tmp_path / ".cache" / "model-factory" / "lab"

    def test_the_users_own_place_for_caches_counts(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache.root() == tmp_path / "model-factory" / "lab"

    def test_a_relative_place_for_caches_does_not_count(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "here")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache.root() == tmp_path / ".cache" / "model-factory" / "lab"


class TestMadeOnce:
    def test_what_is_there_is_not_made_again(self, tmp_path: Path) -> None:
        assert cache.made_once(tmp_path / "it", fill)
        (tmp_path / "it" / "program").write_text("kept")
        assert not cache.made_once(tmp_path / "it", fill)
        assert (tmp_path / "it" / "program").read_text() == "kept"

    @pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
    def test_what_was_not_finished_is_not_there(self, tmp_path: Path, error: type[BaseException]) -> None:
        def stops(folder: Path, lock: int) -> None:
            fill(folder, lock)
            raise error

        with pytest.raises(error):
            cache.made_once(tmp_path / "it", stops)
        assert [path.name for path in tmp_path.iterdir()] == ["it.lock"]

    def test_what_a_killed_build_left_is_never_taken_for_built(self, tmp_path: Path) -> None:
        left = tmp_path / "it.building"
        (left / "modules").mkdir(parents=True)
        (left / "modules" / "half").write_text("")
        (left / "modules").chmod(0o500)  # as Go keeps modules
        assert cache.made_once(tmp_path / "it", fill)
        assert [path.name for path in (tmp_path / "it").iterdir()] == ["program"]
        assert not left.exists()

    def test_two_that_want_the_same_make_it_once(self, tmp_path: Path) -> None:
        begun, waiting, made = threading.Event(), threading.Event(), list[bool]()

        def slowly(folder: Path, lock: int) -> None:
            begun.set()
            assert waiting.wait(30)
            fill(folder, lock)

        first = threading.Thread(target=lambda: made.append(cache.made_once(tmp_path / "it", slowly)))
        first.start()
        assert begun.wait(30)
        again = cache.made_once(tmp_path / "it", fill, waits=waiting.set)
        first.join()
        assert waiting.is_set()
        assert (made, again) == ([True], False)

    def test_a_process_that_has_the_lock_keeps_others_away(self, tmp_path: Path) -> None:
        kept: list[int] = []

        def dies(_: Path, lock: int) -> None:
            kept.append(os.dup(lock))  # as a process that it started has
            raise InterruptedError

        with pytest.raises(InterruptedError):
            cache.made_once(tmp_path / "it", dies)
        other = os.open(tmp_path / "it.lock", os.O_RDWR)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(kept.pop())
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(other)
