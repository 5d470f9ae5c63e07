"""A secret planted in configuration, outputs, environment and errors stands nowhere in plain text but in the cluster it is for."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest

from model_factory.local.engine.secrets import PassphraseCrypter, new_salt
from tests.stacks.harness import Ended, LocalStack

pytestmark = pytest.mark.slow

PLANTED = "planted-4Hq7vT2x"
FROM_ENVIRONMENT = "surroundings-9Zk3mW5p"
PASSPHRASE = "correct horse"
PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

token = pulumi.Config("aws").require_secret("token")
cluster = k8s.Provider("cluster", render_yaml_to_directory=".factory/clouds/kubernetes/one")
k8s.core.v1.Secret(
    "token",
    metadata={{"name": "token", "namespace": "default", "annotations": {{"revision": "{revision}"}}}},
    string_data={{"token": token}},
    opts=pulumi.ResourceOptions(provider=cluster),
)
pulumi.export("token", token)
pulumi.export("nested", {{"list": [token.apply(lambda text: f"Bearer {{text}}")]}})
"""
FAILURE = """

def refuse(text):
    raise ValueError(f"the registry refused {text}")

token.apply(refuse)
"""
ENVIRONMENT = {
    "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    "AWS_SECRET_ACCESS_KEY": FROM_ENVIRONMENT,
    "GOOGLE_OAUTH_ACCESS_TOKEN": FROM_ENVIRONMENT,
}


UNMARKED = "unmarked-7Jd2rL9b"
TOKEN = "ghp_" + "Zz9" * 12
CARELESS = f"""
import pulumi
import pulumi_kubernetes as k8s

cluster = k8s.Provider("cluster", render_yaml_to_directory=".factory/clouds/kubernetes/one")
k8s.core.v1.ConfigMap(
    "careless",
    metadata={{"name": "careless", "namespace": "default"}},
    data={{"DB_TOKEN": "{UNMARKED}", "note": "{TOKEN}"}},
    opts=pulumi.ResourceOptions(provider=cluster),
)
pulumi.log.warn("cannot clone with {TOKEN}")
print("printed {TOKEN}")
pulumi.export("token", "{UNMARKED}")
pulumi.export("url", "https://user:{UNMARKED}@example.com")
"""


@pytest.fixture
def sealed(stack: LocalStack) -> LocalStack:
    salt = new_salt(PASSPHRASE)
    ciphertext = PassphraseCrypter(PASSPHRASE, salt).encrypt(PLANTED)
    text = stack.stack_file.read_text(encoding="utf-8")
    secret = f"config:\n  aws:token:\n    secure: {ciphertext}\n"
    stack.stack_file.write_text(f"encryptionsalt: {salt}\n" + text.replace("config:\n", secret, 1), encoding="utf-8")
    write_program(stack, "1")
    return stack


def write_program(stack: LocalStack, revision: str, *, more: str = "") -> None:
    (stack.root / "__main__.py").write_text(PROGRAM.format(revision=revision) + more, encoding="utf-8")


def run(stack: LocalStack, *arguments: str, check: bool = True) -> Ended:
    ended = stack.factory(*arguments, check=check, env=ENVIRONMENT)
    hold(ended.out + ended.err, " ".join(arguments))
    return ended


def hold(text: str, where: str) -> None:
    for secret in (PLANTED, FROM_ENVIRONMENT):
        assert secret not in text, where
        assert base64.b64encode(secret.encode()).decode().rstrip("=") not in text, where


def hold_files(stack: LocalStack) -> int:
    """Every file of the project but the rendered cluster, which is where the secret belongs. Returns how many."""
    cluster = stack.root / ".factory" / "clouds" / "kubernetes"
    files = [path for path in stack.root.rglob("*") if path.is_file() and cluster not in path.parents]
    for path in files:
        hold(path.read_text(encoding="utf-8", errors="replace"), str(path.relative_to(stack.root)))
    return len(files)


def test_it_reaches_the_cluster_and_nothing_else(sealed: LocalStack) -> None:
    stack = sealed
    reports = (
        "--markdown",
        "preview.md",
        "--html",
        "preview.html",
        "--json-file",
        "preview.json",
    )
    run(stack, "preview", "--diff", *reports)
    run(stack, "up", "--yes", "--json")
    run(stack, "stack", "output")
    run(stack, "stack", "output", "--json")
    run(stack, "stack", "export", "--file", "exported.json")
    assert hold_files(stack) > 6

    rendered = "".join(path.read_text() for path in cluster_files(stack))
    assert PLANTED in rendered or base64.b64encode(PLANTED.encode()).decode() in rendered

    write_program(stack, "2")
    run(stack, "preview", "--diff", "--json", *reports)
    run(stack, "up", "--yes")

    write_program(stack, "3", more=FAILURE)
    failed = run(stack, "up", "--yes", "--skip-preview", check=False)
    assert failed.code == 1
    assert "the registry refused [secret]" in failed.out + failed.err
    hold_files(stack)

    shown = stack.factory("stack", "output", "token", "--show-secrets", env=ENVIRONMENT)
    assert shown.out.strip() == PLANTED, "whoever asks for it and has the passphrase gets it"
    run(stack, "destroy", "--yes")
    hold_files(stack)


@pytest.mark.parametrize(
    "engine",
    [
        "local",
        pytest.param(
            "pulumi",
            marks=pytest.mark.skipif(shutil.which("pulumi") is None, reason="no Pulumi CLI on PATH"),
        ),
    ],
)
def test_what_nobody_marked_is_struck_from_every_output(stack: LocalStack, engine: str) -> None:
    """By its name or its shape. State and cluster hold it in plain: they must."""
    (stack.root / "__main__.py").write_text(CARELESS, encoding="utf-8")
    reports = ("--markdown", "out/p.md", "--html", "out/p.html", "--json-file", "out/p.json")
    commands = [
        ("preview", "--diff", *reports),
        ("preview", "--json"),
        ("up", "--yes", "--diff"),
        ("up", "--yes", "--json"),
        ("refresh", "--yes", "--diff"),
    ]
    said = [stack.factory(*command, "--engine", engine) for command in commands]
    if engine == "local":
        said += [stack.factory("stack", "output"), stack.factory("stack", "output", "--json")]
    (stack.root / "__main__.py").write_text(f"{CARELESS}\nraise ValueError('refused {TOKEN}')\n", encoding="utf-8")
    said.append(stack.factory("up", "--yes", "--engine", engine, check=False))
    assert said[-1].code == 1
    assert "refused [secret]" in said[-1].out + said[-1].err
    texts = [ended.out + ended.err for ended in said]
    texts += [file.read_text(encoding="utf-8") for file in (stack.root / "out").iterdir()]
    assert sum("cannot clone with [secret]" in text for text in texts) >= 5
    for text in texts:
        assert UNMARKED not in text
        assert TOKEN not in text


def cluster_files(stack: LocalStack) -> list[Path]:
    return list((stack.root / ".factory" / "clouds" / "kubernetes").rglob("*.yaml"))
