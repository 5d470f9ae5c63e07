"""Any valid stack file previews clean and is unchanged at the second `up`; a broken one is refused by the key that is broken."""

from __future__ import annotations

import json
import os
import runpy
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from ruamel.yaml import YAML

from model_factory.cli.project import find_project, program_config
from model_factory.local.clouds import manager
from model_factory.local.engine.deploy import Result, run
from model_factory.local.engine.request import Deployment, Operation, Program, Request
from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from model_factory.local.engine.store import StackStore
from model_factory.local.providers.packages import local_providers
from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.stackfile import read_stack_file
from tests.planning.project import load
from tests.planning.strategies import broken_stack_files, stack_files
from tests.stacks.harness import LocalStack, free_ports

pytestmark = [
    pytest.mark.slow,
    # The program runs in this process: modules of the SDKs load at their first use, and define classes that warn of themselves.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PORTS: dict[str, int] = dict(zip(("aws", "gcp"), free_ports(2), strict=True))
URLS = {"aws_url": f"http://127.0.0.1:{PORTS['aws']}", "gcp_url": f"http://127.0.0.1:{PORTS['gcp']}"}
# Whole stacks take seconds each: few, each of another shape. What one stack file can say is held in tests/planning.
EXAMPLES = settings(
    max_examples=6,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("generated"))
    made.ports.update(PORTS)
    manager.start(made.specs, made.root)
    yield made
    made.close()


def write(place: LocalStack, document: dict[str, Any]) -> None:
    """Another stack, which knows nothing of the plan of the one before."""
    place.lock_file.unlink(missing_ok=True)
    with place.stack_file.open("w", encoding="utf-8") as file:
        YAML().dump(document, file)


class Bench:
    """Runs the stack's program in this process, so that an example costs seconds."""

    def __init__(self, place: LocalStack) -> None:
        self.place = place
        self.project = find_project(place.root)
        crypter = PassphraseCrypter("generated", new_salt("generated"))
        self.store = StackStore(place.root / ".factory" / "stacks", self.project.name, place.name, lambda: crypter)
        self.messages: list[str] = []

    def run(self, operation: Operation) -> Result:
        config = program_config(self.project, read_stack_file(self.place.stack_file), lambda text: text)
        main = str(self.place.root / "__main__.py")
        self.messages.clear()
        program = Program(
            self.project.name,
            self.place.name,
            self.place.root,
            config.values,
            in_process=lambda: void(runpy.run_path(main, run_name="__main__")),
        )
        with mock.patch.dict(os.environ, PULUMI_CONFIG=json.dumps(dict(config.values))):
            return run(
                Deployment(Request(operation), program),
                store=self.store,
                providers=local_providers(self.place.root),
                emit=self.note,
                cancel=threading.Event(),
            )

    def end(self, document: dict[str, Any]) -> Result:
        """Destroys the stack. In production what holds data refuses to go, until another environment gives its protection up."""
        if document["config"]["model-factory:environment"] == "prod":
            refused = self.run("destroy")
            assert refused.failures
            assert all("it is protected" in message for _, message in refused.failures), refused.failures
            write(self.place, {"config": document["config"] | {"model-factory:environment": "dev"}})
            given_up = self.run("up")
            assert given_up.ok, self.messages
        return self.run("destroy")

    def note(self, event: dict[str, Any]) -> None:
        if (diagnostic := event.get("diagnosticEvent")) and diagnostic["severity"] == "error":
            self.messages.append(diagnostic["message"])


def void(_: object) -> None:
    """A program's resources register themselves."""


@given(document=stack_files(**URLS, max_models=3, places=True))
@EXAMPLES
def test_a_valid_stack_file_previews_clean_and_is_unchanged_at_the_second_up(
    place: LocalStack, document: dict[str, Any]
) -> None:
    write(place, document)
    load(place.stack_file, place.root / "Pulumi.yaml")
    bench = Bench(place)
    empty = place.held()
    try:
        assert bench.run("preview").ok, bench.messages
        assert place.held() == empty, "a preview changes nothing"
        first = bench.run("up")
        assert first.ok, bench.messages
        second = bench.run("up")
        assert second.ok, bench.messages
        assert set(second.changes) == {"same"}, second.changes
    finally:
        ended = bench.end(document)
    assert ended.ok, bench.messages
    assert place.held() == empty


@given(broken=broken_stack_files())
@settings(EXAMPLES, max_examples=60)
def test_a_broken_one_is_refused_by_its_key(place: LocalStack, broken: tuple[dict[str, Any], str]) -> None:
    document, key = broken
    write(place, document)
    with pytest.raises(SettingsError) as refused:
        load(place.stack_file, place.root / "Pulumi.yaml")
    assert key in str(refused.value)
