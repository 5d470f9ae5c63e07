"""The repository's own stacks under the pack, with the configuration of their environment."""

from __future__ import annotations

from functools import cache

import pytest
from pulumi.runtime.proto import analyzer_pb2

from policies.pack import POLICIES
from policies.table import read_config
from tests.policies.harness import Pack
from tests.policies.program import declared, made

Found = frozenset[tuple[str, str]]


@cache
def found(stack: str) -> tuple[Found, Found, Found]:
    """(policy, resource) that are violated where that stops an `up`, violated otherwise, and not evaluated."""
    pack = Pack(POLICIES, read_config(stack))
    verdicts = [
        (name, given.name, verdict) for given in declared(stack) for name, verdict in pack.analyze(given).items()
    ] + [(name, "", verdict) for name, verdict in pack.analyze_stack(made(stack)).items()]
    violated = [each for each in verdicts if each[2].violations]
    stopping = [each for each in violated if set(each[2].levels) - {analyzer_pb2.ADVISORY}]
    unknown = [each for each in verdicts if each[2].not_evaluated]
    return (
        frozenset((name, resource) for name, resource, _ in stopping),
        frozenset((name, resource) for name, resource, _ in violated if (name, resource, _) not in stopping),
        frozenset((name, resource) for name, resource, _ in unknown),
    )


class TestExamples:
    @pytest.mark.parametrize("stack", ["prod", "staging", "dev"])
    def test_pass_everything_that_would_stop_an_up(self, stack: str) -> None:
        assert found(stack)[0] == frozenset()

    @pytest.mark.parametrize("stack", ["prod", "staging", "dev"])
    def test_leave_nothing_unjudged_once_all_is_known(self, stack: str) -> None:
        assert found(stack)[2] == frozenset()

    def test_prod_is_advised_on_what_is_not_built_yet_alone(self) -> None:
        assert {name for name, _ in found("prod")[1]} == {"monitor-and-slo"}

    def test_what_no_key_of_a_stack_file_can_mend_says_what_else_to_do(self) -> None:
        for name in ("monitor-and-slo", "scale-to-zero-outside-production"):
            (check,) = [each for each in POLICIES if each.name == name]
            assert "policies/config" in str(check.remediation_steps), name
            assert "exempt" in str(check.remediation_steps), name

    def test_every_check_of_the_clouds_meets_a_resource_of_the_program(self) -> None:
        judged = {
            name
            for given in declared("prod")
            for name, verdict in Pack(POLICIES).analyze(given).items()
            if not verdict.not_applicable
        }
        ours = {each.name for each in POLICIES if {"aws", "gcp", "organisation"} & set(each.tags or ())}
        assert {"eks-endpoint", "private-nodes", "cost-labels", "allowed-regions"} <= judged & ours

    def test_nothing_is_mended_that_the_program_wrote(self) -> None:
        for stack in ("prod", "staging", "dev"):
            pack = Pack(POLICIES, read_config(stack))
            assert {given.name: pack.remediate(given)[1] for given in declared(stack) if pack.remediate(given)[1]} == {}
