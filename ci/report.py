#!/usr/bin/env python3
"""Keeps what CI has to tell in one place each: a comment a stack in a pull request, an issue a stack for drift.

    ci/report.py previous --folder DIR --stacks dev,prod --head-owner OWNER --head-branch B --head-sha SHA
    ci/report.py comment  --folder DIR --stacks dev,prod --head-owner OWNER --head-branch B --head-sha SHA --run-url URL
    ci/report.py drift    --folder DIR --stacks staging,prod --run-url URL

`comment` finds the open pull request whose head this is, and puts DIR/STACK.md there, which `factory comment` made. It is edited in place:
found by the hidden marker in its first line, among those that this token's bot wrote; `previous` writes that one to DIR/STACK.md. Where to
post comes from the event that started the run, and from GitHub; nothing that a run of a pull request left has a word in it. `drift` opens an
issue a stack from DIR/drift-STACK/, where `drift` holds `found`, `none` or `failed` and `report.txt` what was printed; edits it in the
nights after, and closes it when there is none.

Runs with a token that may write, so it runs no code of the pull request and reads nothing of it: only texts of limited size, and a marker in
them is taken out. Needs Python and `gh`, which reads the token from GH_TOKEN and OWNER/NAME from GH_REPO.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = "model-factory"
BOT = "github-actions[bot]"
MAX_BYTES = 60_000
STACK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
MARKER = re.compile(r"<!--\s*model-factory (preview|drift):")


def gh(method: str, path: str, *options: str, body: object = None) -> str:
    """One call of GitHub's API for the repository that GH_REPO names. Ends the script with what GitHub says where it refuses."""
    command = ["gh", "api", "--method", method, f"repos/{{owner}}/{{repo}}/{path}", *options]
    if body is not None:
        command += ["--input", "-"]
    ended = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"ci/report.py: {method} {path}: {ended.stderr.strip()}")
    return ended.stdout


def listed(path: str, **query: str) -> list[Any]:
    """Every item of a listing."""
    fields = [part for key, value in query.items() for part in ("--raw-field", f"{key}={value}")]
    pages = json.loads(gh("GET", path, "--paginate", "--slurp", *fields))
    return [item for page in pages for item in page]


def previous(given: argparse.Namespace) -> None:
    """Write each stack's comment as it stands, for the links in it to the runs before."""
    given.folder.mkdir(parents=True, exist_ok=True)
    for pull in _pulls(given)[:1]:
        comments = listed(f"issues/{int(pull['number'])}/comments")
        for stack in given.stacks:
            if known := _own(comments, _marker("preview", stack)):
                (given.folder / f"{stack}.md").write_text(known["body"], encoding="utf-8")


def comment(given: argparse.Namespace) -> None:
    """Post or edit a comment for each stack that has one in the folder."""
    pulls = _pulls(given)
    foot = (
        f"<sub>Measured by the code of this pull request at `{given.head_sha[:12]}` in [this run]({given.run_url}), "
        "which keeps the whole report; told by the code of the default branch.</sub>"
    )
    for stack in given.stacks:
        file = given.folder / f"{stack}.md"
        if not file.exists():
            print(f"{stack}: no preview was made.")
            continue
        marker = _marker("preview", stack)
        body = _body(marker, _read(file), foot)
        for pull in pulls:
            comments = f"issues/{int(pull['number'])}/comments"
            if known := _own(listed(comments), marker):
                gh("PATCH", f"issues/comments/{int(known['id'])}", body={"body": body})
            else:
                gh("POST", comments, body={"body": body})
            print(f"{stack}: {'edited the comment' if known else 'commented'} on #{int(pull['number'])}.")


def drift(given: argparse.Namespace) -> None:
    """Open, edit or close an issue for each stack that was looked at."""
    run = f"[this run]({given.run_url})"
    for stack in given.stacks:
        place = given.folder / f"drift-{stack}"
        found = _read(place / "drift").strip() if (place / "drift").exists() else "failed"
        report = _read(place / "report.txt") if (place / "report.txt").exists() else "The job left no report."
        marker = _marker("drift", stack)
        known = _own(listed("issues", state="open", creator=BOT), marker)
        issue = f"issues/{int(known['number'])}" if known else ""
        if found == "none":
            if issue:
                gh("POST", f"{issue}/comments", body={"body": f"No drift any more, says {run}."})
                gh("PATCH", issue, body={"state": "closed", "state_reason": "completed"})
            print(f"{stack}: no drift.")
            continue
        title = f"Drift in {stack}" if found == "found" else f"Drift of {stack} is not known: the nightly look failed"
        fenced = "~~~~~~~~~~~~text\n" + report.replace("~~~", "~ ~ ~") + "\n~~~~~~~~~~~~"
        foot = f"Seen by {run}. `factory up --stack {stack}` brings back what the program says."
        said = {"title": title, "body": _body(marker, fenced, foot)}
        gh("PATCH" if issue else "POST", issue or "issues", body=said)
        print(f"{stack}: {'edited ' + issue if issue else 'opened an issue'}.")


def _pulls(given: argparse.Namespace) -> list[Any]:
    """The open pull requests of that branch whose head is still this commit."""
    found = listed("pulls", state="open", head=f"{given.head_owner}:{given.head_branch}")
    pulls = [pull for pull in found if pull["head"]["sha"] == given.head_sha]
    if not pulls:
        print(f"No open pull request has {given.head_sha} at its head: a newer commit has its own preview.")
    return pulls


def _marker(kind: str, stack: str) -> str:
    return f"<!-- model-factory {kind}: {PROJECT}/{stack} -->"


def _own(items: list[Any], marker: str) -> Any:
    """The one that this bot wrote for this marker, or None; nobody else can make us edit theirs."""
    for item in items:
        user = item.get("user") or {}
        ours = user.get("login") == BOT and user.get("type") == "Bot" and "pull_request" not in item
        if ours and (item.get("body") or "").startswith(marker):
            return item
    return None


def _read(file: Path) -> str:
    """A file's text as far as it may be shown. Refuses links: they could lead out of the artifact."""
    if file.is_symlink() or not file.is_file():
        sys.exit(f"ci/report.py: {file.name} is no plain file")
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
    if not all(map(STACK.fullmatch, names)):
        raise argparse.ArgumentTypeError(f"{text!r} are no names of stacks; write dev,prod")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True)
    head = ("--head-owner", "--head-branch", "--head-sha")
    for action, own in ((previous, head), (comment, ("--run-url", *head)), (drift, ("--run-url",))):
        command = actions.add_parser(action.__name__)
        command.set_defaults(action=action)
        command.add_argument("--folder", type=Path, required=True)
        command.add_argument("--stacks", type=_stacks, required=True)
        for option in own:
            command.add_argument(option, required=True)
    given = parser.parse_args()
    given.action(given)


if __name__ == "__main__":
    main()
