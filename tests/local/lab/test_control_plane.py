"""A real control plane: made, killed, mended, stopped and gone."""

import os
import shutil
import signal
import socket
import ssl
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from model_factory.access.client import ClusterClient
from model_factory.access.errors import ApiError
from model_factory.access.kubeconfig import access
from model_factory.local.errors import LabError
from model_factory.local.lab.control_plane import ControlPlane, FolderPrograms
from tests.local.lab.conftest import MINOR

pytestmark = [pytest.mark.lab, pytest.mark.slow]

NOTE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note", "namespace": "default"}}


def _client(kubeconfig: str | Path) -> closing[ClusterClient]:
    return closing(ClusterClient.of(str(kubeconfig)))


def _write_note(plane: ControlPlane) -> None:
    with _client(plane.admin_kubeconfig) as client:
        client.create(NOTE)


def _has_note(plane: ControlPlane) -> bool:
    with _client(plane.admin_kubeconfig) as client:
        return client.get("v1", "ConfigMap", "note", namespace="default") is not None


def _pids(plane: ControlPlane) -> dict[str, int]:
    return {name: process.pid for name, process in plane.processes.items() if process is not None}


def _of_folder(folder: Path) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or ()
        if any(str(folder) in each for each in command) and Path(command[0]).name.startswith(("kube", "etcd")):
            found.append(process)
    return found


class TestControlPlane:
    def test_serves_the_minor_that_was_asked_for(self, control_plane: ControlPlane, cluster: ClusterClient) -> None:
        version = cluster.version()
        assert f"{version['major']}.{version['minor']}" == control_plane.version == MINOR

    def test_listens_on_loopback_alone(self, control_plane: ControlPlane) -> None:
        for process in control_plane.processes.values():
            assert process is not None
            listening = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
            assert listening
            assert {each.laddr.ip for each in listening} == {"127.0.0.1"}

    def test_its_files_are_for_their_owner_alone(self, control_plane: ControlPlane) -> None:
        for path in (control_plane.folder, *control_plane.folder.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path

    def test_nobody_comes_in_without_credentials(self, control_plane: ControlPlane) -> None:
        stranger = control_plane.admin_kubeconfig.read_text().replace("client-", "no-")
        with _client(stranger) as client, pytest.raises(ApiError) as refused:
            client.version()
        assert refused.value.status == 401

    def test_a_user_may_do_what_roles_give(self, control_plane: ControlPlane) -> None:
        guest = control_plane.kubeconfig(control_plane.issue_client("guest"))
        with _client(guest) as client, pytest.raises(ApiError) as refused:
            client.list("v1", "Secret", namespace="default")
        assert refused.value.status == 403
        assert "guest" in str(refused.value)

    def test_a_node_writes_of_itself_alone(self, control_plane: ControlPlane) -> None:
        node = control_plane.issue_client("system:node:n1", ["system:nodes"])
        with _client(control_plane.kubeconfig(node)) as client:
            client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
            with pytest.raises(ApiError) as refused:
                client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"}})
        assert refused.value.status == 403
        assert 'node "n1"' in str(refused.value)

    def test_a_restricted_namespace_refuses_a_privileged_pod(self, cluster: ClusterClient) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": labels}})
        accounts = cluster.watch("v1", "ServiceAccount", namespace="restricted", fields="metadata.name=default")
        with closing(accounts):
            # Before the controller has made it, Pods are refused for want of it.
            assert "ADDED" in (event.type for event in accounts)
        container = {"name": "a", "image": "a", "securityContext": {"privileged": True}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "restricted"}}
        with pytest.raises(ApiError) as refused:
            cluster.create({**pod, "spec": {"containers": [container]}})
        assert "privileged" in str(refused.value)

    def test_the_clusters_certificates_open_no_etcd(self, control_plane: ControlPlane) -> None:
        """Where they did, each node could read all secrets."""
        admin = access(str(control_plane.admin_kubeconfig)).tls
        etcd = control_plane.processes["etcd"]
        assert admin is not None
        assert etcd is not None
        admin.check_hostname = False
        admin.verify_mode = ssl.CERT_NONE
        for each in etcd.net_connections("tcp"):
            if each.status != psutil.CONN_LISTEN:
                continue
            # With TLS 1.3 the server's refusal comes with its first answer.
            with (
                socket.create_connection(each.laddr) as plain,
                admin.wrap_socket(plain) as secured,
                pytest.raises(ssl.SSLError, match=r"(?i)alert"),
            ):
                secured.recv(1)


