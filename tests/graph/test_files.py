"""Files of a repository may be links to anything, and pipes; none makes a command wait or read without end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from model_factory.cli.errors import BadInputError
from model_factory.cli.offline import read_state
from model_factory.cli.project import find_project
from model_factory.cli.reports import earlier_runs
from model_factory.graph.files import read_plain, read_plain_text
from model_factory.local.engine.errors import PolicyError
from model_factory.local.engine.policy_config import read_policy_config
from model_factory.planning.placing.lock import Lock, read_lock, write_lock
from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.stackfile import read_project_file, read_stack_file
from model_factory.preview.agreed import Agreement, NotAgreedError
from model_factory.preview.measured import RefusedError
from model_factory.preview.measured import read as read_measured

READERS: Final[dict[str, tuple[Callable[[Path], object], type[Exception]]]] = {
    "plan lock": (lambda path: read_lock(path, "dev"), SettingsError),
    "stack file": (read_stack_file, SettingsError),
    "project file": (read_project_file, SettingsError),
    "policy configuration": (read_policy_config, PolicyError),
    "state": (read_state, BadInputError),
    "agreement": (Agreement.read, NotAgreedError),
    "measured": (lambda path: read_measured(path, "p", "dev"), RefusedError),
    "earlier comment": (lambda path: earlier_runs(path, "p", "dev"), BadInputError),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", READERS)
def test_a_device_without_end_is_no_plain_file(tmp_path: Path, reader: str) -> None:
    read, error = READERS[reader]
    link = tmp_path / "Pulumi.dev.yaml"
    link.symlink_to("/dev/zero")
    with pytest.raises(error, match="no plain file"):
        read(link)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", sorted(set(READERS) - {"state"}))
def test_nobody_waits_for_a_pipe(tmp_path: Path, reader: str) -> None:
    read, error = READERS[reader]
    os.mkfifo(pipe := tmp_path / "Pulumi.dev.yaml")
    with pytest.raises(error, match="no plain file"):
        read(pipe)


@pytest.mark.parametrize("reader", READERS)
def test_no_more_is_read_than_such_a_file_has(tmp_path: Path, reader: str) -> None:
    read, error = READERS[reader]
    with (large := tmp_path / "Pulumi.dev.yaml").open("wb") as file:
        file.truncate(2**40)  # a hole, which takes no room
    with pytest.raises(error, match=r"more than [0-9,]+ bytes"):
        read(large)


def test_a_state_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As `--state <(factory stack export)` hands it over."""
    receiving, sending = os.pipe()
    os.write(sending, b'{"version": 3}')
    os.close(sending)
    (link := tmp_path / "state").symlink_to(f"/dev/fd/{receiving}")
    assert read_state(link) == {"version": 3}
    os.close(receiving)


def test_a_link_to_a_plain_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "shared.yaml").write_text("é", encoding="utf-8")
    (link := tmp_path / "Pulumi.dev.yaml").symlink_to("shared.yaml")
    assert read_plain_text(link, 2) == "é"
    with pytest.raises(OSError, match="more than 1 bytes"):
        read_plain(link, 1)


def test_the_lock_is_written_over_no_device(tmp_path: Path) -> None:
    (link := tmp_path / "Pulumi.dev.plan.yaml").symlink_to("/dev/null")
    with pytest.raises(SettingsError, match="no plain file"):
        write_lock(link, Lock(), "dev")
    assert Path("/dev/null").is_char_device()


def test_a_project_file_that_is_a_device_is_none(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").symlink_to("/dev/zero")
    with pytest.raises(BadInputError, match=r"no Pulumi\.yaml"):
        find_project(tmp_path)
