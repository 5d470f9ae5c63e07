"""Components run against Pulumi's own mocks: what they register is recorded, and cloud answers are made up."""

from __future__ import annotations

import contextvars
import json
import runpy
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2

from model_factory.planning.settings.stackfile import read_stack_file
from tests.loops import own_event_loop

with warnings.catch_warnings():
    # Modules of the SDKs load at their first use, and define deprecated classes that warn of themselves: not for our tests to fail on.
    warnings.simplefilter("ignore", DeprecationWarning)
    for module, member in (
        ("pulumi_aws.ec2", "Vpc"),
        ("pulumi_aws.s3", "Bucket"),
        ("pulumi_gcp.compute", "Network"),
        ("pulumi_gcp.container", "Cluster"),
        ("pulumi_gcp.storage", "Bucket"),
    ):
        getattr(import_module(module), member)

ROOT = Path(__file__).parents[2]
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")


@dataclass(frozen=True)
class Registered:
    """One resource as the program asked for it."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    protect: bool
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    dependencies: frozenset[str]
    provider: str
    create_timeout: str
    custom: bool
    urn: str


@dataclass
class Recorder(mocks.Mocks):
    """Answers like a cloud would, as far as the components read the answers."""

    resources: list[Registered] = field(default_factory=list)
    invokes: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        name = args.name
        if args.typ.startswith("kubernetes:"):
            metadata = args.inputs.get("metadata") or {}
            return f"{name}-id", {**args.inputs, "metadata": {"name": f"{name}-0000000", **metadata}}
        state: dict[str, Any] = {
            "name": f"{name}-0000000",
            "arn": f"arn:aws:test:::{name}",
            "email": f"{name}@project.iam.gserviceaccount.com",
            "endpoint": f"https://{name}.example.test",
            "certificateAuthority": {"data": "Q0E="},
            "masterAuth": {"clusterCaCertificate": "Q0E="},
            "latestVersion": 1,
            "nodeGroupName": f"{name}-0000000",
            "bucket": f"{name}-0000000",
            "repositoryUrl": f"000000000000.dkr.ecr.test/{name}",
            "allocationId": f"eipalloc-{name}",
            "keyId": f"key-{name}",
        }
        return f"{name}-id", {**state, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self.invokes.append(args.token)
        answers: dict[str, dict[str, Any]] = {
            "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": list(reversed(ZONES))},
            "aws:index/getPartition:getPartition": {"partition": "aws"},
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
            "aws:eks/getClusters:getClusters": {"names": []},
            "aws:eks/getAddonVersion:getAddonVersion": {"version": f"of {args.args.get('kubernetesVersion')}"},
        }
        return answers[args.token], []

    def of(self, type_suffix: str) -> list[Registered]:
        """The resources whose type ends so, in the order they were registered."""
        return [each for each in self.resources if each.type.endswith(type_suffix)]

    def one(self, type_suffix: str, name: str = "") -> Registered:
        """The only resource of that type, and of that name if given."""
        found = [each for each in self.of(type_suffix) if not name or each.name == name]
        assert len(found) == 1, f"{len(found)} resources {type_suffix} {name}"
        return found[0]

    def waits_for(self, registered: Registered) -> frozenset[str]:
        """The URNs that must be there before a resource is made: its own dependencies, and those of the components around it, which
        the SDK registers before what is in them."""
        around = [each for each in self.resources if each.urn == registered.parent]
        return registered.dependencies.union(*(self.waits_for(each) for each in around))


class RecordingMonitor(mocks.MockMonitor):
    """Pulumi's mock monitor, which also keeps the options of each request."""

    mocks: Recorder

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # noqa: N802
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.mocks.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    inputs=rpc.deserialize_properties(request.object),
                    parent=request.parent,
                    protect=request.protect,
                    ignore_changes=tuple(request.ignoreChanges),
                    replace_on_changes=tuple(request.replaceOnChanges),
                    dependencies=frozenset(request.dependencies),
                    provider=request.provider,
                    create_timeout=request.customTimeouts.create,
                    custom=request.custom,
                    urn=answer.urn,
                )
            )
        return answer


Run = Callable[..., Recorder]


def run_program(program: Callable[[], object], stack: str) -> Recorder:
    """Runs a function as the program of a stack, to its end, and returns what it registered and exported. Leaves no settings of the
    SDK, no loop and no thread behind."""
    recorder = Recorder()
    monitor = RecordingMonitor(recorder)

    def declare() -> pulumi.Output[None]:
        program()
        exported = pulumi.runtime.settings.get_root_resource().outputs
        return pulumi.Output.from_input(exported).apply(recorder.outputs.update)

    def start() -> None:
        mocks.set_mocks(recorder, project="model-factory", stack=stack, preview=False, monitor=monitor)
        pulumi.runtime.test(declare)()

    with own_event_loop():
        contextvars.copy_context().run(start)
    return recorder


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a function as a program of stack `dev`."""
    return lambda program: run_program(program, "dev")


def run_stack(stack: str) -> Recorder:
    """Runs the whole program with a stack file and plan lock of the repository."""
    with tempfile.TemporaryDirectory() as folder:
        root = project_in(Path(folder))
        for name in (f"Pulumi.{stack}.yaml", f"Pulumi.{stack}.plan.yaml"):
            shutil.copy(ROOT / name, root)
        return run_config(read_stack_file(ROOT / f"Pulumi.{stack}.yaml").config, stack, root.parent)


def project_in(folder: Path) -> Path:
    """The project's root, as Pulumi's mocks tell it to a program that runs in `folder`."""
    root = folder / "root_directory"
    root.mkdir(exist_ok=True)
    return root


def run_config(config: Mapping[str, object], stack: str, folder: Path) -> Recorder:
    """Runs the whole program in a folder, its configuration handed over as engines do. It is no preview: it writes its plan lock."""
    project_in(folder)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_CONFIG", json.dumps(texts))
        patch.chdir(folder)
        return run_program(lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), stack)


ran_stack = cache(run_stack)
"""The same, run once for all who only look."""


@pytest.fixture(scope="session")
def dev() -> Recorder:
    """The dev stack, run once."""
    return ran_stack("dev")


@pytest.fixture(scope="session")
def prod() -> Recorder:
    """The prod stack, run once."""
    return ran_stack("prod")
