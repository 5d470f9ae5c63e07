"""The comment is found again, fits, tells what matters first, and lets nothing out of its place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from markdown_it import MarkdownIt

from model_factory.preview.comment import MAX_BYTES, is_comment_of, markdown, marker, runs_in
from model_factory.preview.review import Run
from tests.preview.samples import Event, error, policy, reviewed, step, urn, warning

BUCKET = urn("aws:s3/bucket:Bucket", "b")


def rendered(*events: Event) -> str:
    """As a code host renders it, before it takes out what it does not allow."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown(reviewed(*events)))


class TestItsPlace:
    def test_is_found_by_project_and_stack(self) -> None:
        text = markdown(reviewed())
        assert is_comment_of(text, "p", "dev")
        assert not is_comment_of(text, "p", "prod")
        assert not is_comment_of(f"> quoted\n{text}", "p", "dev")

    def test_a_stack_name_cannot_close_the_marker(self) -> None:
        assert marker("p", "x --> <b>") == "<!-- model-factory preview: p/x--b -->"

    def test_keeps_links_to_earlier_runs(self) -> None:
        body = ""
        for number in range(1, 14):
            time = datetime(2026, 1, number, 12, 0, tzinfo=UTC)
            found = reviewed(
                run_url=f"https://ci.example.com/{number}", commit="abc1234", time=time, earlier=runs_in(body)
            )
            body = markdown(found)
        runs = runs_in(body)
        assert runs[0] == Run("https://ci.example.com/13", "abc1234", "2026-01-13 12:00 UTC")
        assert len(runs) == 10
        assert "[abc1234 2026-01-12 12:00 UTC](https://ci.example.com/12)" in body
        assert "https://ci.example.com/3)" not in body

    def test_takes_no_link_that_a_reader_should_not_follow(self) -> None:
        assert runs_in('<!-- run: javascript:alert(1)   -->\n<!-- run: https://x"onclick=y abc t -->') == ()
        assert "javascript" not in markdown(reviewed(run_url="javascript:alert(1)"))

    def test_the_stack_is_named_in_every_part(self) -> None:
        text = markdown(
            reviewed(
                step("delete", old={}),
                policy("mandatory", "x"),
                error("no"),
                step("refresh", name="d", old={}),
            )
        )
        heads = [line for line in text.splitlines() if line.startswith(("#### ", "<details><summary><b>"))]
        assert len(heads) >= 4
        assert all("dev" in line for line in heads)


class TestWarnings:
    """What the plan says of a change comes as warnings of the program."""

    MOVED = "Pulumi.dev.yaml:12: model-factory:models.llm: moves from aws/us-east-1 to gcp/us-central1: g6 is no longer sold"

    def test_why_a_model_moves_stands_above_every_fold_and_what_changes(self) -> None:
        text = markdown(reviewed(warning(self.MOVED), step("create", name="c", new={"a": 1})))
        above = text.partition("<details>")[0]
        assert f"- {self.MOVED}" in above
        assert text.index("dev: warnings") < text.index("dev: changes")

    def test_the_same_is_told_once_and_the_stack_is_no_subject(self) -> None:
        stack = urn("pulumi:pulumi:Stack", "p-dev")
        text = markdown(reviewed(warning("slow", BUCKET), warning(self.MOVED, stack), warning(self.MOVED, stack)))
        assert text.count("moves from") == 1
        assert [line for line in text.splitlines() if line.startswith("- ") and "warning" not in line][-2:] == [
            f"- {self.MOVED}",
            "- `b`: slow",
        ]

    def test_many_are_in_a_fold_but_for_the_first(self) -> None:
        text = markdown(reviewed(*(warning(f"note {number}") for number in range(60))))
        above, _, under = text.partition("<details>")
        assert "note 4" in above
        assert "note 5" not in above
        assert "note 49" in under
        assert "And 10 more warnings." in text

    def test_no_mark_of_theirs_is_one(self) -> None:
        html = rendered(warning("see @me <b>#1</b> *now*"), warning("two\n```\nlines"))
        assert "<b>#1" not in html
        assert "@me" not in html
        assert "<em>" not in html


