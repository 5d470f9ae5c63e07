"""URNs name what they were made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.graph.urn import STACK_TYPE, Urn, name_of, qualify, type_of, upwards

STACK_URN = Urn.make("dev", "shop", STACK_TYPE, "shop-dev")

words = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
types = st.builds("{}:{}:{}".format, words, words, words)


class TestUpwards:
    @pytest.mark.parametrize(
        ("parents", "seen"),
        [({"a": "b", "b": "c"}, "abc"), ({"a": "a"}, "a"), ({"a": "b", "b": "c", "c": "b"}, "abc"), ({}, "a")],
    )
    def test_each_is_met_once(self, parents: dict[str, str], seen: str) -> None:
        assert list(upwards("a", lambda urn: parents.get(urn, ""))) == list(seen)


class TestUrns:
    @given(words, words, st.lists(types, min_size=1, max_size=3), st.text(min_size=1))
    def test_parse_gives_back_what_was_made(self, stack: str, project: str, chain: list[str], name: str) -> None:
        parsed = Urn.parse(Urn.make(stack, project, "$".join(chain), name))
        assert parsed == Urn(stack, project, "$".join(chain), name)
        assert parsed.type == chain[-1]

    @pytest.mark.parametrize(
        "text", ["", "urn:pulumi:dev", "urn:pulumi:dev::p::::n", "aws:s3:Bucket", "urn:pulumi:a::b::c"]
    )
    def test_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a URN"):
            Urn.parse(text)

    def test_the_stack_leaves_no_trace_in_its_childrens_types(self) -> None:
        assert qualify(STACK_URN, "a:b:C") == "a:b:C"
        assert qualify("", STACK_TYPE) == STACK_TYPE
        parent = Urn.make("dev", "shop", qualify(STACK_URN, "a:b:C"), "x")
        assert qualify(parent, "d:e:F") == "a:b:C$d:e:F"

    def test_readers_for_display_take_any_text(self) -> None:
        urn = Urn.make("dev", "shop", "a:b:C$d:e:F", "odd::name")
        assert (type_of(urn), name_of(urn)) == ("d:e:F", "odd::name")
        assert (type_of("else::where"), name_of("else::where")) == ("", "else::where")
