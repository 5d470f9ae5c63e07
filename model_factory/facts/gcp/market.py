"""Google Cloud's prices, from Google: the public billing catalogue, which asks an API key or an account of any project.

The catalogue has no machines, only parts by the hour: a family's cores and memory, and GPUs. What a part is stands in its description alone, as
`Spot Preemptible A3 Instance Core running in Americas`, so the whole description must match; what does not is another kind of offer (Dynamic
Workload Scheduler, calendar mode, sole tenancy, custom machines) and not a price of a machine here.
Local SSDs that come with a machine are billed beside it and are not in its price.
https://docs.cloud.google.com/billing/v1/how-tos/catalog-api
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from model_factory.facts.market import Market, MarketError, Progress, Quote, Sized, Wanted

URL_VARIABLE: Final = "MODEL_FACTORY_GCP_BILLING_URL"
"""Another server of the catalogue: a mirror, or a test's."""
KEY_VARIABLES: Final = ("GCP_PRICES_API_KEY", "GOOGLE_API_KEY")
COMPUTE: Final = "6F81-5844-456A"
_PAGE: Final = 5000
_RETRIES: Final = 2
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-billing.readonly"

Buying = Literal["on-demand", "spot", "reserved"]
Part = tuple[str, str]
"""(`core` or `ram`, family) or (`gpu`, accelerator)."""
_GB_OF_GIB: Final = Decimal(2**30) / Decimal(10**9)
_PER_UNIT: Final[Mapping[tuple[str, str], Decimal]] = {
    ("core", "h"): Decimal(1),
    ("gpu", "h"): Decimal(1),
    ("ram", "GiBy.h"): Decimal(1),
    ("ram", "GBy.h"): _GB_OF_GIB,
}
"""How many of a part's units one vCPU, GPU or GiB is, by the unit that the catalogue prices it in."""
_FORMS: Final[tuple[tuple[re.Pattern[str], Buying, str], ...]] = (
    (re.compile(r"Commitment v1: (.+?) (?:running )?in .+ for 1 Year"), "reserved", "Commit1Yr"),
    (re.compile(r"(?:Spot )?Preemptible (.+?) running in .+"), "spot", ""),
    (re.compile(r"(.+?) attached to Spot Preemptible VMs running in .+"), "spot", ""),
    (re.compile(r"(.+?) running in .+"), "on-demand", "OnDemand"),
)
"""Descriptions, how such a SKU is bought, and the usage type that it must have. Some spot SKUs have that of on-demand ones, so none is asked."""
_CORE_OR_RAM: Final = re.compile(
    r"(?:([A-Za-z]+\d[A-Za-z0-9]*) )?(?:AMD |Arm |Predefined )?(?:Instance )?(Core|Cpu|Ram)"
)
_GPUS: Final[Mapping[str, str]] = {
    "Nvidia Tesla T4 GPU": "t4",
    "Nvidia L4 GPU": "l4",
    "Nvidia Tesla A100 GPU": "a100",
    "Nvidia Tesla A100 80GB GPU": "a100-80gb",
    "Nvidia H100 80GB GPU": "h100",
    "Nvidia H100 80GB Mega GPU": "h100-mega",
    "Nvidia H100 Mega 80GB GPU": "h100-mega",
    "Nvidia H100 80GB Plus GPU": "h100-mega",
    "H200 141GB GPU": "h200",
    "A4 Nvidia B200 (1 gpu slice)": "b200",
    "RTX 6000 96GB": "rtx-pro-6000",
}
_FAMILIES: Final[Mapping[str, str]] = {"a3-megagpu": "a3plus", "a3-ultragpu": "a3ultra"}
"""Machines whose cores are sold under another name than theirs."""
_SLICES: Final = frozenset({"a4"})
"""Families whose GPU's price has the machine around it in it."""
_FAMILY_OF_BARE_COMMITMENTS: Final = "n1"
"""`Commitment v1: Cpu in Montreal for 1 Year`: the oldest family has no name there."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of prices.csv: its service, its SKU's whole description (a pattern), and its unit there and here."""

    service: str
    description: str
    usage_unit: str
    unit: str
    everywhere: bool = False
    """One price for all regions, whatever regions the SKU names."""


