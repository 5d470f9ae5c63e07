"""A snapshot whose resources do not fit each other is refused, and changes leave references whole and in order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.local.engine.errors import StateError
from model_factory.local.engine.integrity import settle, verify
from model_factory.local.engine.model import Operation, ResourceState, Snapshot
from tests.local.engine.states import PROJECT, STACK, STACK_URN, provider, stack, thing, urn


def check(*resources: ResourceState) -> None:
    verify(Snapshot(resources), PROJECT, STACK)


def order(*resources: ResourceState) -> list[tuple[str, str]]:
    return [(state.name, state.id) for state in settle(resources, renamed={}, parents={})]


class TestVerify:
    def test_a_sound_snapshot_passes(self) -> None:
        a = thing("a")
        check(stack(), provider(), a, thing("b", dependencies=(a.urn,)), thing("a", id="old", delete=True))

    @pytest.mark.parametrize("fields", [
        {"parent": urn("no")}, {"dependencies": (urn("no"),)}, {"property_dependencies": {"x": (urn("no"),)}},
        {"deleted_with": urn("no")}, {"replace_with": (urn("no"),)}, {"provider": f"{urn('no')}::1"},
    ])  # fmt: skip
    def test_a_missing_reference_is_named(self, fields: dict[str, object]) -> None:
        with pytest.raises(StateError, match=r"no.*is not in the state") as caught:
            check(stack(), provider(), thing("a", **fields))
        assert caught.value.key == urn("a")

    def test_what_is_needed_stands_before(self) -> None:
        with pytest.raises(StateError, match="comes after it"):
            check(stack(), provider(), thing("b", dependencies=(urn("a"),)), thing("a"))
        with pytest.raises(StateError, match="comes after it"):
            check(stack(), thing("a"), provider())

    def test_a_provider_of_another_id_is_another_provider(self) -> None:
        with pytest.raises(StateError, match="is not in the state"):
            check(stack(), provider(id_="p-2"), thing("a"))

    def test_a_deleted_resource_may_outlive_its_provider_until_replaced(self) -> None:
        check(stack(), thing("a", pending_replacement=True))

    def test_a_live_urn_stands_once(self) -> None:
        with pytest.raises(StateError, match="twice"):
            check(stack(), provider(), thing("a", id="1"), thing("a", id="2"))
        check(stack(), provider(), thing("a", delete=True, id="1"), thing("a", delete=True, id="2"), thing("a"))

    @pytest.mark.parametrize("name", ["urn:pulumi:prod::shop::a:b:C::x", "urn:pulumi:dev::else::a:b:C::x", "nonsense"])
    def test_a_foreign_urn_is_refused(self, name: str) -> None:
        with pytest.raises(StateError):
            check(replace(thing("a"), urn=name))
        with pytest.raises(StateError):
            verify(
                Snapshot(pending_operations=(Operation(replace(thing("a"), urn=name), "creating"),)),
                PROJECT,
                STACK,
            )

    def test_types_and_ids_belong_to_their_resources(self) -> None:
        with pytest.raises(StateError, match="type"):
            check(replace(stack(), type=""))
        with pytest.raises(StateError, match="no id"):
            check(replace(stack(), id="1"))


class TestOrder:
    def test_what_is_in_order_stays_as_it_is(self) -> None:
        assert order(stack(), provider(), thing("b"), thing("a")) == [
            ("shop-dev", ""), ("main", "p-1"), ("b", "i-b"), ("a", "i-a"),
        ]  # fmt: skip

    def test_a_replacement_moves_before_its_dependents(self) -> None:
        dependent = thing("b", dependencies=(urn("a"),))
        old, new = thing("a", id="old", delete=True), thing("a", id="new")
        names = order(stack(), provider(), old, dependent, new)
        assert names.index(("a", "new")) < names.index(("b", "i-b"))

    def test_old_copies_follow_the_old_copies_they_were_made_of(self) -> None:
        old_a, new_a = thing("a", id="old", delete=True), thing("a", id="new", dependencies=(urn("b"),))
        old_b, new_b = thing("b", id="old", delete=True, dependencies=(urn("a"),)), thing("b", id="new")
        names = order(stack(), provider(), old_b, new_a, old_a, new_b)
        assert names.index(("a", "old")) < names.index(("b", "old"))
        assert names.index(("b", "new")) < names.index(("a", "new"))

    def test_resources_of_an_old_provider_follow_it(self) -> None:
        old, new = replace(provider(id_="p-1"), delete=True), provider(id_="p-2")
        served = thing("a", provider=old.reference)
        names = order(stack(), new, served, old)
        assert names.index(("main", "p-1")) < names.index(("a", "i-a"))

    def test_a_circle_is_named(self) -> None:
        with pytest.raises(StateError, match="circle"):
            order(
                stack(),
                provider(),
                thing("a", dependencies=(urn("b"),)),
                thing("b", dependencies=(urn("a"),)),
            )

    def test_a_chain_of_thousands_is_no_deep_recursion(self) -> None:
        count = 5000
        chain = [thing(f"n{i}", dependencies=(urn(f"n{i - 1}"),) if i else ()) for i in range(count)]
        names = order(stack(), provider(), *reversed(chain))
        assert [name for name, _ in names[2:]] == [f"n{i}" for i in range(count)]

    @given(st.data())
    def test_any_order_becomes_a_valid_one(self, data: st.DataObject) -> None:
        made: list[ResourceState] = []
        for i in range(data.draw(st.integers(0, 8))):
            needs = data.draw(st.lists(st.sampled_from(made), unique_by=id, max_size=3)) if made else []
            made.append(thing(f"n{i}", dependencies=tuple(need.urn for need in needs)))
        shuffled = data.draw(st.permutations([stack(), provider(), *made]))
        check(*settle(shuffled, renamed={}, parents={}))


class TestMending:
    def test_references_to_what_is_gone_are_dropped(self) -> None:
        left = thing("b", dependencies=(urn("a"), STACK_URN), property_dependencies={"x": (urn("a"),), "y": ()},
                     deleted_with=urn("a"), replace_with=(urn("a"),))  # fmt: skip
        mended = settle([stack(), provider(), left], renamed={}, parents={urn("a"): STACK_URN})[-1]
        assert mended == thing("b", dependencies=(STACK_URN,), property_dependencies={"y": ()})

    def test_children_of_what_is_gone_go_to_the_grandparent(self) -> None:
        child = thing("c", parent=urn("b"))
        mended = settle([stack(), provider(), child], renamed={}, parents={urn("b"): urn("a"), urn("a"): STACK_URN})[-1]
        assert mended.parent == STACK_URN

    def test_references_follow_a_rename(self) -> None:
        renamed = {urn("a"): urn("b"), urn("b"): urn("c"), provider("old").urn: provider().urn}
        left = thing("x", dependencies=(urn("a"),), parent=urn("b"), provider=provider("old").reference)
        mended = settle([stack(), provider(), thing("c"), left], renamed=renamed, parents={})[-1]
        assert (mended.dependencies, mended.parent, mended.provider) == (
            (urn("c"),),
            urn("c"),
            provider().reference,
        )

    def test_renames_in_a_circle_end(self) -> None:
        renamed = {urn("a"): urn("b"), urn("b"): urn("a")}
        mended = settle([stack(), provider(), thing("x", dependencies=(urn("a"),))], renamed=renamed, parents={})[-1]
        assert mended.dependencies == ()
