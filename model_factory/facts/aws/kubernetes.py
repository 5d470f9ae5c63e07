"""The Kubernetes versions of EKS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

from model_factory.facts.cloud import Ending

EksVersion = Literal["1.32", "1.33", "1.34", "1.35", "1.36"]
"""Versions that EKS takes for a new cluster, 2026-11 (its standard and extended support)."""
DEFAULT_VERSION: Final[EksVersion] = "1.35"
"""Of clusters that name none."""


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
PATCHES: Final[Mapping[str, str]] = {
    "1.29": "1.29.15",
    "1.30": "1.30.14",
    "1.31": "1.31.14",
    "1.32": "1.32.11",
    "1.33": "1.33.7",
    "1.34": "1.34.3",
    "1.35": "1.35.1",
    "1.36": "1.36.1",
}
"""The latest patch of each minor version, those that EKS takes no more among them, oldest first, 2026-08:
https://docs.aws.amazon.com/eks/latest/userguide/platform-versions.html"""
OLDEST_STANDARD: Final[EksVersion] = "1.34"
"""The oldest version in standard support, 2026-11."""
ENDINGS: Final = (
    *(
        Ending(f"EKS {version}", SUPPORT[version].extended_until, "take it out of EksVersion")
        for version in get_args(EksVersion)
        if version in SUPPORT
    ),
    *(
        Ending(f"{name} version {version} in standard support", SUPPORT[version].standard_until, f"raise {constant}")
        for name, version, constant in (
            ("the default", DEFAULT_VERSION, "DEFAULT_VERSION"),
            ("the oldest", OLDEST_STANDARD, "OLDEST_STANDARD"),
        )
        if version in SUPPORT
    ),
)
"""The days after which this file has to be another one."""
