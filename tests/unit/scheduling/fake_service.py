"""A scheduler on loopback that answers what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from reminders.scheduling.work import DispatchRequest, Shard

RUN = UUID(int=1)
CURSOR = UUID(int=(1 << 126) + 5)
WORK = DispatchRequest(
    RUN, date(2026, 11, 21), Shard(1, 4, UUID(int=1 << 126), UUID(int=(1 << 127) - 1)), cursor=CURSOR
)
DONE: dict[str, Any] = {
    "assignments_evaluated": 7,
    "reminders_dispatched": 3,
    "assignments_failed": 1,
    "next_cursor": None,
}
Answer = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """Answers with the next of the server's answers; the last one stays."""

    protocol_version = "HTTP/1.1"
    server: FakeService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers), {}))
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class FakeService(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answers: list[Answer] = [result(DONE)]
        self.url = f"http://127.0.0.1:{self.server_port}"


def result(body: object, status: int = 200, content_type: str = "application/json") -> Answer:
    return raw(json.dumps(body).encode(), status, {"content-type": content_type})


def raw(body: bytes, status: int = 200, headers: dict[str, str] | None = None, phrase: str | None = None) -> Answer:
    def answer(exchange: Exchange) -> None:
        exchange.send_response(status, phrase)
        for name, value in (headers or {}).items():
            exchange.send_header(name, value)
        exchange.send_header("content-length", str(len(body)))
        exchange.end_headers()
        exchange.wfile.write(body)

    return answer
