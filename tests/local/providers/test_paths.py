"""Property paths: what is written reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.providers.paths import join, matches, parse

segments = st.lists(
    st.integers(0, 99) | st.text(min_size=1).filter(lambda key: key != "*"), min_size=1, max_size=5
)


class TestPaths:
    @given(segments)
    def test_a_written_path_reads_back(self, path: list[str | int]) -> None:
        assert parse(join(tuple(path))) == tuple(path)

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
