"""What the local engine does as Pulumi's does, down to what is rarely looked at: a table of programs, run under both.

A case is the programs of one stack, one run after the other, and what the last run must come to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import FileArchive, FileAsset, Output, ResourceOptions, StringAsset

from model_factory.local.engine.model import ResourceState
from model_factory.local.wire import Asset, Secret
from tests.local.engine.stack import Bench, Group, Provider, Thing

Props = Callable[[], dict[str, Any]]
Program = Callable[[], object]


def thing(props: Props = dict, **options: Any) -> Program:
    # Outputs belong to the loop of the run that makes them.
    return lambda: Thing("one", props(), ResourceOptions(**options))


def boxes(zone: str, *, middle: bool = False, first: bool = True) -> Program:
    """A box that is replaced with its zone, and a content that goes with the box, or with what hangs on it."""

    def program() -> None:
        box = Thing("box", {"forceNewZone": zone}, ResourceOptions(delete_before_replace=first))
        if middle:
            box = Thing("middle", {"forceNewOf": box.computed})  # type: ignore[attr-defined]
        Thing("content", {}, ResourceOptions(deleted_with=box))

    return program


def tied(zone: str) -> Program:
    def program() -> None:
        base = Thing("base", {"forceNewZone": zone}, ResourceOptions(delete_before_replace=True))
        for name in ("first", "second"):
            Thing(name, {"forceNewOf": base.computed}, ResourceOptions(protect=True))  # type: ignore[attr-defined]

    return program


def twice() -> None:
    Group("group").register_outputs({"label": "again"})


def of_type(type_: str) -> Program:
    return lambda: pulumi.CustomResource(type_, "one", {})


def unsure(**props: Any) -> Program:
    return thing(lambda: {"diffUnknown": True, "tags": {"a": 1}, **props})


@dataclass(frozen=True)
class Case:
    """`steps`: what is not same, in any order. `calls`: creates, updates and deletions, in their order."""

    runs: tuple[Program, ...]
    steps: tuple[str, ...] = ()
    calls: tuple[str, ...] | None = None
    refused: str = ""
    preview: bool = False


CASES = {
    "deleted with what is deleted first": Case(
        (boxes("a"), boxes("b")),
        ("create-replacement box", "create-replacement content", "delete-replaced box", "delete-replaced content",
         "replace box", "replace content"),
        ("Delete box", "Create box", "Create content"),
    ),
    "deleted with what has to go with it": Case(
        (boxes("a", middle=True), boxes("b", middle=True)),
        ("create-replacement box", "create-replacement content", "create-replacement middle", "delete-replaced box",
         "delete-replaced content", "delete-replaced middle", "replace box", "replace content", "replace middle"),
        ("Delete middle", "Delete box", "Create box", "Create middle", "Create content"),
    ),
    "deleted with what is deleted in the end": Case(
        (boxes("a", first=False), boxes("b", first=False)),
        ("create-replacement box", "create-replacement content", "delete-replaced box", "delete-replaced content",
         "replace box", "replace content"),
        ("Create box", "Create content", "Delete box"),
    ),
    "a type without a module": Case((of_type("test:Thing"),), refused="type token"),
    "a type of one word": Case((of_type("Thing"),), refused="type token"),
    "a type of four parts": Case((of_type("test:a:b:Thing"),), ("create one",), ("Create one",)),
    "a version that is none": Case((thing(version="not-a-version"),), refused="ersion|Major.Minor.Patch"),
    "a version of two numbers": Case((thing(version="1.2"),), refused="ersion|Major.Minor.Patch"),
    "a version with a letter": Case((thing(version="v1.2.3"),), refused="ersion|major number"),
    "a version with a build": Case((thing(version="1.2.3-rc.1+b2"),), ("create one",), ("Create one",)),
    "a provider's version that is none": Case(
        (lambda: Provider("one", {}, ResourceOptions(version="nono")),), refused="ersion"
    ),
    "a read of a version that is none": Case(
        (lambda: Thing("one", {}, ResourceOptions(id="x", version="nono")),), refused="ersion|Major.Minor.Patch"
    ),
    "a function of a version that is none": Case(
        (lambda: pulumi.runtime.invoke("test:index:f", {}, pulumi.InvokeOptions(version="nono")),),
        refused="ersion|Major.Minor.Patch",
    ),
    "outputs registered twice": Case((twice,), ("create group",), (), refused="whose registration isn't pending"),
    "an absent entry that becomes null": Case((unsure(), unsure(tags={"a": 1, "b": None}, more=None))),
    "a null entry that goes": Case((unsure(tags={"a": 1, "b": None}), unsure())),
    "an entry that becomes null": Case((unsure(), unsure(tags={"a": None})), ("update one",), ("Update one",)),
    "a null more in a list": Case((unsure(list=[1]), unsure(list=[1, None])), ("update one",), ("Update one",)),
    "a protected dependent stops a preview": Case(
        (tied("a"), tied("b")), (), (), refused="unable to replace resource .*(first|second)", preview=True
    ),
    "a protected dependent stops a run": Case((tied("a"), tied("b")), (), (), refused="unable to replace resource .*(first|second)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(" ", "-") for name in CASES])
def test_a_last_run_comes_to_what_pulumi_says(bench: Bench, case: Case) -> None:
    for program in case.runs[:-1]:
        bench.up(program)
    bench.cloud.calls.clear()
    outcome = bench.run("preview" if case.preview else "up", case.runs[-1])
    assert outcome.ok == (not case.refused)
    if case.refused:
        assert any(re.search(case.refused, text) for _, text in outcome.failures), outcome.failures
    assert sorted(f"{op} {name}" for op, name in bench.steps() if op != "same") == list(case.steps)
    work = tuple(f"{call} {name}" for call, name in bench.cloud.calls if call in ("Create", "Update", "Delete"))
    assert work == (case.calls or ())


def chain(**middle: Any) -> Program:
    """first, middle with these inputs, last, which needs middle, and aside."""

    def program() -> None:
        first = Thing("first")
        between = Thing("middle", middle, ResourceOptions(depends_on=[first]))
        Thing("last", {"of": between.computed})  # type: ignore[attr-defined]
        Thing("aside")

    return program


@dataclass(frozen=True)
class Life:
    """Runs of one stack, one after the other: a program, or an operation by its name. `kept`: the state's resources in the end, `there`
    the objects, where they are others."""

    runs: tuple[Program | str, ...]
    steps: tuple[str, ...]
    kept: str
    there: str | None = None
    fails: bool = False
    options: tuple[tuple[str, Any], ...] = ()


ALL = "aside first last middle"
GO_ON = (("continue_on_error", True),)
LIVES = {
    "made": Life((chain(),), ("create aside", "create first", "create last", "create middle"), ALL),
    "made and destroyed": Life((chain(), "destroy"), ("delete aside", "delete first", "delete last", "delete middle"), ""),
    "nothing changed": Life((chain(), chain()), (), ALL),
    "a failed create": Life((chain(fail="create"),), ("create aside", "create first", "create middle"), "aside first",
                            fails=True, options=GO_ON),
    "a failed create, mended": Life((chain(fail="create"), chain()), ("create last", "create middle"), ALL),
    "a failed update": Life((chain(), chain(fail="update")), ("update middle",), ALL, fails=True),
    "a failed update, mended": Life((chain(), chain(fail="update"), chain(size=2)), ("update middle",), ALL),
    "not ready": Life((chain(initFail=True),), ("create aside", "create first", "create middle"), "aside first middle",
                      fails=True, options=GO_ON),
    "not ready, then it is": Life((chain(initFail=True), chain()), ("create last", "update middle"), ALL),
    "a failed delete": Life((chain(fail="delete"), "destroy"), ("delete last", "delete middle"), "first middle", fails=True),
    "a failed replacement": Life((chain(forceNew=1), chain(forceNew=2, fail="create")), ("create-replacement middle",), ALL, fails=True),
    "a failed replacement, mended": Life(
        (chain(forceNew=1), chain(forceNew=2, fail="create"), chain(forceNew=2)),
        ("create-replacement middle", "delete-replaced middle", "replace middle", "update last"), ALL,
    ),
    "a replacement whose old object stays": Life(
        (chain(forceNew=1, fail="delete"), chain(forceNew=2)),
        ("create-replacement middle", "delete-replaced middle", "replace middle", "update last"), ALL, f"{ALL} middle", fails=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("life", LIVES.values(), ids=[name.replace(" ", "-") for name in LIVES])
def test_a_life_ends_as_under_pulumi(bench: Bench, life: Life) -> None:
    *before, last = life.runs
    for run in before:
        bench.run("up", run) if callable(run) else bench.run("destroy")
    options = dict(life.options)
    outcome = bench.run("up", last, **options) if callable(last) else bench.run("destroy", **options)
    assert outcome.ok != life.fails, outcome.failures
    # A run that fails may have begun what stands beside, or not.
    happened = {f"{op} {name}" for op, name in bench.steps() if op != "same"}
    beside = {"create aside", "delete aside"}
    assert happened - beside == set(life.steps) - beside
    assert set(life.kept.split()) - {"aside"} == bench.resources().keys() - {"aside"}
    there = life.kept if life.there is None else life.there
    assert sorted(str(item["name"]) for item in bench.cloud.objects.values() if item["name"] != "aside") == sorted(
        name for name in there.split() if name != "aside"
    )


class TestAssets:
    def program(self, root: Path) -> Program:
        long = "folder/" * 12 + "n" * 90
        return thing(lambda: {
            "file": FileAsset(str(root / "file")), "text": StringAsset("text"), "folder": FileArchive(str(root / "folder")),
            "packed": FileArchive(str(root / "packed.zip")), "empty": pulumi.AssetArchive({}),
            "many": pulumi.AssetArchive({
                "b": StringAsset("b"), "a": FileArchive(str(root / "folder")), long: StringAsset("long"), "ü/" + long: StringAsset("u"),
                "x" * 130: StringAsset("x"),
            }),
            "hidden": Output.secret(FileAsset(str(root / "file"))),
        })  # fmt: skip

    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        root = tmp_path / "files"
        for name, text in (("file", "one"), ("packed.zip", "zip"), ("folder/x", "x" * 600), ("folder/y/z", ""), ("folder/y.t", "t"),
                           ("folder/.pulumi/left-out", "")):  # fmt: skip
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / "folder" / "link").symlink_to(root / "file")
        (root / "folder" / "circle").symlink_to(root / "folder")
        return root

    def test_the_hashes_are_pulumi_s(self, bench: Bench, files: Path) -> None:
        bench.up(self.program(files))
        inputs = bench.resources()["one"].inputs
        assert {key: hash_of(value)[:12] for key, value in inputs.items() if key != "autoName"} == HASHES
        many = inputs["many"]
        assert isinstance(many, Asset)
        assert all(hash_of(member) for member in dict(many.fields["assets"]).values())  # type: ignore[arg-type]

    @pytest.mark.parametrize("changed", ["file", "packed.zip", "folder/x", "folder/y/z"])
    def test_a_changed_file_is_an_update(self, bench: Bench, files: Path, changed: str) -> None:
        bench.up(self.program(files))
        assert not bench.preview(self.program(files)).changed
        (files / changed).write_text("changed")
        assert bench.preview(self.program(files)).changes["update"] == 1
        bench.up(self.program(files))
        assert not bench.preview(self.program(files)).changed

    @pytest.mark.parametrize(
        ("asset", "why"),
        [
            (lambda: FileAsset("nowhere"), "(?i)no such file"),
            (lambda: FileAsset(str(Path(__file__).parent)), "director|folder"),
            (lambda: FileArchive("nowhere"), "(?i)no such file"),
            (lambda: FileArchive(__file__), "nor"),
            (lambda: pulumi.RemoteAsset("ftp://example.com/x"), "ftp"),
        ],
    )
    def test_what_cannot_be_read_is_refused_before_anything_is_made(
        self, bench: Bench, asset: Callable[[], Any], why: str
    ) -> None:
        outcome = bench.run("up", thing(lambda: {"asset": asset()}))
        assert not outcome.ok
        assert any(re.search(why, message) for _, message in outcome.failures), outcome.failures
        assert bench.cloud.made("Create") == []

    def test_nothing_is_read_from_the_network(self, ours: Bench) -> None:
        outcome = ours.run("up", thing(lambda: {"asset": pulumi.RemoteAsset("https://example.com/x")}))
        assert "reads nothing from the network" in outcome.failures[0][1]

    def test_a_relative_path_starts_at_the_project(self, ours: Bench, files: Path) -> None:
        assert files.is_dir()
        ours.up(thing(lambda: {"file": FileAsset("files/file")}))
        assert hash_of(ours.resources()["one"].inputs["file"]).startswith(HASHES["file"])


HASHES = {
    "empty": "5f70bf18a086",
    "file": "7692c3ad3540",
    "folder": "6c9a31be712f",
    "hidden": "7692c3ad3540",
    "many": "7463bf69d484",
    "packed": "4a70fe9aa643",
    "text": "982d9e3eb996",
}


def hash_of(value: Any) -> str:
    asset = value.value if isinstance(value, Secret) else value
    assert isinstance(asset, Asset)
    return str(asset.fields["hash"])


SECRETS: dict[str, Props] = {
    "password": lambda: {"password": Output.secret("hush-1")},
    "list": lambda: {"list": [Output.secret("hush-1"), "plain"]},
    "map": lambda: {"map": {"key": Output.secret("hush-1"), "other": 1}},
}


class TestSecrets:
    def test_a_named_output_stays_secret_when_it_is_read_in_plain_text(self, bench: Bench) -> None:
        bench.cloud.plain_answers = True
        bench.up(thing(lambda: {"note": "hush-1"}, additional_secret_outputs=["note"]))
        assert bench.run("refresh").ok
        assert bench.resources()["one"].outputs["note"] == Secret("hush-1")

    @pytest.mark.parametrize("key", SECRETS)
    def test_inputs_and_outputs_stay_secret_too(self, ours: Bench, key: str) -> None:
        """Here the CLI forgets what was secret."""
        ours.cloud.plain_answers = True
        ours.up(thing(SECRETS[key]))
        before = ours.resources()["one"]
        assert ours.run("refresh").changes == {"same": 2}
        assert (ours.resources()["one"].inputs, ours.resources()["one"].outputs) == (before.inputs, before.outputs)
        for item in ours.cloud.objects.values():
            item[key] = "hush-2"
        ours.run("refresh")
        assert "hush-" not in ours.store.path.read_text()
        assert "hush-" not in str(ours.events)

    @pytest.mark.parametrize("key", SECRETS)
    def test_what_becomes_secret_is_masked_in_what_it_was(self, ours: Bench, key: str) -> None:
        """Where a value changes as well, the CLI shows the old one."""
        ours.up(
            thing(lambda: {"password": "hush-0", "list": ["hush-0", "plain"], "map": {"key": "hush-0", "other": 1}})
        )
        ours.up(thing(lambda: {name: "changed" for name in SECRETS if name != key} | SECRETS[key]()))
        (after,) = [event["resOutputsEvent"]["metadata"] for event in ours.events if told_of_one(event)]
        for side in ("inputs", "outputs"):
            assert "hush" not in str(after["old"][side][key])
        assert "hush-0" in str(after["old"])

    def test_a_provider_that_knows_no_secrets_gets_whole_lists_marked(self, bench: Bench) -> None:
        bench.cloud.accept_secrets = False
        bench.up(
            thing(lambda: {"list": [Output.secret("hush-1"), "b"], "map": {"key": Output.secret("hush-1"), "x": 1}})
        )
        for side in ("inputs", "outputs"):
            kept = getattr(bench.resources()["one"], side)
            assert (kept["list"], kept["map"]) == (Secret(["hush-1", "b"]), {"key": Secret("hush-1"), "x": 1})


def told_of_one(event: dict[str, Any]) -> bool:
    return "resOutputsEvent" in event and event["resOutputsEvent"]["metadata"]["urn"].endswith("::one")


class TestSmallThings:
    def test_an_object_that_is_only_read_has_changed_when_its_outputs_have(self, bench: Bench) -> None:
        bench.cloud.objects["id-x"] = {"name": "x", "urn": "", "size": 3}
        bench.up(lambda: Thing("x", {"size": None}, ResourceOptions(id="id-x")))
        assert "update" not in bench.run("refresh").changes
        bench.cloud.objects["id-x"]["size"] = 4
        assert bench.run("refresh").changes["update"] == 1

    def test_what_a_transform_adds_depends_on_nothing(self, bench: Bench) -> None:
        def add(key: str) -> Callable[[pulumi.ResourceTransformArgs], pulumi.ResourceTransformResult]:
            return lambda args: pulumi.ResourceTransformResult({**args.props, key: 1}, args.opts)

        def program() -> None:
            pulumi.runtime.register_resource_transform(add("everywhere"))
            Thing("one", {"given": 1}, ResourceOptions(transforms=[add("here")]))

        bench.up(program)
        assert bench.resources()["one"].property_dependencies == {"given": (), "here": (), "everywhere": ()}

    def test_a_stack_output_that_a_failure_left_unknown_keeps_its_value(self, ours: Bench) -> None:
        """The CLI writes that it is not known."""

        def program(fail: str) -> Program:
            def body() -> None:
                thing = Thing("one", {"forceNewZone": fail, "fail": fail})
                pulumi.export("made", thing.computed)  # type: ignore[attr-defined]

            return body

        ours.up(program(""))
        before = ours.run("preview", program("")).outputs
        ours.run("up", program("create"), continue_on_error=True)
        assert ours.snapshot().resources[0].outputs == before


class TestDefaultProviders:
    def test_one_for_each_version_and_place_of_its_plugin(self, bench: Bench) -> None:
        url = "https://example.com/x"
        asked: dict[str, tuple[str | None, str | None]] = {
            "default": (None, None), "default_1_2_3": ("1.2.3", None),
            "default_https_/example.com/x": (None, url), "default_1_2_3_https_/example.com/x": ("1.2.3", url),
        }  # fmt: skip

        def program() -> None:
            for name, (version, place) in asked.items():
                Thing(name.replace("/", "-"), {}, ResourceOptions(version=version, plugin_download_url=place))

        bench.up(program)
        of = {state.provider.split("::")[3]: name for name, state in bench.resources().items()}
        assert of == {name: name.replace("/", "-") for name in asked}
        made = {state.name: plugin(state) for state in bench.snapshot().resources if state.is_provider}
        assert made == asked
        assert not bench.preview(program).changed


def plugin(state: ResourceState) -> tuple[Any, Any]:
    internal = state.inputs.get("__internal") or {}
    assert isinstance(internal, dict)
    return state.inputs.get("version"), internal.get("pluginDownloadURL")
