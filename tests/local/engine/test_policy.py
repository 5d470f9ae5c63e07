"""Policy packs, run as processes, over programs of the engine's own tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pulumi
import pytest

from model_factory.local.engine.policy_process import PolicyPack
from model_factory.local.engine.request import Deployment, PackSource, Program, Request
from tests.local.engine.packs import write_pack
from tests.local.engine.stack import Bench, Group, Provider, Thing

SMALL = "policies = [resource('small', small)]"


class Judged(Bench):
    """A bench whose runs ask policy packs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.packs: tuple[PackSource, ...] = ()

    def ask(self, policies: str, **options: Any) -> None:
        self.packs = (*self.packs, write_pack(self.root / f"pack{len(self.packs)}", policies, **options))

    def run(self, operation: Any, program: Callable[[], None] = lambda: None, **options: Any) -> Any:
        return super().run(operation, program, policy_packs=self.packs, **options)

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [event[kind] for event in self.events if kind in event]

    def findings(self) -> list[tuple[str, str, str]]:
        """(level, policy, name of the resource) of each policy event."""
        return [
            (item["enforcementLevel"], item["policyName"], item["resourceUrn"].rsplit("::", 1)[-1])
            for item in self.said("policyEvent")
        ]

    def passed(self, name: str) -> list[str]:
        return next(
            item.get("passed", [])
            for item in self.said("policyAnalyzeSummaryEvent")
            if item["resourceUrn"].endswith(f"::{name}")
        )


@pytest.fixture
def bench(tmp_path: Path) -> Judged:
    return Judged(tmp_path)


def sizes(**things: int) -> Callable[[], None]:
    def program() -> None:
        for name, size in things.items():
            Thing(name, {"size": size})

    return program


class TestLevels:
    def test_a_mandatory_violation_fails_a_preview_that_shows_everything(self, bench: Judged) -> None:
        bench.ask(SMALL)
        outcome = bench.preview(sizes(a=11, b=1, c=12))
        assert not outcome.ok
        assert bench.steps() == [("create", "a"), ("create", "b"), ("create", "c")]
        assert bench.findings() == [("mandatory", "small", "a"), ("mandatory", "small", "c")]
        assert [message for _, message in outcome.failures] == ["forbidden by the mandatory policy small"] * 2
        assert bench.said("summaryEvent")[0]["result"] == "failed"
        assert bench.said("summaryEvent")[0]["PolicyPacks"] == {"trial": "1.2.3"}

    def test_events_have_pulumi_s_shape(self, bench: Judged) -> None:
        bench.ask("policies = [resource('small', small, severity=Severity.HIGH)]")
        bench.preview(sizes(a=11))
        pack = {"policyPackName": "trial", "policyPackVersion": "1.2.3", "policyPackVersionTag": "1.2.3"}
        urn = "urn:pulumi:dev::project::test:index:Thing::a"
        assert bench.said("policyLoadEvent") == [{}]
        assert bench.said("policyEvent") == [
            {
                "resourceUrn": urn,
                "message": "small holds\na has size 11\n",
                "color": "never",
                "policyName": "small",
                **pack,
                "enforcementLevel": "mandatory",
                "severity": "high",
            }
        ]
        assert {"resourceUrn": urn, **pack, "failed": ["small"]} in bench.said("policyAnalyzeSummaryEvent")

    def test_a_mandatory_violation_stops_an_up_before_the_resource_is_created(self, bench: Judged) -> None:
        bench.ask(SMALL)
        outcome = bench.run("up", sizes(a=11))
        assert not outcome.ok
        assert bench.cloud.made("Create") == []
        assert bench.messages("error") == ["forbidden by the mandatory policy small; it was not changed"]
        assert "a" not in bench.resources()

    def test_a_mandatory_violation_stops_an_up_before_the_resource_is_changed(self, bench: Judged) -> None:
        bench.ask(SMALL)
        bench.up(sizes(a=1, gone=1))
        outcome = bench.run("up", sizes(a=11))
        assert not outcome.ok
        assert bench.cloud.find("a")["size"] == 1
        assert bench.resources()["a"].inputs["size"] == 1
        assert "gone" in bench.cloud.names(), "nothing is deleted after a failure"

    def test_an_advisory_violation_only_warns(self, bench: Judged) -> None:
        bench.ask("policies = [resource('small', small, EnforcementLevel.ADVISORY)]")
        bench.up(sizes(a=11))
        assert bench.findings() == [("advisory", "small", "a")]
        assert bench.cloud.find("a")["size"] == 11

    def test_a_disabled_policy_is_not_asked_and_not_passed(self, bench: Judged) -> None:
        bench.ask(
            "policies = [resource('small', small, EnforcementLevel.DISABLED), resource('other', lambda a, r: None)]"
        )
        bench.up(sizes(a=11))
        assert bench.findings() == []
        assert bench.passed("a") == ["other"]

    def test_what_does_not_apply_is_not_passed(self, bench: Judged) -> None:
        bench.ask(SMALL)
        bench.up(sizes(a=1))
        assert bench.passed("a") == ["small"]
        assert bench.passed("project-dev") == []

    def test_every_pack_is_asked(self, bench: Judged) -> None:
        bench.ask(SMALL)
        bench.ask("policies = [resource('named', lambda args, report: report('no') if args.name == 'b' else None)]")
        assert not bench.preview(sizes(a=11, b=1)).ok
        assert bench.findings() == [("mandatory", "small", "a"), ("mandatory", "named", "b")]

    def test_refresh_and_destroy_ask_nobody(self, bench: Judged) -> None:
        bench.up(sizes(a=11))
        bench.ask(SMALL)
        assert bench.run("refresh").ok
        assert bench.run("destroy").ok
        assert bench.said("policyLoadEvent") == []


