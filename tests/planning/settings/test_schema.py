from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from components.kubernetes.serving import SERVING
from model_factory.planning.settings.cloud import Value
from model_factory.planning.settings.schema import DIALECT, json_schema
from tests.planning.project import STACK
from tests.planning.settings.test_load import REFUSED

VALIDATOR = jsonschema.Draft202012Validator(json_schema(SERVING))

CROSS_KEY = {
    # The schema judges one key at a time, by shape.
    "capacity twice", "label of a model", "label without residency", "preferred cloud not set up", "reservation outside the regions", "reservation outside the zones",
    "reservation by a name of another cloud", "reservation twice", "reserved machine of another cloud", "residency in no region", "residency without a place", "site of no region",
    "site outside the model's regions", "site outside the residence", "site with min above max", "sites and spread",
    "sites that do not sum up", "spot alone where it is never allowed", "spot said twice", "spread by both", "spread by nothing",
    "labels that exclude each other", "machine without a GPU", "more replicas over sites than one number says",
    "residency in an empty list", "spread over more than there is, of which some", "spread over one cloud, and fewer is none",
    "spread over one cloud", "spread wider than the stack", "spread with too few replicas",
    "GCP project", "GPU absent in the regions", "GPU machine for the system", "NaN", "NaN replicas", "bad CIDR", "branch of weights",
    "site without a cluster", "cluster of no site",
    "cloud not set up", "cloud twice", "control plane range", "encrypted setting", "endpoint missing", "endpoint outside loopback", "folder elsewhere", "folder of the project", "endpoint read as two hosts",
    "floating weights", "folder outside", "home not among the regions", "host bits", "infinity", "label of the stack",
    "machine of another cloud", "machine without the GPUs", "machine without the memory", "min above max", "no GCP project", "no region",
    "no such zone", "one endpoint missing", "open to the world", "overlap between clouds", "overlap in a cloud",
    "overlap in a later region", "public range", "range that runs out", "owned flag of another server", "owned flag, short", "owned flag, shortened", "more GPUs than a replica has", "a server that its probes cannot ask", "two words",
    "a space before the flag", "a key", "a key in two arguments", "a key as a variable", "owned flag, spelt with _", "port of the server", "region of no cloud", "revision beside the weights", "region twice", "too few zones", "too large",
    "too much accelerator memory", "too small", "two GCP projects", "unknown accelerator", "unknown machine", "weights as an image on an old cluster", "weights by digest and revision", "weights by tag", "weights of another cloud",
    "weights of every model", "weights by who asks", "weights outside", "weights with options of mounts", "weights deeper than keys", "weights in no bucket of S3",
    "weights in no bucket of Cloud Storage", "weights of no repository", "image at no port",
    "a word that no flag takes", "a word before all flags", "more of a GPU than there is", "nothing of a GPU", "flags in a file", "a server without metrics",
    "a server that ends", "GPUs shared out among more than there are",
    "feature of another architecture", "feature twice", "machine of another architecture", "machine with GPUs for none", "machine without the feature",
    "too large for machines without GPUs",
    "version that the channel lacks", "weights the server cannot load", "zone outside the region",
    *(case for case in REFUSED if case.startswith("Docker's bridge") or case.endswith(("calls no control plane", "to a public endpoint"))),
}  # fmt: skip


class TestSchema:
    def test_it_is_a_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(json_schema(SERVING))
        assert json_schema(SERVING)["$schema"] == DIALECT
        json.dumps(json_schema(SERVING), allow_nan=False)

    def test_it_is_the_same_each_time(self) -> None:
        assert json.dumps(json_schema(SERVING)) == json.dumps(json_schema(SERVING))

    def test_the_file_beside_the_stacks_is_as_it_is_made(self) -> None:
        written = (Path(__file__).parents[3] / "Pulumi.schema.json").read_text(encoding="utf-8")
        assert json.loads(written) == json_schema(SERVING), "run: factory schema > Pulumi.schema.json"

    def test_a_valid_stack_file_satisfies_it(self) -> None:
        VALIDATOR.validate(STACK)
        VALIDATOR.validate({**STACK, "encryptionsalt": "v1:x", "secretsprovider": "passphrase"})

    @pytest.mark.parametrize("case", sorted(set(REFUSED) - CROSS_KEY))
    def test_it_refuses_what_it_can_see(self, case: str) -> None:
        stack: dict[str, Any] = copy.deepcopy(STACK)
        REFUSED[case][0](stack["config"])
        assert not VALIDATOR.is_valid(stack)

    def test_every_key_is_described(self) -> None:
        schema = json_schema(SERVING)
        for name in (
            "AwsSettings",
            "Budget",
            "GcpSettings",
            "LocalSettings",
            "ModelConfig",
            "Replicas",
            "Reservation",
            "Rules",
            "Spread",
            "Weights",
        ):
            for key, value in schema["$defs"][name]["properties"].items():
                assert value.get("description"), f"{name}.{key}"


def test_texts_name_keys_as_they_are_written() -> None:
    """`requests_per_second` is a name of the program, and no key."""
    fields = {
        name
        for kind in _values(Value)
        for name, field in kind.model_fields.items()
        if field.alias and field.alias != name
    }
    texts = "\n".join(field.description or "" for kind in _values(Value) for field in kind.model_fields.values())
    assert fields
    assert not fields.intersection(re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)+", texts))


def _values(kind: type[Value]) -> Iterator[type[Value]]:
    for each in kind.__subclasses__():
        yield each
        yield from _values(each)
