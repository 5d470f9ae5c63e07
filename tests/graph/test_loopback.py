"""One form of URL leads to this machine: whatever two parsers could read differently is none."""

from __future__ import annotations

import pytest

from model_factory.graph.loopback import is_loopback_address, is_loopback_target, loopback_port, on_loopback


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "port"),
        [
            ("http://127.0.0.1:4610", 4610),
            ("http://127.0.0.1", 80),
            ("https://localhost/", 443),
            ("http://[::1]:4611/compute/v1/", 4611),
            ("http://localhost:4611/artifact-registry/v1beta2/", 4611),
        ],
    )
    def test_of_loopback_name_their_port(self, url: str, port: int) -> None:
        assert loopback_port(url) == port

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "127.0.0.1:4610",
            "//127.0.0.1:4610",
            "http:127.0.0.1:4610",
            "http:///127.0.0.1:4610",
            "ftp://127.0.0.1",
            "http://evil.example",
            "http://evil.example\\@127.0.0.1:4770",
            "http://evil.example@127.0.0.1:4770",
            "http://127.0.0.1:4770@evil.example",
            "http://127.0.0.1:4770\\@evil.example",
            "http://127.0.0.1\\.evil.example",
            "http://127.0.0.1.evil.example:4770",
            "http://127.0.0.1:80:80",
            "http://127.0.0.1#@evil.example",
            "http://127.0.0.1?@evil.example",
            "http://127.0.0.1/..%2f@evil.example",
            "http://127.0.0.1:4770\n",
            "\thttp://127.0.0.1",
            "http://127.0.0.1\r\nHost: evil.example",
            "http://evil.example/\r@127.0.0.1",
            "http://127.0.0.1\x00.evil.example",
            "http://127.1:4610",
            "http://2130706433",
            "http://0x7f000001",
            "http://0177.0.0.1",
            "http://0.0.0.0:4610",
            "http://[::]:4610",
            "http://[::ffff:127.0.0.1]",
            "http://[::1%25eth0]",
            "http://::1:4610",
            "http://①②⑦.0.0.1",
            "http://127。0。0。1",
            "http://loc\u0430lhost",
            "http://localhost.",
            "http://LOCALHOST",
            "http://127.0.0.1:",
            "http://127.0.0.1:0",
            "http://127.0.0.1:65536",
            "http://127.0.0.1:4٦10",
            "http://127.0.0.1:-1",
        ],
    )
    def test_of_any_other_form_are_not_on_loopback(self, url: str) -> None:
        assert not on_loopback(url)


class TestAddresses:
    def test_of_sockets_are_judged_by_what_they_are(self) -> None:
        assert is_loopback_address("127.0.0.1")
        assert is_loopback_address("127.3.2.1")
        assert is_loopback_address("::1")
        assert not any(map(is_loopback_address, ("10.0.0.1", "0.0.0.0", "::", "fe80::1", "localhost", "")))

    def test_of_grpc_servers_are_plain(self) -> None:
        assert is_loopback_target("127.0.0.1:4000")
        refused = (
            "dns:///evil.example:1",
            "unix:/tmp/x",
            "127.0.0.1",
            "127.0.0.1:0",
            "ipv4:10.0.0.1:1",
            "127.0.0.1:1,10.0.0.1:1",
        )
        assert not any(map(is_loopback_target, refused))
