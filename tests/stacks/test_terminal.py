"""An `up` on a terminal of 80 columns and 24 lines, as it stands there while it runs; and its last lines, pasted."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.screen import Screen
from tests.stacks.harness import FACTORY, LocalStack

pytestmark = pytest.mark.slow


def on_terminal(stack: LocalStack, *arguments: str, columns: int = 80, rows: int = 24) -> tuple[int, Screen]:
    """Run the command on a pseudo-terminal of its own; the exit code and what stood on it."""
    environment = {**stack.environment, "TERM": "xterm-256color"}
    del environment["COLUMNS"]
    process, terminal = pty.fork()
    if not process:
        os.chdir(stack.root)
        os.execve(FACTORY, [str(FACTORY), *arguments], environment)  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen, decoder = Screen(columns, rows), codecs.getincrementaldecoder("utf-8")()
    kept = ""
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # as Linux tells that the other side is closed
            read = b""
        # What is cut in the middle of a control waits for its rest.
        whole, kept = split(kept + decoder.decode(read))
        screen.feed(whole)
        if not read:
            break
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), screen


def split(text: str) -> tuple[str, str]:
    begun = re.search(r"\x1b(\[\??[0-9;]*)?\Z", text)
    return (text[: begun.start()], begun[0]) if begun else (text, "")


class Up:
    """The stack after its first `up` on a terminal."""

    def __init__(self, folder: Path) -> None:
        self.stack = LocalStack(folder)
        self.code, self.screen = on_terminal(self.stack, "up", "--yes")

    @property
    def blocks(self) -> list[list[str]]:
        """What of progress could be seen, from its head on."""
        frames = self.screen.frames
        heads = [next((n for n, line in enumerate(frame) if " dev: " in line), None) for frame in frames]
        return [frame[head:] for frame, head in zip(frames, heads, strict=True) if head is not None]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    made = Up(tmp_path_factory.mktemp("terminal"))
    yield made
    made.stack.close()


class TestProgress:
    def test_shows_what_is_under_way_within_the_terminal(self, up: Up) -> None:
        assert up.code == 0, "\n".join(up.screen.seen)
        # Sentences before and after it are longer, and broken by the terminal.
        assert max(len(line) for block in up.blocks for line in block) <= 80
        rows = [line for block in up.blocks for line in block[1:]]
        assert any(re.fullmatch(r"  \+  creating \S+ \S+ +\d+ s", row) for row in rows)
        assert any(re.fullmatch(r"  \+  created \S+ \S+ +\d+ s", row) for row in rows)
        assert max(map(len, up.blocks)) <= 24

    def test_counts_each_resource_once_up_to_all_of_them(self, up: Up) -> None:
        heads = [re.search(r"Updating dev: (\d+) of (\d+) done", block[0]) for block in up.blocks]
        told = [(int(head[1]), int(head[2])) for head in heads if head]
        count = len(up.stack.factory("stack", "export").json["deployment"]["resources"])
        ((expected),) = {of for _, of in told}
        assert told == sorted(told)
        assert told[-1][0] <= expected <= count
        assert expected > 100

    def test_leaves_the_terminal_as_it_was(self, up: Up) -> None:
        assert up.screen.cursor_shown
        assert not any("under way" in line or "⠋" in line for line in up.screen.lines)

    def test_uses_colours_there_and_none_in_a_pipe(self, up: Up) -> None:
        assert up.screen.colours > 100
        assert "\x1b" not in up.stack.factory("preview").out


class TestLastLines:
    def test_pasted_one_after_another_they_do_what_they_say(self, up: Up) -> None:
        lines = up.screen.lines
        after = lines[lines.index("Next:") + 1 :] if "Next:" in lines else []
        pasted = [line.strip() for line in after if line.strip() and not line.strip().startswith("#")]
        assert [re.sub(r".*/factory ", "", line).split("  ")[0] for line in pasted] == [
            "preview --diff", "stack output --json", "clouds status", "refresh", "destroy",
        ]  # fmt: skip
        for line in pasted:
            typed = line.split("  ")[0] + (" --yes" if line.split("  ")[0].endswith(("refresh", "destroy")) else "")
            ended = up.stack.command("sh", "-c", typed, env={"PATH": os.defpath})
            assert ended.code == 0, typed
        assert not up.stack.factory("stack", "export").json["deployment"].get("resources")
