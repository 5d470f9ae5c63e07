"""What a program may use: components, providers, secrets, functions, reads, stack references, transforms; and what is refused."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions
from pulumi.runtime import invoke

from model_factory.local.wire import ResourceReference, Secret
from tests.local.engine.stack import Bench, Group, Provider, Thing


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def provider_states(bench: Bench) -> dict[str, Any]:
    return {state.name: state for state in bench.store.load().resources if state.is_provider}


class TestComponents:
    def test_a_child_knows_its_parent_and_a_component_its_outputs(self, bench: Bench) -> None:
        def program() -> None:
            group = Group("group")
            Thing("child", {}, ResourceOptions(parent=group))

        bench.up(program)
        group, child = bench.resources()["group"], bench.resources()["child"]
        assert child.parent == group.urn
        assert child.urn.endswith("test:index:Group$test:index:Thing::child")
        assert group.outputs == {"label": "group"}
        assert (group.custom, group.id, group.provider) == (False, "", "")
        assert group.parent.endswith("pulumi:pulumi:Stack::project-dev")

    def test_component_outputs_are_shown_and_updated(self, bench: Bench) -> None:
        def program(label: str) -> Callable[[], None]:
            class Labelled(pulumi.ComponentResource):
                def __init__(self) -> None:
                    super().__init__("test:index:Labelled", "labelled", {})
                    self.register_outputs({"label": label})

            return lambda: void(Labelled())

        bench.up(program("a"))
        assert not bench.up(program("b")).changed
        assert bench.resources()["labelled"].outputs == {"label": "b"}
        shown = [
            event["resOutputsEvent"]["metadata"]["new"]["outputs"]
            for event in bench.events
            if "resOutputsEvent" in event
        ]
        assert {"label": "b"} in shown

    def test_component_inputs_that_change_are_an_update(self, bench: Bench) -> None:
        def program(size: int) -> Callable[[], None]:
            return lambda: void(pulumi.ComponentResource("test:index:Sized", "sized", {"size": size}))

        bench.up(program(1))
        assert bench.up(program(2)).changes["update"] == 1

    def test_a_component_may_become_a_reference_in_an_input(self, bench: Bench) -> None:
        def program() -> None:
            Thing("one", {"group": Group("group")})

        bench.up(program)
        reference = bench.resources()["one"].inputs["group"]
        assert isinstance(reference, ResourceReference)
        assert not bench.up(program).changed


class TestDependencies:
    def test_dependencies_are_kept_whole_and_per_property(self, bench: Bench) -> None:
        def program() -> None:
            a = Thing("a")
            b = Thing("b")
            Thing("c", {"of": a.computed, "plain": 1}, ResourceOptions(depends_on=[b]))  # type: ignore[attr-defined]

        bench.up(program)
        states = bench.resources()
        assert set(states["c"].dependencies) == {states["a"].urn, states["b"].urn}
        assert states["c"].property_dependencies == {"of": (states["a"].urn,), "plain": ()}

    def test_a_dependent_starts_only_after_what_it_depends_on_ended(self, bench: Bench) -> None:
        ended: list[str] = []
        started: dict[str, list[str]] = {}

        def hook(method: str, name: str) -> None:
            if method == "Create":
                started[name] = list(ended)

        bench.cloud.hook = hook
        original = bench.emit

        def emit(event: dict[str, Any]) -> None:
            if "resOutputsEvent" in event:
                ended.append(event["resOutputsEvent"]["metadata"]["urn"].rsplit("::", 1)[-1])
            original(event)

        bench.emit = emit

        def program() -> None:
            a = Thing("a")
            b = Thing("b", {}, ResourceOptions(depends_on=[a]))
            Thing("c", {"of": b.computed})  # type: ignore[attr-defined]

        bench.up(program)
        assert "a" in started["b"]
        assert {"a", "b"} <= set(started["c"])

    def test_independent_resources_run_side_by_side_up_to_the_limit(self, bench: Bench) -> None:
        bench.cloud.delay_seconds = 0.05
        bench.up(lambda: void([Thing(f"thing-{index}") for index in range(8)]), parallel=4)
        assert bench.cloud.most_running == 4


class TestPreview:
    def test_what_is_not_known_yet_is_unknown_downstream(self, bench: Bench) -> None:
        seen: list[bool] = []

        def program() -> None:
            first = Thing("first")
            first.computed.apply(lambda _: seen.append(True))  # type: ignore[attr-defined]
            Thing("second", {"of": first.computed})  # type: ignore[attr-defined]

        assert bench.preview(program).ok
        assert seen == []
        shown = [event["resourcePreEvent"]["metadata"] for event in bench.events if "resourcePreEvent" in event]
        second = next(item for item in shown if item["urn"].endswith("::second"))
        assert second["new"]["inputs"]["of"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

    def test_a_provider_with_unknown_configuration_is_not_called(self, bench: Bench) -> None:
        def program() -> None:
            base = Thing("base")
            provider = Provider("mine", {"account": base.computed})  # type: ignore[attr-defined]
            Thing("inside", {"size": 1}, ResourceOptions(provider=provider))

        assert bench.preview(program).changes == {"create": 4}
        assert ("Check", "inside") not in bench.cloud.calls
        bench.up(program)
        assert bench.cloud.configured[-1]["account"] == bench.resources()["base"].outputs["computed"]


class TestProviders:
    def test_the_default_provider_is_named_after_its_version_and_takes_the_configuration(self, bench: Bench) -> None:
        def program() -> None:
            Thing("one", {}, ResourceOptions(version="7.51.1"))

        options: dict[str, Any] = {"config": {"test:account": "a", "test:list": '["x"]', "other:key": "no"}}
        bench.up(program, **options)
        provider = provider_states(bench)["default_7_51_1"]
        assert provider.inputs == {"account": "a", "list": '["x"]', "version": "7.51.1", "__internal": {}}
        assert bench.cloud.configured == [{"account": "a", "list": '["x"]', "version": "7.51.1"}]
        assert bench.resources()["one"].provider == provider.reference
        assert [item for item in bench.steps() if item[1].startswith("default")] == []

    def test_secret_configuration_stays_secret_in_the_provider(self, bench: Bench) -> None:
        options: dict[str, Any] = {
            "config": {"test:token": "hush-hush"},
            "secret_keys": frozenset({"test:token"}),
        }
        bench.up(lambda: void(Thing("one")), **options)
        assert provider_states(bench)["default"].inputs["token"] == Secret("hush-hush")
        assert "hush-hush" not in bench.store.path.read_text()
        assert "hush-hush" not in json.dumps(bench.events)

    def test_an_explicit_provider_serves_a_component_s_children(self, bench: Bench) -> None:
        def program() -> None:
            provider = Provider("mine", {"account": "b"})
            group = Group("group", ResourceOptions(providers=[provider]))
            Thing("child", {}, ResourceOptions(parent=group))
            Thing("other")

        bench.up(program)
        states = provider_states(bench)
        assert set(states) == {"mine", "default"}
        assert bench.resources()["child"].provider == states["mine"].reference
        assert bench.resources()["other"].provider == states["default"].reference
        assert not bench.up(program).changed

    def test_a_changed_provider_is_updated_and_its_resources_stay(self, bench: Bench) -> None:
        def program(region: str, account: str = "a") -> Callable[[], None]:
            def body() -> None:
                provider = Provider("mine", {"region": region, "account": account})
                Thing("one", {}, ResourceOptions(provider=provider))

            return body

        bench.up(program("x"))
        id_ = bench.resources()["one"].id
        assert bench.up(program("y")).changes == {"update": 1, "same": 2}
        assert bench.resources()["one"].id == id_
        # Another account cannot manage the same objects.
        assert bench.up(program("y", "b")).changes["replace"] == 2
        assert bench.resources()["one"].id != id_

    def test_default_providers_may_be_disabled(self, bench: Bench) -> None:
        outcome = bench.run("up", lambda: void(Thing("one")), config={"pulumi:disable-default-providers": '["*"]'})
        assert "pass an explicit provider" in outcome.failures[0][1]

    def test_destroy_configures_providers_from_the_state(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one")), config={"test:account": "a"})
        bench.cloud.configured.clear()
        assert bench.destroy().ok
        assert bench.cloud.configured == [{"account": "a"}]


class TestSecrets:
    def test_a_secret_input_is_masked_encrypted_and_kept(self, bench: Bench) -> None:
        def program() -> None:
            one = Thing(
                "one",
                {
                    "password": pulumi.Output.secret("s3cr3t-value"),
                    "nested": {"key": pulumi.Output.secret("in-s1de")},
                },
            )
            pulumi.export("password", one.password)  # type: ignore[attr-defined]

        outcome = bench.up(program)
        assert outcome.outputs["password"] == Secret("s3cr3t-value")
        state = bench.resources()["one"]
        assert state.inputs["password"] == Secret("s3cr3t-value")
        assert state.outputs["password"] == Secret("s3cr3t-value")
        for text in (bench.store.path.read_text(), json.dumps(bench.events)):
            assert "s3cr3t-value" not in text
            assert "in-s1de" not in text
        assert bench.cloud.seen[0]["password"] == Secret("s3cr3t-value")
        assert not bench.up(program).changed

    def test_a_provider_that_knows_no_secrets_gets_plain_values(self, bench: Bench) -> None:
        bench.cloud.accept_secrets = False
        bench.up(lambda: void(Thing("one", {"password": pulumi.Output.secret("s3cr3t-value")})))
        assert bench.cloud.seen[0]["password"] == "s3cr3t-value"
        assert bench.resources()["one"].outputs["password"] == Secret("s3cr3t-value")

    def test_additional_secret_outputs(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one", {}, ResourceOptions(additional_secret_outputs=["computed"]))))
        assert isinstance(bench.resources()["one"].outputs["computed"], Secret)


class TestFunctions:
    def test_an_invoke_is_answered_by_the_default_provider(self, bench: Bench) -> None:
        def program() -> None:
            pulumi.export("answer", invoke("test:index:echo", {"text": "hi"}).value)

        assert bench.up(program).outputs["answer"] == {"text": "hi", "echoed": True}

    def test_a_failed_invoke_fails_the_program_and_deletes_nothing(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("one")))
        outcome = bench.run("up", lambda: void(invoke("test:index:echo", {"fail": True}).value))
        assert not outcome.ok
        assert any("the function failed" in message for message in bench.messages("error"))
        assert bench.cloud.names() == {"one"}

    def test_an_output_invoke_of_unknowns_waits(self, bench: Bench) -> None:
        def program() -> None:
            one = Thing("one")
            echoed = pulumi.runtime.invoke_output("test:index:echo", {"of": one.computed})  # type: ignore[attr-defined]
            pulumi.export("echoed", echoed)

        assert bench.preview(program).ok
        assert ("Invoke", "test:index:echo") not in bench.cloud.calls
        assert bench.up(program).outputs["echoed"]["echoed"] is True  # type: ignore[index,call-overload]


class TestRead:
    def test_a_read_object_is_external_and_never_deleted(self, bench: Bench) -> None:
        bench.cloud.objects["id-x"] = {"name": "x", "urn": "", "size": 3}
        outcome = bench.up(lambda: pulumi.export("size", Thing("x", {"size": None}, ResourceOptions(id="id-x")).size))  # type: ignore[attr-defined]
        state = bench.resources()["x"]
        assert (state.external, state.id, outcome.outputs["size"]) == (True, "id-x", 3)
        assert bench.destroy().changes == {"discard": 1, "delete": 1}
        assert "id-x" in bench.cloud.objects

    def test_what_does_not_exist_is_an_error(self, bench: Bench) -> None:
        outcome = bench.run("up", lambda: void(Thing("x", {}, ResourceOptions(id="nowhere"))))
        assert not outcome.ok
        assert "resource 'nowhere' does not exist" in outcome.failures[0][1]

    def test_taking_a_read_object_over_makes_a_new_one(self, bench: Bench) -> None:
        bench.cloud.objects["id-x"] = {"name": "x", "urn": "", "size": 3}
        bench.up(lambda: void(Thing("x", {}, ResourceOptions(id="id-x"))))
        bench.up(lambda: void(Thing("x", {"size": 4})))
        assert bench.resources()["x"].id != "id-x"
        assert not bench.resources()["x"].external
        assert "id-x" in bench.cloud.objects

    def test_letting_an_own_object_go_for_a_read_one_deletes_it(self, bench: Bench) -> None:
        bench.cloud.objects["id-x"] = {"name": "x", "urn": "", "size": 3}
        bench.up(lambda: void(Thing("x", {"size": 4})))
        bench.up(lambda: void(Thing("x", {}, ResourceOptions(id="id-x"))))
        assert list(bench.cloud.objects) == ["id-x"]
        assert bench.resources()["x"].external


class TestStackReferences:
    def test_another_stack_s_outputs_are_read_from_its_state(self, bench: Bench, tmp_path: Path) -> None:
        def producer() -> None:
            pulumi.export("address", "10.0.0.1")
            pulumi.export("password", pulumi.Output.secret("s3cr3t-value"))

        Bench(tmp_path, "base").up(producer)

        def consumer() -> None:
            base = pulumi.StackReference("organization/project/base")
            pulumi.export("address", base.get_output("address"))
            pulumi.export("password", base.get_output("password"))

        assert bench.up(consumer).outputs == {"address": "10.0.0.1", "password": Secret("s3cr3t-value")}
        assert not bench.up(consumer).changed

    def test_an_unknown_stack_is_named(self, bench: Bench) -> None:
        outcome = bench.run("up", lambda: void(pulumi.StackReference("nowhere")))
        assert not outcome.ok
        assert "nowhere" in outcome.failures[0][1]


class TestTransforms:
    def test_own_then_parents_then_the_stack_s(self, bench: Bench) -> None:
        def mark(letter: str) -> Any:
            def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
                if args.type_ != "test:index:Thing":
                    return None
                trail = f"{args.props.get('trail', '')}{letter}"
                return pulumi.ResourceTransformResult(props={**args.props, "trail": trail}, opts=args.opts)

            return transform

        def program() -> None:
            pulumi.runtime.register_resource_transform(mark("S"))
            group = Group("group", ResourceOptions(transforms=[mark("P")]))
            Thing("child", {}, ResourceOptions(parent=group, transforms=[mark("O")]))

        bench.up(program)
        assert bench.resources()["child"].inputs["trail"] == "OPS"
        assert not bench.up(program).changed

    def test_a_transform_may_change_options_and_keeps_dependencies(self, bench: Bench) -> None:
        def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
            return pulumi.ResourceTransformResult(
                props=args.props,
                opts=ResourceOptions.merge(args.opts, ResourceOptions(protect=True, retain_on_delete=True)),
            )

        def program() -> None:
            a = Thing("a")
            Thing("b", {"of": a.computed}, ResourceOptions(transforms=[transform]))  # type: ignore[attr-defined]

        assert bench.preview(program).ok
        bench.up(program)
        states = bench.resources()
        assert (states["b"].protect, states["b"].retain_on_delete, states["a"].protect) == (True, True, False)
        assert states["b"].dependencies == (states["a"].urn,)

    def test_invoke_transforms_change_arguments(self, bench: Bench) -> None:
        def transform(args: pulumi.InvokeTransformArgs) -> pulumi.InvokeTransformResult:
            return pulumi.InvokeTransformResult(args={**args.args, "text": "changed"}, opts=args.opts)

        async def program() -> None:
            await pulumi.runtime.register_invoke_transform_async(transform)

        def body() -> None:
            pulumi.runtime.register_invoke_transform(transform)
            pulumi.export("answer", pulumi.runtime.invoke_output("test:index:echo", {"text": "hi"}))

        if not hasattr(pulumi.runtime, "register_invoke_transform"):
            pytest.skip("this SDK registers invoke transforms another way")
        assert bench.up(body).outputs["answer"] == {"text": "changed", "echoed": True}


class TestTimeouts:
    def test_custom_timeouts_reach_the_provider_and_the_state(self, bench: Bench) -> None:
        seen: list[float] = []
        bench.cloud.on_request = lambda method, request: seen.append(request.timeout) if method == "Create" else None
        options = ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="1h30m", delete="10s"))
        bench.up(lambda: void(Thing("one", {}, options)))
        assert seen == [5400.0]
        timeouts = bench.resources()["one"].custom_timeouts
        assert timeouts is not None
        assert (timeouts.create, timeouts.update, timeouts.delete) == (5400.0, 0.0, 10.0)


class Dynamic(pulumi.dynamic.Resource):
    def __init__(self) -> None:
        super().__init__(pulumi.dynamic.ResourceProvider(), "dynamic", {})


UNSUPPORTED: dict[str, tuple[Callable[[], Any], str]] = {
    "import": (lambda: Thing("one", {}, ResourceOptions(import_="id-1")), "the option `import`"),
    "dynamic provider": (Dynamic, "dynamic providers"),
    "remote component": (
        lambda: pulumi.ComponentResource("test:index:Far", "far", {}, None, remote=True),
        "remote components",
    ),
    "hooks": (
        lambda: Thing(
            "one",
            {},
            ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("h", lambda _: None)])),
        ),
        "resource hooks",
    ),
    "method call": (lambda: pulumi.runtime.call("test:index:Thing/method", {}), "calls of resource methods"),
    "replacement trigger": (
        lambda: Thing("one", {}, ResourceOptions(replacement_trigger="x")),
        "replacement_trigger",
    ),
    "unknown provider": (lambda: pulumi.CustomResource("other:index:Thing", "one", {}), "provider 'other'"),
    "parameterised package": (
        lambda: asyncio.ensure_future(
            pulumi.runtime.settings.register_package("base", "1.0.0", "", "pkg", "1.0.0", "")
        ),
        "parameterised packages",
    ),
}


class TestUnsupported:
    @pytest.mark.parametrize("what", UNSUPPORTED)
    def test_it_is_refused_by_name_with_the_way_out(self, bench: Bench, what: str) -> None:
        make, name = UNSUPPORTED[what]
        outcome = bench.run("preview", lambda: void(make()))
        assert not outcome.ok
        assert name in outcome.failures[0][1]
        assert "use the Pulumi CLI" in outcome.failures[0][1]
        assert not bench.cloud.objects

    def test_a_refused_program_changes_nothing(self, bench: Bench) -> None:
        bench.up(lambda: void(Thing("kept")))
        outcome = bench.run("up", UNSUPPORTED["import"][0])
        assert not outcome.ok
        assert bench.cloud.names() == {"kept"}


class TestManyStacksInOneProcess:
    def test_programs_on_several_threads_keep_apart(self, tmp_path: Path) -> None:
        benches = [Bench(tmp_path, f"stack-{index}") for index in range(3)]

        def run(bench: Bench) -> None:
            bench.up(lambda: pulumi.export("stack", pulumi.get_stack()))

        threads = [threading.Thread(target=run, args=(bench,)) for bench in benches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        outputs = [
            next(state.outputs for state in bench.store.load().resources if state.type == "pulumi:pulumi:Stack")
            for bench in benches
        ]
        assert outputs == [{"stack": f"stack-{index}"} for index in range(3)]


def void(_: object) -> None:
    """A program's resources register themselves."""
