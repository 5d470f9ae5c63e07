"""`factory prices`, from end to end against the recorded answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from model_factory.cli.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, CommandError
from model_factory.cli.main import app
from model_factory.cli.prices import _amount, _progress
from model_factory.facts.catalogue import COLUMNS as OFFER_COLUMNS
from model_factory.facts.catalogue import read_csv
from model_factory.facts.gcp import market as gcp
from model_factory.facts.prices import COLUMNS as PRICE_COLUMNS
from model_factory.facts.refresh import tables_folder
from tests.facts.sources import Sources, serving

OFFERS = {
    "aws": "eu-west-1,,g6.xlarge,0.9,,,2026-06-30,old\nus-east-1,,g6.xlarge,0.7,0.5,,2026-06-30,old\n",
    "gcp": "us-central1,a c,g2-standard-4,0.65,0.3,,2026-06-30,old\n",
}
PRICES = {
    "aws": "us-east-1,nat-gateway,hour,0.045,2026-06-30,old\n",
    "gcp": "us-central1,nat-vm,hour,0.0014,2026-06-30,old\n",
}


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    with serving(monkeypatch) as found:
        yield found


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    for cloud in OFFERS:
        folder = tmp_path / "tables" / cloud
        folder.mkdir(parents=True)
        (folder / "offers.csv").write_text(f"{','.join(OFFER_COLUMNS)}\n{OFFERS[cloud]}")
        (folder / "prices.csv").write_text(f"{','.join(PRICE_COLUMNS)}\n{PRICES[cloud]}")
    return tmp_path / "tables"


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["prices", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.usefixtures("sources")
class TestPrices:
    def test_both_clouds_tables_are_written_as_the_sources_say(self, tables: Path) -> None:
        said = run("--tables", str(tables))
        offers = {
            (row.region, row.machine_type): row for row in read_csv("aws", (tables / "aws/offers.csv").read_text())
        }
        assert {region for region, _ in offers} == {"us-east-1", "eu-west-1"}
        assert str(offers["us-east-1", "g6.xlarge"].usd_per_hour) == "0.8048"
        assert str(offers["us-east-1", "g6.xlarge"].reserved_usd_per_hour) == "0.5313"
        assert offers["us-east-1", "g6.xlarge"].source == "AWS price list AmazonEC2 20260925174521; spot of 2026-06-30"
        assert "\nus-east-1,p5.48xlarge" not in said
        assert ("us-east-1", "p5.48xlarge") in offers
        google = read_csv("gcp", (tables / "gcp/offers.csv").read_text())
        assert [(row.machine_type, str(row.usd_per_hour), str(row.spot_usd_per_hour)) for row in google] == [
            ("g2-standard-4", "0.70684", "0.36096")
        ]
        assert "\n*,nat-vm,hour,0.0014," in (tables / "gcp/prices.csv").read_text()
        assert "Written below" in said

    def test_the_summary_tells_changes_rejections_and_what_was_not_asked(self, tables: Path) -> None:
        said = run("--cloud", "aws", "--tables", str(tables))
        assert "g6.xlarge  us-east-1  on-demand     0.7  0.8048  +15.0" in said
        assert "no spot prices of AWS: there are no credentials" in said
        assert "machines without a price: " in said
        assert "gcp" not in said.splitlines()[0]

    def test_a_dry_run_writes_nothing(self, tables: Path) -> None:
        before = texts(tables)
        said = run("--dry-run", "--tables", str(tables))
        assert texts(tables) == before
        assert "+15.0" in said
        assert "Nothing was written." in said

    def test_json_is_alone_on_stdout(self, tables: Path) -> None:
        [aws, google] = json.loads(run("--json", "--dry-run", "--tables", str(tables)))
        assert aws["cloud"] == "aws"
        assert google["cloud"] == "gcp"
        [change] = [each for each in aws["changed"] if (each["region"], each["name"]) == ("us-east-1", "g6.xlarge")]
        assert change == {
            "region": "us-east-1",
            "name": "g6.xlarge",
            "kind": "on-demand",
            "before": "0.7",
            "after": "0.8048",
            "percent": "14.97",
        }

    def test_another_cloud_is_bad_input(self, tables: Path) -> None:
        with pytest.raises(CommandError, match="--cloud azure: no such cloud; use aws or gcp") as told:
            run("--cloud", "azure", "--tables", str(tables))
        assert told.value.exit_code == EXIT_BAD_INPUT


class TestFailures:
    """Whatever fails, no table is touched, nor that of a cloud whose source was well."""

    def refused(self, tables: Path, match: str) -> None:
        before = texts(tables)
        with pytest.raises(CommandError, match=match) as told:
            run("--tables", str(tables))
        assert told.value.exit_code == EXIT_FAILED
        assert texts(tables) == before

    def test_a_file_that_is_cut_off(self, sources: Sources, tables: Path) -> None:
        sources.cut["AmazonEC2/20260925174521/us-east-1"] = 9000
        self.refused(tables, r"cannot be read .*\. The tables are as they were\.")

    def test_a_region_that_is_not_there(self, sources: Sources, tables: Path) -> None:
        sources.statuses["AmazonEC2/20260925174521/eu-west-1"] = 404
        self.refused(tables, "eu-west-1/index.csv answers 404")

    def test_a_server_that_fails(self, sources: Sources, tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("googleapiclient.http.time.sleep", lambda _: None)
        sources.statuses["E505-1604-58F8"] = 500
        self.refused(tables, "refuses service E505-1604-58F8: 500")

    @pytest.mark.usefixtures("sources")
    def test_no_key(self, tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(gcp.KEY_VARIABLES[0])
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
        monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        self.refused(tables, "set GCP_PRICES_API_KEY or GOOGLE_API_KEY")

    @pytest.mark.usefixtures("sources")
    def test_a_table_that_is_not_as_it_must_be(self, tables: Path) -> None:
        path = tables / "aws/offers.csv"
        path.write_text(path.read_text().replace("g6.xlarge", "g6.tiny"))
        self.refused(tables, "g6.tiny is not in aws/machines.csv")

    @pytest.mark.slow
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, EXIT_INTERRUPTED), (signal.SIGKILL, -signal.SIGKILL)])
    def test_the_command_ended_in_the_middle(self, sources: Sources, tables: Path, number: int, code: int) -> None:
        before = texts(tables)
        sources.stalled.add("AmazonEC2/20260925174521/us-east-1")
        command = [sys.executable, "-m", "model_factory.cli.main", "prices", "--tables", str(tables)]
        with subprocess.Popen(
            command, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            assert sources.stalling.wait(60)
            running.send_signal(number)
            sources.release.set()
            _, errors = running.communicate(timeout=60)
        assert running.returncode == code, errors
        assert texts(tables) == before


class TestOwnTables:
    def test_they_are_the_package_s(self, sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without --tables the command works on the tables that the rest reads."""
        copied: dict[str, Any] = {}
        for cloud in ("aws", "gcp"):
            shutil.copytree(tables_folder() / cloud, tmp_path / cloud)
            copied[cloud] = (tmp_path / cloud / "offers.csv").read_text()
        monkeypatch.setattr("model_factory.cli.prices.tables_folder", lambda: tmp_path)
        sources.statuses["region_index"] = 404
        with pytest.raises(CommandError, match="answers 404"):
            run("--cloud", "aws")
        assert (tmp_path / "aws/offers.csv").read_text() == copied["aws"]


class TestProgress:
    def test_on_a_terminal_a_file_has_a_bar_with_its_size(self) -> None:
        shown = StringIO()
        with _progress(Console(file=shown, force_terminal=True, width=80)) as told:
            told("AWS us-east-1", 0, 300 << 20)
            told("AWS us-east-1", 120 << 20, 300 << 20)
            told("Google Cloud", 5000, 0)
        assert "Google Cloud" in shown.getvalue()
        assert "5000" in shown.getvalue()

    def test_in_a_log_each_thing_is_one_line(self) -> None:
        shown = StringIO()
        with _progress(Console(file=shown, width=80)) as told:
            for done in range(3):
                told("AWS us-east-1", done, 3)
        assert shown.getvalue() == "reading AWS us-east-1\n"

    @pytest.mark.parametrize(
        ("done", "total", "said"), [(120 << 20, 300 << 20, "120 of 300 MiB"), (2, 12, "2 of 12"), (5000, 0, "5000")]
    )
    def test_amounts(self, done: int, total: int, said: str) -> None:
        assert _amount(done, total) == said
