"""Leads ports of the host's end of a real node's link on to the same ports of 127.0.0.1: the cluster's API, the local clouds, the registry.

Those listen on loopback alone, and a node in a network namespace has a loopback of its own. Only the node's address is let in: a Linux machine
answers for all of its addresses on each of its networks, so who else calls is closed at once. Nothing is read or changed of what passes.

`python -m model_factory.local.lab.forward FOLDER ADDRESS PEER PORT…` runs until SIGTERM. FOLDER is the node's: by it the process is found where
its record is lost.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_BYTES: Final = 256 * 1024
_IP_FREEBIND: Final = 15
"""The address may come, go and come again with the link. Python has no name for it: linux/in.h."""


async def forward(address: str, peer: str, ports: Sequence[int]) -> None:
    """Listen on every port until the task is cancelled. Raises OSError where a port is taken."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = writer.get_extra_info("peername")[0], writer.get_extra_info("sockname")[1]
        try:
            if host == peer:
                await _connect(reader, writer, port)
        finally:
            writer.close()

    servers = [await asyncio.start_server(serve, sock=_listener(address, port), limit=_BYTES) for port in ports]
    try:
        await asyncio.gather(*(server.serve_forever() for server in servers))
    finally:
        for server in servers:
            server.close()


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port, limit=_BYTES)
    except OSError:
        return  # nothing listens: the caller sees its connection closed
    try:
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
    finally:
        inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end of what comes, which is passed on: one side may be done long before the other."""
    with suppress(ConnectionError):
        while data := await reader.read(_BYTES):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    listener.bind((address, port))
    return listener


async def _until_told(address: str, peer: str, ports: Sequence[int]) -> None:
    task = asyncio.ensure_future(forward(address, peer, ports))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    asyncio.run(_until_told(sys.argv[2], sys.argv[3], [int(each) for each in sys.argv[4:]]))
