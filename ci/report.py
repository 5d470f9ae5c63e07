#!/usr/bin/env python3
"""Keeps what CI has to tell in one place each: a comment a stack in a pull request, an issue a stack for drift.

    ci/report.py comment --repository OWNER/NAME --folder DIR --stacks dev,prod --head-owner OWNER --head-branch B --head-sha SHA --run-url URL
    ci/report.py drift   --repository OWNER/NAME --folder DIR --stacks staging,prod --run-url URL

`comment` finds the open pull request whose head this is, and puts DIR/preview-STACK/STACK.md there. It is edited in place: found by
the hidden marker in its first line, among those that this token's bot wrote. `drift` opens an issue a stack from DIR/drift-STACK/, where
`drift` holds `found`, `none` or `failed` and `report.txt` what was printed; edits it in the nights after, and closes it when there is none.

Runs with a token that may write, so it runs no code of the pull request and believes nothing in the files: they are read as text, of
limited size, and a marker in them is taken out. Needs Python alone. GITHUB_TOKEN: the token. GITHUB_API_URL: GitHub's address.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = "model-factory"
BOT = "github-actions[bot]"
MAX_BYTES = 60_000
SECONDS = 30
PAGE = 100
STACK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
MARKER = re.compile(r"<!--\s*model-factory (preview|drift):")


class RefusedError(Exception):
    """What was given cannot be reported; the message says why."""


class GitHub:
    """The calls that are needed, for one repository."""

    def __init__(self, repository: str, token: str, url: str) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise RefusedError(f"{repository!r} is no repository; write OWNER/NAME")
        self._base = f"{url.rstrip('/')}/repos/{repository}"
        self._token = token

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the address is CI's own
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "User-Agent": PROJECT,
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise RefusedError(f"{method} {path}: GitHub answers {error.code}: {said}") from error
        except urllib.error.URLError as error:
            raise RefusedError(f"{method} {path}: {error.reason}") from error

    def all(self, path: str, **query: str) -> Iterator[Any]:
        """Every item of a listing."""
        page = 1
        while True:
            text = urllib.parse.urlencode({**query, "per_page": str(PAGE), "page": str(page)})
            found = self.call("GET", f"{path}?{text}")
            yield from found
            if len(found) < PAGE:
                return
            page += 1


def comment(
    github: GitHub, folder: Path, stacks: list[str], head: tuple[str, str, str], run_url: str
) -> None:
    """Post or edit a comment for each stack that has one in `folder`."""
    owner, branch, sha = head
    pulls = [
        pull
        for pull in github.all("/pulls", state="open", head=f"{owner}:{branch}")
        if pull["head"]["sha"] == sha
    ]
    if not pulls:
        print(f"No open pull request has {sha} at its head: a newer commit has its own preview.")
        return
    for stack in stacks:
        file = folder / f"preview-{stack}" / f"{stack}.md"
        if not file.exists():
            print(f"{stack}: no preview was made.")
            continue
        marker = f"<!-- model-factory preview: {PROJECT}/{stack} -->"
        foot = f"<sub>Made by the code of this pull request at `{sha[:12]}` in [this run]({run_url}), which keeps the whole report.</sub>"
        body = _body(marker, _read(file), foot)
        for pull in pulls:
            number = int(pull["number"])
            known = next(_own(github.all(f"/issues/{number}/comments"), marker), None)
            if known is None:
                github.call("POST", f"/issues/{number}/comments", {"body": body})
                print(f"{stack}: commented on #{number}.")
            else:
                github.call("PATCH", f"/issues/comments/{int(known['id'])}", {"body": body})
                print(f"{stack}: edited the comment on #{number}.")


def drift(github: GitHub, folder: Path, stacks: list[str], run_url: str) -> None:
    """Open, edit or close an issue for each stack that was looked at."""
    for stack in stacks:
        place = folder / f"drift-{stack}"
        found = _read(place / "drift").strip() if (place / "drift").exists() else "failed"
        report = _read(place / "report.txt") if (place / "report.txt").exists() else "The job left no report."
        marker = f"<!-- model-factory drift: {PROJECT}/{stack} -->"
        known = next(_own(github.all("/issues", state="open", creator=BOT), marker), None)
        if found == "none":
            if known is not None:
                number = int(known["number"])
                github.call(
                    "POST",
                    f"/issues/{number}/comments",
                    {"body": f"No drift any more, says [this run]({run_url})."},
                )
                github.call("PATCH", f"/issues/{number}", {"state": "closed", "state_reason": "completed"})
            print(f"{stack}: no drift.")
            continue
        title = (
            f"Drift in {stack}"
            if found == "found"
            else f"Drift of {stack} is not known: the nightly look failed"
        )
        fenced = "~~~~~~~~~~~~text\n" + report.replace("~~~", "~ ~ ~") + "\n~~~~~~~~~~~~"
        foot = (
            f"Seen by [this run]({run_url}). `factory up --stack {stack}` brings back what the program says."
        )
        body = _body(marker, fenced, foot)
        if known is None:
            github.call("POST", "/issues", {"title": title, "body": body})
            print(f"{stack}: opened an issue.")
        else:
            github.call("PATCH", f"/issues/{int(known['number'])}", {"title": title, "body": body})
            print(f"{stack}: edited #{known['number']}.")


def _own(items: Iterator[Any], marker: str) -> Iterator[Any]:
    """Those that this bot wrote for this marker; nobody else can make us edit theirs."""
    for item in items:
        user = item.get("user") or {}
        ours = user.get("login") == BOT and user.get("type") == "Bot" and "pull_request" not in item
        if ours and (item.get("body") or "").startswith(marker):
            yield item


def _read(file: Path) -> str:
    """A file's text as far as it may be shown. Refuses links: they could lead out of the artifact."""
    if file.is_symlink() or not file.is_file():
        raise RefusedError(f"{file.name} is no plain file")
    with file.open("rb") as data:
        return data.read(4 * MAX_BYTES).decode(errors="replace").replace("\0", "")