_ITEMS: Final[Mapping[str, _Item]] = {
    "disk:pd-standard": _Item(COMPUTE, r"Storage PD Capacity(?: in .+)?", "GiBy.mo", "GB-month"),
    "disk:pd-balanced": _Item(COMPUTE, r"Balanced PD Capacity(?: in .+)?", "GiBy.mo", "GB-month"),
    "disk:pd-ssd": _Item(COMPUTE, r"SSD backed PD Capacity(?: in .+)?", "GiBy.mo", "GB-month"),
    "disk:hyperdisk-balanced": _Item(COMPUTE, r"Hyperdisk Balanced Capacity(?: in .+)?", "GiBy.mo", "GB-month"),
    "public-ipv4": _Item(COMPUTE, r"External IP Charge on a Standard VM", "h", "hour", everywhere=True),
    "nat-vm": _Item("E505-1604-58F8", r"Networking Cloud Nat Gateway Uptime", "h", "hour", everywhere=True),
    "nat-data": _Item("E505-1604-58F8", r"Networking Cloud Nat Data Processing", "GiBy", "GB", everywhere=True),
    "gke-control-plane": _Item("CCD8-9BF1-090E", r"Regional Kubernetes Clusters", "h", "hour", everywhere=True),
    "artifact-registry-storage": _Item(
        "149C-F9EC-3994", r"Artifact Registry Storage", "GiBy.mo", "GB-month", everywhere=True
    ),
    "logs-ingested": _Item("5490-F7B7-8DF6", r"Log Storage cost", "GiBy", "GB", everywhere=True),
    "gcs-standard": _Item("95FF-2EF5-5EA1", r"Standard Storage (?!.*-region$).+", "GiBy.mo", "GB-month"),
    "kms-key": _Item("EE2F-D110-890C", r"Active software symmetric key versions", "mo", "month", everywhere=True),
}
_SERVICES: Final = tuple(sorted({item.service for item in _ITEMS.values()}))


def fetch(wanted: Wanted, progress: Progress) -> Market:
    """The prices of `wanted`. MarketError without a key or an account, or when the catalogue cannot be had whole."""
    with _client() as client:
        services = {service: list(_skus(client, service, progress)) for service in _SERVICES}
    rates = read_rates(services[COMPUTE])
    machines = {
        (region, machine.machine_type): quote
        for region in wanted.regions
        for machine in wanted.machines.values()
        if (quote := price_of(machine, region, rates)) is not None
    }
    return Market(machines, read_items(services), "Google Cloud Billing Catalog", frozenset(wanted.regions))


def read_rates(skus: Iterable[Mapping[str, Any]]) -> dict[tuple[str, Part, Buying], Decimal]:
    """USD an hour of one vCPU, GiB or GPU, by region. Where two SKUs tell one, the dearer counts: no machine is priced too low."""
    rates: dict[tuple[str, Part, Buying], Decimal] = {}
    for sku in skus:
        category = sku.get("category", {})
        named = part_of(str(sku.get("description", "")), str(category.get("usageType", "")))
        if named is None or category.get("resourceFamily") != "Compute":
            continue
        part, buying = named
        usage_unit, usd = _price(sku)
        units = _PER_UNIT.get((part[0], usage_unit))
        if units is None or usd <= 0:
            continue
        for region in sku.get("serviceRegions", []):
            key = (str(region), part, buying)
            rates[key] = max(usd * units, rates.get(key, Decimal(0)))
    return rates


def part_of(description: str, usage_type: str) -> tuple[Part, Buying] | None:
    """What a SKU of the compute service prices, and how it is bought; None where that is no part of a machine."""
    for form, buying, usage in _FORMS:
        found = form.fullmatch(description)
        if found is None:
            continue
        if usage and usage != usage_type:
            return None
        name = found[1]
        if name in _GPUS:
            return ("gpu", _GPUS[name]), buying
        core = _CORE_OR_RAM.fullmatch(name)
        if core is None or (core[1] is None and buying != "reserved"):
            return None
        family = str(core[1] or _FAMILY_OF_BARE_COMMITMENTS).lower()
        return ("ram" if core[2] == "Ram" else "core", family), buying
    return None


