"""
A wire between a client and PostgreSQL that counts statements and can break at a chosen one.

    with Wire(dsn) as wire:
        psycopg.connect(wire.dsn) ... wire.statements
        wire.cut_after("COMMIT")     # PostgreSQL does it, the client never hears of it

It reads the frontend half of the protocol (PostgreSQL documentation, "Message Formats") and nothing else.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Wire:
    """`statements` holds the text of every statement sent, in order, over all connections."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._door = socket.create_server(("127.0.0.1", 0))
        port = self._door.getsockname()[1]
        login = parts.netloc.rpartition("@")[0]
        self.dsn = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}", query="sslmode=disable"))
        self.statements: list[str] = []
        self._cut_after: str | None = None

    def cut_after(self, text: str) -> None:
        """Break the connection that next sends a statement with `text`, after PostgreSQL has answered it."""
        self._cut_after = text

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown, because close alone does not wake the thread in accept().
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                _Line(self, client, socket.create_connection(self._target)).start()

    def _seen(self, statement: str) -> bool:
        """Note it; whether the line is to break after it."""
        self.statements.append(statement)
        if self._cut_after is None or self._cut_after not in statement:
            return False
        self._cut_after = None
        return True


class _Line:
    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire, self._client, self._server = wire, client, server
        self._cutting = False

    def start(self) -> None:
        for end in (self._client, self._server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pump in (self._upstream, self._downstream):
            threading.Thread(target=self._until_closed, args=[pump], daemon=True).start()

    def _until_closed(self, pump: object) -> None:
        assert callable(pump)
        with suppress(OSError, EOFError):
            pump()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _upstream(self) -> None:
        self._greet()
        while True:
            kind = self._read(1)
            length = self._read(4)
            payload = self._read(int.from_bytes(length, "big") - 4)
            if kind == b"Q":
                self._cutting |= self._wire._seen(payload.rstrip(b"\0").decode())
            elif kind == b"P":
                self._cutting |= self._wire._seen(payload.split(b"\0")[1].decode())
            self._server.sendall(kind + length + payload)

    def _greet(self) -> None:
        """The first packets have no type byte; encryption is declined here."""
        while True:
            length = self._read(4)
            payload = self._read(int.from_bytes(length, "big") - 4)
            if int.from_bytes(payload[:4], "big") not in (SSL_REQUEST, GSS_REQUEST):
                self._server.sendall(length + payload)
                return
            self._client.sendall(b"N")

    def _downstream(self) -> None:
        while data := self._server.recv(65536):
            if self._cutting:
                return
            self._client.sendall(data)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._client.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data
