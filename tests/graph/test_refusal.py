"""A refusal on its way through events and JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from model_factory.graph.refusal import Refusal
from model_factory.graph.verdict import not_evaluated

CAUSES = st.sampled_from(["", "quota", "permission", "throttling", "not-found", "bad-input"])
REFUSALS = st.builds(
    Refusal, st.text(), st.text(), st.text(), st.integers(0, 599), st.text(), st.text(), CAUSES, st.text()
)


class TestRefusal:
    @given(REFUSALS)
    def test_is_read_back_as_it_was_written(self, refusal: Refusal) -> None:
        assert Refusal.read(refusal.document) == refusal

    def test_a_number_may_have_become_a_float_on_the_way(self) -> None:
        assert Refusal.read({"cloud": "aws", "status": 400.0}).status == 400

    def test_says_where_it_comes_from_and_what_helps(self) -> None:
        refusal = Refusal("aws", "eks:CreateCluster", "Nope", 400, "7f", "no", "quota", "ask for more")
        assert refusal.lines == (
            "quota: aws eks:CreateCluster, Nope, HTTP 400, request 7f",
            "remedy: ask for more",
        )

    def test_without_a_cause_says_no_more_than_it_knows(self) -> None:
        assert Refusal("aws", "eks:CreateCluster", "Odd").lines == ("refused: aws eks:CreateCluster, Odd",)


class TestNotEvaluated:
    def test_the_reason_is_what_stands_behind(self) -> None:
        said = "can't run policy 'x' from policy pack 'p@v1' during preview: string value at .size can't be known"
        assert not_evaluated(said) == "string value at .size can't be known"

    def test_a_finding_is_none(self) -> None:
        assert not_evaluated("privileged containers can't run here") is None
