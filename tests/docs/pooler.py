"""
Supabase's pooler as a client sees it: TLS only, a certificate of its own, and logins named ROLE.PROJECT.

A name without the project is refused. Behind it is the PostgreSQL on this machine.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from tests.listening import Listening

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


class Pooler(Listening):
    """Use it in a `with`; `port` is both its session port and its transaction port."""

    def __init__(self, server_port: int, project: str, folder: Path) -> None:
        super().__init__()
        self._server_port, self._project = server_port, project
        self._tls = _self_signed(folder)

    def answer(self, client: socket.socket) -> None:
        code, _ = _packet(client)
        while code == GSS_REQUEST:
            client.sendall(b"N")
            code, _ = _packet(client)
        if code != SSL_REQUEST:
            return  # plain text is refused
        client.sendall(b"S")
        with self._tls.wrap_socket(client, server_side=True) as inside:
            self._serve(inside)

    def _serve(self, client: socket.socket) -> None:
        code, payload = _packet(client)
        if code != CANCEL_REQUEST:
            payload = self._without_project(payload)
        with socket.create_connection(("127.0.0.1", self._server_port)) as server:
            server.sendall((len(payload) + 4).to_bytes(4, "big") + payload)
            threading.Thread(target=_pump, args=[client, server], daemon=True).start()
            _pump(server, client)

    def _without_project(self, payload: bytes) -> bytes:
        words = payload[4:].split(b"\0")
        place = words.index(b"user") + 1
        role, _, project = words[place].decode().rpartition(".")
        if project != self._project:
            raise ConnectionRefusedError("Tenant or user not found")
        words[place] = role.encode()
        return payload[:4] + b"\0".join(words)


def _packet(client: socket.socket) -> tuple[int, bytes]:
    """The code of a packet that has no type byte, and all after its length."""
    length = int.from_bytes(_read(client, 4), "big")
    payload = _read(client, length - 4)
    return int.from_bytes(payload[:4], "big"), payload


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise ConnectionAbortedError
        data += piece
    return data


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "pooler.key", folder / "pooler.crt"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=pooler"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *kind, *files], capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
