"""
A wire between a client and PostgreSQL that counts statements and can break at a chosen one.

    with Wire(dsn) as wire:
        psycopg.connect(wire.dsn) ... wire.statements
        wire.cut_after("COMMIT")     # PostgreSQL does it, the client never gets the answer
        wire.last_words = fatal("XX000", "...")     # the client gets this instead, as from a pooler

An answer is passed on when it is complete: when `answered` is called, the statement is done, and the client does not
know yet. `answered` can delay or drop the answer.

It reads no more of the protocol than that needs (PostgreSQL documentation, "Message Formats").
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

from tests.listening import Listening

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
READY, CONNECTED = b"Z", "connect"
# A client's application_name and what it sent, or CONNECTED; whether it may have the answer.
Answered = Callable[[str, str], bool]


class Wire(Listening):
    """`statements` holds the text of every statement sent, in order; `open` the names of connected clients."""

    def __init__(self, dsn: str, answered: Answered = lambda name, statement: True) -> None:
        super().__init__()
        parts = urlsplit(dsn)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        login = parts.netloc.rpartition("@")[0]
        self.dsn = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}", query="sslmode=disable"))
        self.statements: list[str] = []
        self.open: list[str] = []
        self.is_away = False  # a new client is then disconnected at once
        self.last_words = b""
        self._answered = answered
        self._cut_after: str | None = None

    def cut_after(self, text: str) -> None:
        """Break the connection that next sends a statement with `text`, after PostgreSQL has answered it."""
        self._cut_after = text

    def met(self, client: socket.socket) -> None:
        if self.is_away:
            client.close()
            return
        try:
            _Line(self, client, socket.create_connection(self._target)).start()
        except OSError:
            client.close()  # the server is away: the next client may meet it again

    def _may_pass(self, name: str, statement: str) -> bool:
        """Whether the client may have the answer to `statement`."""
        if self._cut_after is not None and self._cut_after in statement:
            self._cut_after = None
            return False
        return self._answered(name, statement)


class _Line:
    """One client's connection, both ways."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire, self._client, self._server = wire, client, server
        # Buffered: a message is read in two or three pieces.
        self._from_client, self._from_server = client.makefile("rb"), server.makefile("rb")
        self._name, self._statement = "", CONNECTED

    def start(self) -> None:
        for end in (self._client, self._server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pump in (self._upstream, self._downstream):
            threading.Thread(target=self._until_closed, args=[pump], daemon=True).start()

    def _until_closed(self, pump: Callable[[], None]) -> None:
        with suppress(OSError, EOFError):
            pump()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _upstream(self) -> None:
        self._greet()
        self._wire.open.append(self._name)
        try:
            while True:
                kind, message = self._message(self._from_client)
                if kind == b"Q":
                    self._sent(message[5:].rstrip(b"\0"))
                elif kind == b"P":
                    self._sent(message[5:].split(b"\0")[1])
                self._server.sendall(message)
        finally:
            self._wire.open.remove(self._name)

    def _sent(self, statement: bytes) -> None:
        self._statement = statement.decode()
        self._wire.statements.append(self._statement)

    def _greet(self) -> None:
        """The first packets have no type byte; encryption is declined here."""
        while True:
            length = _read(self._from_client, 4)
            payload = _read(self._from_client, int.from_bytes(length, "big") - 4)
            if int.from_bytes(payload[:4], "big") not in (SSL_REQUEST, GSS_REQUEST):
                break
            self._client.sendall(b"N")
        words = payload[4:].decode().split("\0")
        self._name = dict(zip(words[::2], words[1::2], strict=False)).get("application_name", "")
        self._server.sendall(length + payload)

    def _downstream(self) -> None:
        """Answers whole; but what comes before the first, or instead of one, at once: logins and last words."""
        answer = b""
        try:
            while True:
                kind, message = self._message(self._from_server)
                answer += message
                if kind == READY and not self._wire._may_pass(self._name, self._statement):
                    answer = self._wire.last_words
                    return
                if kind == READY or self._statement == CONNECTED:
                    self._client.sendall(answer)
                    answer = b""
        finally:
            with suppress(OSError):
                self._client.sendall(answer)

    def _message(self, source: BinaryIO) -> tuple[bytes, bytes]:
        """Its type, and all of it."""
        head = _read(source, 5)
        return head[:1], head + _read(source, int.from_bytes(head[1:], "big") - 4)


def fatal(sqlstate: str, text: str) -> bytes:
    """An ErrorResponse that ends the session."""
    fields = b"".join(
        f"{name}{value}\0".encode() for name, value in zip("SVCM", ("FATAL", "FATAL", sqlstate, text), strict=True)
    )
    return b"E" + (4 + len(fields) + 1).to_bytes(4, "big") + fields + b"\0"


def _read(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data