MENDED = """
def smaller(args):
    if args.resource_type == "test:index:Thing" and args.props["size"] > 10:
        return {**args.props, "size": 10}

policies = [resource("small", small, EnforcementLevel.REMEDIATE, remediate=smaller)]
"""


class TestRemediation:
    def test_it_changes_what_reaches_the_provider_and_the_state(self, bench: Judged) -> None:
        bench.ask(MENDED)
        bench.up(sizes(a=11, b=1))
        assert bench.cloud.find("a")["size"] == 10
        assert bench.resources()["a"].inputs["size"] == 10
        assert bench.cloud.find("b")["size"] == 1
        assert bench.findings() == []

    def test_it_is_told_of_with_before_and_after(self, bench: Judged) -> None:
        bench.ask(MENDED)
        assert bench.preview(sizes(a=11)).ok
        (told,) = bench.said("policyRemediationEvent")
        assert (told["policyName"], told["before"]["size"], told["after"]["size"]) == ("small", 11, 10)
        (summary,) = [item for item in bench.said("policyRemediateSummaryEvent") if item["resourceUrn"].endswith("::a")]
        assert summary["failed"] == ["small"]

    def test_a_second_up_changes_nothing(self, bench: Judged) -> None:
        bench.ask(MENDED)
        bench.up(sizes(a=11))
        assert bench.up(sizes(a=11)).changes == {"same": 2}

    def test_what_it_could_not_mend_is_forbidden(self, bench: Judged) -> None:
        bench.ask(MENDED.replace('"size": 10', '"size": 99'))
        outcome = bench.run("up", sizes(a=11))
        assert not outcome.ok
        assert bench.findings() == [("mandatory", "small", "a")]
        assert bench.cloud.made("Create") == []

    def test_each_sees_what_the_one_before_made(self, bench: Judged) -> None:
        more = "policies = [resource('{0}', level=EnforcementLevel.REMEDIATE, remediate=lambda args: {{**args.props, 'size': args.props['size'] {1}}} if 'size' in args.props else None)]"
        bench.ask(more.format("add", "+ 1"))
        bench.ask(more.format("double", "* 2"))
        bench.up(sizes(a=1))
        assert bench.cloud.find("a")["size"] == 4

    def test_secrets_stay_secret_and_unknown_values_unknown(self, bench: Judged) -> None:
        def program() -> None:
            first = Thing("first", {"size": 1})
            Thing("second", {"size": 11, "password": pulumi.Output.secret("hunter2"), "of": first.computed})  # type: ignore[attr-defined]

        bench.ask(MENDED)
        assert bench.preview(program).ok
        bench.up(program)
        second = bench.resources()["second"]
        assert second.inputs["size"] == 10
        assert second.inputs["of"] == bench.resources()["first"].outputs["computed"]
        assert type(second.inputs["password"]).__name__ == "Secret"
        assert "hunter2" not in str(bench.events)

    def test_one_that_cannot_know_yet_is_not_evaluated(self, bench: Judged) -> None:
        """The SDK hands unknown values to remediations as its marks; one that cares raises the SDK's error itself."""
        bench.ask("""
        from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError
        def mend(args):
            if args.props.get("size") == UNKNOWN_STRING_VALUE:
                raise UnknownValueError(UNKNOWN_STRING_VALUE, ["size"])
        policies = [resource("small", small, EnforcementLevel.REMEDIATE, remediate=mend)]
        """)
        assert bench.preview(TestNotEvaluated.program).ok
        messages = [item["message"] for item in bench.said("policyEvent")]
        assert [message.partition(" from ")[0] for message in messages] == [
            "can't run remediation 'small'",
            "can't run policy 'small'",
        ]
        assert bench.passed("second") == []


