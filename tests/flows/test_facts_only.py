"""What ages stands in model_factory/facts and nowhere else: no machine type, version of Kubernetes or price is written in code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_factory.facts.clouds import CLOUDS
from model_factory.facts.machines import families

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "__main__.py",
    *sorted(
        path
        for top in ("model_factory", "components", "policies")
        for path in (ROOT / top).rglob("*.py")
        if "facts" not in path.relative_to(ROOT).parts
    ),
]
FAMILIES = "|".join(sorted({re.escape(each.rstrip("*")[:-1]) for each in families()}))
MACHINE = re.compile(
    rf"({FAMILIES}|t[234]g?)(\.(nano|micro|small|medium|large|\d*xlarge|metal)|-[a-z]+-\d+g?|-(micro|small|medium)|[.-]\*)"
)
VERSION = re.compile(r"v?1\.(2[89]|[34]\d)(\.\d+)?(-[a-z]+\.\w+)?")
"""Of Kubernetes: sections of a benchmark have numbers like older ones."""
PRICE = re.compile(r"^(usd|price|hourly)|_usd|_usd_", re.IGNORECASE)
AMOUNT = re.compile(r"(?!0?\.0*1$)\d*\.?\d+")
"""But for the steps that amounts are rounded to, as 0.0001."""
EXCEPTIONS = {
    "model_factory/local/clouds/aws/eks/catalogue.py": "add-ons of the local EKS, in the form of real ones; their versions are made up",
    "model_factory/local/clouds/gcp/catalogue.py": "shared-core machines that the local Google Cloud lists and nobody prices",
    "model_factory/local/clouds/kubernetes/schema.py": "the version of the schemas that come with the package",
    "model_factory/local/lab/images/lock.py": "versions of packages of PyPI, which look like one",
    "model_factory/local/lab/modules.py": "what go.mod beside it pins, and is built",
    "model_factory/local/providers/aws/types/eks_cluster.py": "an example in an error's text",
}


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a file that are values: docstrings and other bare texts are not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.lineno, node.value


def prices(path: Path) -> Iterator[str]:
    """The names of money that a file gives an amount other than 0."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.keyword):
            names = [node.arg or ""]
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            names = [each.id for each in targets if isinstance(each, ast.Name)]
        else:
            continue
        amounts = (
            []
            if node.value is None
            else [str(each.value) for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
        )
        if any(AMOUNT.fullmatch(each) and float(each) for each in amounts):
            yield from (name for name in names if PRICE.search(name))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_machine_and_no_version_is_written_in_code(path: Path) -> None:
    if str(path.relative_to(ROOT)) in EXCEPTIONS:
        return
    found = [(line, text) for line, text in literals(path) if MACHINE.fullmatch(text) or VERSION.fullmatch(text)]
    assert found == []


def test_no_price_is_written_in_code() -> None:
    found = {str(path.relative_to(ROOT)): list(prices(path)) for path in FILES}
    assert {path: each for path, each in found.items() if each} == {}


def test_exceptions_are_needed() -> None:
    for name in EXCEPTIONS:
        assert any(MACHINE.search(text) or VERSION.search(text) for _, text in literals(ROOT / name)), name


@pytest.mark.parametrize(
    "text",
    [*(each.system_machine for each in CLOUDS.values()), "p5.48xlarge", "a2-ultragpu-1g", "m7i.*", "e2-*", "t3.medium"],
)
def test_machines_are_known_when_seen(text: str) -> None:
    assert MACHINE.fullmatch(text)
