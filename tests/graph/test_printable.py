"""Texts of others stand there and do nothing else."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.graph.masking import MASK, Masker
from model_factory.graph.printable import printable


class TestPrintable:
    @pytest.mark.parametrize(
        "text", ["", "plain", "tab\tand\nlines\n", "Ünïcødé 模型 🚀", "é\u0301", "👩\u200d💻", "50 %"]
    )
    def test_ordinary_text_stays_as_it_is(self, text: str) -> None:
        assert printable(text) is text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b[38;2;1;2;3mred\x9b0m", "red"),
            ("\x1b]0;title\x07", "␛]0;title␇"),
            ("\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\", "␛]8;;http://evil.example␛\\here␛]8;;␛\\"),
            ("\x1b[2J\x1b[H", "␛[2J␛[H"),
            ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
            ("\x1b\x1b[0m[2J", "␛[2J"),
            ("ok\rfailed", "ok␍failed"),
            ("one\r\ntwo", "one\ntwo"),
            ("a\x08\x7f", "a␈␡"),
            ("\x9b2J", "\ufffd2J"),
            ("\u202egnp.exe", "\ufffdgnp.exe"),
            ("\ud800", "\ufffd"),
        ],
    )
    def test_what_acts_is_a_sign(self, text: str, shown: str) -> None:
        assert printable(text) == shown

    @given(st.text(st.characters(exclude_categories=())))
    def test_nothing_that_acts_is_left(self, text: str) -> None:
        shown = printable(text)
        assert not [
            each for each in shown if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") and each not in "\n\t"
        ]
        assert printable(shown) == shown


class TestMasks:
    def test_see_a_secret_through_colours(self) -> None:
        assert Masker(["hunter2"]).text("is hun\x1b[0mter2") == f"is {MASK}"
        assert Masker().text("AKIA\x1b[1mIOSFODNN7EXAMPLE") == MASK