class TestNotEvaluated:
    @staticmethod
    def program() -> None:
        first = Thing("first", {"size": 1})
        Thing("second", {"size": first.computed})  # type: ignore[attr-defined]

    POLICY = """
    @things
    def plain(args, report):
        if args.props["size"] != 1: report(f"size is {args.props['size']}")
    policies = [resource("plain", plain)]
    """

    def test_a_preview_says_so_and_does_not_count_it_as_passed(self, bench: Judged) -> None:
        bench.ask(self.POLICY)
        outcome = bench.preview(self.program)
        assert outcome.ok
        assert bench.findings() == [("advisory", "plain", "second")]
        (event,) = bench.said("policyEvent")
        assert event["message"] == (
            "can't run policy 'plain' from policy pack 'trial@v0.0.1' during preview: "
            "string value at .size can't be known during preview\n"
        )
        assert event["notEvaluated"] == "string value at .size can't be known during preview"
        assert bench.passed("first") == ["plain"]
        assert bench.passed("second") == []

    def test_the_up_that_knows_it_is_stopped(self, bench: Judged) -> None:
        bench.ask(self.POLICY)
        outcome = bench.run("up", self.program)
        assert not outcome.ok
        assert bench.cloud.names() == {"first"}
        assert bench.findings() == [("mandatory", "plain", "second")]


class TestAProviderThatIsNotThereYet:
    """As of a cluster that is still to be made: in a preview its objects have no outputs."""

    SUM = """
    def total(args, report):
        found = [each for each in args.resources if each.resource_type == "test:index:Thing" and each.name != "maker"]
        if sum(each.props["size"] for each in found) > 3: report("too much")
        if found[0].props.get("id"): report("an id before there is one")
    policies = [stack("total", total)]
    """

    @staticmethod
    def program(size: int) -> Callable[[], None]:
        def run() -> None:
            maker = Thing("maker", {"size": 1})
            later = Provider("later", {"place": maker.computed})  # type: ignore[attr-defined]
            for name in ("one", "two"):
                Thing(name, {"size": size}, pulumi.ResourceOptions(provider=later))

        return run

    def test_what_the_program_asks_of_it_is_judged_before_anything_is_made(self, bench: Judged) -> None:
        bench.ask(self.SUM)
        outcome = bench.preview(self.program(2))
        assert not outcome.ok
        assert ("mandatory", "total") in [finding[:2] for finding in bench.findings()]
        assert "too much" in str(bench.said("policyEvent"))

    def test_what_it_will_answer_stays_unknown(self, bench: Judged) -> None:
        bench.ask(self.SUM)
        assert bench.preview(self.program(1)).ok
        (event,) = bench.said("policyEvent")
        assert "notEvaluated" in event


