from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.names import AUTO_NAME_SUFFIX, fit_auto_named
from model_factory.graph.names import fit

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,120}", fullmatch=True)
LIMITS = st.integers(min_value=6, max_value=100)


class TestFittedNames:
    @given(NAMES, LIMITS)
    def test_never_exceed_the_limit(self, name: str, limit: int) -> None:
        assert len(fit(name, limit)) <= limit

    @given(NAMES)
    def test_a_short_name_stays_as_it_is(self, name: str) -> None:
        assert fit(name, len(name) + 6) == name

    @given(NAMES, LIMITS)
    def test_begin_with_a_letter_and_end_with_a_letter_or_digit(self, name: str, limit: int) -> None:
        fitted = fit(name.rstrip("-"), limit)
        assert fitted[0].isalpha()
        assert fitted[-1].isalnum()

    def test_long_names_that_begin_alike_stay_apart(self) -> None:
        stem = "x" * 60
        assert fit(stem + "-a", 30) != fit(stem + "-b", 30)

    @given(NAMES, st.integers(min_value=14, max_value=100))
    def test_leave_room_for_the_random_suffix(self, name: str, limit: int) -> None:
        assert len(fit_auto_named(name, limit)) + AUTO_NAME_SUFFIX <= limit

    def test_an_impossible_limit_is_refused(self) -> None:
        with pytest.raises(ValueError, match="use 6 or more"):
            fit("name", 5)
