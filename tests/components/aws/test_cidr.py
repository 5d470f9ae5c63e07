from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.aws.cidr import subnet_in, subnet_layout, usable_zones


@st.composite
def vpcs(draw: st.DrawFn) -> IPv4Network:
    prefix = draw(st.integers(min_value=16, max_value=20))
    return IPv4Network((draw(st.integers(min_value=0, max_value=2**32 - 1)), prefix), strict=False)


class TestSubnetLayout:
    @given(vpcs())
    def test_subnets_lie_inside_the_vpc_and_never_overlap(self, vpc: IPv4Network) -> None:
        layout = subnet_layout(str(vpc))
        subnets = [IPv4Network(cidr) for cidr in (*layout.private, *layout.public)]
        assert all(subnet.subnet_of(vpc) for subnet in subnets)
        assert not any(a.overlaps(b) for i, a in enumerate(subnets) for b in subnets[:i])

    @given(vpcs())
    def test_each_of_three_zones_gets_one_of_both_kinds_of_the_same_size(self, vpc: IPv4Network) -> None:
        layout = subnet_layout(str(vpc))
        for cidrs, step in ((layout.private, 2), (layout.public, 4)):
            assert [IPv4Network(cidr).prefixlen for cidr in cidrs] == [vpc.prefixlen + step] * 3

    @given(vpcs())
    def test_every_subnet_is_one_that_aws_takes(self, vpc: IPv4Network) -> None:
        layout = subnet_layout(str(vpc))
        assert all(16 <= IPv4Network(cidr).prefixlen <= 28 for cidr in (*layout.private, *layout.public))

    @pytest.mark.parametrize(
        ("cidr", "message"),
        [
            ("10.0.0.0/24", "use /16 to /20"),
            ("10.0.0.0/8", "use /16 to /20"),
            ("10.0.0.1/16", "is no IPv4 network"),
            ("ten", "is no IPv4 network"),
            ("fd00::/16", "is no IPv4 network"),
        ],
    )
    def test_another_block_is_refused_with_the_remedy(self, cidr: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            subnet_layout(cidr)


class TestUsableZones:
    def test_the_order_of_the_answer_does_not_matter(self) -> None:
        assert usable_zones(["c", "a", "d", "b"], "region") == ["a", "b", "c"]

    def test_a_region_with_two_zones_is_refused(self) -> None:
        with pytest.raises(ValueError, match="region us-west-1 has 2 usable zones"):
            usable_zones(["a", "b"], "us-west-1")


class TestSubnetIn:
    def test_is_that_of_the_zone(self) -> None:
        assert subnet_in("b", ["a", "b", "c"], ["one", "two", "three"]) == "two"

    def test_a_zone_without_one_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ValueError, match="no subnet in d, only in a, b, c; name d among the zones"):
            subnet_in("d", ["a", "b", "c"], ["one", "two", "three"])
