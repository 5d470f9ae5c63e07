"""What texts of others could do to a terminal ends at the console; our own colours and movements pass."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.live import Live
from rich.panel import Panel
from rich.prompt import Prompt
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from model_factory.cli import main
from model_factory.cli.console import SafeConsole, json_text, write
from model_factory.cli.errors import CommandError
from model_factory.graph.masking import MASK
from model_factory.graph.printable import printable
from model_factory.preview.comment import markdown
from model_factory.preview.html import page
from model_factory.preview.review import Review
from model_factory.preview.terminal import print_messages, print_review
from tests.preview.samples import error, policy, reviewed, step, urn

PACKAGE = Path(__file__).parents[2] / "model_factory"
EVIL = "v1\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\x1b\[2K|\r")
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def console(terminal: Terminal) -> SafeConsole:
    return SafeConsole(file=terminal, force_terminal=True, color_system="truecolor", width=120, highlight=False)


def harmless(terminal: io.StringIO) -> bool:
    """No control but our own colours and movements."""
    return not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", OURS.sub("", terminal.getvalue()))


class TestLog:
    @pytest.mark.parametrize("job", ["", "true"])
    def test_no_line_ends_in_blanks_and_a_terminal_keeps_its_cells(
        self, monkeypatch: pytest.MonkeyPatch, terminal: Terminal, job: str
    ) -> None:
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        if job:
            monkeypatch.setenv("GITHUB_ACTIONS", job)
        table = Table("name", "what it is", box=None)
        table.add_row("a", "b")
        log = io.StringIO()
        SafeConsole(file=log, width=60).print(table)
        SafeConsole(file=terminal, width=60).print(table)
        assert [line.rstrip() for line in terminal.getvalue().splitlines()] != terminal.getvalue().splitlines() or job
        assert [line.rstrip() for line in log.getvalue().splitlines()] == log.getvalue().splitlines()
        assert "what it is" in log.getvalue()

    def test_a_question_keeps_the_blank_before_its_answer(self) -> None:
        log = io.StringIO()
        SafeConsole(file=log, width=60).print("Go on? ", end="")
        assert log.getvalue() == "Go on? "


class TestConsole:
    def test_texts_are_no_markup_and_no_emoji(self, console: SafeConsole, terminal: Terminal) -> None:
        text = "[red]net:b:1[/red] :smile: [link=https://evil.example]here[/link]"
        table = Table(text)
        table.add_row(text)
        console.print(text, table, Panel(text))
        assert terminal.getvalue().count(text) == 4

    def test_texts_act_in_no_place_where_they_may_stand(self, console: SafeConsole, terminal: Terminal) -> None:
        table = Table(EVIL, title=EVIL)
        table.add_row(Text(EVIL, "red"))
        for shown in (EVIL, Text.assemble((EVIL, "bold"), "x"), table, Panel(EVIL, title=EVIL)):
            console.print(shown)
        console.print(EVIL, soft_wrap=True)
        console.print(EVIL, style="red")
        with Live(Spinner("dots", text=Text(EVIL)), console=console, transient=True):
            console.print(EVIL)
        Prompt.ask(EVIL, console=console, stream=io.StringIO("yes\n"))
        assert "owned" in terminal.getvalue()
        assert harmless(terminal)

    def test_our_own_colours_pass(self, console: SafeConsole, terminal: Terminal) -> None:
        console.print(Text("a", "bold red"))
        assert terminal.getvalue() == "\x1b[1;31ma\x1b[0m\n"

    def test_a_run_s_events_are_harmless(self, console: SafeConsole, terminal: Terminal) -> None:
        review = reviewed(
            step("update", DEPLOYMENT, "llm", {"revision": "v0"}, {"revision": EVIL}, diffs=["revision"]),
            step("create", DEPLOYMENT, EVIL, new={EVIL: [EVIL]}),
            error(f"the cloud said {EVIL}", urn(DEPLOYMENT, "llm")),
            {"stdoutEvent": {"message": EVIL, "color": "never"}},
            policy("mandatory", EVIL, EVIL, urn(DEPLOYMENT, "llm")),
        )
        print_review(console, review, show_diff=True)
        print_messages(console, review)
        assert terminal.getvalue().count("owned") >= 6
        assert harmless(terminal)

    def test_no_command_has_another_console(self) -> None:
        made = [
            f"{path.name}:{node.lineno}"
            for path in PACKAGE.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("Console", "print_json")
        ]
        assert not made


class TestWrite:
    def test_a_person_gets_signs_and_a_program_the_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for stream, shown in ((Terminal(), "␛[2J"), (io.StringIO(), "\x1b[2J")):
            monkeypatch.setattr("sys.stdout", stream)
            write("\x1b[2J")
            assert stream.getvalue() == shown


class TestDefects:
    def test_leave_a_traceback_in_which_nothing_acts(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken() -> None:
            raise ValueError(f"not JSON: {EVIL} ghp_{'Zz9' * 12}")

        monkeypatch.setattr(main, "app", broken)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        with pytest.raises(ValueError, match="not JSON") as caught:
            main.main()
        sys.excepthook(caught.type, caught.value, caught.tb)
        said = capsys.readouterr().err
        assert "ValueError: not JSON: v1␛]0;owned␇" in said
        assert MASK in said
        assert printable(said) == said


class TestFiles:
    @pytest.mark.parametrize("form", [markdown, page])
    def test_of_a_preview_turn_no_text_around_and_can_be_written(self, form: Callable[[Review], str]) -> None:
        name = f"{EVIL}\ud800"
        text = form(reviewed(step("create", DEPLOYMENT, name, new={"note": name}), error(name, urn(DEPLOYMENT, name))))
        assert "owned" in text
        assert printable(text) == text
        assert text.encode()


COMMANDS = [
    "::error::owned",
    "  ::add-mask::x",
    "::stop-commands::t",
    "\u200b::error::x",
    ":\u00ad:error::x",
    "as it says ##[error]x",
    "###[add-mask]x",
    "#\u200b#[error]x",
]


def commands(text: str) -> list[str]:
    """The lines that the runner takes for commands: Runner.Common/ActionCommand.cs, with what comparing by culture passes over."""
    seen = re.sub("[\u00ad\u034f\u180e\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]", "", text)
    return [line for line in seen.splitlines() if line.lstrip().startswith("::") or "##[" in line]


class TestJobLog:
    @pytest.mark.parametrize("said", COMMANDS)
    def test_no_text_of_others_is_a_command_to_the_runner(
        self, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        console = SafeConsole(highlight=False, width=40)
        for text in (said, f"first\n{said}", Text.assemble(("", "bold"), said), f"{'x' * 39} {said}"):
            console.print(text)
            console.print(text, soft_wrap=True)
        print_review(
            console,
            reviewed(
                error(f"no\n{said}"),
                policy("mandatory", said, f"{said}\n{said}"),
                step("create", DEPLOYMENT, said, new={"a": said}),
            ),
            show_diff=True,
        )
        assert commands(capsys.readouterr().out) == []

    @pytest.mark.parametrize("said", COMMANDS)
    def test_nor_what_a_defect_or_an_error_quotes(
        self, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")

        def refused() -> None:
            raise CommandError(f"the cloud said\n{said}")

        def broken() -> None:
            raise ValueError(f"\n{said}")

        monkeypatch.setattr(main, "app", refused)
        with pytest.raises(SystemExit):
            main.main()
        monkeypatch.setattr(main, "app", broken)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        with pytest.raises(ValueError, match=r":|#") as caught:
            main.main()
        sys.excepthook(caught.type, caught.value, caught.tb)
        assert commands(capsys.readouterr().err) == []

    def test_elsewhere_and_in_the_middle_of_a_line_colons_stay(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        SafeConsole(highlight=False).print(Text("urn:pulumi:dev::p::a:b:c::name"))
        monkeypatch.delenv("GITHUB_ACTIONS")
        SafeConsole(highlight=False).print("::error::x")
        assert capsys.readouterr().out == "urn:pulumi:dev::p::a:b:c::name\n::error::x\n"

    def test_json_says_the_same_and_commands_nothing(self) -> None:
        document = json.dumps({"##[error]": ["::error::", "a ##[x]", "###[x]"]}, indent=4)
        assert commands(json_text(document)) == []
        assert json.loads(json_text(document)) == json.loads(document)
