"""The generic provider over a cloud that is a dict: what every provider inherits."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from model_factory.local import wire
from model_factory.local.providers import base
from model_factory.local.providers.base import Call, Function, ResourceType, Update
from model_factory.local.providers.errors import (
    AnswerLostError,
    CancelledError,
    CloudError,
    Failure,
    NotFoundError,
    UnsupportedError,
    WaitError,
)
from model_factory.local.providers.naming import AutoName
from model_factory.local.providers.provider import Provider
from model_factory.local.providers.rules import Rules
from model_factory.local.wire import UNKNOWN, Properties, Secret

URN = "urn:pulumi:dev::factory::toy:index/box:Box::box"
Shelf = dict[str, dict[str, Any]]


class AbortedError(Exception):
    """What a context raises when a servicer aborts."""


class Context:
    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None
        self.trailing: tuple[tuple[str, bytes], ...] = ()

    def abort(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        raise AbortedError(message)

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        self.trailing = metadata


def create(call: Call[Shelf], inputs: Properties) -> str:
    name = str(inputs["name"])
    if inputs.get("size") == 13:
        raise CloudError(cloud="toy", operation="CreateBox", code="Unlucky", message="13 is taken")
    call.cloud[name] = {**inputs, "serial": 7, "digest": call.urn_digest}
    call.created(name)
    if inputs.get("size") == 99:
        raise WaitError("box: became FAILED")
    return name


def read(call: Call[Shelf], name: str, _inputs: Properties) -> Properties | None:
    box = call.cloud.get(name)
    return None if box is None else {key: value for key, value in box.items() if key != "digest"}


def update(call: Call[Shelf], change: Update) -> None:
    call.cloud[change.id].update(change.new)


def delete(call: Call[Shelf], name: str, _inputs: Properties) -> None:
    if name not in call.cloud:
        raise NotFoundError(cloud="toy", operation="DeleteBox", code="NoSuchBox", message=name)
    del call.cloud[name]


def find(call: Call[Shelf], inputs: Properties) -> str | None:
    return next((name for name, box in call.cloud.items() if box["digest"] == call.urn_digest), None)


def check(_cloud: Shelf, inputs: Properties) -> list[Failure]:
    size = inputs.get("size")
    return [Failure("size", f"{size} is negative")] if isinstance(size, int) and size < 0 else []


BOX = ResourceType[Shelf](
    token="toy:index/box:Box",
    create=create,
    read=read,
    update=update,
    delete=delete,
    find=find,
    check=check,
    rules=Rules(
        required=("size",),
        replace_on_changes=frozenset({"material", "lid", "lid.colour", "slots"}),
        delete_before_replace_if_set="name",
        auto_name=AutoName("name", max_length=20),
        defaults={"material": "oak", "lid.colour": "red"},
        computed=("serial", "colour"),
        unordered=frozenset({"slots"}),
        owned=("tags",),
    ),
)


class Toys(Provider[Shelf]):
    name = "toy"
    version = "1.0.0"

    def __init__(self) -> None:
        super().__init__()
        self.shelf: Shelf = {}
        self.box = BOX

    def resource_type(self, token: str) -> ResourceType[Shelf]:
        if token != BOX.token:
            raise UnsupportedError(f"{token} has no declaration in the local toy provider")
        return self.box

    def function(self, token: str) -> Function[Shelf]:
        return lambda shelf, arguments: {"count": len(shelf), "asked": arguments["of"]}

    def configure(self, config: Properties) -> Shelf:
        return self.shelf


@pytest.fixture
def toys() -> Toys:
    provider = Toys()
    provider.Configure(pb.ConfigureRequest(), Context())
    return provider


def checked(toys: Toys, news: Properties, olds: Properties | None = None, seed: bytes = b"s") -> Properties:
    request = pb.CheckRequest(urn=URN, news=wire.encode(news), olds=wire.encode(olds or {}), randomSeed=seed)
    response = toys.Check(request, Context())
    assert not response.failures, response.failures
    return wire.decode(response.inputs)


def created(toys: Toys, inputs: Properties) -> tuple[str, Properties]:
    response = toys.Create(pb.CreateRequest(urn=URN, properties=wire.encode(inputs)), Context())
    return response.id, wire.decode(response.properties)


def changes(toys: Toys, olds: Properties, news: Properties) -> pb.DiffResponse:
    request = pb.DiffRequest(id="x", urn=URN, old_inputs=wire.encode(olds), news=wire.encode(news))
    return toys.Diff(request, Context())


def kinds(response: pb.DiffResponse) -> dict[str, str]:
    return {path: pb.PropertyDiff.Kind.Name(entry.kind) for path, entry in response.detailedDiff.items()}


class TestCheck:
    def test_auto_name_depends_on_urn_and_seed_alone(self, toys: Toys) -> None:
        first = checked(toys, {"size": 1})
        assert first["name"] == checked(toys, {"size": 2})["name"]
        assert first["name"] != checked(toys, {"size": 1}, seed=b"other")["name"]
        assert str(first["name"]).startswith("box-")

    def test_auto_name_is_kept_and_a_given_name_wins(self, toys: Toys) -> None:
        first = checked(toys, {"size": 1})
        assert checked(toys, {"size": 1}, first, seed=b"other")["name"] == first["name"]
        given = checked(toys, {"size": 1, "name": "mine"})
        assert given["name"] == "mine"
        assert "name" not in wire_list(given["__defaults"])

    def test_defaults_reach_nested_objects_that_are_there(self, toys: Toys) -> None:
        assert "lid" not in checked(toys, {"size": 1})
        inputs = checked(toys, {"size": 1, "lid": {}})
        assert inputs["lid"] == {"colour": "red", "__defaults": ["colour"]}
        assert inputs["__defaults"] == ["material", "name"]

    @pytest.mark.parametrize(("news", "path"), [({}, "size"), ({"size": -1}, "size")])
    def test_bad_input_is_refused_with_its_path(self, toys: Toys, news: Properties, path: str) -> None:
        response = toys.Check(pb.CheckRequest(urn=URN, news=wire.encode(news)), Context())
        assert [failure.property for failure in response.failures] == [path]

    def test_unknown_and_secret_inputs_pass_as_they_are(self, toys: Toys) -> None:
        inputs = checked(toys, {"size": UNKNOWN, "note": Secret("hush")})
        assert inputs["size"] is UNKNOWN
        assert inputs["note"] == Secret("hush")

    def test_too_long_a_name_is_refused_with_the_remedy(self, toys: Toys) -> None:
        request = pb.CheckRequest(urn=URN + "x" * 20, news=wire.encode({"size": 1}))
        (failure,) = toys.Check(request, Context()).failures
        assert "shorten the logical name or set name" in failure.reason

    def test_undeclared_type_is_refused_by_name(self, toys: Toys) -> None:
        context = Context()
        with pytest.raises(AbortedError, match="toy:index/crate:Crate has no declaration"):
            toys.Check(pb.CheckRequest(urn="urn:pulumi:dev::f::toy:index/crate:Crate::c"), context)
        assert context.code is grpc.StatusCode.UNIMPLEMENTED


class TestDiff:
    def test_same_inputs_are_no_change(self, toys: Toys) -> None:
        inputs = checked(toys, {"size": 1, "slots": ["a", "b"]})
        assert changes(toys, inputs, {**inputs, "slots": ["b", "a"]}).changes == pb.DiffResponse.DIFF_NONE

    @pytest.mark.parametrize(
        ("olds", "news", "expected"),
        [
            ({"size": 1}, {"size": 2}, {"size": "UPDATE"}),
            ({"material": "oak"}, {"material": "tin"}, {"material": "UPDATE_REPLACE"}),
            ({"slots": ["a"]}, {"slots": ["a", "b"]}, {"slots[1]": "ADD_REPLACE"}),
            ({"lid": {"colour": "red"}}, {"lid": {"colour": "blue"}}, {"lid.colour": "UPDATE_REPLACE"}),
            ({"lid": {"fit": 1}}, {"lid": {"fit": 2}}, {"lid.fit": "UPDATE"}),
            ({"lid": {"fit": 1}}, {}, {"lid": "DELETE_REPLACE"}),
            ({"colour": "red"}, {}, {}),
            ({"tags": {"a": "1"}}, {"tags": {"a": "1", "b.c": "2"}}, {'tags["b.c"]': "ADD"}),
            ({"size": 1}, {"size": UNKNOWN}, {"size": "UPDATE"}),
            ({"size": Secret(1)}, {"size": 1}, {}),
        ],
    )
    def test_each_change_has_its_kind(
        self, toys: Toys, olds: Properties, news: Properties, expected: dict[str, str]
    ) -> None:
        assert kinds(changes(toys, olds, news)) == expected

    def test_replacement_deletes_first_only_where_the_program_named_the_object(self, toys: Toys) -> None:
        auto, mine = checked(toys, {"size": 1}), checked(toys, {"size": 1, "name": "mine"})
        assert not changes(toys, auto, {**auto, "material": "tin"}).deleteBeforeReplace
        assert changes(toys, mine, {**mine, "material": "tin"}).deleteBeforeReplace
        assert not changes(toys, mine, {**mine, "size": 3}).deleteBeforeReplace


class TestLife:
    def test_preview_of_a_create_makes_nothing_and_knows_no_computed_output(self, toys: Toys) -> None:
        inputs = checked(toys, {"size": 1})
        request = pb.CreateRequest(urn=URN, properties=wire.encode(inputs), preview=True)
        outputs = wire.decode(toys.Create(request, Context()).properties)
        assert outputs["serial"] is UNKNOWN
        assert outputs["name"] == inputs["name"]
        assert not toys.shelf

    def test_secret_inputs_stay_secret_in_outputs(self, toys: Toys) -> None:
        _, outputs = created(toys, checked(toys, {"size": 1, "tags": {"a": Secret("x"), "b": "y"}}))
        assert outputs["tags"] == {"a": Secret("x"), "b": "y"}

    def test_read_finds_drift_and_reports_only_what_was_asked(self, toys: Toys) -> None:
        inputs = checked(toys, {"size": 1})
        name, outputs = created(toys, inputs)
        toys.shelf[name] |= {"size": 5, "tags": {"new": "1"}}
        request = pb.ReadRequest(id=name, urn=URN, inputs=wire.encode(inputs), properties=wire.encode(outputs))
        response = toys.Read(request, Context())
        assert wire.decode(response.inputs) == {**inputs, "size": 5, "tags": {"new": "1"}}
        assert wire.decode(response.properties)["serial"] == 7

    def test_read_of_a_gone_object_answers_no_id(self, toys: Toys) -> None:
        assert toys.Read(pb.ReadRequest(id="gone", urn=URN), Context()).id == ""

    def test_update_then_delete_twice(self, toys: Toys) -> None:
        inputs = checked(toys, {"size": 1})
        name, outputs = created(toys, inputs)
        update = pb.UpdateRequest(
            id=name,
            urn=URN,
            olds=wire.encode(outputs),
            old_inputs=wire.encode(inputs),
            news=wire.encode({**inputs, "size": 2}),
        )
        assert wire.decode(toys.Update(update, Context()).properties)["size"] == 2
        for _ in range(2):
            toys.Delete(pb.DeleteRequest(id=name, urn=URN, properties=wire.encode(outputs)), Context())
        assert not toys.shelf

    def test_a_cloud_error_names_cloud_call_code_and_cause(self, toys: Toys) -> None:
        with pytest.raises(AbortedError, match="toy refused CreateBox: Unlucky: 13 is taken"):
            created(toys, checked(toys, {"size": 13}))

    def test_a_half_made_object_is_handed_over_with_id_and_state(self, toys: Toys) -> None:
        context = Context()
        inputs = checked(toys, {"size": 99})
        with pytest.raises(AbortedError, match="became FAILED"):
            toys.Create(pb.CreateRequest(urn=URN, properties=wire.encode(inputs)), context)
        ((key, payload),) = context.trailing
        details = pb.ErrorResourceInitFailed()
        assert key == "grpc-status-details-bin"
        assert status_pb2.Status.FromString(payload).details[0].Unpack(details)
        assert details.id == inputs["name"]
        assert wire.decode(details.properties)["serial"] == 7

    def test_adopt_finds_what_a_killed_create_left(self, toys: Toys) -> None:
        inputs = checked(toys, {"size": 1})
        assert toys.adopt(BOX.token, URN, inputs) is None
        name, _ = created(toys, inputs)
        assert toys.adopt(BOX.token, URN, inputs) == name

    def test_an_update_without_a_change_settles_what_cannot_be_changed(self, toys: Toys) -> None:
        inputs = checked(toys, {"size": 1})
        name, outputs = created(toys, inputs)
        toys.box = dataclasses.replace(BOX, update=None)
        request = pb.UpdateRequest(
            id=name, urn=URN, old_inputs=wire.encode(inputs), news=wire.encode(inputs), olds=wire.encode({})
        )
        assert wire.decode(toys.Update(request, Context()).properties) == outputs
        toys.shelf[name]["size"] = 5
        with pytest.raises(AbortedError, match="cannot be changed in place, and differs in size; refresh, then"):
            toys.Update(request, Context())

    def test_cancel_ends_a_wait(self, toys: Toys) -> None:
        toys.Cancel(pb.ConfigureRequest(), Context())
        call = Call[Shelf](toys.shelf, URN, BOX.token, cancelled=toys._cancelled)
        with pytest.raises(CancelledError, match="box: cancelled while waiting"):
            call.wait(lambda: None, what="box")

    def test_a_wait_asks_ever_less_often_until_its_deadline(self, toys: Toys) -> None:
        pauses: list[float] = []

        class Recorded(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                assert timeout is not None
                pauses.append(timeout)
                return super().wait(timeout)

        call = Call[Shelf](toys.shelf, URN, BOX.token, deadline=time.monotonic() + 0.5, cancelled=Recorded())
        with pytest.raises(WaitError, match="not done within the time-out"):
            call.wait(lambda: None, what="box")
        *full, last = pauses
        assert full == sorted(set(full))
        assert pauses[0] >= 0.05
        assert last <= 0.5

    def test_invoke_answers_with_a_result(self, toys: Toys) -> None:
        response = toys.Invoke(pb.InvokeRequest(tok="toy:index/f:f", args=wire.encode({"of": "all"})), Context())
        assert wire.decode(getattr(response, "return")) == {"count": 0, "asked": "all"}


class Wire:
    """A create over a connection that loses answers: `done` says of each call whether the cloud did it."""

    def __init__(self, toys: Toys, *done: bool, repeatable: bool = False, shown_at: int = 0) -> None:
        self.left, self.calls, self.looks = list(done), 0, 0
        self.shown_at = shown_at
        toys.box = dataclasses.replace(BOX, create=self._create, find=self._find, repeatable=repeatable)

    def _create(self, call: Call[Shelf], inputs: Properties) -> str:
        self.calls += 1
        name = str(inputs["name"])
        lost = self.left.pop(0) if self.left else None
        if name in call.cloud:
            raise CloudError(cloud="toy", operation="CreateBox", code="Taken", message=name)
        if lost is None:
            return create(call, inputs)
        if lost:
            call.cloud[name] = {**inputs, "size": 0, "serial": 7, "digest": call.urn_digest}
        raise AnswerLostError(cloud="toy", operation="CreateBox", code="Reset", message="by peer")

    def _find(self, call: Call[Shelf], inputs: Properties) -> str | None:
        self.looks += 1
        return find(call, inputs) if self.looks > self.shown_at else None


class TestLostAnswer:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(base, "VISIBLE_SECONDS", 0.3)

    def test_what_was_made_is_taken_and_finished(self, toys: Toys) -> None:
        wired = Wire(toys, True)
        _, outputs = created(toys, checked(toys, {"size": 3}))
        assert outputs["size"] == 3
        assert (len(toys.shelf), wired.calls) == (1, 1)

    def test_what_shows_late_is_waited_for(self, toys: Toys) -> None:
        wired = Wire(toys, True, shown_at=2)
        created(toys, checked(toys, {"size": 3}))
        assert (len(toys.shelf), wired.calls) == (1, 1)

    def test_a_create_that_could_make_a_second_object_is_not_repeated(self, toys: Toys) -> None:
        wired = Wire(toys, False)
        context = Context()
        inputs = checked(toys, {"size": 3})
        with pytest.raises(AbortedError, match=r"gave no clear answer to CreateBox.*run `up` again"):
            toys.Create(pb.CreateRequest(urn=URN, properties=wire.encode(inputs)), context)
        assert context.code is grpc.StatusCode.DATA_LOSS, "the engine keeps it pending"
        assert wired.calls == 1

    def test_a_create_whose_name_guards_it_is_repeated(self, toys: Toys) -> None:
        wired = Wire(toys, False, repeatable=True)
        created(toys, checked(toys, {"size": 3}))
        assert (len(toys.shelf), wired.calls) == (1, 2)

    def test_a_name_that_is_taken_by_the_lost_call_is_its_own(self, toys: Toys) -> None:
        wired = Wire(toys, True, repeatable=True, shown_at=1)
        _, outputs = created(toys, checked(toys, {"size": 3}))
        assert outputs["size"] == 3
        assert (len(toys.shelf), wired.calls) == (1, 2)

    def test_what_cannot_be_looked_for_is_kept_pending(self, toys: Toys) -> None:
        Wire(toys, True)

        def fail(_call: Call[Shelf], _inputs: Properties) -> str:
            raise AnswerLostError(cloud="toy", operation="ListBoxes", code="Reset", message="by peer")

        toys.box = dataclasses.replace(toys.box, find=fail)
        context = Context()
        inputs = checked(toys, {"size": 3})
        with pytest.raises(AbortedError, match=r"CreateBox.*and looking for what it made.*ListBoxes"):
            toys.Create(pb.CreateRequest(urn=URN, properties=wire.encode(inputs)), context)
        assert context.code is grpc.StatusCode.DATA_LOSS


def wire_list(value: wire.Value) -> list[wire.Value]:
    assert isinstance(value, list)
    return value