class TestStackPolicies:
    COUNT = """
    def few(args, report):
        things = [each for each in args.resources if each.resource_type == "test:index:Thing"]
        if len(things) > 2: report("too many things")
        for each in things:
            if each.props.get("size") == 7: report("seven", each.urn)
    """

    def test_they_judge_all_resources_together(self, bench: Judged) -> None:
        bench.ask(self.COUNT + "\n    policies = [stack('few', few)]")
        bench.up(sizes(a=1, b=1))
        assert bench.said("policyAnalyzeStackSummaryEvent")[0]["passed"] == ["few"]
        for operation in ("preview", "up"):
            outcome = bench.run(operation, sizes(a=1, b=7, c=1))
            assert not outcome.ok
            # What names no resource is the stack's.
            assert bench.findings() == [("mandatory", "few", "project-dev"), ("mandatory", "few", "b")]
            assert outcome.failures[0][1] == "forbidden by the mandatory policy few"

    def test_they_are_asked_in_a_preview_that_breaks_others(self, bench: Judged) -> None:
        bench.ask(
            self.COUNT + "\n    policies = [stack('few', few, EnforcementLevel.ADVISORY), resource('small', small)]"
        )
        assert not bench.preview(sizes(a=11, b=1, c=1)).ok
        assert ("advisory", "few", "project-dev") in bench.findings()

    def test_they_are_not_asked_after_a_failure(self, bench: Judged) -> None:
        bench.ask(self.COUNT + "\n    policies = [stack('few', few)]")
        bench.run("up", lambda: void(Thing("a", {"fail": "create"})))
        assert bench.said("policyAnalyzeStackSummaryEvent") == []

    def test_they_see_outputs_parents_dependencies_and_providers(self, bench: Judged) -> None:
        bench.ask("""
        def linked(args, report):
            by_name = {each.name: each for each in args.resources}
            second = by_name["second"]
            report("; ".join([
                str(second.props["of"] == by_name["first"].props["computed"]),
                second.parent.name,
                ",".join(each.name for each in second.dependencies),
                ",".join(each.name for each in second.property_dependencies["of"]),
                second.provider.props["account"],
            ]))
        policies = [stack("linked", linked, EnforcementLevel.ADVISORY)]
        """)

        def program() -> None:
            provider = Provider("mine", {"account": "7"})
            first = Thing("first", {"size": 1})
            options = pulumi.ResourceOptions(parent=Group("group"), provider=provider)
            Thing("second", {"of": first.computed}, options)  # type: ignore[attr-defined]

        bench.up(program)
        assert bench.said("policyEvent")[0]["message"] == "linked holds\nTrue; group; first; first; 7\n"


class TestWhatPacksSee:
    def test_references_are_collapsed_and_providers_own_keys_left_out(self, bench: Judged) -> None:
        bench.ask("""
        @things
        def seen(args, report):
            report(f"{sorted(args.props)} {args.props.get('ref')} {args.opts.protect} {args.provider and args.provider.name}")
        policies = [resource("seen", seen, EnforcementLevel.ADVISORY)]
        """)

        def program() -> None:
            first = Thing("first", {"__own": "x"})
            Thing("second", {"ref": first, "__own": "x"}, pulumi.ResourceOptions(protect=True))

        bench.up(program)
        found = {item["resourceUrn"][-6:]: item["message"].split("\n")[1] for item in bench.said("policyEvent")}
        first = bench.resources()["first"].id
        assert found["second"] == f"['autoName', 'ref'] {first} True default"

    def test_they_know_the_stack_its_configuration_and_whether_it_is_a_preview(self, bench: Judged) -> None:
        bench.ask("""
        def where(args, report):
            if args.name == "a":
                report(f"{pulumi.get_stack()} {pulumi.runtime.is_dry_run()} {pulumi.Config('app').get('size')}")
        policies = [resource("where", where, EnforcementLevel.ADVISORY)]
        """)
        for operation, expected in (("preview", "dev True 7"), ("up", "dev False 7")):
            bench.run(operation, sizes(a=1), config={"app:size": "7"})
            assert bench.said("policyEvent")[0]["message"].split("\n")[1] == expected


