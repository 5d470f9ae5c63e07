"""The planner alone: values in, steps out, with answers that a test gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory.graph.urn import Urn
from model_factory.local.engine.deletions import blockers
from model_factory.local.engine.diff import NO_CHANGE, Diff, compare
from model_factory.local.engine.errors import PlanError
from model_factory.local.engine.goal import Goal, seconds_of
from model_factory.local.engine.model import ResourceState
from model_factory.local.engine.step import Op, Step
from model_factory.local.engine.steps import Planner
from model_factory.local.wire import Properties

TYPE = "test:index:Thing"
PROVIDER = "urn:pulumi:dev::project::pulumi:providers:test::default::id-p"


def urn(name: str) -> str:
    return Urn.make("dev", "project", TYPE, name)


def state(name: str, *dependencies: str, **fields: object) -> ResourceState:
    base = ResourceState(
        urn=urn(name),
        type=TYPE,
        custom=True,
        id=f"id-{name}",
        dependencies=tuple(map(urn, dependencies)),
        provider=PROVIDER,
    )
    return base if not fields else ResourceState(**{**{key: getattr(base, key) for key in base.__slots__}, **fields})  # type: ignore[arg-type]


@dataclass
class FixedAnswers:
    """Checks nothing, compares plainly; keys named `force…` replace."""

    told: list[str] = field(default_factory=list)

    def check(self, state: ResourceState, olds: Properties | None, news: Properties, seed: bytes) -> Properties:
        return news

    def judged(self, state: ResourceState) -> Properties:
        return state.inputs

    def diff(self, old: ResourceState, new: ResourceState, news: Properties, ignore_changes: Sequence[str]) -> Diff:
        diff = compare(old.inputs, news)
        forced = tuple(key for key in diff.changed_keys if key.startswith("force"))
        return Diff(changed=diff.changed, changed_keys=diff.changed_keys, replace_keys=forced)

    def provider_replaces(self, old_reference: str, new_reference: str) -> bool:
        return False

    def warn(self, urn: str, message: str) -> None:
        self.told.append(message)

    def error(self, urn: str, message: str) -> None:
        self.told.append(message)


def goal(name: str, inputs: Properties | None = None, **fields: object) -> Goal:
    return Goal(type=TYPE, name=name, custom=True, inputs=inputs or {}, provider=PROVIDER, **fields)  # type: ignore[arg-type]


def planned(resources: Sequence[ResourceState], *goals: Goal, preview: bool = False) -> list[Step]:
    planner = Planner(resources, "project", "dev", preview=preview)
    answers = FixedAnswers()
    steps = [step for one in goals for step in planner.register(one, answers)]
    return steps + planner.deletions()


def ops(steps: Sequence[Step]) -> list[tuple[str, str]]:
    return [(step.op.value, step.state.name) for step in steps]


class TestRegister:
    def test_the_four_outcomes(self) -> None:
        olds = [state("same"), state("updated"), state("replaced"), state("gone")]
        steps = planned(olds, goal("same"), goal("updated", {"a": 1}), goal("replaced", {"force": 1}), goal("new"))
        assert ops(steps) == [
            ("same", "same"), ("update", "updated"), ("create-replacement", "replaced"), ("replace", "replaced"),
            ("create", "new"), ("delete", "gone"),
        ]  # fmt: skip

    def test_a_child_needs_its_parent(self) -> None:
        with pytest.raises(PlanError, match="could not find parent"):
            planned([], goal("child", parent=urn("nobody")))

    def test_guard_s_inputs_are_compared(self) -> None:
        class Remedy(FixedAnswers):
            def judged(self, state: ResourceState) -> Properties:
                return {**state.inputs, "remedied": True}

        planner = Planner([state("one", inputs={"remedied": True})], "project", "dev", preview=True)
        (step,) = planner.register(goal("one"), Remedy())
        assert step.op is Op.SAME
        assert step.new is not None
        assert step.new.inputs == {"remedied": True}

    def test_a_component_without_changes_is_the_same(self) -> None:
        planner = Planner([], "project", "dev", preview=True)
        assert NO_CHANGE.changed is False
        (step,) = planner.register(Goal(type="test:index:Group", name="g", custom=False), FixedAnswers())
        assert step.op is Op.CREATE


class TestBlockers:
    """Deletions wait for the deletions of what depends on them."""

    @staticmethod
    def order(steps: Sequence[Step], waits: Sequence[set[int]]) -> list[int]:
        done: list[int] = []
        while len(done) < len(steps):
            ready = [index for index in range(len(steps)) if index not in done and waits[index] <= set(done)]
            assert ready, "a deletion waits for itself"
            done += ready
        return done

    @given(st.lists(st.sets(st.integers(0, 9), max_size=3), min_size=1, max_size=10))
    def test_every_dependent_goes_first_and_nothing_waits_forever(self, edges: list[set[int]]) -> None:
        resources = [state(str(i), *(str(j) for j in needs if j < i)) for i, needs in enumerate(edges)]
        steps = [Step(Op.DELETE, resource, None, row=resource) for resource in resources]
        done = self.order(steps, blockers(steps, resources))
        for i, needs in enumerate(edges):
            for j in needs:
                if j < i:
                    assert done.index(i) < done.index(j)

    def test_old_copies_of_replacements_do_not_make_a_circle(self) -> None:
        resources = [state("b"), state("c", "b"), state("c", "b", delete=True), state("b", "c", delete=True)]
        steps = [Step(Op.DELETE, resource, None, row=resource) for resource in resources]
        self.order(steps, blockers(steps, resources))

    def test_a_component_s_children_count_as_the_component(self) -> None:
        component = ResourceState(
            urn=Urn.make("dev", "project", "test:index:Group", "g"), type="test:index:Group", custom=False
        )
        child = state("child", parent=component.urn)
        user = state("user", dependencies=(component.urn,))
        resources = [component, child, user]
        steps = [Step(Op.DELETE, resource, None, row=resource) for resource in resources]
        waits = blockers(steps, resources)
        assert 2 in waits[1]

    def test_it_is_linear(self) -> None:
        resources = [state("base"), *(state(str(i), "base") for i in range(5000))]
        steps = [Step(Op.DELETE, resource, None, row=resource) for resource in resources]
        assert len(blockers(steps, resources)[0]) == 5000


class TestDurations:
    @pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25)])
    def test_go_durations(self, text: str, seconds: float) -> None:
        assert seconds_of(text) == seconds

    @pytest.mark.parametrize("text", ["5", "5 m", "m5", "1d"])
    def test_what_is_no_duration_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a duration"):
            seconds_of(text)