def price_of(machine: Sized, region: str, rates: Mapping[tuple[str, Part, Buying], Decimal]) -> Quote | None:
    """What the machine's parts cost together; None where one of them has no price on demand."""
    parts = _parts(machine)

    def total(buying: Buying) -> Decimal | None:
        prices = [(rates.get((region, part, buying)), amount) for part, amount in parts.items()]
        known = [usd * amount for usd, amount in prices if usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(prices) else None

    usd = total("on-demand")
    return None if usd is None else Quote(usd, total("spot"), total("reserved"))


def _parts(machine: Sized) -> dict[Part, Decimal]:
    series, _, rest = machine.machine_type.partition("-")
    family = _FAMILIES.get(f"{series}-{rest.partition('-')[0]}", series)
    parts: dict[Part, Decimal] = {}
    if family not in _SLICES:
        parts |= {("core", family): Decimal(machine.vcpus), ("ram", family): machine.memory_gib}
    if machine.accelerator_count:
        parts["gpu", machine.accelerator] = Decimal(machine.accelerator_count)
    return parts


def read_items(services: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[tuple[str, str], tuple[str, Decimal]]:
    """The price of everything but machines, by (region, item): unit and USD."""
    found: dict[tuple[str, str], tuple[str, Decimal]] = {}
    for name, item in _ITEMS.items():
        form = re.compile(item.description)
        for sku in services.get(item.service, ()):
            if not form.fullmatch(str(sku.get("description", ""))):
                continue
            usage_unit, usd = _price(sku)
            if usage_unit != item.usage_unit or usd <= 0:
                continue
            for region in ("*",) if item.everywhere else sku.get("serviceRegions", []):
                _, before = found.get((region, name), ("", Decimal(0)))
                found[region, name] = (item.unit, max(usd, before))
    return found


def _price(sku: Mapping[str, Any]) -> tuple[str, Decimal]:
    """A SKU's unit, and its latest price in USD: of the first tier that is not free. 0 where it states none."""
    latest = (sku.get("pricingInfo") or [{}])[-1]
    expression = latest.get("pricingExpression", {})
    for tier in expression.get("tieredRates", []):
        money = tier.get("unitPrice", {})
        usd = Decimal(str(money.get("units", 0))) + Decimal(money.get("nanos", 0)).scaleb(-9)
        if money.get("currencyCode", "USD") == "USD" and usd > 0:
            return str(expression.get("usageUnit", "")), usd
    return "", Decimal(0)


def _client() -> Any:
    """The catalogue's client; a context manager. MarketError without a key or an account."""
    from googleapiclient import discovery

    key = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), None)
    url = os.environ.get(URL_VARIABLE)
    return discovery.build(
        "cloudbilling",
        "v1",
        developerKey=key,
        credentials=None if key else _account(),
        client_options={"api_endpoint": url} if url else None,
        static_discovery=True,
        cache_discovery=False,
    )


def _skus(client: Any, service: str, progress: Progress) -> Iterator[Mapping[str, Any]]:
    """All SKUs of a service, page by page."""
    from http.client import HTTPException

    import httplib2
    from google.auth.exceptions import GoogleAuthError
    from googleapiclient.errors import HttpError

    skus = client.services().skus()
    request = skus.list(parent=f"services/{service}", currencyCode="USD", pageSize=_PAGE)
    told = 0
    try:
        while request is not None:
            answer = request.execute(num_retries=_RETRIES)
            page = answer.get("skus", [])
            told += len(page)
            progress("Google Cloud", told, 0)
            yield from page
            request = skus.list_next(request, answer)
    except HttpError as error:
        # Its text has the address in it, and in that the key.
        raise MarketError(
            f"Google's billing catalogue refuses service {service}: {error.resp.status} {error.reason}; "
            f"enable cloudbilling.googleapis.com in the key's project, or set another key in {KEY_VARIABLES[0]}"
        ) from None
    except (GoogleAuthError, httplib2.HttpLib2Error, HTTPException, OSError, ValueError) as error:
        raise MarketError(
            f"Google's billing catalogue cannot be read ({type(error).__name__} at service {service}); "
            "it needs the internet (HTTPS_PROXY counts)"
        ) from None


def _account() -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return google.auth.default(scopes=[_SCOPE])[0]
    except DefaultCredentialsError as error:
        raise MarketError(
            f"Google's billing catalogue asks for a key or an account, and there is none; set {' or '.join(KEY_VARIABLES)}, "
            "or run gcloud auth application-default login, or ask the other clouds alone with --cloud"
        ) from error
