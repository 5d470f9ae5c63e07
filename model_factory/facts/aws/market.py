"""AWS's prices, from AWS: the public price list, which asks no account, and spot prices where there are credentials.

A price list is one CSV file an offer and region, of a few hundred megabytes for EC2; it is read as it arrives, never whole.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api-fetching-price-list-files-manually.html
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Self

from model_factory.facts.market import Market, MarketError, Progress, Quote, Wanted

if TYPE_CHECKING:
    from requests import Response

PRICE_LIST_URL: Final = "https://pricing.us-east-1.amazonaws.com"
URL_VARIABLE: Final = "MODEL_FACTORY_AWS_PRICE_LIST_URL"
"""Another server of the price list: a mirror, or a test's."""
EC2: Final = "AmazonEC2"
_HEADER_LINES: Final = 5
_SECONDS: Final = 60.0
_CHUNK: Final = 1 << 20
_MAY_PASS: Final = (429, 500, 502, 503, 504)
_MACHINE: Final[Mapping[str, str]] = {
    "Operating System": "Linux",
    "Tenancy": "Shared",
    "Pre Installed S/W": "NA",
    "CapacityStatus": "Used",
    "MarketOption": "OnDemand",  # capacity blocks have rows of their own
    "Unit": "Hrs",
}
_RESERVED: Final[Mapping[str, str]] = {
    "LeaseContractLength": "1yr",
    "PurchaseOption": "No Upfront",
    "OfferingClass": "standard",
}
_TERMS: Final = {"OnDemand": tuple(_MACHINE.items()), "Reserved": (*_MACHINE.items(), *_RESERVED.items())}
_NO_TERM: Final = (("TermType", "one that we know"),)
_COLUMNS: Final = (
    "TermType", "StartingRange", "Unit", "PricePerUnit", "Currency", "usageType", "Region Code",
)  # fmt: skip
_EC2_COLUMNS: Final = (*_COLUMNS, "Instance Type", *_MACHINE, *_RESERVED)
_REGION_PREFIX: Final = r"(?:[A-Z]{3}\d+-|EU-|[a-z]{2}(?:-[a-z]+)+-\d-)?"
"""What a usage type begins with outside us-east-1, and for some services in it: `USW2-`, `EU-`, `us-east-1-`."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of prices.csv in a price list: its offer, its usage types without the region (their prices add up), and its family."""

    offer: str
    usage_types: tuple[str, ...]
    unit: str
    family: str = ""
    """Empty: any. Load balancers differ in nothing else."""
    everywhere: bool = False
    """One price for all regions, as long as the wanted ones agree."""


_ITEMS: Final[Mapping[str, _Item]] = {
    "disk:gp2": _Item(EC2, ("EBS:VolumeUsage.gp2",), "GB-month"),
    "disk:gp3": _Item(EC2, ("EBS:VolumeUsage.gp3",), "GB-month"),
    "nat-gateway": _Item(EC2, ("NatGateway-Hours",), "hour"),
    "nat-gateway-data": _Item(EC2, ("NatGateway-Bytes",), "GB"),
    "public-ipv4": _Item("AmazonVPC", ("PublicIPv4:InUseAddress",), "hour", everywhere=True),
    "eks-control-plane": _Item("AmazonEKS", ("AmazonEKS-Hours:perCluster",), "hour", everywhere=True),
    # Extended support is billed on top of the cluster.
    "eks-control-plane-extended": _Item(
        "AmazonEKS", ("AmazonEKS-Hours:perCluster", "AmazonEKS-Hours:extendedSupport"), "hour", everywhere=True
    ),
    "ecr-storage": _Item("AmazonECR", ("TimedStorage-ByteHrs",), "GB-month", "EC2 Container Registry"),
    "kms-key": _Item("awskms", ("KMS-Keys",), "month", "Encryption Key", everywhere=True),
    "load-balancer:application": _Item("AWSELB", ("LoadBalancerUsage",), "hour", "Load Balancer-Application"),
    "load-balancer:network": _Item("AWSELB", ("LoadBalancerUsage",), "hour", "Load Balancer-Network"),
    "load-balancer:classic": _Item("AWSELB", ("LoadBalancerUsage",), "hour", "Load Balancer"),
    "load-balancer-data:classic": _Item("AWSELB", ("DataProcessing-Bytes",), "GB", "Load Balancer"),
    "logs-ingested": _Item("AmazonCloudWatch", ("DataProcessing-Bytes",), "GB", "Data Payload"),
    "logs-stored": _Item("AmazonCloudWatch", ("TimedStorage-ByteHrs",), "GB-month", "Storage Snapshot"),
    "s3-standard": _Item("AmazonS3", ("TimedStorage-ByteHrs",), "GB-month", "Storage"),
}
_PARTS: Final = {(item.offer, usage_type, item.family) for item in _ITEMS.values() for usage_type in item.usage_types}
_USAGE_TYPE: Final = re.compile(
    _REGION_PREFIX + f"({'|'.join(sorted(re.escape(usage_type) for _, usage_type, _ in _PARTS))})"
)


