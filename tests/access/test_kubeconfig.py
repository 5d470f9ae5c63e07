from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_factory.access.errors import KubeconfigError
from model_factory.access.kubeconfig import access, contexts, current_context

HERE = "http://127.0.0.1:6443"
THERE = "http://198.51.100.7:6443"


def document(user: dict[str, Any] | None = None, **context: str) -> dict[str, Any]:
    servers = {"here": HERE, "there": THERE}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me", **context}} for name in servers],
        "users": [{"name": "me", "user": user or {}}],
    }


def text(user: dict[str, Any] | None = None, **context: str) -> str:
    return yaml.safe_dump(document(user, **context))


class TestContexts:
    def test_the_current_context_is_taken_where_none_is_named(self) -> None:
        assert (access(text()).server, access(text()).context) == (HERE, "here")
        assert access(text(), "there").server == THERE
        assert current_context(text()) == "here"
        assert contexts(text()) == {"here": HERE, "there": THERE}

    def test_a_contexts_namespace_is_told(self) -> None:
        assert access(text()).namespace == "default"
        assert access(text(namespace="models")).namespace == "models"

    def test_a_text_a_path_and_the_environment_read_alike(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "config"
        file.write_text(text())
        monkeypatch.setenv("KUBECONFIG", str(file))
        assert {access(each).server for each in (text(), json.dumps(document()), str(file), "")} == {HERE}

    def test_what_is_not_there_is_said_with_what_is(self, tmp_path: Path) -> None:
        with pytest.raises(KubeconfigError, match=r"no context 'other'; .*here, there"):
            access(text(), "other")
        with pytest.raises(KubeconfigError, match=r"there is no file .*none"):
            access(str(tmp_path / "none"))
        with pytest.raises(KubeconfigError, match="no current-context"):
            access(yaml.safe_dump({**document(), "current-context": ""}))


class TestCredentials:
    def test_a_token_is_sent_as_it_stands(self) -> None:
        assert access(text({"token": "t"})).authorization() == "Bearer t"
        assert access(text()).authorization() == ""

    def test_a_credential_plugin_is_run_and_asked_again_once_its_token_has_expired(self, tmp_path: Path) -> None:
        count = tmp_path / "count"
        script = tmp_path / "plugin.py"
        script.write_text(f"""
import json, pathlib
count = pathlib.Path({str(count)!r})
times = len(count.read_text()) + 1 if count.exists() else 1
count.write_text("x" * times)
status = {{"token": f"t{{times}}", "expirationTimestamp": "2020-01-01T00:00:00Z"}}
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
""")
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(script)],
            "interactiveMode": "Never",
        }
        found = access(text({"exec": plugin}))
        assert found.authorization() == "Bearer t2"
        assert found.authorization() == "Bearer t3"

    def test_a_plugin_that_fails_is_an_error_with_its_words(self) -> None:
        words = "import sys; sys.exit('no login: run login first')"
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", words],
        }
        with pytest.raises(KubeconfigError, match="no login: run login first"):
            access(text({"exec": plugin})).authorization()

    def test_secrets_are_not_in_what_is_printed(self) -> None:
        assert "hidden-token" not in repr(access(text({"token": "hidden-token"})))


class TestProxies:
    def test_a_server_on_loopback_is_reached_past_every_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://198.51.100.9:3128")
        proxied = document()
        for cluster in proxied["clusters"]:
            cluster["cluster"]["proxy-url"] = "http://198.51.100.8:3128"
        assert access(text()).proxy == ""
        assert access(yaml.safe_dump(proxied)).proxy == ""
        assert access(yaml.safe_dump(proxied), "there").proxy == "http://198.51.100.8:3128"
