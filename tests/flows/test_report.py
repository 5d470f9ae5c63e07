"""ci/report.py against a GitHub of our own: one comment a stack, edited in place, nothing of it believed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPT = Path(__file__).parents[2] / "ci" / "report.py"
BOT = {"login": "github-actions[bot]", "type": "Bot"}
SHA = "a" * 40
MARKER = "<!-- model-factory preview: model-factory/dev -->"


GH = f"""#!{sys.executable}
import argparse, json, sys, urllib.error, urllib.parse, urllib.request, os

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("api", choices=["api"])
parser.add_argument("endpoint")
parser.add_argument("--method", required=True)
parser.add_argument("--input", choices=["-"])
parser.add_argument("--raw-field", action="append", default=[])
for flag in ("--paginate", "--slurp", "--silent"):
    parser.add_argument(flag, action="store_true")
given = parser.parse_args()
if not os.environ.get("GH_TOKEN"):
    sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.")

owner, repo = os.environ["GH_REPO"].split("/")
endpoint = given.endpoint.replace("{{owner}}", owner).replace("{{repo}}", repo)

def ask(query):
    request = urllib.request.Request(
        os.environ["FAKE_GITHUB"] + "/" + endpoint + query,
        method=given.method,
        data=sys.stdin.buffer.read() if given.input else None,
        headers=dict(Authorization="Bearer " + os.environ["GH_TOKEN"]),
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        print(text)
        sys.exit("gh: " + json.loads(text)["message"] + " (HTTP " + str(error.code) + ")")

if given.paginate:
    fields = [field.partition("=")[::2] for field in given.raw_field]
    pages = []
    while not pages or len(pages[-1]) == 100:
        page = [*fields, ("per_page", "100"), ("page", str(len(pages) + 1))]
        pages.append(ask("?" + urllib.parse.urlencode(page)))
    print(json.dumps(pages) if given.slurp else "".join(map(json.dumps, pages)))
else:
    answer = ask("")
    given.silent or print(json.dumps(answer))
"""
"""The part of `gh api` (https://cli.github.com/manual/gh_api) that the script uses, against the GitHub below."""


class GitHub:
    """Pull requests, comments and issues of one repository, and every call that changed something."""

    def __init__(self) -> None:
        self.pulls: list[dict[str, Any]] = [
            {"number": 7, "head": {"sha": SHA, "label": "forker:topic"}},
            {"number": 8, "head": {"sha": "b" * 40, "label": "forker:topic"}},
        ]
        self.comments: dict[int, list[dict[str, Any]]] = {7: [], 8: []}
        self.issues: list[dict[str, Any]] = []
        self.changes: list[tuple[str, str, dict[str, Any]]] = []

    def answer(self, method: str, target: str, body: dict[str, Any], token: str) -> tuple[int, Any]:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = url.path.removeprefix("/repos/owner/factory")
        if token != "Bearer token":
            return 401, {"message": "Bad credentials"}
        if method == "GET":
            found: list[dict[str, Any]] = []
            if path == "/pulls":
                found = [pull for pull in self.pulls if pull["head"]["label"] == query["head"]]
            elif path == "/issues":
                assert query["creator"] == BOT["login"]
                found = [issue for issue in self.issues if issue["state"] == query["state"]]
            elif match := re.fullmatch(r"/issues/(\d+)/comments", path):
                found = self.comments[int(match[1])]
            page, size = int(query["page"]), int(query["per_page"])
            return 200, found[(page - 1) * size : page * size]
        self.changes.append((method, path, body))
        if method == "POST" and (match := re.fullmatch(r"/issues/(\d+)/comments", path)):
            made = {"id": 100 + len(self.changes), "user": BOT, **body}
            self.comments.setdefault(int(match[1]), []).append(made)
            return 201, made
        if method == "POST" and path == "/issues":
            made = {"number": 20 + len(self.issues), "state": "open", "user": BOT, **body}
            self.issues.append(made)
            return 201, made
        if match := re.fullmatch(r"/issues/comments/(\d+)", path):
            held = next(each for all_ in self.comments.values() for each in all_ if each["id"] == int(match[1]))
        elif match := re.fullmatch(r"/issues/(\d+)", path):
            held = next(each for each in self.issues if each["number"] == int(match[1]))
        else:
            return 404, {"message": "Not Found"}
        held.update(body)
        return 200, held


@pytest.fixture
def github() -> Iterator[tuple[GitHub, str]]:
    held = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = held.answer(self.command, self.path, body, self.headers["Authorization"])
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - the base class' names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield held, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def report(
    url: str,
    action: str,
    folder: Path,
    stacks: str,
    *,
    sha: str = SHA,
    token: str = "token",  # noqa: S107 - made up
) -> subprocess.CompletedProcess[str]:
    gh = folder / "bin" / "gh"
    gh.parent.mkdir(exist_ok=True)
    gh.write_text(GH, encoding="utf-8")
    gh.chmod(0o755)
    more = [] if action == "previous" else ["--run-url", "https://ci.example/1"]
    if action != "drift":
        more += ["--head-owner", "forker", "--head-branch", "topic", "--head-sha", sha]
    return subprocess.run(
        [sys.executable, str(SCRIPT), action, "--folder", str(folder),
         "--stacks", stacks, *more],
        env={"PATH": str(gh.parent), "GH_TOKEN": token, "GH_REPO": "owner/factory", "FAKE_GITHUB": url},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def leave(folder: Path, stack: str, text: str) -> Path:
    file = folder / f"{stack}.md"
    file.write_text(text, encoding="utf-8")
    return file


class TestComments:
    def test_one_a_stack_is_edited_in_place(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        leave(tmp_path, "dev", f"{MARKER}\n### first")
        leave(tmp_path, "prod", "### prod")
        assert report(url, "comment", tmp_path, "dev,staging,prod").returncode == 0
        leave(tmp_path, "dev", f"{MARKER}\n### second")
        assert report(url, "comment", tmp_path, "dev,staging,prod").returncode == 0
        bodies = [each["body"] for each in held.comments[7]]
        assert len(bodies) == 2
        assert bodies[0].startswith(f"{MARKER}\n### second\n")
        assert bodies[1].startswith("<!-- model-factory preview: model-factory/prod -->\n### prod\n")
        assert held.comments[8] == [], "another commit's pull request is left alone"

    def test_finds_its_comment_behind_many_others(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        others = [{"id": at, "user": {"login": "a", "type": "User"}, "body": "hi"} for at in range(250)]
        held.comments[7] = [*others, {"id": 999, "user": BOT, "body": f"{MARKER}\nold"}]
        leave(tmp_path, "dev", "new")
        assert report(url, "comment", tmp_path, "dev").returncode == 0
        assert [(method, path) for method, path, _ in held.changes] == [("PATCH", "/issues/comments/999")]

    def test_of_a_person_with_the_marker_is_not_touched(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        theirs = {"id": 1, "user": {"login": "forker", "type": "User"}, "body": f"{MARKER}\nmine"}
        held.comments[7] = [theirs.copy()]
        leave(tmp_path, "dev", "new")
        assert report(url, "comment", tmp_path, "dev").returncode == 0
        assert held.comments[7][0] == theirs
        assert len(held.comments[7]) == 2

    def test_cannot_pass_for_another_stack_s(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        leave(
            tmp_path,
            "dev",
            "<!-- model-factory preview: model-factory/prod -->\nall is well\n<!--model-factory drift: x -->",
        )
        assert report(url, "comment", tmp_path, "dev").returncode == 0
        (body,) = (each["body"] for each in held.comments[7])
        assert body.startswith(f"{MARKER}\nall is well\n")
        assert body.count("<!--") == 1
        assert f"`{SHA[:12]}`" in body, "says whose code made it"

    def test_are_short_enough_for_github(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        leave(tmp_path, "dev", "ü" * 100 + "\n" + "ü long line\n" * 50_000)
        assert report(url, "comment", tmp_path, "dev").returncode == 0
        body = held.comments[7][0]["body"]
        assert 50_000 < len(body.encode()) <= 60_000
        assert "too long" in body
        assert "https://ci.example/1" in body

    def test_of_a_commit_that_is_not_the_head_any_more_are_not_posted(
        self, github: tuple[GitHub, str], tmp_path: Path
    ) -> None:
        held, url = github
        leave(tmp_path, "dev", "old news")
        ended = report(url, "comment", tmp_path, "dev", sha="c" * 40)
        assert ended.returncode == 0
        assert "newer commit" in ended.stdout
        assert held.changes == []

    def test_never_follow_a_link_out_of_the_artifact(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        secret = tmp_path / "secret"
        secret.write_text("token", encoding="utf-8")
        leave(tmp_path, "dev", "x").unlink()
        (tmp_path / "dev.md").symlink_to(secret)
        ended = report(url, "comment", tmp_path, "dev")
        assert ended.returncode == 1
        assert "no plain file" in ended.stderr
        assert held.changes == []

    def test_are_read_before_they_are_edited(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        theirs = {"id": 1, "user": {"login": "forker", "type": "User"}, "body": f"{MARKER}\nmine"}
        held.comments[7] = [theirs, {"id": 2, "user": BOT, "body": f"{MARKER}\nours"}]
        assert report(url, "previous", tmp_path, "dev,prod").returncode == 0
        assert (tmp_path / "dev.md").read_text(encoding="utf-8") == f"{MARKER}\nours"
        assert not (tmp_path / "prod.md").exists()
        assert held.changes == []

    @pytest.mark.parametrize("stacks", ["../x", "dev,", "a/b", "-x"])
    def test_need_names_of_stacks(self, github: tuple[GitHub, str], tmp_path: Path, stacks: str) -> None:
        assert report(github[1], "comment", tmp_path, f"{stacks}").returncode == 2

    def test_tell_what_github_refuses(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        leave(tmp_path, "dev", "x")
        ended = report(github[1], "comment", tmp_path, "dev", token="wrong")
        assert ended.returncode == 1
        assert "GET pulls: gh: Bad credentials (HTTP 401)" in ended.stderr
        assert "Traceback" not in ended.stderr


class TestDrift:
    @staticmethod
    def look(folder: Path, found: str, text: str = "") -> None:
        place = folder / "drift-prod"
        place.mkdir(exist_ok=True)
        (place / "drift").write_text(f"{found}\n", encoding="utf-8")
        (place / "report.txt").write_text(text, encoding="utf-8")

    def test_has_one_issue_a_stack_that_closes_when_it_is_gone(
        self, github: tuple[GitHub, str], tmp_path: Path
    ) -> None:
        held, url = github
        for text in ("vpc changed", "~~~ vpc gone ~~~"):
            self.look(tmp_path, "found", text)
            assert report(url, "drift", tmp_path, "prod").returncode == 0
        assert len(held.issues) == 1
        issue = held.issues[0]
        assert issue["title"] == "Drift in prod"
        assert "\n~~~~~~~~~~~~text\n~ ~ ~ vpc gone ~ ~ ~\n~~~~~~~~~~~~\n" in issue["body"]
        self.look(tmp_path, "none")
        assert report(url, "drift", tmp_path, "prod").returncode == 0
        assert issue["state"] == "closed"
        assert report(url, "drift", tmp_path, "prod").returncode == 0
        assert len(held.issues) == 1

    def test_that_could_not_be_told_is_an_issue_too(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        assert report(url, "drift", tmp_path, "prod").returncode == 0
        assert held.issues[0]["title"].startswith("Drift of prod is not known")

    def test_does_not_edit_pull_requests(self, github: tuple[GitHub, str], tmp_path: Path) -> None:
        held, url = github
        marker = "<!-- model-factory drift: model-factory/prod -->"
        held.issues.append({"number": 3, "state": "open", "user": BOT, "body": marker, "pull_request": {}})
        self.look(tmp_path, "found", "x")
        assert report(url, "drift", tmp_path, "prod").returncode == 0
        assert [issue["number"] for issue in held.issues] == [3, 21]
