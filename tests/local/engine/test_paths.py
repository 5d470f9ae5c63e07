"""Property paths read as Pulumi reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.engine import paths
from model_factory.local.wire import Secret, Value

KEYS = st.text(min_size=1, max_size=8).filter(lambda text: text != "*" and "\\" not in text)


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

    @given(
        st.lists(st.one_of(KEYS, st.integers(0, 99)), min_size=1, max_size=5).filter(
            lambda p: isinstance(p[0], str)
        )
    )
    def test_what_is_written_reads_back(self, elements: list[str | int]) -> None:
        assert paths.parse(paths.to_text(elements)) == tuple(elements)


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


class TestReset:
    def test_the_arguments_stay_as_they_are(self) -> None:
        news: dict[str, Value] = {"a": {"b": [1, 2]}}
        olds: dict[str, Value] = {"a": {"b": [3, 4]}}
        result, impossible = paths.reset(news, olds, ["a.b[1]"])
        assert (result, impossible) == ({"a": {"b": [1, 4]}}, [])
        assert news == {"a": {"b": [1, 2]}}

    def test_a_value_from_below_a_secret_stays_secret(self) -> None:
        result, _ = paths.reset({"a": {"b": 1}}, {"a": Secret({"b": 2})}, ["a.b"])
        assert result == {"a": {"b": Secret(2)}}

    def test_a_secret_around_stays(self) -> None:
        result, _ = paths.reset({"a": Secret({"b": 1})}, {"a": Secret({"b": 2})}, ["a.b"])
        assert result == {"a": Secret({"b": 2})}

    @pytest.mark.parametrize(
        ("new", "old", "path"),
        [({}, {"a": {"b": 1}}, "a.b"), ({"a": [1]}, {"a": []}, "a[0]"), ({"a": 1}, {"a": {"b": 1}}, "a.b")],
    )
    def test_added_and_removed_parts_are_told(
        self, new: dict[str, Value], old: dict[str, Value], path: str
    ) -> None:
        assert paths.reset(new, old, [path])[1] == [path]
