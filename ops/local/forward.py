"""
Ports of loopback, offered on a second address of this machine: the one by which containers reach it.

    with forwarded("172.17.0.1", {5432}, allowed="172.17.0.0/16"):
        ...                                # a container connects to 172.17.0.1:5432, and gets 127.0.0.1:5432

The stack itself listens on loopback alone. Here a connection is taken only from `allowed`, the containers' own
network: another machine may route to any address of this one.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

# linux/in.h. The address of a container network exists only while it has containers; a port may wait for it.
IP_FREEBIND = 15


@contextmanager
def forwarded(address: str, ports: Collection[int], allowed: str) -> Iterator[None]:
    """Forward `ports` of `address` to the same ports of loopback until the block ends. Raise OSError for one in use."""
    with ExitStack() as stack:
        for port in sorted(ports):
            server = stack.enter_context(_Server((address, port), _Connection))
            server.allowed = ipaddress.ip_network(allowed)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.shutdown)
        yield


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    allowed: ipaddress.IPv4Network | ipaddress.IPv6Network

    def server_bind(self) -> None:
        if sys.platform.startswith("linux"):
            self.socket.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        super().server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return ipaddress.ip_address(client_address[0]) in self.allowed


class _Connection(BaseRequestHandler):
    request: socket.socket

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.request.getsockname()[1])) as service:
            answers = threading.Thread(target=_copy, args=(service, self.request), daemon=True)
            answers.start()
            _copy(self.request, service)
            answers.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until `source` ends; then end `target`'s input."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
