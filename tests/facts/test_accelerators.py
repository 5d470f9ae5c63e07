from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from model_factory.facts.accelerators import COLUMNS, accelerators, read_accelerators
from model_factory.facts.catalogue import catalogue


class TestTable:
    def test_every_accelerator_on_offer_is_known(self) -> None:
        assert {offer.accelerator for offer in catalogue().offers if offer.accelerator} <= accelerators().keys()

    def test_a_process_gets_less_than_the_box_says(self) -> None:
        for each in accelerators().values():
            assert each.memory_gib * 9 / 10 < each.usable_gib < each.memory_gib, each.name

    def test_an_l4_has_less_than_24_gib_to_use(self) -> None:
        assert 21 < accelerators()["l4"].usable_gib < 23

    def test_a_t4_has_no_bfloat16_and_what_came_later_has(self) -> None:
        without = {each.name for each in accelerators().values() if "bf16" not in each.formats}
        assert (
            without == {each.name for each in accelerators().values() if each.compute_capability < 8} == {"t4", "t4g"}
        )

    def test_fp8_came_with_ada_and_hopper_and_fp4_with_blackwell(self) -> None:
        for each in accelerators().values():
            assert ("fp8" in each.formats) is (each.compute_capability > Decimal("8.6"))
            assert ("fp4" in each.formats) is (each.compute_capability >= 10)

    def test_every_row_has_its_date_and_source(self) -> None:
        assert all(each.as_of >= date(2026, 1, 1) and each.source for each in accelerators().values())


class TestReading:
    def test_a_format_nobody_knows_is_told_with_its_line(self) -> None:
        with pytest.raises(ValueError, match=r"accelerators.csv:2: .*formats 'fp17'"):
            read_accelerators(",".join(COLUMNS) + "\nx1,nvidia,24,22,9.0,fp17,2026-01-01,x\n")
