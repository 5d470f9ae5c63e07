"""A state or journal that was changed behind the engine's back says the same as before, or is refused by name: every line dropped,
doubled, swapped and cut, every field of another type under a checksum that fits."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_factory.local.engine import journal_file
from model_factory.local.engine.errors import StateError, StoreError
from model_factory.local.engine.model import CustomTimeouts, Operation, ResourceState, Snapshot
from model_factory.local.engine.state import new_manifest
from model_factory.local.engine.store import StackStore
from model_factory.local.wire import ASSET_SIGNATURE, Asset, ResourceReference, Secret
from tests.local.engine.states import PROJECT, STACK, STACK_URN, ScramblingCrypter, provider, stack, thing, urn

VALUES = (None, True, 5, 1.5, "x", [], {}, [5], {"x": 5})
JSON_TYPES = {
    bool: "bool",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
    type(None): "null",
}


def full(name: str) -> ResourceState:
    """A resource with every field that the format has."""
    return thing(
        name, inputs={"s": Secret("x"), "a": Asset(ASSET_SIGNATURE, {"hash": "1f", "path": "x"})},
        outputs={"r": ResourceReference(urn("a"), "i-a", "1.2.3"), "f": float("inf")},
        dependencies=(urn("a"),), property_dependencies={"s": (urn("a"),)}, protect=True, retain_on_delete=True, deleted_with=urn("a"),
        replace_with=(urn("a"),), init_errors=("slow",), additional_secret_outputs=("r",), aliases=(urn("old"),), import_id="i",
        custom_timeouts=CustomTimeouts(1.0, 2.0, 3.0, 4.0), ignore_changes=("x",), replace_on_changes=("y",),
        refresh_before_update=True, created="2026-01-01T00:00:00Z", modified="2026-01-02T00:00:00Z", source_position="project:///a#1",
        extra={"hideDiff": ["z"]},
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StackStore:
    """A stack whose run was cut short: a rich state, and a journal with each kind of entry."""
    store = StackStore(tmp_path_factory.mktemp("damage"), PROJECT, STACK, ScramblingCrypter)
    old = thing("d", id="old", delete=True)
    rows = (
        stack({"url": Secret("https://x")}),
        provider(),
        thing("a"),
        full("b"),
        thing("d"),
        thing("e"),
        thing("g"),
        old,
    )
    pending = (Operation(thing("c", id=""), "creating"), Operation(thing("e"), "updating"))
    with store.lock():
        store.load()
        store.write(Snapshot(rows, pending))
        base = store.load()
        a, b, d, e, g, old = base.resources[2:]
        journal = store.journal(base)
        journal.end(journal.begin("create", new=full("f")), ok=True, new=replace(full("f"), id="i-new"))
        journal.end(
            journal.begin("update", old=b, new=replace(b, inputs={"n": 2})), ok=True, new=replace(b, inputs={"n": 2})
        )
        journal.record("same", old=a, new=replace(a, protect=True))
        journal.end(
            journal.begin("create-replacement", old=d, new=replace(d, id="")), ok=True, new=replace(d, id="i-2")
        )
        journal.end(journal.begin("delete", old=old), ok=False)
        journal.resolve(base.pending_operations[0], new=thing("c"))
        journal.outputs(STACK_URN, {"url": Secret("https://y")})
        journal.record("refresh", old=e)
        journal.begin("delete", old=g)
        journal.begin("create", new=thing("h", id=""))
        journal.abandon()
    return store


@pytest.fixture
def copied(store: StackStore, tmp_path: Path) -> StackStore:
    made = StackStore(tmp_path, PROJECT, STACK, ScramblingCrypter)
    made.path.write_bytes(store.path.read_bytes())
    made.journal_path.write_bytes(store.journal_path.read_bytes())
    return made


def said(store: StackStore) -> tuple[Any, Any]:
    snapshot = store.load()
    return snapshot.resources, snapshot.pending_operations


def tried(store: StackStore) -> tuple[Any, str | None]:
    """What it says, or how it is refused. Whatever else is raised fails the test."""
    try:
        return said(store), None
    except StoreError as error:
        return None, str(error)


def framed(texts: list[bytes]) -> bytes:
    checksum, lines = 0, b""
    for text in texts:
        checksum = zlib.crc32(text, checksum)
        lines += b"%08x %b\n" % (checksum, text)
    return lines


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where fields of the format stand. What a program gave, inside inputs and outputs, is anything."""
    if path:
        yield path
    items: Any = ()
    if isinstance(document, dict) and not (path and path[-1] in ("inputs", "outputs")):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for key, item in items:
        yield from places(item, (*path, key))


def changed(document: Any, path: tuple[Any, ...]) -> Iterator[Any]:
    """The document with a value of each other type in this place."""
    for value in VALUES:
        copied = copy.deepcopy(document)
        holder = copied
        for key in path[:-1]:
            holder = holder[key]
        # Pulumi writes null where a property depends on nothing.
        unset = value is None and path[-2:-1] == ("propertyDependencies",)
        if JSON_TYPES[type(value)] != JSON_TYPES[type(holder[path[-1]])] and not unset:
            holder[path[-1]] = value
            yield copied


