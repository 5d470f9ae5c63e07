from __future__ import annotations

import pytest

from model_factory.planning.settings.stackfile import read_stack_file
from tests.planning.project import STACK, Edit, Project, drop, from_config, put

LEAKS: dict[str, tuple[Edit, str, str]] = {
    # case: edit, key, text that must not show
    "by provider key": (put("aws:secretKey", "n0tASecretReally"), "aws:secretKey", "n0tASecretReally"),
    "access key": (put("aws:accessKey", "AKIAIOSFODNN7EXAMPLE"), "aws:accessKey", "AKIAIOSFODNN7EXAMPLE"),
    "service account": (
        put("gcp:credentials", '{"type": "service_account", "zq": 1}'),
        "gcp:credentials",
        "zq",
    ),
    "kubeconfig": (put("kubernetes:kubeconfig", "apiVersion: v1"), "kubernetes:kubeconfig", "apiVersion"),
    "by a shape, anywhere": (
        put("model-factory:models/llm/args", ["--hf-token=hf_abcdefghijklmnopqrstuvwx"]),
        "model-factory:models.llm.args[0]",
        "hf_abc",
    ),
    "under an innocent key": (
        put("model-factory:labels", {"team": "ghp_" + "a1" * 15}),
        "model-factory:labels.team",
        "ghp_",
    ),
    "under an unknown key": (put("model-factory:hfToken", "abc"), "model-factory:hfToken", "abc"),
    "in a nested key": (
        put("model-factory:models/llm/apiKey", "abc"),
        "model-factory:models.llm.apiKey",
        "abc",
    ),
    "as a number": (put("model-factory:password", 12345678), "model-factory:password", "12345678"),
    "inside of a wrong type": (
        put("model-factory:aws/regions", {"token": "s3same"}),
        "model-factory:aws.regions.token",
        "s3same",
    ),
    "private key": (
        put("docker:keyMaterial", "-----BEGIN RSA PRIVATE KEY-----\nMII"),
        "docker:keyMaterial",
        "MII",
    ),
    "in an address": (put("aws:httpProxy", "http://me:hunter22@proxy:3128"), "aws:httpProxy", "hunter22"),
}


class TestCredentialsInPlainText:
    @pytest.mark.parametrize("case", LEAKS)
    def test_are_refused_without_showing_them(self, project: Project, case: str) -> None:
        edit, key, text = LEAKS[case]
        problems = project.problems(edit)
        (told,) = [each for each in problems if each.key == key]
        assert "plain text" in told.message
        assert f"pulumi config set --secret {'--path ' if '.' in key else ''}" in told.message
        assert told.line > 1
        assert not any(text in each.message for each in problems)

    def test_secure_values_are_fine(self, project: Project) -> None:
        project.load(put("aws:secretKey", {"secure": "v1:abc"}), put("gcp:credentials", {"secure": "v1:abc"}))

    def test_dummies_are_fine_on_local_clouds_only(self, project: Project) -> None:
        project.load(put("aws:accessKey", "test"), put("aws:secretKey", "test"))
        real = [drop(key) for key in STACK["config"] if key.endswith(("CustomEndpoint", ":endpoints"))]
        assert [each.key for each in project.problems(put("aws:secretKey", "test"), *real)] == ["aws:secretKey"]

    def test_ordinary_settings_are_not_suspected(self, project: Project) -> None:
        project.load(put("model-factory:models/llm/args", ["--max-num-batched-tokens=8192", "--tokenizer=auto"]))

    def test_decrypted_configuration_is_not_searched(self) -> None:
        from_config({**STACK["config"], "aws:secretKey": "decrypted"})

    def test_nothing_of_a_secret_is_kept(self, project: Project) -> None:
        project.write(put("aws:secretKey", {"secure": "v1:ciphertext"}))
        assert "ciphertext" not in repr(read_stack_file(project.stack_file))
