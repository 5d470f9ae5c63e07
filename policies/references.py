"""Where rules come from. Sections are those of the versions named here."""

from __future__ import annotations

from policies.checks import Reference

CIS_KUBERNETES = ("CIS Kubernetes Benchmark", "1.12")
NSA_CISA = ("NSA/CISA Kubernetes Hardening Guide", "1.2")


def cis(section: str, title: str, url: str, *checkov: str, nsa: str = "") -> Reference:
    """A recommendation of the CIS Kubernetes Benchmark; `nsa` names the section of the NSA/CISA guide that asks for the same."""
    also = (f"NSA/CISA: {nsa}",) if nsa else ()
    return Reference(*CIS_KUBERNETES, section, title, url, checkov, also)


def nsa_cisa(section: str, title: str, url: str, *checkov: str) -> Reference:
    """A section of the NSA/CISA Kubernetes Hardening Guide."""
    return Reference(*NSA_CISA, section, title, url, checkov)


def documented(source: str, section: str, title: str, url: str, *checkov: str) -> Reference:
    """A rule that no framework has, from the documentation of what it is about."""
    return Reference(source, "", section, title, url, checkov)