@dataclass(frozen=True, slots=True)
class PriceList:
    """What one file says: machines on demand and reserved for a year without upfront payment, and the parts of items."""

    on_demand: Mapping[str, Decimal]
    reserved: Mapping[str, Decimal]
    parts: Mapping[tuple[str, str], Decimal]
    """The first paid tier, by (usage type without region, product family)."""
    version: str


def fetch(wanted: Wanted, progress: Progress) -> Market:
    """The prices of `wanted`. MarketError when a file cannot be had whole; a region's spot prices that cannot be had are a note."""
    offers = sorted({item.offer for item in _ITEMS.values()} - {EC2})
    machines: dict[tuple[str, str], Quote] = {}
    items: dict[tuple[str, str], tuple[str, Decimal]] = {}
    versions: set[str] = set()
    with _Lists() as lists:
        for region in wanted.regions:
            ec2 = lists.read(EC2, region, wanted.machines, progress)
            versions.add(ec2.version)
            rest = {offer: lists.read(offer, region, {}, progress) for offer in offers}
            items |= {(region, item): price for item, price in _items({EC2: ec2, **rest}).items()}
            machines |= {
                (region, machine_type): Quote(usd, None, ec2.reserved.get(machine_type))
                for machine_type, usd in ec2.on_demand.items()
            }
    spot, asked, notes = _spot(wanted.regions, machines, progress)
    quotes = {
        key: Quote(quote.usd_per_hour, spot.get(key), quote.reserved_usd_per_hour) for key, quote in machines.items()
    }
    return Market(quotes, _everywhere(items), f"AWS price list {EC2} {max(versions, default='')}", asked, notes)


def read_price_list(offer: str, region: str, lines: Iterable[str], machines: Mapping[str, object]) -> PriceList:
    """The prices of `machines` and of items in one file, line by line. ValueError when it is cut off or in another form."""
    rows = csv.reader(lines)
    head = dict(row[:2] for row in _first(rows, _HEADER_LINES) if len(row) > 1)
    names = next(rows, [])
    missing = sorted(set(_EC2_COLUMNS if offer == EC2 else _COLUMNS) - set(names))
    if missing:
        raise ValueError(f"line {_HEADER_LINES + 1} has no column {', '.join(missing)}")
    at = {name: number for number, name in enumerate(names)}
    machine_prices: dict[str, dict[str, Decimal]] = {"OnDemand": {}, "Reserved": {}}
    tiers: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"line {rows.line_num} has {len(row)} cells of {len(names)}: the file is cut off")
        if row[at["Region Code"]] != region or row[at["Currency"]] != "USD":
            continue
        term = row[at["TermType"]]
        if machines and (machine_type := row[at["Instance Type"]]) in machines:
            if all(row[at[name]] == value for name, value in _TERMS.get(term, _NO_TERM)):
                _dearest(machine_prices[term], machine_type, _usd(row[at["PricePerUnit"]]))
        elif term == "OnDemand" and (found := _USAGE_TYPE.fullmatch(row[at["usageType"]])):
            usd, start = _usd(row[at["PricePerUnit"]]), _usd(row[at["StartingRange"]] or "0")
            for key in ((found[1], ""), (found[1], row[at["Product Family"]] if "Product Family" in at else "")):
                if usd > 0 and (offer, *key) in _PARTS:
                    tiers[key] = min((start, -usd), tiers.get(key, (start, -usd)))
    return PriceList(
        machine_prices["OnDemand"],
        machine_prices["Reserved"],
        {key: -minus_usd for key, (_, minus_usd) in tiers.items()},
        head.get("Version", ""),
    )


def _dearest(prices: dict[str, Decimal], machine_type: str, usd: Decimal) -> None:
    if usd > 0:
        prices[machine_type] = max(usd, prices.get(machine_type, usd))


