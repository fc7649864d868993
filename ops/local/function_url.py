"""
A Lambda Function URL on loopback: passes an HTTP request as an event to the handler, and returns its answer.

    with FunctionUrl(handler) as function:
        httpx.post(f"{function.url}/runs")

As a process: `python -m ops.local.function_url MODULE:FUNCTION` prints its URL on the first line, and stops when its
standard input ends or its parent ends. The handler's log, which Lambda takes from standard output, goes to standard
error.

A Lambda environment answers one event at a time, and handlers may therefore keep state in module globals. This server
does the same: requests wait for each other. `--environments N` answers N at a time, each in a process of its own, as
Lambda would; the next free one takes the next request.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Self

from ops.local.invoke import DEFAULT_TIMEOUT, Handler, LocalContext, load_handler
from ops.local.url_payload import Request, Response, event_from, internal_server_error, response_from

LARGEST = 6 * 1024 * 1024  # bytes of a request's body (AWS: "Lambda quotas")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class FunctionUrl:
    """The endpoint of a handler. Use it in a `with`; `port` 0 takes a free one."""

    def __init__(self, handler: Handler, *, port: int = 0, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._handler = handler
        self._timeout = timeout
        self._environment = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _RequestHandler)
        self._server.function = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve_one_by_one(self) -> None:
        """Accept one connection at a time, for ever; other processes take those in between."""
        alone = _OneByOne(self._server.server_address, _RequestHandler, bind_and_activate=False)
        alone.socket, alone.function = self._server.socket, self
        alone.server_port = self._server.server_port
        alone.serve_forever()

    def answer(self, request: Request) -> Response:
        """Call the handler as Lambda would; an exception is logged and hidden from the caller."""
        name = getattr(self._handler, "__module__", "local").rpartition(".")[2]
        with self._environment:
            try:
                context = LocalContext(name, self._timeout)
                return response_from(self._handler(event_from(request), context))
            except Exception:
                traceback.print_exc()
                return internal_server_error()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Accept no more requests; a request in progress goes on in its thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    function: FunctionUrl


class _OneByOne(HTTPServer):
    function: FunctionUrl


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server | _OneByOne
    # A small answer in two packets would wait for the client's delayed acknowledgement (40 ms).
    disable_nagle_algorithm = True
    wbufsize = -1

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if self.headers.get("transfer-encoding") or length > LARGEST:
            self.close_connection = True  # the rest of the body is not read
            return self._send(Response(413, [], b'{"Message":"Request Entity Too Large"}'))
        forwarded = [
            ("x-forwarded-for", self.client_address[0]),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-port", str(self.server.server_port)),
        ]
        headers = [*self.headers.items(), *forwarded]
        body = self.rfile.read(length)
        request = Request(self.command, self.path, headers, body, protocol=self.request_version)
        self._send(self.server.function.answer(request))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            if name != "content-length":
                self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        if isinstance(self.server, _OneByOne):
            # A connection that stays open would block this process for all other clients.
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, format: str, *arguments: object) -> None:
        """The handler logs; the server does not."""


for _method in METHODS:
    setattr(_RequestHandler, f"do_{_method}", _RequestHandler._answer)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.local.function_url", description=__doc__)
    parser.add_argument("handler", metavar="MODULE:FUNCTION")
    parser.add_argument("--environments", type=int, default=1, metavar="N", help="processes, default 1")
    options = parser.parse_args(arguments)
    parent = os.getppid()
    function = FunctionUrl(load_handler(options.handler))
    with function if options.environments == 1 else _forked(function, options.environments):
        print(function.url, flush=True)
        _log_to_standard_error()
        with contextlib.suppress(KeyboardInterrupt):
            _wait_for_end(parent)


@contextlib.contextmanager
def _forked(function: FunctionUrl, environments: int) -> Iterator[None]:
    """So many processes serve one URL. They end with this process, even when it is killed."""
    children = [_fork(function) for _ in range(environments)]
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)


def _fork(function: FunctionUrl) -> int:
    parent = os.getpid()
    if child := os.fork():
        return child
    _log_to_standard_error()
    threading.Thread(target=function.serve_one_by_one, daemon=True).start()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def _log_to_standard_error() -> None:
    """After the URL, standard output is no longer read, and a full pipe would block the handler."""
    os.dup2(2, 1)


def _wait_for_end(parent: int) -> None:
    """Return when standard input or the parent ends (another process may hold the input open)."""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], 0.5)
        if readable and not os.read(0, 4096):
            return


if __name__ == "__main__":
    main()
