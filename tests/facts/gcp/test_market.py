"""Google's prices, read by the real client from a server of recorded answers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from model_factory.facts.gcp import market
from model_factory.facts.gcp.market import fetch, part_of
from model_factory.facts.market import Market, MarketError, Sized
from tests.facts.machine import sized, unheard, wanted
from tests.facts.sources import Sources

L4 = sized("g2-standard-4", 4, 16, "l4", 1)
T4 = sized("n1-standard-4", 4, 15, "t4", 1)
A100 = sized("a2-highgpu-1g", 12, 85, "a100", 1)
A100_80 = sized("a2-ultragpu-1g", 12, 170, "a100-80gb", 1)
H100 = sized("a3-highgpu-8g", 208, 1872, "h100", 8)
MEGA = sized("a3-megagpu-8g", 208, 1872, "h100-mega", 8)
B200 = sized("a4-highgpu-8g", 224, 3968, "b200", 8)
H200 = sized("a3-ultragpu-8g", 224, 2952, "h200", 8)
E2 = sized("e2-standard-4", 4, 16)
C4A = sized("c4a-standard-8", 8, 32)
C4D = sized("c4d-standard-8", 8, 31)


def fetched(*machines: Sized) -> Market:
    return fetch(wanted(["europe-west4", "us-central1"], *(machines or (L4, T4))), unheard)


@pytest.mark.usefixtures("sources")
class TestMachines:
    @pytest.mark.parametrize(
        ("machine", "usd"),
        [
            (L4, "0.70684"),
            (T4, "0.539999"),
            (A100, "3.673227"),
            (A100_80, "5.027702"),
            (H100, "89.244568"),
            (MEGA, "92.742368"),
            (B200, "128.88"),
            (E2, "0.13402284"),
            (C4A, "0.3592"),
        ],
        ids=lambda value: value.machine_type if isinstance(value, Sized) else value,
    )
    def test_a_machine_costs_its_cores_memory_and_gpus(self, machine: Sized, usd: str) -> None:
        assert fetched(machine).machines["us-central1", machine.machine_type].usd_per_hour == Decimal(usd)

    def test_memory_sold_by_the_decimal_gigabyte_costs_more_a_gib(self) -> None:
        usd = fetched(C4D).machines["us-central1", "c4d-standard-8"].usd_per_hour
        assert usd == 8 * Decimal("0.0321") + 31 * Decimal("0.0036") * Decimal("1.073741824")

    def test_spot_and_a_year_are_added_up_alike(self) -> None:
        quote = fetched(T4).machines["us-central1", "n1-standard-4"]
        assert quote.spot_usd_per_hour == Decimal("0.17991")
        assert quote.reserved_usd_per_hour == Decimal("0.339695")

    def test_a_spot_sku_filed_under_on_demand_is_spot(self) -> None:
        assert fetched(B200).machines["us-central1", "a4-highgpu-8g"].spot_usd_per_hour == Decimal("39.6336")

    def test_a_machine_with_a_part_that_has_no_price_has_none(self) -> None:
        assert fetched(H200).machines == {}

    def test_a_region_has_the_prices_that_name_it(self) -> None:
        machines = fetched().machines
        assert set(machines) == {
            ("us-central1", "g2-standard-4"),
            ("us-central1", "n1-standard-4"),
            ("europe-west4", "g2-standard-4"),
        }
        assert machines["europe-west4", "g2-standard-4"].usd_per_hour == Decimal("0.7780888")
        assert machines["europe-west4", "g2-standard-4"].spot_usd_per_hour is None

    def test_all_spot_prices_are_told(self) -> None:
        assert fetched().spot_regions == {"europe-west4", "us-central1"}


class TestDescriptions:
    @pytest.mark.parametrize(
        ("description", "usage_type", "expected"),
        [
            ("N1 Predefined Instance Core running in Americas", "OnDemand", (("core", "n1"), "on-demand")),
            ("N2D AMD Instance Ram running in Zurich", "OnDemand", (("ram", "n2d"), "on-demand")),
            ("Spot Preemptible C4A Arm Instance Core running in Belgium", "Preemptible", (("core", "c4a"), "spot")),
            ("Preemptible N1 Predefined Instance Ram running in Iowa", "Preemptible", (("ram", "n1"), "spot")),
            ("Commitment v1: A2 Cpu in APAC for 1 Year", "Commit1Yr", (("core", "a2"), "reserved")),
            ("Commitment v1: Cpu in Montreal for 1 Year", "Commit1Yr", (("core", "n1"), "reserved")),
            ("Commitment v1: A4 Nvidia B200 (1 gpu slice) in Iowa for 1 Year", "Commit1Yr", (("gpu", "b200"), "reserved")),
            ("H200 141GB GPU running in Belgium", "OnDemand", (("gpu", "h200"), "on-demand")),
            ("RTX 6000 96GB running in Oregon", "OnDemand", (("gpu", "rtx-pro-6000"), "on-demand")),
            ("Nvidia H100 80GB Mega GPU attached to Spot Preemptible VMs running in Tokyo", "Preemptible", (("gpu", "h100-mega"), "spot")),
        ],
    )  # fmt: skip
    def test_a_part_is_known_by_its_whole_description(
        self, description: str, usage_type: str, expected: object
    ) -> None:
        assert part_of(description, usage_type) == expected

    @pytest.mark.parametrize(
        "description",
        [
            "N2 Custom Instance Core running in Americas",
            "C3 Sole Tenancy Instance Core running in Americas",
            "Sole Tenancy Instance Ram running in Jakarta",
            "DWS Defined Duration A3 Core running in Americas",
            "Reserved M4 Core in Americas",
            "Reserved Nvidia H100 80GB Mega GPU in Americas in Calendar Mode",
            "Nvidia L4 GPU attached to DWS Defined Duration VMs running in Frankfurt",
            "Nvidia L4 Virtual Workstation GPU running in Netherlands",
            "Nvidia L40 GPU running in Netherlands",
            "Core running in Americas",
            "Licensing Fee for Ubuntu Pro on VM with 2 VCPU",
            "Commitment v1: G2 Cpu in Americas for 3 Years",
            "Memory Optimized Upgrade Premium for Memory-optimized Instance Core running in Singapore",
        ],
    )
    def test_another_kind_of_offer_is_no_part(self, description: str) -> None:
        assert part_of(description, "OnDemand") is None

    def test_a_plain_description_under_another_usage_type_is_no_part(self) -> None:
        assert part_of("Nvidia L4 GPU running in Netherlands", "Preemptible") is None


@pytest.mark.usefixtures("sources")
class TestItems:
    def test_every_item_has_its_price(self) -> None:
        items = fetched().items
        assert {item for _, item in items} == set(market._ITEMS)
        told = {key: f"{usd.normalize():f} a {unit}" for key, (unit, usd) in items.items()}
        assert told["us-central1", "disk:pd-balanced"] == "0.1 a GB-month"  # not the regional disk's
        assert told["europe-west4", "disk:pd-balanced"] == "0.11 a GB-month"
        assert told["*", "public-ipv4"] == "0.005 a hour"  # past the free tier
        assert told["us-central1", "gcs-standard"] == "0.02 a GB-month"  # not the dual region's
        assert told["*", "logs-ingested"] == "0.5 a GB"
        assert told["*", "kms-key"] == "0.06 a month"


class TestFaults:
    def test_without_key_and_account_it_is_said_what_to_set(
        self, sources: Sources, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(market.KEY_VARIABLES[0])
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
        monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        with pytest.raises(
            MarketError, match="there is none; set GCP_PRICES_API_KEY or GOOGLE_API_KEY, or run gcloud auth"
        ):
            fetched()
        assert not sources.asked

    def test_the_key_is_in_no_error(self, sources: Sources) -> None:
        sources.statuses["6F81-5844-456A"] = 403
        with pytest.raises(MarketError, match=r"refuses service 6F81-5844-456A: 403 .* enable cloudbilling") as told:
            fetched()
        assert any("the-key" in path for path in sources.asked)
        assert "the-key" not in str(told.value)

    def test_a_server_that_fails_is_asked_again_and_then_an_error(
        self, sources: Sources, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("googleapiclient.http.time.sleep", lambda _: None)
        sources.statuses["pageToken"] = 500
        with pytest.raises(MarketError, match="refuses service 6F81-5844-456A: 500"):
            fetched()
        assert sum("pageToken" in path for path in sources.asked) == 1 + market._RETRIES

    def test_an_answer_that_ends_early_is_an_error(self, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("googleapiclient.http.time.sleep", lambda _: None)
        sources.cut["pageToken"] = 5000
        with pytest.raises(MarketError, match=r"cannot be read .*at service 6F81-5844-456A"):
            fetched()
