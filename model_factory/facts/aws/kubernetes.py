"""The Kubernetes versions of EKS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

EksVersion = Literal["1.32", "1.33", "1.34", "1.35", "1.36"]
"""Versions that EKS takes for a new cluster, 2026-11 (its standard and extended support)."""


@dataclass(frozen=True, slots=True)
class Support:
    """The last days of a minor version's support. Standard support is followed by the extended one, at a higher price."""

    standard_until: date
    extended_until: date


SUPPORT: Final[Mapping[str, Support]] = {
    "1.29": Support(date(2025, 3, 23), date(2026, 3, 23)),
    "1.30": Support(date(2025, 7, 23), date(2026, 7, 23)),
    "1.31": Support(date(2025, 11, 26), date(2026, 11, 26)),
    "1.32": Support(date(2026, 3, 23), date(2027, 3, 23)),
    "1.33": Support(date(2026, 7, 29), date(2027, 7, 29)),
    "1.34": Support(date(2026, 12, 2), date(2027, 12, 2)),
    "1.35": Support(date(2027, 3, 27), date(2028, 3, 27)),
}
"""By minor version; one that is not here has no date yet. https://endoflife.date/amazon-eks, read 2026-02-14, and AWS,
"Understand the Kubernetes version lifecycle on EKS", as of 2026-04."""
