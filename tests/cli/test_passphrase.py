"""A passphrase comes from the variables the Pulumi CLI reads; only local stacks make their own."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model_factory.cli.errors import BadInputError
from model_factory.cli.passphrase import find_passphrase


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)


class TestVariables:
    def test_the_variable_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "from env")
        assert find_passphrase(tmp_path, is_local=True) == "from env"

    def test_a_file_may_hold_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "phrase").write_text("from file\n")
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "phrase"))
        assert find_passphrase(tmp_path, is_local=False) == "from file"

    def test_a_missing_file_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "absent"))
        with pytest.raises(BadInputError, match="absent cannot be read"):
            find_passphrase(tmp_path, is_local=True)

    def test_real_accounts_get_none_made_up(self, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match="set PULUMI_CONFIG_PASSPHRASE"):
            find_passphrase(tmp_path, is_local=False)


class TestOwnPassphrase:
    def test_is_kept_and_only_the_owner_reads_it(self, tmp_path: Path) -> None:
        first = find_passphrase(tmp_path / "work", is_local=True)
        assert find_passphrase(tmp_path / "work", is_local=True) == first
        assert stat.S_IMODE((tmp_path / "work" / "passphrase").stat().st_mode) == 0o600

    def test_commands_that_race_agree(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(lambda _: find_passphrase(tmp_path, is_local=True), range(8)))
        assert len(found) == 1
