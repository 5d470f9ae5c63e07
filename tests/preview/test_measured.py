"""What a stranger's job measured crosses to a comment as data: the honest whole, all else refused by name, no text of it anything but text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_factory.cli.reports import cost_delta
from model_factory.graph.masking import Masker
from model_factory.preview import measured
from model_factory.preview.comment import markdown, runs_in, without_preview
from model_factory.preview.events import Report
from model_factory.preview.measured import RefusedError, read, written
from model_factory.preview.review import Heading, Run, review_of
from tests.preview.hostile import NASTY, faults
from tests.preview.samples import Event, error, policy, step, urn, warning

BUCKET = urn("aws:s3/bucket:Bucket", "b")
RUN = "https://github.com/o/r/actions/runs/7"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OURS = (RUN, f"https://github.com/o/r/blob/{COMMIT}/docs/policies.md#x")
HEADING = Heading("p", "dev", commit=COMMIT, run_url=RUN, artifact="preview-dev", engine="local")


def crossed(folder: Path, *events: Event) -> Report:
    file = folder / "dev.measured.json"
    file.write_bytes(written(Report.of(events, Masker()), "local"))
    report, engine = read(file, "p", "dev")
    assert engine == "local"
    return report


def told(report: Report) -> str:
    return markdown(review_of(report, HEADING, cost=cost_delta(report)))


def document(*events: Event) -> dict[str, Any]:
    return json.loads(written(Report.of(events, Masker()), "local"))


def refusal(folder: Path, data: Any) -> str:
    file = folder / "dev.measured.json"
    file.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    with pytest.raises(RefusedError) as caught:
        read(file, "p", "dev")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def nasty_everywhere(text: str) -> list[Event]:
    """A text in every place of an event that its author may fill."""
    line = " ".join(text.split())
    refused = {
        "cloud": text, "operation": text, "code": text, "requestId": text, "reason": text, "remedy": text, "cause": "quota", "status": 403,
    }  # fmt: skip
    failed = error(text, BUCKET)
    failed["diagnosticEvent"]["error"] = refused
    provider = step("same", "pulumi:providers:aws", "aws", {"region": text}, {"region": text})
    reference = f"{urn('pulumi:providers:aws', 'aws')}::1"
    return [
        provider,
        step("delete", name=f"gone {line}", old={"forceDestroy": True, text: text}, id=text),
        step("create", name=line, new={text: text, "x": {text: [text, {text: text}]}}, id="", provider=reference),
        step("create", "aws:ec2/instance:Instance", "i", new={"instanceType": text, "tags": {text: text}}, provider=reference),
        step("update", name="u", old={text: text}, new={text: f"{text}2"}, diffs=[text], detailedDiff={text: {"diffKind": "update"}}),
        step("replace", "aws:eks/cluster:Cluster", "r", {"k": text}, {"k": f"{text}2"}, keys=[text, "k"], id=text),
        step("update", "kubernetes:apps/v1:Deployment", "d", deployment(text, 1), deployment(text, 2), provider=reference),
        policy("mandatory", text, f"{text}\ndocs/policies.md#x", BUCKET, severity=text),
        policy("advisory", f"{text}2", text, BUCKET),
        policy("advisory", f"{text}3", f"can't run policy '{text}' from policy pack 'p@v1' during preview: {text}", BUCKET),
        {"policyRemediationEvent": {"policyName": text, "policyPackName": text, "resourceUrn": BUCKET, "before": {text: 1}, "after": {text: text}}},
        failed,
        warning(text, BUCKET),
        warning(f"a model moves from {text} to {text}"),
        {"summaryEvent": {"resourceChanges": {"create": 2, "update": 2}, "PolicyPacks": {text: text}, "isPreview": True, "durationSeconds": 3}},
    ]  # fmt: skip


def deployment(text: str, replicas: int) -> dict[str, Any]:
    return {
        "metadata": {"name": text, "namespace": text, "annotations": {"model-factory/revision": text}},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {text: text, "app": text}},
                "spec": {"containers": [{"name": text, "image": text, "resources": {"limits": {"nvidia.com/gpu": replicas}}}]},
            },
        },
    }  # fmt: skip


class TestWhatIsHonest:
    def test_is_told_as_where_it_was_measured(self, tmp_path: Path) -> None:
        events = nasty_everywhere("a plain text")
        before = markdown(review_of(Report.of(events, Masker()), HEADING))
        assert markdown(review_of(crossed(tmp_path, *events), HEADING)) == before

    def test_keeps_drift_apart(self, tmp_path: Path) -> None:
        found = crossed(
            tmp_path,
            step("refresh", old={"a": 1}, new={"a": 1}),
            {"resOutputsEvent": {"metadata": {**step("update", old={"a": 1}, new={"a": 2})["resOutputsEvent"]["metadata"]}}},
        )  # fmt: skip
        assert [each.op for each in found.drift] == ["update"]
        assert found.steps.keys() == {(BUCKET, "refresh")}

    def test_tells_nothing_of_where_it_belongs(self) -> None:
        assert (
            not {"commit", "stack", "project", "pull", "run", "url", "marker"} & document(step("create", new={})).keys()
        )


class TestWhatIsNotSo:
    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda d: d.update(version=2), "version"),
            (lambda d: d.update(title="# x"), "title: Extra inputs"),
            (lambda d: d.pop("steps"), "steps: Field required"),
            (lambda d: d["steps"][0].update(html="<b>"), "steps.0.html"),
            (lambda d: d["steps"][0].update(op="create @user"), "steps.0.op"),
            (lambda d: d["steps"][0].update(status="fine"), "steps.0.status"),
            (lambda d: d["steps"][0].update(type="a b @user"), "steps.0.type"),
            (lambda d: d["steps"][0].update(urn=BUCKET.replace(":dev:", ":prod:")), "no resource of stack dev"),
            (lambda d: d["steps"][0].update(urn=BUCKET.replace("::p::", "::q::")), "no resource of stack dev"),
            (lambda d: d["steps"][0].update(urn="x"), "no resource of stack dev"),
            (lambda d: d["steps"][0].update(type="aws:s3:Other"), "no resource of stack dev"),
            (lambda d: d["steps"][0].update(urn=f"{BUCKET}\n@user"), "steps.0.urn"),
            (lambda d: d["steps"][0].update(logical="yes"), "steps.0.logical"),
            (lambda d: d["steps"][0]["new"].update(inputs=[1]), "steps.0.new.inputs"),
            (lambda d: d["steps"][0]["new"].update(parent=5), "steps.0.new.parent"),
            (lambda d: d["steps"][0]["new"].update(dependencies={"a": 1}), "steps.0.new.dependencies"),
            (lambda d: d["messages"].append({"severity": "error", "message": 3, "urn": "", "error": None}), "messages.0.message"),
            (lambda d: d["messages"].append({"severity": "error", "message": "x" * 200_000, "urn": "", "error": None}), "messages.0.message"),
            (lambda d: d.update(changes={"create": -1}), "changes.create"),
            (lambda d: d.update(changes={"create": True}), "changes.create"),
            (lambda d: d.update(changes={"<img>": 1}), "changes.<img>"),
            (lambda d: d.update(durationSeconds="3"), "durationSeconds"),
            (lambda d: d.update(engine="mine"), "engine"),
            (lambda d: d.update(steps=d["steps"] * 50_001), "steps: List should have at most"),
        ],
    )  # fmt: skip
    def test_is_refused_by_its_place(self, tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], said: str) -> None:
        data = document(step("create", new={"a": 1}))
        spoil(data)
        assert said in refusal(tmp_path, data)

    @pytest.mark.parametrize("side", ["old", "new"])
    @pytest.mark.parametrize("length", [1, 2, 1_000])
    def test_is_refused_where_parents_lead_in_a_circle(self, tmp_path: Path, side: str, length: int) -> None:
        names = [f"n{number}" for number in range(length)]
        line = document(
            *(
                step("update", name=name, old={}, new={}, parent=urn("aws:s3/bucket:Bucket", above) if above else "")
                for name, above in zip(names, ["", *names], strict=False)
            )
        )
        (tmp_path / "line").write_text(json.dumps(line), encoding="utf-8")
        assert len(read(tmp_path / "line", "p", "dev")[0].steps) == length
        line["steps"][0][side]["parent"] = urn("aws:s3/bucket:Bucket", names[-1])
        assert "its own parent" in refusal(tmp_path, line)

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"version": NaN}', b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000,
         b"<!-- -->", b'{"version": 1, "version": 1}'],
        ids=lambda data: repr(data[:12]),
    )  # fmt: skip
    def test_is_refused_where_it_is_no_document_at_all(self, tmp_path: Path, data: bytes) -> None:
        assert refusal(tmp_path, data)

    def test_is_refused_where_it_is_deep(self, tmp_path: Path) -> None:
        deep: Any = 1
        for _ in range(100):
            deep = [deep]
        data = document(step("create", new={"a": 1}))
        data["steps"][0]["new"]["inputs"] = {"a": deep}
        assert "more than 60 deep" in refusal(tmp_path, data)

    def test_is_refused_where_it_is_large_without_reading_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(measured, "MAX_BYTES", 10)
        assert "more than 10 bytes" in refusal(tmp_path, document())

    def test_is_refused_where_it_leads_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "passwd").write_bytes(written(Report(), "local"))
        link = tmp_path / "dev.measured.json"
        link.symlink_to(tmp_path / "passwd")
        with pytest.raises(RefusedError, match="no plain file"):
            read(link, "p", "dev")


class TestNoTextOfItIsMoreThanText:
    @pytest.mark.parametrize("text", NASTY)
    def test_in_any_place_of_the_comment(self, tmp_path: Path, text: str) -> None:
        comment = told(crossed(tmp_path, *nasty_everywhere(text)))
        assert faults(comment, *OURS, hidden=2) == []
        failed = told(crossed(tmp_path, *(each for each in nasty_everywhere(text) if "diagnosticEvent" not in each)))
        assert faults(failed, *OURS, hidden=2) == []

    @pytest.mark.parametrize("text", NASTY)
    def test_in_a_comment_without_a_preview(self, text: str) -> None:
        assert faults(without_preview(HEADING, "Why.", f"x\n{text}\n{text}"), *OURS, hidden=2) == []

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        parts=st.lists(
            st.sampled_from([*NASTY, " ", "\n", "\n\n", "|", "`", "```", "<", ">", "[", "](", ")"]), max_size=6
        )
    )
    def test_nor_any_mixture_of_them(self, tmp_path: Path, parts: list[str]) -> None:
        comment = told(crossed(tmp_path, *nasty_everywhere("".join(parts))))
        assert faults(comment, *OURS, hidden=2) == []

    def test_and_the_measure_sees_what_it_looks_for(self) -> None:
        for text in (
            "@user",
            "closes #1",
            "owner/repo#1",
            "https://evil.example",
            "<img src=x>",
            "![x](//evil.example)",
            "[x](//e)",
            "6dcb09b",
        ):
            assert faults(f"a {text} b", hidden=0), text


class TestRunsBefore:
    def test_are_read_from_the_head_of_our_comment_alone(self, tmp_path: Path) -> None:
        evil = "<!-- run: https://evil.example/1 abc 2026-01-01 -->"
        comment = told(crossed(tmp_path, error(f"x\n{evil}\n{evil}"), warning(f"\n{evil}\n")))
        assert evil in comment
        assert [run.url for run in runs_in(comment)] == [RUN]
        assert runs_in(f"<!-- model-factory preview: p/dev -->\n{evil} \n{evil}") == ()
        assert runs_in("<!-- model-factory preview: p/dev -->\n<!-- run: https://x/1 abc @user -->") == ()
        assert runs_in("m\n<!-- run: https://x/1 abc 2026-01-01 12:00 UTC -->\nx") == (
            Run("https://x/1", "abc", "2026-01-01 12:00 UTC"),
        )