def _usd(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no amount") from None


def _first(rows: Iterator[list[str]], count: int) -> list[list[str]]:
    return [row for _, row in zip(range(count), rows, strict=False)]


def _items(lists: Mapping[str, PriceList]) -> dict[str, tuple[str, Decimal]]:
    """Those whose every part has a price."""
    found: dict[str, tuple[str, Decimal]] = {}
    for name, item in _ITEMS.items():
        parts = [lists[item.offer].parts.get((usage_type, item.family)) for usage_type in item.usage_types]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            found[name] = (item.unit, sum(known, Decimal(0)))
    return found


def _everywhere(items: Mapping[tuple[str, str], tuple[str, Decimal]]) -> dict[tuple[str, str], tuple[str, Decimal]]:
    """`items` with one row for all regions where an item has one price everywhere and no region says otherwise."""
    told: defaultdict[str, set[tuple[str, Decimal]]] = defaultdict(set)
    for (_, name), price in items.items():
        told[name].add(price)
    return {
        ("*" if _ITEMS[name].everywhere and len(told[name]) == 1 else region, name): price
        for (region, name), price in items.items()
    }


class _Lists:
    """The price list's server. Use as a context manager."""

    def __init__(self) -> None:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3 import Retry

        self._url = os.environ.get(URL_VARIABLE, PRICE_LIST_URL).rstrip("/")
        self._http = requests.Session()
        self._http.mount(self._url, HTTPAdapter(max_retries=Retry(3, backoff_factor=0.2, status_forcelist=_MAY_PASS)))
        self._versions: dict[str, Mapping[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def read(self, offer: str, region: str, machines: Mapping[str, object], progress: Progress) -> PriceList:
        path = self._path(offer, region)
        with self._opened(path) as answer:
            try:
                return read_price_list(offer, region, _lines(answer, f"AWS {region}", progress), machines)
            except (ValueError, csv.Error) as broken:
                raise MarketError(
                    f"{self._url}{path} is not a price list as it was: {broken}; run it again, and if it stays so report it"
                ) from broken

    def _path(self, offer: str, region: str) -> str:
        if offer not in self._versions:
            path = f"/offers/v1.0/aws/{offer}/current/region_index.json"
            with self._opened(path) as answer:
                try:
                    self._versions[offer] = json.loads(answer.content)["regions"]
                except (ValueError, KeyError) as broken:
                    raise MarketError(f"{self._url}{path} does not list regions: {broken!r}; run it again") from broken
        known = self._versions[offer].get(region)
        if known is None:
            raise MarketError(
                f"{self._url} lists no region {region} for {offer}; take its rows out of facts/aws/offers.csv"
            )
        return str(known["currentVersionUrl"]).removesuffix(".json") + ".csv"

    @contextmanager
    def _opened(self, path: str) -> Generator[Response]:
        """An answer whose body is not read yet; one that ends early is an error too."""
        import requests

        try:
            with self._http.get(self._url + path, stream=True, timeout=_SECONDS) as answer:
                if answer.status_code != requests.codes.ok:
                    raise MarketError(
                        f"{self._url}{path} answers {answer.status_code}; run it again, or look at {URL_VARIABLE}"
                    )
                yield answer
        except requests.RequestException as error:
            cause = getattr(error.args[0], "reason", error) if error.args else error
            raise MarketError(
                f"{self._url}{path} cannot be read ({cause}); it needs the internet (HTTPS_PROXY counts) and no account"
            ) from error


def _lines(answer: Response, what: str, progress: Progress) -> Generator[str]:
    """The lines of an answer as they come, telling how many bytes have come."""
    length = int(answer.headers.get("content-length") or 0)
    progress(what, 0, length)
    rest = b""
    for chunk in answer.iter_content(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)
        progress(what, answer.raw.tell(), length)
    if rest:
        yield rest.decode()


def _spot(
    regions: Sequence[str], machines: Iterable[tuple[str, str]], progress: Progress
) -> tuple[dict[tuple[str, str], Decimal], frozenset[str], list[str]]:
    """The spot price of each machine, that of its dearest zone now; the regions that told them; and why others did not."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    session = boto3.Session()
    if session.get_credentials() is None:
        return {}, frozenset(), ["no spot prices of AWS: there are no credentials; set AWS_PROFILE to ask for them"]
    sold: defaultdict[str, list[str]] = defaultdict(list)
    for region, machine_type in machines:
        sold[region].append(machine_type)
    spot: dict[tuple[str, str], Decimal] = {}
    asked: set[str] = set()
    notes: list[str] = []
    for number, region in enumerate(regions):
        progress("AWS spot prices", number, len(regions))
        try:
            pages = session.client("ec2", region_name=region).get_paginator("describe_spot_price_history").paginate(
                InstanceTypes=sorted(sold[region]), ProductDescriptions=["Linux/UNIX"], StartTime=datetime.now(UTC)
            )  # fmt: skip
            for row in (row for page in pages for row in page["SpotPriceHistory"]) if sold[region] else ():
                key, usd = (region, str(row["InstanceType"])), Decimal(row["SpotPrice"])
                spot[key] = max(usd, spot.get(key, usd))
            asked.add(region)
        except (BotoCoreError, ClientError) as error:
            notes.append(f"no spot prices of {region}: {error}")
    return spot, frozenset(asked), notes
