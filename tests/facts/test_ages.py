from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta

from model_factory.facts.ages import MAX_PRICE_AGE, NOTICE, AgingFactsWarning, aging, told
from model_factory.facts.aws.kubernetes import DEFAULT_VERSION, SUPPORT
from model_factory.facts.catalogue import catalogue
from model_factory.facts.prices import price_table

DATES = [each.as_of for each in (*catalogue().offers, *price_table().prices.values())]
OLDEST, NEWEST = min(DATES), max(DATES)
DAY = timedelta(days=1)


class TestAging:
    def test_nothing_is_told_of_before_its_notice(self) -> None:
        early = OLDEST + MAX_PRICE_AGE - NOTICE - DAY
        assert [each for each in aging(early) if each.table.endswith(".csv")] == []

    def test_a_price_is_told_of_thirty_days_before_a_bill_warns_of_it(self) -> None:
        found = aging(OLDEST + MAX_PRICE_AGE - NOTICE)
        assert {each.limit for each in found if each.table.endswith(".csv")} == {OLDEST + MAX_PRICE_AGE}

    def test_what_is_past_its_limit_stays_told_of(self) -> None:
        late = [each for each in aging(date(2099, 1, 1)) if each.table.endswith(".csv")]
        assert len(late) == len(DATES) + len(catalogue().rejected)
        assert {each.limit for each in late} >= {OLDEST + MAX_PRICE_AGE, NEWEST + MAX_PRICE_AGE}

    def test_a_version_is_told_of_before_eks_takes_it_no_more(self) -> None:
        ends = SUPPORT["1.32"].extended_until
        assert "1.32" in " ".join(each.fact for each in aging(ends - NOTICE))
        assert "1.32" not in " ".join(each.fact for each in aging(ends - NOTICE - DAY))

    def test_the_default_version_is_told_of_before_it_costs_more(self) -> None:
        ends = SUPPORT[DEFAULT_VERSION].standard_until
        assert any("default" in each.fact and each.limit == ends for each in aging(ends - NOTICE))

    def test_is_told_by_table_and_limit_with_a_remedy(self) -> None:
        day = OLDEST + MAX_PRICE_AGE
        lines = [each for each in told(aging(day)) if "offers.csv" in each]
        assert lines
        assert all(" more: good until " in line and line.endswith("run `make prices`") for line in lines)


def test_warns_of_the_facts_that_are_near_their_limit_today() -> None:
    """Never fails: a test that passes today passes tomorrow. `pytest -rw` or the end of a run shows what it says."""
    today = datetime.now(tz=UTC).date()
    for line in told(aging(today)):
        warnings.warn(line, AgingFactsWarning, stacklevel=1)
