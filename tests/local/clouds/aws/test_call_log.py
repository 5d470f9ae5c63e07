"""The log of mutating calls, without a cloud."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_factory.local.clouds import REFUSAL
from model_factory.local.clouds.aws.call_log import CallLog
from model_factory.local.errors import CloudDataError

ENTRY = st.fixed_dictionaries({"at": st.floats(0, 1e10), "body": st.text(max_size=40)})


@contextmanager
def opened(directory: Path) -> Iterator[CallLog]:
    with closing(CallLog(directory)) as record:
        yield record


def write(directory: Path, entries: list[dict[str, object]]) -> bytes:
    with opened(directory) as record:
        assert record.read() == []
        for entry in entries:
            record.append(entry)
    return (directory / "calls.jsonl").read_bytes()


class TestWhatIsReadAgain:
    @settings(max_examples=30)
    @given(entries=st.lists(ENTRY, max_size=6))
    def test_all_that_was_written_in_order(
        self, tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, object]]
    ) -> None:
        directory = tmp_path_factory.mktemp("record")
        write(directory, entries)
        with opened(directory) as record:
            assert record.read() == entries

    @settings(max_examples=50)
    @given(entries=st.lists(ENTRY, min_size=1, max_size=4), data=st.data())
    def test_whole_lines_of_a_file_cut_anywhere_and_more_can_be_written(
        self, tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, object]], data: st.DataObject
    ) -> None:
        directory = tmp_path_factory.mktemp("record")
        whole = write(directory, entries)
        cut = data.draw(st.integers(0, len(whole)))
        (directory / "calls.jsonl").write_bytes(whole[:cut])
        kept = max(0, whole[:cut].count(b"\n") - 1)
        with opened(directory) as record:
            assert record.read() == entries[:kept]
            record.append({"at": 1.0})
        with opened(directory) as record:
            assert record.read() == [*entries[:kept], {"at": 1.0}]

    def test_rewriting_replaces_everything(self, tmp_path: Path) -> None:
        write(tmp_path, [{"at": 1.0}, {"at": 2.0}])
        with opened(tmp_path) as record:
            record.rewrite([{"at": 2.0}])
            record.append({"at": 3.0})
        with opened(tmp_path) as record:
            assert record.read() == [{"at": 2.0}, {"at": 3.0}]


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"format":1}\n[]\n{}\n', "calls.jsonl:2"),
            ('{"format":1}\n{}\n{"at"\n{}\n', "calls.jsonl:3"),
            ('{"format":2}\n{}\n', "calls.jsonl:2"),
            ('{"format":99}\n{}\n', "calls.jsonl:1: it is not the header"),
            ("[" * 100_000 + "\n{}\n", "calls.jsonl:1: it is not the header"),
        ],
    )
    def test_a_damaged_or_newer_file_with_its_line(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "calls.jsonl").write_text(text)
        with opened(tmp_path) as record, pytest.raises(CloudDataError, match=said):
            record.read()

    def test_a_line_that_is_missing_doubled_elsewhere_or_changed_with_its_number(self, tmp_path: Path) -> None:
        lines = write(tmp_path, [{"at": float(number)} for number in range(6)]).splitlines(keepends=True)
        for index in range(1, len(lines) - 1):
            for damaged in (
                [*lines[:index], *lines[index + 1 :]],
                [*lines[: index + 1], *lines[index:]],
                [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]],
                [*lines[:index], lines[index].replace(b"at", b"to"), *lines[index + 1 :]],
            ):
                (tmp_path / "calls.jsonl").write_bytes(b"".join(damaged))
                with opened(tmp_path) as record, pytest.raises(CloudDataError) as caught:
                    record.read()
                assert f"calls.jsonl:{index + 1}:" in str(caught.value) or f"calls.jsonl:{index + 2}:" in str(
                    caught.value
                )
                assert "Remove the lines from" in str(caught.value)
                assert "factory refresh" in str(caught.value)

    def test_its_remedy_helps(self, tmp_path: Path) -> None:
        lines = write(tmp_path, [{"at": float(number)} for number in range(4)]).splitlines(keepends=True)
        (tmp_path / "calls.jsonl").write_bytes(b"".join(lines[:3]))
        with opened(tmp_path) as record:
            assert record.read() == [{"at": 0.0}, {"at": 1.0}]

    def test_a_log_without_checksums_is_read_and_written_anew(self, tmp_path: Path) -> None:
        (tmp_path / "calls.jsonl").write_text('{"format":1}\n{"at":1.0}\n{"at":2.0}\n')
        for _ in range(2):
            with opened(tmp_path) as record:
                assert record.read() == [{"at": 1.0}, {"at": 2.0}]
        assert (tmp_path / "calls.jsonl").read_text().startswith('{"format":2}\n')

    def test_a_directory_in_use(self, tmp_path: Path) -> None:
        with opened(tmp_path), pytest.raises(CloudDataError, match="another local AWS has"):
            CallLog(tmp_path)

    def test_a_file_removed_under_the_cloud(self, tmp_path: Path) -> None:
        with opened(tmp_path) as record:
            record.read()
            record.path.unlink()
            with pytest.raises(CloudDataError, match="was removed"):
                record.append({"at": 1.0})

    def test_the_process_says_it_in_one_line(self, tmp_path: Path) -> None:
        whole = write(tmp_path, [{"at": 1.0}, {"at": 2.0}, {"at": 3.0}]).splitlines(keepends=True)
        (tmp_path / "calls.jsonl").write_bytes(whole[0] + whole[2] + whole[3])
        command = [sys.executable, "-m", "model_factory.local.clouds.aws", "--port", "0", "--data", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"{REFUSAL}{tmp_path / 'calls.jsonl'}:2: it is not what was written there")
        assert ended.stderr.count("\n") == 1


class TestBodies:
    def test_that_were_kept_come_back_from_a_log_opened_again(self, tmp_path: Path) -> None:
        with opened(tmp_path) as record:
            record.read()
            name = record.keep(b"weights")
            record.append({"at": 1.0, "bodyIn": name})
        with opened(tmp_path) as record:
            assert [record.body(entry["bodyIn"]) for entry in record.read()] == [b"weights"]

    def test_go_with_the_last_entry_that_names_them(self, tmp_path: Path) -> None:
        with opened(tmp_path) as record:
            record.read()
            kept, gone = record.keep(b"a"), record.keep(b"b")
            record.rewrite([{"at": 1.0, "bodyIn": kept}])
            assert record.body(kept) == b"a"
            with pytest.raises(CloudDataError, match=gone):
                record.body(gone)

    def test_that_were_changed_are_never_taken_for_what_was_written(self, tmp_path: Path) -> None:
        with opened(tmp_path) as record:
            name = record.keep(b"weights")
            (tmp_path / "bodies" / name).write_bytes(b"others")
            with pytest.raises(CloudDataError, match="factory refresh"):
                record.body(name)
