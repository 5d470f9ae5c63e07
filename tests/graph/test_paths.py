"""Property paths: what is written reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.graph import paths
from model_factory.graph.paths import matches, parse, to_text, value_at

segments = st.lists(st.integers(0, 99) | st.text(min_size=1).filter(lambda key: key != "*"), min_size=1, max_size=5)


class TestPaths:
    @given(segments)
    def test_a_written_path_reads_back(self, path: list[str | int]) -> None:
        assert parse(to_text(path)) == tuple(path)

    @pytest.mark.parametrize(
        ("path", "parsed"),
        [
            ("tags", ("tags",)),
            ('tags["a.b/c"]', ("tags", "a.b/c")),
            ("rules[0].from[*].x", ("rules", 0, "from", "*", "x")),
        ],
    )
    def test_pulumi_s_own_notation_is_read(self, path: str, parsed: tuple[str | int, ...]) -> None:
        assert parse(path) == parsed

    def test_an_unreadable_path_is_refused_with_the_place(self) -> None:
        with pytest.raises(ValueError, match="from character 5"):
            parse("tags[")

    def test_a_star_stands_for_one_segment(self) -> None:
        assert matches(("a", 3, "b"), parse("a[*].b"))
        assert not matches(("a", 3, "b", "c"), parse("a[*].b"))


class TestParse:
    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("root", ("root",)),
            ("root.nested", ("root", "nested")),
            ('root["nested"]', ("root", "nested")),
            ("root.double.nest", ("root", "double", "nest")),
            ("root.array[100]", ("root", "array", 100)),
            ("root.array[0][1].nested", ("root", "array", 0, 1, "nested")),
            ('root["key with \\"escaped\\" quotes"]', ("root", 'key with "escaped" quotes')),
            ('root["key with a ."]', ("root", "key with a .")),
            ('["root key with a ."][100]', ("root key with a .", 100)),
            ("root.array[*].field", ("root", "array", "*", "field")),
            ('root.array["*"].field', ("root", "array", "*", "field")),
            ("foo-bar", ("foo-bar",)),
        ],
    )
    def test_pulumi_s_own_examples(self, text: str, path: paths.Path) -> None:
        assert paths.parse(text) == path

    @pytest.mark.parametrize("text", [".root", "root.", "root[", 'root["a', "root[a]", "root[1"])
    def test_what_is_no_path_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a property path"):
            paths.parse(text)

    def test_other_backslashes_stay(self) -> None:
        assert paths.parse('["a\\b"]') == ("a\\b",)


class TestContains:
    @pytest.mark.parametrize(
        ("outer", "inner", "expected"),
        [
            ("a", "a.b", True),
            ("a.b", "a", False),
            ("a[*].c", "a[3].c.d", True),
            ("*", "any", True),
            ("a[0]", "a[1]", False),
        ],
    )
    def test_a_path_contains_what_is_below_it(self, outer: str, inner: str, expected: bool) -> None:
        assert paths.contains(paths.parse(outer), paths.parse(inner)) is expected


class TestValueAt:
    @pytest.mark.parametrize(
        ("text", "value"),
        [("a.b[1]", 2), ("a[0]", None), ("a.b[7].c", None), ("a.b.c", None), ('["x.y"]', 3)],
    )
    def test_a_missing_step_on_the_way_is_none(self, text: str, value: object) -> None:
        assert value_at({"a": {"b": [1, 2]}, "x.y": 3}, parse(text)) == value
