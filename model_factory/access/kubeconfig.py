"""From a kubeconfig to what a connection needs: the server, its authority, and the credentials of a context.

Read by the official client, so that client certificates, tokens, token files and credential plugins work as with kubectl.
Keys that are given inline stand in files only while they are loaded.
"""

from __future__ import annotations

import io
import logging
import os
import ssl
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from model_factory.access.errors import KubeconfigError
from model_factory.graph.loopback import on_loopback

DEFAULT: Final = "~/.kube/config"
VARIABLE: Final = "KUBECONFIG"
_BEARER: Final = "BearerToken"
# The official loader keeps the files that it writes in a table of the process, by content.
_LOADING: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Access:
    """One context, ready to connect. `authorization` gives the header's value, made anew when it has expired; "" for none."""

    server: str
    context: str
    namespace: str
    tls: ssl.SSLContext | None = field(repr=False)
    tls_server_name: str = ""
    proxy: str = ""
    authorization: Callable[[], str] = field(default=lambda: "", repr=False)

    @property
    def on_loopback(self) -> bool:
        return on_loopback(self.server)


def access(kubeconfig: str = "", context: str = "") -> Access:
    """The context of a kubeconfig: its text, or a file's path; without one those of $KUBECONFIG, else ~/.kube/config.

    Without `context` the current one. A credential plugin runs here for the first time. Proxies (`proxy-url`, those of the
    environment) are never asked for a server on loopback. Raises KubeconfigError.
    """
    with _LOADING, tempfile.TemporaryDirectory(prefix="kubeconfig-") as folder:
        try:
            loader, name, namespace = _loader(kubeconfig, context, folder)
            found: Any = Configuration()
            with _plugin_speaks():
                loader.load_and_set(found)
            tls = _tls(found) if found.host.startswith("https:") else None
        except (ConfigException, OSError, ValueError, yaml.YAMLError) as error:
            raise KubeconfigError(f"kubeconfig{_named(context)}: {error}") from error
    local = on_loopback(found.host)
    direct = local or not found.proxy or should_bypass_proxies(found.host, found.no_proxy or "")
    return Access(
        server=found.host,
        context=name,
        namespace=namespace,
        tls=tls,
        tls_server_name=found.tls_server_name or "",
        proxy="" if direct else str(found.proxy),
        authorization=_authorization(found, context),
    )


def contexts(kubeconfig: str = "") -> dict[str, str]:
    """The contexts of a kubeconfig and the server of each. Raises KubeconfigError. Runs no credential plugin."""
    try:
        merged: Any = _merged(kubeconfig).config
        servers = {str(item["name"]): str(item["cluster"]["server"]) for item in _items(merged, "clusters")}
        return {
            str(item["name"]): servers.get(str(item["context"]["cluster"]), "") for item in _items(merged, "contexts")
        }
    except (ConfigException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise KubeconfigError(f"kubeconfig: {error}") from error


def current_context(kubeconfig: str = "") -> str:
    """The context that a kubeconfig names as its current one; "" where it names none. Raises KubeconfigError."""
    try:
        merged: Any = _merged(kubeconfig).config
    except (ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        raise KubeconfigError(f"kubeconfig: {error}") from error
    return str(getattr(merged, "value", merged).get("current-context") or "")


def _items(merged: Any, key: str) -> list[Any]:
    plain = merged.value if hasattr(merged, "value") else merged
    return [getattr(item, "value", item) for item in plain.get(key) or ()]


def _merged(kubeconfig: str) -> Any:
    text = kubeconfig or os.environ.get(VARIABLE) or DEFAULT
    if "\n" in text or text.lstrip().startswith(("{", "apiVersion:")):
        merger: Any = KubeConfigMerger(io.StringIO(text))
        if not isinstance(merger.config, dict):
            raise ConfigException("the text is no mapping; give the contents of a kubeconfig, or the path of one")
        return merger
    merger = KubeConfigMerger(text)
    if merger.config is None:
        raise ConfigException(f"there is no file {text}; write the path of a kubeconfig, or set {VARIABLE}")
    return merger


def _loader(kubeconfig: str, context: str, folder: str) -> tuple[Any, str, str]:
    merged = _merged(kubeconfig).config
    names = [str(item.get("name")) for item in _items(merged, "contexts")]
    plain: Any = merged.value if hasattr(merged, "value") else merged
    name = context or str(plain.get("current-context") or "")
    if name not in names:
        known = ", ".join(names) or "none"
        raise ConfigException(
            f"there is no context {name!r}; write one that is there: {known}"
            if name
            else f"no current-context; name one of its contexts: {known}"
        )
    # Paths in a kubeconfig are relative to its file; those of a text, to the folder that it is used in.
    base: Any = None if hasattr(merged, "value") else str(Path.cwd())
    loader: Any = KubeConfigLoader(merged, active_context=name, config_base_path=base, temp_file_path=folder)
    if not hasattr(merged, "value"):
        loader._cluster.path = loader._config.path  # noqa: SLF001 - where the loader looks for the base of paths
    return loader, name, str(loader.current_context["context"].get("namespace") or "default")


def _tls(found: Any) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=found.ssl_ca_cert or None)
    if not found.verify_ssl:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if found.cert_file:
        made.load_cert_chain(found.cert_file, found.key_file)
    return made


def _authorization(found: Any, context: str) -> Callable[[], str]:
    lock = threading.Lock()

    def header() -> str:
        with lock:
            try:
                with _plugin_speaks():
                    return str(found.get_api_key_with_prefix(_BEARER) or "")
            except (ConfigException, OSError) as error:
                raise KubeconfigError(f"kubeconfig{_named(context)}: credentials: {error}") from error

    return header


class _Told(logging.Filter):
    """Keeps what the official loader logs, instead of raising, of a credential plugin that failed."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.module != "kube_config":
            return True
        self.words.append(record.getMessage())
        return False


@contextmanager
def _plugin_speaks() -> Generator[None]:
    told, root = _Told(), logging.getLogger()
    root.addFilter(told)
    try:
        yield
    finally:
        root.removeFilter(told)
    if told.words:
        raise ConfigException(f"the credential plugin gave none: {'; '.join(told.words)}")


def _named(context: str) -> str:
    return f", context {context}" if context else ""