class TestOrder:
    def test_verdict_dangers_policies_changes(self) -> None:
        text = markdown(reviewed(step("delete", old={}), step("create", name="c", new={}), policy("mandatory", "x")))
        parts = ["### 🛑", "replaced and deleted", "mandatory policies violated", "dev: changes"]
        assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)

    def test_losses_and_violations_stand_before_every_fold(self) -> None:
        text = markdown(
            reviewed(
                step("delete", old={}, id="bucket-77"),
                step("create", name="c", new={"a": 1}),
                policy("mandatory", "x", "why"),
            )
        )
        above = text.partition("<details>")[0]
        assert "bucket-77" in above
        assert "why" in above

    def test_a_policy_that_was_not_evaluated_is_never_called_passed(self) -> None:
        message = "can't run policy 'x' from policy pack 'p@v1' during preview: spec is unknown"
        text = markdown(reviewed(policy("advisory", "x", message, BUCKET)))
        assert "1 not evaluated" in text
        assert "1 policy check could not be evaluated" in text
        assert "`x` on `b`: `spec is unknown`" in text
        assert "1 passed" not in text


class TestTexts:
    @pytest.mark.parametrize(
        "text",
        ["`` ` ``", "a|b", "</details><script>", "@everyone #12", "[x](http://y)", "<!-- -->", "a\n\n# b"],
    )
    def test_nothing_written_elsewhere_becomes_markup(self, text: str) -> None:
        found = rendered(
            step("delete", name=f"n{text}".replace("\n", " "), old={}, id=text),
            step(
                "update",
                name="u",
                old={"k": text},
                new={"k": f"{text}2"},
                detailedDiff={"k": {"diffKind": "update"}},
            ),
            policy("mandatory", f"p{text}", text, BUCKET),
            error(text, BUCKET),
        )
        assert "<script>" not in found
        assert 'href="http://y"' not in found
        assert "<h1>" not in found
        assert found.count("<details>") == found.count("</details>")

    def test_a_fence_in_a_message_stays_in_it(self) -> None:
        assert "<h2>" not in rendered(error("```\n## out\n```"))

    def test_the_diff_shows_both_sides(self) -> None:
        diff = {"k": {"diffKind": "update-replace", "inputDiff": True}}
        text = markdown(reviewed(step("replace", old={"k": 1}, new={"k": 2}, keys=["k"], detailedDiff=diff)))
        assert "- k: 1  # forces replacement\n+ k: 2" in text


class TestLength:
    def test_long_changes_fit_and_say_that_they_are_cut(self) -> None:
        events = [
            step(
                "update",
                name=f"n{at}",
                old={"v": "x" * 80},
                new={"v": f"{at}"},
                detailedDiff={"v": {"diffKind": "update"}},
            )
            for at in range(2_000)
        ]
        text = markdown(reviewed(*events, artifact="preview.html"))
        assert len(text.encode()) <= MAX_BYTES
        assert "Shortened to fit into a comment. The whole report is `preview.html`." in text
        assert "2,000 updated in place" in text

    @pytest.mark.parametrize("limit", [400, 1_000, 4_000])
    def test_any_limit_holds_with_the_verdict_kept(self, limit: int) -> None:
        events = [step("delete", name=f"n{at}" + "é" * 300, old={}, id="i" * 300) for at in range(500)]
        text = markdown(reviewed(*events, *[error("long " * 500)] * 50), max_bytes=limit)
        assert len(text.encode()) <= limit
        assert text.startswith(marker("p", "dev"))
        assert "the preview failed" in text

    def test_a_short_comment_is_whole(self) -> None:
        assert "Shortened" not in markdown(reviewed(step("create", new={"a": 1})))