class TestSecrets:
    @staticmethod
    def program() -> None:
        Thing("a", {"token": pulumi.Output.secret({"inner": ["hunter2"]})})

    def test_policies_read_them_and_no_event_tells_them(self, bench: Judged) -> None:
        bench.ask("""
        @things
        def loud(args, report):
            print("printed", args.props["token"]["inner"][0])
            report(f"the token is {args.props['token']['inner'][0]}")
        policies = [resource("loud", loud, EnforcementLevel.ADVISORY), stack("every", lambda a, r: r(str([list(e.props["token"]["inner"]) for e in a.resources if "token" in e.props])), EnforcementLevel.ADVISORY)]
        """)
        bench.up(self.program)
        assert [item["message"].split("\n")[1] for item in bench.said("policyEvent")] == [
            "the token is [secret]",
            "[['[secret]']]",
        ]
        assert "printed [secret]" in bench.messages("info")
        assert "hunter2" not in str(bench.events)

    def test_a_policy_that_raises_tells_none(self, bench: Judged) -> None:
        bench.ask("""
        @things
        def broken(args, report):
            raise ValueError("cannot read " + args.props["token"]["inner"][0])
        policies = [resource("broken", broken, EnforcementLevel.ADVISORY)]
        """)
        outcome = bench.run("up", self.program)
        assert outcome.failures[0][1] == "policy pack trial failed: cannot read [secret]"
        assert any("in broken" in message for message in bench.messages("info#err")), "its author is told where"
        assert "hunter2" not in str(bench.events)


class TestBrokenPack:
    """Nothing is changed where a policy cannot be asked."""

    @pytest.mark.parametrize(
        ("policies", "options", "expected"),
        [
            ("policies = [", {}, ["ended with exit code 1 before it served", "SyntaxError"]),
            ("import nowhere", {}, ["ModuleNotFoundError: No module named 'nowhere'"]),
            (
                "raise SystemExit(0)",
                {},
                ["ended with exit code 0 before it served", "has to make a PolicyPack"],
            ),
            ("print('hello')\npolicies = [resource('a', small)]", {}, ["prints 'hello' before it serves"]),
            (SMALL, {"manifest": "runtime: nodejs\n"}, ["runtime 'nodejs'", "--engine pulumi"]),
            (SMALL, {"manifest": "runtime: [\n"}, ["not valid YAML"]),
            (SMALL, {"manifest": "runtime: python\nmain: src\n"}, ["`main`: not supported"]),
            (
                SMALL,
                {"config": {"smal": "advisory"}},
                ["smal: the pack has no such policy; did you mean small?"],
            ),
        ],
    )
    def test_one_that_does_not_start(
        self, bench: Judged, policies: str, options: dict[str, Any], expected: list[str]
    ) -> None:
        bench.ask(policies, **options)
        for operation in ("preview", "up"):
            outcome = bench.run(operation, sizes(a=1))
            assert not outcome.ok
            (error,) = bench.messages("error")
            assert all(part in error for part in expected), error
        assert bench.cloud.calls == []

    def test_a_folder_that_is_none(self, bench: Judged) -> None:
        bench.packs = (PackSource(bench.root / "nowhere"),)
        assert not bench.run("up", sizes(a=1)).ok
        assert "is no policy pack: PulumiPolicy.yaml: No such file" in bench.messages("error")[0]

    def test_a_policy_that_raises(self, bench: Judged) -> None:
        bench.ask("policies = [resource('broken', things(lambda a, r: 1 / 0), EnforcementLevel.ADVISORY)]")
        for operation in ("preview", "up"):
            outcome = bench.run(operation, sizes(a=1))
            assert not outcome.ok
            assert bench.messages("error")[0] == "policy pack trial failed: division by zero"
        assert bench.cloud.made("Create") == []

    def test_a_stack_policy_that_raises(self, bench: Judged) -> None:
        bench.ask("policies = [stack('broken', lambda a, r: 1 / 0, EnforcementLevel.ADVISORY)]")
        assert not bench.preview(sizes(a=1)).ok
        assert bench.messages("error")[0] == "policy pack trial failed: division by zero"

    def test_one_that_ends_in_the_middle(self, bench: Judged) -> None:
        bench.ask("import os\npolicies = [resource('ends', things(lambda a, r: os._exit(9)))]")
        assert not bench.run("up", sizes(a=1)).ok
        assert bench.messages("error")[0] == "policy pack trial ended with exit code 9 in the middle of the run"
        assert bench.cloud.made("Create") == []


