"""URNs name what they were made of, and a resource tells all that must stand before it."""

from __future__ import annotations

import re

import pytest

from model_factory.graph.urn import provider_urn
from model_factory.local.engine.model import ResourceState, Snapshot, now
from tests.local.engine.states import STACK_URN, provider, thing, urn


class TestResources:
    def test_references_hold_all_that_must_stand_before(self) -> None:
        state = thing(
            "a",
            dependencies=(urn("b"),),
            property_dependencies={"x": (urn("c"),)},
            deleted_with=urn("d"),
            replace_with=(urn("e"),),
        )
        assert {name for _, name in state.references()} == {
            STACK_URN, provider().urn, urn("b"), urn("c"), urn("d"), urn("e"),
        }  # fmt: skip

    def test_provider_reference_leads_back_to_its_urn(self) -> None:
        assert provider_urn(provider("odd::name", "an-id").reference) == provider("odd::name").urn

    def test_delete_before_replace_is_no_difference_of_state(self) -> None:
        assert thing("a") == thing("a", delete_before_replace=True)


class TestSnapshots:
    def test_old_copies_are_not_live(self) -> None:
        live, old = thing("a", id="new"), thing("a", id="old", delete=True)
        assert Snapshot((live, old)).by_urn() == {urn("a"): live}


def test_times_are_written_as_pulumi_writes_them() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z", now())


def test_a_state_cannot_be_changed() -> None:
    state: ResourceState = thing("a")
    with pytest.raises(AttributeError):
        state.id = "other"  # pyright: ignore[reportAttributeAccessIssue]
