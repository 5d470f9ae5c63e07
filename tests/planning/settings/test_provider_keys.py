"""The keys that a stack file may hold are those of the providers' SDKs."""

from __future__ import annotations

import pytest

from model_factory.planning.settings.provider_keys import NAMESPACES, SECRETS, keys_of, known


class TestKeys:
    @pytest.mark.parametrize("namespace", NAMESPACES)
    def test_every_provider_has_some(self, namespace: str) -> None:
        assert keys_of(namespace)

    @pytest.mark.parametrize(
        "key",
        ["aws:region", "aws:endpoints", "docker:host", "docker-build:registries", "gcp:project", "gcp:batching",
         "kubernetes:kubeconfig", "kubernetes:enableServerSideApply", "pulumi:disable-default-providers"],
    )  # fmt: skip
    def test_those_that_teams_set_are_there(self, key: str) -> None:
        namespace, _, name = key.partition(":")
        assert name in keys_of(namespace)

    def test_every_secret_is_a_key(self) -> None:
        assert all(known(*key.split(":")) for key in SECRETS)
