"""Where rules come from. Sections are those of the versions named here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a rule comes from. `checkov` names checkov's ids of the same rule, if it has any; `also` other places that ask for it."""

    framework: str
    version: str
    section: str
    title: str
    url: str
    checkov: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


def cis(section: str, title: str, url: str, *checkov: str, nsa: str = "") -> Reference:
    """A recommendation of the CIS Kubernetes Benchmark; `nsa` names the section of the NSA/CISA guide that asks for the same."""
    also = (f"NSA/CISA: {nsa}",) if nsa else ()
    return Reference("CIS Kubernetes Benchmark", "1.12", section, title, url, checkov, also)


def cis_eks(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A recommendation of the CIS Amazon EKS Benchmark."""
    return Reference("CIS Amazon EKS Benchmark", "1.5.0", section, title, url, checkov)


def cis_aws(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A recommendation of the CIS AWS Foundations Benchmark."""
    return Reference("CIS AWS Foundations Benchmark", "3.0.0", section, title, url, checkov)


def cis_gke(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A recommendation of the CIS Google Kubernetes Engine Benchmark."""
    return Reference("CIS GKE Benchmark", "1.4.0", section, title, url, checkov)


def nsa_cisa(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A section of the NSA/CISA Kubernetes Hardening Guide."""
    return Reference("NSA/CISA Kubernetes Hardening Guide", "1.2", section, title, url, checkov)


def documented(source: str, section: str, title: str, url: str, *checkov: str) -> Reference:
    """A rule that no framework has, from the documentation of what it is about."""
    return Reference(source, "", section, title, url, checkov)