def _body(marker: str, text: str, foot: str) -> str:
    """Marker, text, foot, of at most MAX_BYTES bytes; the text's own markers are taken out."""
    lines = [line for line in text.splitlines() if not MARKER.search(line)]
    room = MAX_BYTES - len(f"{marker}\n\n\n{foot}\n".encode())
    kept = "\n".join(lines).strip("\n")
    if len(kept.encode()) > room:
        cut = kept.encode()[: room - 100].decode(errors="ignore").rpartition("\n")[0]
        fence = "\n~~~~~~~~~~~~" if cut.startswith("~~~~~~~~~~~~") else ""
        kept = f"{cut}{fence}\n\n*The rest was too long for a comment.*"
    return f"{marker}\n{kept}\n\n{foot}\n"


def _stacks(text: str) -> list[str]:
    names = text.split(",")
    wrong = [name for name in names if not STACK.fullmatch(name)]
    if wrong:
        raise argparse.ArgumentTypeError(f"no name of a stack: {wrong[0]!r}")
    return names


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("comment", "drift"):
        action = actions.add_parser(name)
        action.add_argument("--repository", required=True)
        action.add_argument("--folder", type=Path, required=True)
        action.add_argument("--stacks", type=_stacks, required=True)
        action.add_argument("--run-url", required=True)
        if name == "comment":
            for option in ("--head-owner", "--head-branch", "--head-sha"):
                action.add_argument(option, required=True)
    given = parser.parse_args()
    try:
        token = os.environ["GITHUB_TOKEN"]
        github = GitHub(given.repository, token, os.environ.get("GITHUB_API_URL", "https://api.github.com"))
        if given.action == "comment":
            head = (given.head_owner, given.head_branch, given.head_sha)
            comment(github, given.folder, given.stacks, head, given.run_url)
        else:
            drift(github, given.folder, given.stacks, given.run_url)
    except KeyError as error:
        print(f"ci/report.py: {error.args[0]} is not set", file=sys.stderr)
        return 2
    except RefusedError as error:
        print(f"ci/report.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
