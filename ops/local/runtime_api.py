"""
Lambda's Runtime API on loopback, and a function under it: a built artifact, run by AWS' own runtime client.

    with Runtime(command, environment) as function:
        outcome = function.invoke({"action": "run"})      # InvocationOutcome("response", {...})

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
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from werkzeug import Request, Response

from ops.local.loopback import Loopback

ARN = "arn:aws:lambda:eu-west-2:123456789012:function:local"


@dataclass(frozen=True, slots=True)
class InvocationOutcome:
    """How an invocation ended. `exit`: the process ended without a response; the payload is its status."""

    kind: Literal["response", "error", "init_error", "exit"]
    payload: Any


@dataclass(frozen=True, slots=True)
class _Invocation:
    event: object
    deadline_ms: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outcome: Future[InvocationOutcome] = field(default_factory=Future)


class Runtime(Loopback):
    """
    One execution environment: `command` run with `environment` and AWS_LAMBDA_RUNTIME_API, in `folder`.

    `log` has its output. `start_seconds` is the time from the process' start to its first request for work.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: str | os.PathLike[str]) -> None:
        super().__init__(Request.application(self._respond))
        super().__enter__()
        self._waiting: queue.SimpleQueue[_Invocation | None] = queue.SimpleQueue()
        self._running: dict[str, _Invocation] = {}
        self._init_error: Future[InvocationOutcome] = Future()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        self._began = time.monotonic()
        self.start_seconds: float | None = None
        self.process = subprocess.Popen(
            list(command),
            env={**environment, "AWS_LAMBDA_RUNTIME_API": self.url.removeprefix("http://")},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def invoke(self, event: object, seconds: float = 60.0) -> InvocationOutcome:
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
                return invocation.outcome.result(timeout=0.01)
            except FutureTimeout:
                status = self.process.poll()
                if status is not None and not invocation.outcome.done() and not self._init_error.done():
                    return InvocationOutcome("exit", status)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._waiting.put(None)
        super().__exit__()
        self._output.close()

    def _respond(self, request: Request) -> Response:
        if request.method == "GET":
            return self._next()
        payload = request.get_json(force=True)
        *_, invocation, kind = request.path.split("/")
        if invocation == "init":  # /init/error, which belongs to no invocation
            self._init_error.set_result(InvocationOutcome("init_error", payload))
        else:
            outcome = InvocationOutcome("error" if kind == "error" else "response", payload)
            self._running.pop(invocation).outcome.set_result(outcome)
        return Response(status=202)

    def _next(self) -> Response:
        """The next invocation; blocks until there is one, or until the runtime stops."""
        if self.start_seconds is None:
            self.start_seconds = time.monotonic() - self._began
        invocation = self._waiting.get()
        if invocation is None:
            return Response(status=410)
        self._running[invocation.id] = invocation
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
        }
        return Response(json.dumps(invocation.event), 200, headers, content_type="application/json")