class TestConfiguration:
    POLICY = """
    schema = PolicyConfigSchema({"most": {"type": "integer", "minimum": 0, "default": 10}})
    policies = [resource("small", small, config_schema=schema)]
    """

    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            (None, [("mandatory", "small", "a")]),
            ({"small": "advisory"}, [("advisory", "small", "a")]),
            ({"small": "disabled"}, []),
            ({"small": {"most": 12}}, []),
            ({"all": "advisory"}, [("advisory", "small", "a")]),
            ({"all": "disabled", "small": "mandatory"}, [("mandatory", "small", "a")]),
            ({"small": {"most": 1, "enforcementLevel": "advisory"}}, [("advisory", "small", "a"), ("advisory", "small", "b")]),
        ],
    )  # fmt: skip
    def test_levels_and_settings_come_from_the_file(
        self, bench: Judged, config: dict[str, Any] | None, expected: list[tuple[str, str, str]]
    ) -> None:
        bench.ask(self.POLICY, config=config)
        outcome = bench.preview(sizes(a=11, b=2))
        assert bench.findings() == expected
        assert outcome.ok == all(level != "mandatory" for level, _, _ in expected)

    def test_every_mistake_is_told_before_anything_is_changed(self, bench: Judged) -> None:
        bench.ask(self.POLICY, config={"small": {"most": -1, "mots": 3}, "other": "mandatory"})
        assert not bench.run("up", sizes(a=1)).ok
        (error,) = bench.messages("error")
        assert "other: the pack has no such policy" in error
        assert "small.mots: the policy has no such setting; did you mean most?" in error
        assert "small.most: -1" in error
        assert "less than the minimum of 0" in error
        assert bench.cloud.calls == []


class TestProcess:
    def test_it_ends_with_the_run(self, bench: Judged) -> None:
        bench.ask(SMALL)
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        bench.up(sizes(a=1))
        assert {child.pid for child in psutil.Process().children(recursive=True)} <= before

    def test_it_ends_with_an_engine_that_is_killed(self, tmp_path: Path) -> None:
        source = write_pack(tmp_path / "pack", SMALL)
        deployment = Deployment(Request("preview"), Program("project", "dev", tmp_path))
        pack = PolicyPack(source, deployment, lambda _stream, _line: None)
        pack.start()
        try:
            pack.open()
            process = pack._process  # pyright: ignore[reportPrivateUsage] - as the engine holds it
            assert process is not None
            assert process.stdin is not None
            process.stdin.close()  # as when the engine's process is gone
            assert process.wait(timeout=10) == 1
        finally:
            pack.close()

    def test_the_pack_s_own_environment_is_used_where_it_is_there(self, bench: Judged) -> None:
        bench.ask(SMALL, manifest="runtime:\n  name: python\n  options:\n    virtualenv: nowhere\n")
        bench.up(sizes(a=1))
        assert bench.said("summaryEvent")[0]["PolicyPacks"] == {"trial": "0.0.1"}


def void(_: object) -> None:
    """For programs that are one expression."""
