"""AWS's prices, read by the real clients from a server of recorded answers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from model_factory.facts.aws import market
from model_factory.facts.aws.market import fetch, read_price_list
from model_factory.facts.market import Market, MarketError
from tests.facts.machine import sized, unheard, wanted
from tests.facts.sources import RECORDED, Sources

MACHINES = tuple(sized(each) for each in ("g6.xlarge", "g6e.xlarge", "p5.48xlarge", "m7i.large"))
EC2_US = "AmazonEC2/20260925174521/us-east-1"


def fetched(*regions: str) -> Market:
    return fetch(wanted(list(regions or ("eu-west-1", "us-east-1")), *MACHINES), unheard)


@pytest.fixture
def account(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Sources:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return sources


@pytest.mark.usefixtures("sources")
class TestPriceList:
    def test_a_machine_costs_its_linux_shared_on_demand_row(self) -> None:
        assert {key: str(quote.usd_per_hour.normalize()) for key, quote in fetched().machines.items()} == {
            ("us-east-1", "g6.xlarge"): "0.8048",
            ("us-east-1", "g6e.xlarge"): "1.861",
            ("us-east-1", "p5.48xlarge"): "55.04",
            ("us-east-1", "m7i.large"): "0.1008",
            ("eu-west-1", "g6.xlarge"): "0.8939",
            ("eu-west-1", "m7i.large"): "0.11235",
        }

    def test_reserved_is_a_year_standard_without_upfront_payment(self) -> None:
        assert fetched("us-east-1").machines["us-east-1", "g6.xlarge"].reserved_usd_per_hour == Decimal("0.5313")

    def test_machines_that_nobody_wants_are_not_read(self) -> None:
        found = fetch(wanted(["us-east-1"], sized("m7i.large")), unheard)
        assert set(found.machines) == {("us-east-1", "m7i.large")}

    def test_every_item_has_its_price_in_every_region(self) -> None:
        items = fetched().items
        assert {item for region, item in items if region in ("*", "us-east-1")} == set(market._ITEMS)
        assert {item for region, item in items if region in ("*", "eu-west-1")} == set(market._ITEMS)
        told = {
            item: f"{usd.normalize():f} a {unit}"
            for (region, item), (unit, usd) in items.items()
            if region in ("*", "us-east-1")
        }
        assert told["eks-control-plane-extended"] == "0.6 a hour"  # with the cluster below it
        assert told["s3-standard"] == "0.023 a GB-month"  # the first tier
        assert told["load-balancer:application"] == "0.0225 a hour"  # not that of trust stores
        assert told["logs-ingested"] == "0.5 a GB"
        assert told["kms-key"] == "1 a month"
        assert items["eu-west-1", "disk:gp3"] == ("GB-month", Decimal("0.088"))

    def test_what_costs_the_same_everywhere_is_one_price(self) -> None:
        everywhere = {item for region, item in fetched().items if region == "*"}
        assert everywhere == {"eks-control-plane", "eks-control-plane-extended", "kms-key", "public-ipv4"}

    def test_a_region_with_another_price_than_the_rest_has_its_own(self, sources: Sources) -> None:
        sources.changed["awskms/20260925174521/eu-west-1"] = (b"1.0000000000", b"1.2000000000")
        told = {region: usd for (region, item), (_, usd) in fetched().items.items() if item == "kms-key"}
        assert told == {"us-east-1": Decimal(1), "eu-west-1": Decimal("1.2")}

    def test_the_source_names_the_lists_version(self) -> None:
        assert fetched("us-east-1").source == "AWS price list AmazonEC2 20260925174521"

    def test_progress_counts_the_bytes_that_have_come(self) -> None:
        heard: list[tuple[str, int, int]] = []
        fetch(wanted(["us-east-1"], *MACHINES), lambda *told: heard.append(told))
        size = (RECORDED / "aws/AmazonEC2-us-east-1.csv").stat().st_size
        assert heard[:2] == [("AWS us-east-1", 0, size), ("AWS us-east-1", size, size)]


class TestSpot:
    @pytest.mark.usefixtures("sources")
    def test_without_credentials_it_is_not_asked_and_said(self) -> None:
        found = fetched()
        assert found.spot_regions == frozenset()
        assert all(quote.spot_usd_per_hour is None for quote in found.machines.values())
        assert found.notes == ["no spot prices of AWS: there are no credentials; set AWS_PROFILE to ask for them"]

    @pytest.mark.usefixtures("account")
    def test_with_credentials_it_is_that_of_the_dearest_zone_now(self) -> None:
        found = fetched()
        assert found.spot_regions == {"us-east-1", "eu-west-1"}
        assert found.machines["us-east-1", "g6.xlarge"].spot_usd_per_hour == Decimal("0.553")
        assert found.machines["us-east-1", "m7i.large"].spot_usd_per_hour is None
        assert not found.notes

    def test_a_region_that_refuses_is_a_note(self, account: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"{account.url}/refused")
        account.statuses["/refused"] = 401
        found = fetched("us-east-1")
        assert found.spot_regions == frozenset()
        assert found.notes[0].startswith("no spot prices of us-east-1: ")
        assert found.machines["us-east-1", "g6.xlarge"].usd_per_hour == Decimal("0.8048")


class TestFaults:
    def test_an_answer_that_ends_early_is_an_error(self, sources: Sources) -> None:
        sources.cut[EC2_US] = 9000
        with pytest.raises(
            MarketError, match=r"us-east-1/index.csv cannot be read \(.*9000 bytes read.*\); it needs the internet"
        ):
            fetched()

    def test_a_file_that_ends_in_the_middle_of_a_line_is_an_error(self, sources: Sources) -> None:
        whole = (RECORDED / "aws/AmazonEC2-us-east-1.csv").read_bytes()
        sources.changed[EC2_US] = (whole, whole[:9000])
        with pytest.raises(
            MarketError, match=r"is not a price list as it was: line .* has .* cells of 91: the file is cut off"
        ):
            fetched()

    @pytest.mark.parametrize("status", [404, 403])
    def test_a_file_that_is_not_there_is_an_error(self, sources: Sources, status: int) -> None:
        sources.statuses[EC2_US] = status
        with pytest.raises(MarketError, match=f"us-east-1/index.csv answers {status}; run it again"):
            fetched()

    def test_a_server_that_fails_is_asked_again_and_then_an_error(self, sources: Sources) -> None:
        sources.statuses[EC2_US] = 500
        with pytest.raises(MarketError, match=r"cannot be read .*too many 500"):
            fetched()
        assert sum(EC2_US in path for path in sources.asked) == 4

    @pytest.mark.usefixtures("sources")
    def test_a_region_that_the_list_has_not_is_an_error_with_a_remedy(self) -> None:
        with pytest.raises(MarketError, match="lists no region ap-east-9 for AmazonEC2; take its rows out"):
            fetched("ap-east-9")

    def test_nobody_there_is_an_error(self, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(market, "_MAY_PASS", ())
        monkeypatch.setenv(market.URL_VARIABLE, "http://127.0.0.1:9")
        with pytest.raises(MarketError, match=r"cannot be read .* needs the internet"):
            fetched()
        assert not sources.asked


class TestForm:
    def test_a_column_that_is_gone_is_named(self) -> None:
        lines = (
            (RECORDED / "aws/AmazonEC2-us-east-1.csv")
            .read_text()
            .replace('"CapacityStatus"', '"Capacity"')
            .splitlines()
        )
        with pytest.raises(ValueError, match="line 6 has no column CapacityStatus"):
            read_price_list("AmazonEC2", "us-east-1", lines, {})

    def test_an_amount_that_is_none_is_named(self) -> None:
        lines = (RECORDED / "aws/AmazonEKS-us-east-1.csv").read_text().replace("0.5000000000", "free").splitlines()
        with pytest.raises(ValueError, match="'free' is no amount"):
            read_price_list("AmazonEKS", "us-east-1", lines, {})