class TestJournal:
    def lines(self, store: StackStore) -> list[bytes]:
        return store.journal_path.read_bytes().splitlines(keepends=True)

    def prefixes(self, copied: StackStore) -> list[Any]:
        """What each number of whole lines says: a run may have been killed after any of them."""
        lines, found = self.lines(copied), []
        for count in range(len(lines) + 1):
            copied.journal_path.write_bytes(b"".join(lines[:count]))
            found.append(said(copied))
        return found

    def test_a_line_that_is_missing_doubled_or_elsewhere_is_named(self, copied: StackStore) -> None:
        lines = self.lines(copied)
        for index in range(len(lines) - 1):
            for damaged in (
                [*lines[:index], *lines[index + 1 :]],
                [*lines[: index + 1], *lines[index:]],
                [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]],
            ):
                copied.journal_path.write_bytes(b"".join(damaged))
                with pytest.raises(StateError, match=r"dev\.journal line \d+ \(damaged\).*remove this line"):
                    copied.load()

    def test_a_journal_twice_in_a_file_is_named(self, copied: StackStore) -> None:
        lines = self.lines(copied)
        copied.journal_path.write_bytes(b"".join([*lines, *lines]))
        with pytest.raises(StateError, match=rf"dev\.journal line {len(lines) + 1} "):
            copied.load()

    def test_a_last_line_twice_is_named(self, copied: StackStore) -> None:
        lines = self.lines(copied)
        copied.journal_path.write_bytes(b"".join([*lines, lines[-1]]))
        with pytest.raises(StateError, match=rf"dev\.journal line {len(lines) + 1} "):
            copied.load()

    def test_cut_at_any_byte_it_says_what_its_whole_lines_say(self, copied: StackStore) -> None:
        data = copied.journal_path.read_bytes()
        expected = self.prefixes(copied)
        for length in range(0, len(data) + 1, 17):
            copied.journal_path.write_bytes(data[:length])
            assert said(copied) == expected[data[:length].count(b"\n")]

    def test_any_changed_byte_is_named_but_for_a_torn_last_line(self, copied: StackStore) -> None:
        data = copied.journal_path.read_bytes()
        expected = self.prefixes(copied)[-2:]
        for index in range(0, len(data), 23):
            for byte in (b"#", b"\n", b"\0"):
                copied.journal_path.write_bytes(data[:index] + byte + data[index + 1 :])
                found, refusal = tried(copied)
                assert found in expected if refusal is None else "dev.journal" in refusal

    def test_a_field_of_another_type_is_refused_by_its_line(self, copied: StackStore) -> None:
        expected = said(copied)
        texts = [line.partition(b" ")[2][:-1] for line in self.lines(copied)]
        count = 0
        for index, text in enumerate(texts):
            document = json.loads(text)
            for path in places(document):
                if document.get("kind") == "outputs" and path[1:]:
                    continue  # what a program gave
                for other in changed(document, path):
                    count += 1
                    lines = [*texts[:index], journal_file.dumps(other).encode(), *texts[index + 1 :]]
                    copied.journal_path.write_bytes(framed(lines))
                    found, refusal = tried(copied)
                    assert found == expected if refusal is None else "dev.journal" in refusal, (path, other, refusal)
        assert count > 500


class TestState:
    @pytest.fixture
    def alone(self, copied: StackStore) -> StackStore:
        copied.journal_path.unlink()
        return copied

    def test_a_line_that_is_missing_doubled_or_elsewhere_is_noticed(self, alone: StackStore) -> None:
        lines = alone.path.read_bytes().splitlines(keepends=True)
        for index in range(1, len(lines) - 1):
            for damaged in (
                [*lines[:index], *lines[index + 1 :]],
                [*lines[: index + 1], *lines[index:]],
                [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]],
            ):
                if damaged == lines:
                    continue
                alone.path.write_bytes(b"".join(damaged))
                with pytest.raises(StateError, match=r"dev\.json.*(not JSON|sha256).*\.bak"):
                    alone.load()
                with pytest.raises(StateError, match=r"dev\.json"):
                    alone.export()

    def test_a_field_of_another_type_is_refused_by_name(self, alone: StackStore) -> None:
        expected = said(alone)
        document = json.loads(alone.path.read_bytes())
        del document["sha256"]
        count = 0
        for path in places(document):
            for other in changed(document, path):
                count += 1
                alone.path.write_text(json.dumps(other))
                found, refusal = tried(alone)
                assert found == expected if refusal is None else ";" in refusal, (path, other, refusal)
        assert count > 500

    def test_a_state_without_a_checksum_is_read(self, alone: StackStore) -> None:
        expected = said(alone)
        document = alone.export()
        assert "sha256" not in document
        alone.path.write_text(json.dumps(document))
        assert said(alone) == expected

    def test_nesting_without_end_is_no_traceback(self, alone: StackStore) -> None:
        alone.path.write_text("[" * 200_000)
        with pytest.raises(StateError, match=r"dev\.json \(damaged\)"):
            alone.load()

    def test_the_manifest_of_another_version_is_refused(self, alone: StackStore) -> None:
        document = alone.export()
        document["deployment"]["manifest"]["magic"] = new_manifest().magic[::-1]
        alone.path.write_bytes(json.dumps(document).encode())
        with pytest.raises(StateError, match="magic"):
            alone.load()
