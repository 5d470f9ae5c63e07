"""Words that every output shares."""

from __future__ import annotations

import pytest

from model_factory.preview.wording import beginning_of, folded


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["dev-aws-a", "dev-aws-b"], ["…-a", "…-b"]),
        (["dev-aws", "dev-aws-b", "dev-aws-c-d"], ["dev-aws", "…-b", "…-c-d"]),
        (["dev-aws-a", "dev-aws-b", "else"], ["…-a", "…-b", "else"]),
        (["dev-aws-a"], ["dev-aws-a"]),
        (["alpha", "beta"], ["alpha", "beta"]),
        ([], []),
    ],
)
def test_names_that_begin_alike_are_folded_and_never_alike(names: list[str], short: list[str]) -> None:
    found = folded(names)
    assert [found[name] for name in names] == short
    start = beginning_of(names)
    assert [each.replace("…", start) for each in short] == names
