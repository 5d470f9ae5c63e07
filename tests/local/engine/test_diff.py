"""The engine's own comparison, and what options make of a provider's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.engine.diff import Diff, Kind, PropertyDiff, apply_replace_on_changes, compare, same
from model_factory.local.wire import UNKNOWN, Output, Secret, Value

VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        inner.map(Secret),
    ),
    max_leaves=6,
)
MAPS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


class TestCompare:
    @given(MAPS)
    def test_what_is_equal_has_no_difference(self, value: dict[str, Value]) -> None:
        assert compare(value, value).changed is False
        assert same(value, value)

    @given(MAPS, MAPS)
    def test_the_other_way_round_is_the_inverse(self, olds: dict[str, Value], news: dict[str, Value]) -> None:
        there, back = compare(olds, news), compare(news, olds)
        assert there.changed is back.changed
        assert there.inverted().detailed == back.detailed

    def test_kinds_and_paths(self) -> None:
        diff = compare({"a": {"x": 1}, "b": [1, 2], "gone": 1}, {"a": {"x": 2}, "b": [1], "new.key": 1})
        assert diff.detailed == {
            "a.x": PropertyDiff(Kind.UPDATE, input_diff=True),
            "b[1]": PropertyDiff(Kind.DELETE, input_diff=True),
            "gone": PropertyDiff(Kind.DELETE, input_diff=True),
            '["new.key"]': PropertyDiff(Kind.ADD, input_diff=True),
        }
        assert set(diff.changed_keys) == {"a", "b", "gone", "new.key"}

    def test_marks_do_not_count_but_unknowns_always_do(self) -> None:
        assert not compare({"a": 1}, {"a": Secret(1)}).changed
        assert not compare({"a": [Secret(1)]}, {"a": [Output(1, secret=True)]}).changed
        assert compare({"a": 1}, {"a": UNKNOWN}).changed

    def test_true_is_not_one(self) -> None:
        assert compare({"a": True}, {"a": 1}).changed
        assert not compare({"a": 1.0}, {"a": 1}).changed


class TestReplaceOnChanges:
    def test_details_and_keys_below_the_path_replace(self) -> None:
        diff = Diff(
            changed=True,
            changed_keys=("a", "b"),
            detailed={"a.x": PropertyDiff(Kind.UPDATE), "b": PropertyDiff(Kind.ADD)},
        )
        changed = apply_replace_on_changes(diff, ["a"], has_init_errors=False)
        assert changed.detailed == {"a.x": PropertyDiff(Kind.UPDATE_REPLACE), "b": PropertyDiff(Kind.ADD)}
        assert changed.replace_keys == ("a",)

    def test_nothing_changed_is_nothing_replaced(self) -> None:
        assert not apply_replace_on_changes(Diff(changed=False), ["*"], has_init_errors=False).replaces
