"""
A stand-in for Slack's incoming webhooks: a real HTTP server on loopback that keeps what was posted.

    with Slack() as slack:
        secret = slack.webhook                   # a URL with a secret path, as Slack's are
        slack.answer = Answer(503)               # from now on
        slack.posted                             # the JSON bodies, in order
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What the webhook answers; Slack's own success is 200 "ok"."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


class Slack:
    """The server. Use it in a `with`."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.answer = Answer()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._path = f"/services/T000/B000/{secrets.token_urlsafe(18)}"
        self.webhook = f"http://127.0.0.1:{self._server.server_port}{self._path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Slack:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        slack = self

        class Webhook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                known = self.path == slack._path
                answer = slack.answer if known else Answer(404, b"no_service")
                if known and answer.status == 200:
                    slack.posted.append(json.loads(body))
                self.send_response(answer.status)
                for name, value in {"content-length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet: the path is the secret."""

        return Webhook
