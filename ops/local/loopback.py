"""Serves a WSGI application on a free port of loopback. The stand-ins for services of others are such applications."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Loopback:
    """Serves `application` while it is used in a `with`; `url` is known before."""

    def __init__(self, application: WSGIApplication) -> None:
        self._server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(WSGIRequestHandler):
    # A small answer in two packets would wait for the client's delayed acknowledgement (40 ms).
    disable_nagle_algorithm = True
    wbufsize = -1

    def log(self, type: str, message: str, *arguments: Any) -> None:
        """Log nothing: a path may be a secret, and a function that was killed breaks its connection."""

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()
