"""The clouds: a folder each in this one, and a line each here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from model_factory.facts.aws import AWS
from model_factory.facts.cloud import CloudFacts
from model_factory.facts.gcp import GCP

Cloud = Literal["aws", "gcp"]

CLOUDS: Final[Mapping[Cloud, CloudFacts]] = {"aws": AWS, "gcp": GCP}
