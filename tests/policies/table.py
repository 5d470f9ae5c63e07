"""What holds for every check of some packs, by a table of ways to break them. conftest.py hands the cases out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pulumi_policy import ResourceValidationPolicy

from policies.authoring.checks import Policy
from tests.policies.harness import UNKNOWN, UNKNOWN_LIST, UNKNOWN_OBJECT, Given, judged, remediated
from tests.policies.objects import Case, changed


class EachCheck:
    """Subclassed for each table."""

    POLICIES: ClassVar[Sequence[Policy]]
    CASES: ClassVar[Sequence[Case]]
    ELSEWHERE: ClassVar[frozenset[str]] = frozenset()
    """Checks that other tests break."""
    UNKNOWNS: ClassVar[Sequence[str]] = (UNKNOWN, UNKNOWN_LIST, UNKNOWN_OBJECT)

    def test_passes_what_is_right(self, case: Case) -> None:
        assert judged(self.POLICIES, case.policy, case.given).passed

    def test_finds_what_is_wrong(self, case: Case) -> None:
        verdict = judged(self.POLICIES, case.policy, case.broken)
        assert any(case.says in each for each in verdict.violations), verdict
        assert not verdict.not_evaluated

    def test_does_not_pass_what_is_not_known(self, case: Case, unknown: str) -> None:
        verdict = judged(self.POLICIES, case.policy, changed(case.given, case.veiled, unknown))
        assert verdict.not_evaluated
        assert not verdict.violations

    def test_every_check_is_broken_by_some_case(self) -> None:
        assert {each.name for each in self.POLICIES} == {each.policy for each in self.CASES} | self.ELSEWHERE


class Remedies(EachCheck):
    """Of packs that mend, with their own defaults."""

    REMEDIABLE: ClassVar[frozenset[str]]

    def test_passes_what_it_mended(self, remediable: Case) -> None:
        mended = replace(remediable.broken, props=remediated(self.POLICIES, remediable.policy, remediable.broken))
        assert judged(self.POLICIES, remediable.policy, mended).passed

    def test_mends_nothing_that_is_right_or_not_known(self, remediable: Case) -> None:
        given = remediable.given
        assert remediated(self.POLICIES, remediable.policy, given) == given.props
        veiled = changed(given, remediable.veiled, UNKNOWN)
        assert remediated(self.POLICIES, remediable.policy, veiled) == veiled.props

    def test_remedies_are_those_that_were_asked_for(self) -> None:
        mending = {
            each.name for each in self.POLICIES if isinstance(each, ResourceValidationPolicy) and each.has_remediation()
        }
        assert mending == self.REMEDIABLE


class AllRight(EachCheck):
    """Of packs that a set of resources passes, whichever check is asked."""

    GOOD: ClassVar[Sequence[Given]]

    def test_every_resource_that_is_right_passes_all(self) -> None:
        for given in self.GOOD:
            for policy in self.POLICIES:
                if isinstance(policy, ResourceValidationPolicy):
                    verdict = judged(self.POLICIES, policy.name, given)
                    assert verdict.passed or verdict.not_applicable, (given.name, policy.name, verdict)