class TestEnsure:
    def test_once_more_changes_nothing(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        before, endpoint = _pids(own_plane), own_plane.endpoint
        own_plane.ensure(MINOR)
        assert _pids(own_plane) == before
        assert own_plane.endpoint == endpoint

    def test_mends_whatever_was_killed_and_keeps_the_objects(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        _write_note(own_plane)
        for killed in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            process = own_plane.processes[killed]
            assert process is not None
            process.kill()
            process.wait(10)
            assert not own_plane.runs
            own_plane.ensure(MINOR)
            assert own_plane.runs
            assert _has_note(own_plane)

    def test_keeps_the_objects_over_a_stop(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        _write_note(own_plane)
        endpoint, authority = own_plane.endpoint, own_plane.authority_pem
        own_plane.stop()
        assert not _of_folder(own_plane.folder)
        own_plane.resume()
        assert (own_plane.endpoint, own_plane.authority_pem) == (endpoint, authority)
        assert _has_note(own_plane)

    def test_finishes_what_was_half_made(self, own_plane: ControlPlane) -> None:
        """As a kill leaves it: certificates half written, a process that runs and is not recorded."""
        own_plane.ensure(MINOR)
        _write_note(own_plane)
        (own_plane.folder / "kube-apiserver" / "process.json").unlink()
        shutil.copytree(own_plane.folder / "pki", own_plane.folder / "pki.new")
        own_plane.ensure(MINOR)
        assert len(_of_folder(own_plane.folder)) == 4
        assert _has_note(own_plane)

    def test_gives_way_where_another_took_an_inner_port(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        scheduler = own_plane.processes["kube-scheduler"]
        assert scheduler is not None
        (port,) = [each.laddr.port for each in scheduler.net_connections("tcp") if each.status == "LISTEN"]
        own_plane.stop()
        with socket.create_server(("127.0.0.1", port)):
            own_plane.ensure(MINOR)
        assert own_plane.runs

    def test_says_who_is_in_the_way_of_the_api(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        port = int(own_plane.endpoint.rpartition(":")[2])
        own_plane.stop()
        with socket.create_server(("127.0.0.1", port)), pytest.raises(LabError, match=f"port {port} .* held by"):
            own_plane.ensure(MINOR)

    def test_does_not_go_back(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        with pytest.raises(LabError, match=r"cannot go back to 1\.34"):
            own_plane.ensure("1.34")

    def test_tells_the_log_of_what_does_not_start(self, own_plane: ControlPlane, tmp_path: Path) -> None:
        (tmp_path / "programs").mkdir()
        broken = tmp_path / "programs" / "etcd"
        broken.write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
        broken.chmod(0o700)
        plane = ControlPlane(own_plane.folder, lambda _minor: FolderPrograms(tmp_path / "programs"))
        with pytest.raises(LabError, match=r"(?s)etcd of cluster own ended.*no space left"):
            plane.ensure(MINOR)


class TestUpgrade:
    def test_goes_one_minor_at_a_time(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        with pytest.raises(LabError, match="one minor version at a time"):
            own_plane.upgrade("1.37")
        assert own_plane.version == MINOR


class TestRemove:
    def test_leaves_no_process_and_no_file(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        own_plane.remove()
        assert not _of_folder(own_plane.folder)
        assert not own_plane.folder.exists()
        own_plane.remove()

    def test_of_what_was_killed_leaves_nothing_either(self, own_plane: ControlPlane) -> None:
        own_plane.ensure(MINOR)
        for pid in list(_pids(own_plane).values())[:2]:
            os.kill(pid, signal.SIGKILL)
        (own_plane.folder / "kube-scheduler" / "process.json").unlink()
        own_plane.remove()
        assert not _of_folder(own_plane.folder)
        assert not own_plane.folder.exists()
