"""
Lambda's Runtime API on loopback, and a function under it: a built artifact, run by AWS' own runtime client.

    with Runtime(command, environment) as function:
        answer = function.invoke({"action": "run"})      # Answer("response", {...})

The protocol is that of "Using the Lambda runtime API for custom runtimes": the process asks for the next
invocation, which blocks until there is one, and posts a response or an error.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal

VERSION = "/2018-06-01/runtime"
ARN = "arn:aws:lambda:eu-west-2:123456789012:function:local"


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an invocation. `exit`: the process ended without an answer; the payload is its status."""

    kind: Literal["response", "error", "init_error", "exit"]
    payload: Any


@dataclass(frozen=True, slots=True)
class _Invocation:
    event: object
    deadline_ms: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: Future[Answer] = field(default_factory=Future)


class Runtime:
    """
    One execution environment: `command` run with `environment` and AWS_LAMBDA_RUNTIME_API, in `folder`.

    `log` has its output. `start_seconds` is the time from the process' start to its first request for work.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: str | os.PathLike[str]) -> None:
        self._waiting: queue.SimpleQueue[_Invocation | None] = queue.SimpleQueue()
        self._running: dict[str, _Invocation] = {}
        self._init_error: Future[Answer] = Future()
        self._server = _Server(("127.0.0.1", 0), _api_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        self._began = time.monotonic()
        self.start_seconds: float | None = None
        address = f"127.0.0.1:{self._server.server_port}"
        self.process = subprocess.Popen(
            list(command),
            env={**environment, "AWS_LAMBDA_RUNTIME_API": address},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def invoke(self, event: object, seconds: float = 60.0) -> Answer:
        """
        Pass `event` with a deadline in `seconds`, and wait for the answer or the end of the process.

        TimeoutError when there is neither 5 s after the deadline: Lambda would have ended it.
        """
        invocation = _Invocation(event, int((time.time() + seconds) * 1000))
        self._waiting.put(invocation)
        give_up_at = time.monotonic() + seconds + 5
        while time.monotonic() < give_up_at:
            if self._init_error.done():
                return self._init_error.result()
            try:
                return invocation.answer.result(timeout=0.01)
            except FutureTimeout:
                status = self.process.poll()
                if status is not None and not invocation.answer.done() and not self._init_error.done():
                    return Answer("exit", status)
        raise TimeoutError("the function did not answer")

    def pause(self) -> None:
        """As Lambda does between invocations: the process is paused, its connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """At once: no finally block runs."""
        self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        """The standard output and standard error until now."""
        return os.pread(self._output.fileno(), 10_000_000, 0).decode(errors="replace")

    def next(self) -> _Invocation | None:
        """The next invocation; blocks. None when the runtime stops."""
        if self.start_seconds is None:
            self.start_seconds = time.monotonic() - self._began
        invocation = self._waiting.get()
        if invocation is not None:
            self._running[invocation.id] = invocation
        return invocation

    def settle(self, request: str, kind: Literal["response", "error", "init_error"], payload: Any) -> None:
        """Store the answer of invocation `request`, or the init error, which has no invocation."""
        answer = Answer(kind, payload)
        if kind == "init_error":
            self._init_error.set_result(answer)
        else:
            self._running.pop(request).answer.set_result(answer)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._output.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Silent: a function that was killed breaks its connection."""


def _api_of(runtime: Runtime) -> type[BaseHTTPRequestHandler]:
    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            invocation = runtime.next()
            if invocation is None:
                return self._send(410, {}, b"")
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
                "Content-Type": "application/json",
            }
            self._send(200, headers, json.dumps(invocation.event).encode())

        def do_POST(self) -> None:
            payload = json.loads(self._body() or b"null")
            if self.path == f"{VERSION}/init/error":
                runtime.settle("", "init_error", payload)
            else:
                request, _, what = self.path.removeprefix(f"{VERSION}/invocation/").partition("/")
                runtime.settle(request, "error" if what == "error" else "response", payload)
            self._send(202, {}, b"")

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """The function logs; the API does not."""

    return Api
