"""docs/policies.md and the packs say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies.pack import POLICIES, THEMES
from policies.table import CONFIG, ENVIRONMENTS, level_of, main, policies_table, read_config

DOCS = Path(__file__).parents[2] / "docs" / "policies.md"


class TestPage:
    def test_is_what_the_packs_give_today(self) -> None:
        assert DOCS.read_text("utf-8") == policies_table(), "run `python -m policies.table --write docs/policies.md`"

    def test_has_every_check_once(self) -> None:
        page = policies_table()
        rows = re.findall(r"^\| \[`([a-z0-9-]+)`\]", page, re.MULTILINE)
        assert rows == [each.name for each in POLICIES]
        assert re.findall(r"^### (.+)$", page, re.MULTILINE) == rows

    def test_every_row_has_as_many_cells_as_its_head(self) -> None:
        rows = [line for line in policies_table().splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9}

    def test_has_a_part_for_every_theme(self) -> None:
        assert len(re.findall(r"^## ", policies_table(), re.MULTILINE)) == len(THEMES)

    def test_tells_where_an_environment_differs(self) -> None:
        row = next(line for line in policies_table().splitlines() if line.startswith("| [`protect-stateful`]"))
        assert "mandatory; disabled in dev; advisory in staging" in row


class TestLevels:
    def test_every_environment_has_its_file(self) -> None:
        assert {each.stem for each in CONFIG.glob("*.json")} == set(ENVIRONMENTS)

    def test_configuration_goes_before_the_default(self) -> None:
        policy = next(each for each in POLICIES if each.name == "protect-stateful")
        assert level_of(policy, {}) == "mandatory"
        assert level_of(policy, read_config("dev")) == "disabled"

    def test_an_environment_without_a_file_changes_nothing(self) -> None:
        assert read_config("nowhere") == {}


class TestCommand:
    def test_prints_or_writes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main([])
        assert capsys.readouterr().out == policies_table()
        main(["--write", str(tmp_path / "policies.md")])
        assert (tmp_path / "policies.md").read_text("utf-8") == policies_table()

    def test_refuses_anything_else(self) -> None:
        with pytest.raises(SystemExit, match="usage"):
            main(["--wirte"])
