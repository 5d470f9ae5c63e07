"""The frame that every check stands in."""

from __future__ import annotations

import pytest
from pulumi_policy import EnforcementLevel

from model_factory.graph.values import at
from policies.authoring.checks import HIGH, LOW, number, resource_check, stack_check
from policies.authoring.drafts import Draft
from policies.authoring.references import Reference
from policies.authoring.resources import Report, Resource, Stack
from tests.policies.harness import UNKNOWN, Given, Pack, judged, judged_stack, remediated, secret

SOURCE = Reference(
    "CIS Kubernetes Benchmark",
    "1.10",
    "5.2.2",
    "Privileged containers",
    "https://example.test",
    ("CKV_K8S_16",),
)


def small_parts(resource: Resource, report: Report) -> None:
    for part in report.items(resource.props, "parts"):
        with report.guard():
            if at(part, "size") > resource.config["largest"]:
                report(f"part {at(part, 'name')} is too large")


def shrink(draft: Draft) -> None:
    for part in draft.children(draft.props, "parts"):
        draft.put(part, "size", draft.config["largest"])


SMALL = resource_check(
    "small-parts",
    "Parts are small.",
    types=["test:*:Thing"],
    severity=HIGH,
    check=small_parts,
    remedy=shrink,
    steps="Make them smaller.",
    reference=SOURCE,
    config={"largest": number(3, "The largest size.")},
)


def one_thing(stack: Stack, report: Report) -> None:
    for each in stack.of("test:*:Thing")[1:]:
        with report.guard():
            report(f"{at(each.props, 'label')} is one too many", each.urn)


ONE = stack_check(
    "one-thing", "There is one thing.", severity=LOW, check=one_thing, steps="Remove one.", reference=SOURCE
)
PACK = [SMALL, ONE]


def thing(*parts: object, name: str = "subject") -> Given:
    return Given("test:index:Thing", {"parts": list(parts), "label": name}, name)


class TestResourceChecks:
    def test_known_values_pass_or_fail(self) -> None:
        assert judged(PACK, "small-parts", thing({"name": "a", "size": 2})).passed
        assert judged(PACK, "small-parts", thing({"name": "a", "size": 4})).violations == ("part a is too large",)

    def test_an_unknown_is_not_evaluated_and_hides_no_violation(self) -> None:
        verdict = judged(PACK, "small-parts", thing({"name": "a", "size": UNKNOWN}, {"name": "b", "size": 9}))
        assert verdict.violations == ("part b is too large",)
        assert len(verdict.not_evaluated) == 1
        assert "parts.0.size" in verdict.not_evaluated[0]

    @pytest.mark.parametrize("parts", [UNKNOWN, [UNKNOWN]])
    def test_an_unknown_list_or_member_never_passes(self, parts: object) -> None:
        verdict = judged(PACK, "small-parts", Given("test:index:Thing", {"parts": parts}))
        assert verdict.not_evaluated
        assert not verdict.passed

    def test_other_types_are_not_applicable(self) -> None:
        assert judged(PACK, "small-parts", Given("test:index:Other", {})).not_applicable

    def test_configuration_overrides_the_default(self) -> None:
        assert judged(PACK, "small-parts", thing({"name": "a", "size": 4}), largest=5).passed

    def test_secrets_are_read_as_what_they_hold(self) -> None:
        assert judged(PACK, "small-parts", thing({"name": "a", "size": secret(4)})).violations

    def test_metadata_says_where_the_rule_comes_from(self) -> None:
        assert SMALL.framework is not None
        assert SMALL.framework.reference == "5.2.2"
        assert SMALL.tags == ["CKV_K8S_16"]
        assert SMALL.enforcement_level is EnforcementLevel.REMEDIATE
        assert ONE.enforcement_level is EnforcementLevel.ADVISORY


class TestRemedies:
    def test_what_fails_is_mended(self) -> None:
        given = thing({"name": "a", "size": 4}, {"name": "b", "size": 1})
        assert remediated(PACK, "small-parts", given)["parts"] == [
            {"name": "a", "size": 3},
            {"name": "b", "size": 3},
        ]

    def test_what_is_right_is_left_alone(self) -> None:
        _, changed = Pack(PACK).remediate(thing({"name": "a", "size": 3}))
        assert changed == ()

    def test_unknown_values_stay_unknown(self) -> None:
        given = thing({"name": UNKNOWN, "size": 4}, {"name": "b", "size": UNKNOWN}, UNKNOWN)
        assert remediated(PACK, "small-parts", given)["parts"] == [
            {"name": UNKNOWN, "size": 3},
            {"name": "b", "size": UNKNOWN},
            UNKNOWN,
        ]

    def test_secrets_stay_secret(self) -> None:
        given = thing(secret({"name": secret("a"), "size": secret(4), "rest": [secret("x")]}))
        assert remediated(PACK, "small-parts", given)["parts"] == [
            secret({"name": secret("a"), "size": secret(3), "rest": [secret("x")]})
        ]


class TestStackChecks:
    def test_violations_name_their_resource(self) -> None:
        verdict = judged_stack(PACK, "one-thing", [thing(name="a"), thing(name="b")])
        assert verdict.violations == ("b is one too many",)
        assert verdict.urns == (thing(name="b").urn,)

    def test_an_unknown_is_not_evaluated(self) -> None:
        hidden = Given("test:index:Thing", {"label": UNKNOWN}, "b")
        verdict = judged_stack(PACK, "one-thing", [thing(name="a"), hidden, thing(name="c")])
        assert verdict.violations == ("c is one too many",)
        assert verdict.not_evaluated

    def test_what_is_exempt_is_seen_and_not_told_of(self) -> None:
        things = [thing(name="a"), thing(name="b"), thing(name="c")]
        assert judged_stack(PACK, "one-thing", things, exempt=["b*"]).violations == ("c is one too many",)
        assert judged_stack(PACK, "one-thing", things, exempt=["a"]).urns == (things[1].urn, things[2].urn)


class TestMessages:
    def test_every_violation_ends_with_what_to_do_and_where_that_is_explained(self) -> None:
        large = Given("test:a:Thing", {"parts": [{"name": "a", "size": 9}]})
        assert judged(PACK, "small-parts", large).remedies == ("Make them smaller. See docs/policies.md#small-parts.",)
        things = [Given("test:a:Thing", {"label": name}, name) for name in "ab"]
        assert judged_stack(PACK, "one-thing", things).remedies == ("Remove one. See docs/policies.md#one-thing.",)
