"""A price table of round figures, so that a reader can do the sums."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from model_factory.facts.catalogue import Catalogue
from model_factory.facts.offer import Offer
from model_factory.facts.prices import Price, PriceTable

AS_OF = date(2026, 6, 30)


def price(cloud: Literal["aws", "gcp"], item: str, unit: str, usd: str, **changes: object) -> Price:
    region = "us-east-1" if cloud == "aws" else "us-central1"
    values: dict[str, object] = {
        "cloud": cloud,
        "region": region,
        "item": item,
        "unit": unit,
        "usd": Decimal(usd),
        "as_of": AS_OF,
        "source": "test",
    }
    return Price(**(values | changes))  # pyright: ignore[reportArgumentType]


def offer(
    cloud: Literal["aws", "gcp"],
    machine: str,
    gpus: int,
    usd: str,
    spot: str | None,
    vcpus: int = 16,
    memory: int = 128,
) -> Offer:
    return Offer(
        cloud=cloud,
        region="us-east-1" if cloud == "aws" else "us-central1",
        machine_type=machine,
        accelerator="l4" if gpus else "",
        accelerator_count=gpus,
        usable_gib_per_accelerator=Decimal(22 if gpus else 0),
        vcpus=vcpus,
        memory_gib=Decimal(memory),
        usd_per_hour=Decimal(usd),
        spot_usd_per_hour=None if spot is None else Decimal(spot),
        as_of=AS_OF,
        source="test",
    )


def table() -> PriceTable:
    """One GPU at 1 (spot 0.4), four at 3.60 without spot, on AWS; one at 0.80 (spot 0.30) on GCP; small machines at 0.10."""
    offers = (
        offer("aws", "one", 1, "1", "0.40"),
        offer("aws", "four", 4, "3.60", None, vcpus=64, memory=512),
        offer("gcp", "g-one", 1, "0.80", "0.30"),
        offer("aws", "small", 0, "0.10", "0.04"),
        offer("gcp", "g-small", 0, "0.20", None),
    )
    prices = [
        price("aws", "eks-control-plane", "hour", "0.10"),
        price("aws", "eks-control-plane-extended", "hour", "0.60"),
        price("aws", "nat-gateway", "hour", "0.05"),
        price("aws", "nat-gateway-data", "GB", "0.0438"),
        price("aws", "public-ipv4", "hour", "0.005"),
        price("aws", "disk:gp3", "GB-month", "0.0730"),
        price("aws", "ecr-storage", "GB-month", "0.073"),
        price("aws", "s3-standard", "GB-month", "0.0365"),
        price("aws", "logs-ingested", "GB", "0.73"),
        price("aws", "logs-stored", "GB-month", "0.0292"),
        price("aws", "kms-key", "month", "0.73"),
        price("aws", "load-balancer:network", "hour", "0.02"),
        price("gcp", "gke-control-plane", "hour", "0.10"),
        price("gcp", "nat-vm", "hour", "0.001"),
        price("gcp", "nat-data", "GB", "0.0438"),
        price("gcp", "public-ipv4", "hour", "0.005"),
        price("gcp", "disk:pd-balanced", "GB-month", "0.146"),
        price("gcp", "artifact-registry-storage", "GB-month", "0.073", region="*"),
        price("gcp", "gcs-standard", "GB-hour", "0.00003"),
        price("gcp", "logs-ingested", "GB", "0.73", region="*"),
    ]
    return PriceTable.of(prices, Catalogue(offers, ()))
