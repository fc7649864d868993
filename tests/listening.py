"""A port on loopback whose connections are met in a thread, until the `with` block ends."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Listening:
    """`port` is bound from the beginning; a subclass says in `answer` what happens to a connection."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]

    def met(self, client: socket.socket) -> None:
        """Take `client` over, without waiting for it: in a thread of its own."""
        threading.Thread(target=self._answer_and_close, args=[client], daemon=True).start()

    def _answer_and_close(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self.answer(client)

    def answer(self, client: socket.socket) -> None:
        """Read and write what there is to be read and written."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown, because close alone does not wake the thread in accept().
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self.met(self._server.accept()[0])
