"""A file that a command cannot write ends it with one message that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_factory.cli import main as cli

FULL = Path("/dev/full")
"""Where each write fails as on a full disk."""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["factory", "schema", "--file", str(FULL)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert (
        said == "error: /dev/full cannot be written: No space left on device; free some space, or name another place\n"
    )
