"""
Invoke a Lambda handler by event, locally: `python -m ops.local.invoke MODULE:FUNCTION EVENT`.

EVENT is JSON. What the handler returns is printed as JSON on standard output; what it prints itself goes to standard
error, as its log. It fails as Lambda does: an exception gives {"errorType", "errorMessage"} and exit status 1, and at
its time limit the process ends at once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Handler = Callable[..., Any]
DEFAULT_TIMEOUT = 900.0  # seconds, the longest that Lambda grants


@dataclass(frozen=True, slots=True)
class LocalContext:
    """What handlers use of the context that comes with the event (AWS: "Lambda context object in Python")."""

    function_name: str = "local"
    timeout: float = DEFAULT_TIMEOUT  # seconds
    memory_limit_in_mb: str = "512"  # a string, as in Lambda
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:eu-west-2:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the invocation; never below 0."""
        return max(0, int((self.started + self.timeout - time.monotonic()) * 1000))


def load_handler(name: str) -> Handler:
    """Import `package.module:function`. Raises ImportError or AttributeError, as Lambda's would."""
    module, separator, function = name.partition(":")
    if not separator:
        raise ImportError(f"a handler is named MODULE:FUNCTION, got {name!r}")
    handler: Handler = getattr(importlib.import_module(module), function)
    return handler


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: the handler returned; 1: it failed; 2: the event is not JSON."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.invoke", description=__doc__)
    parser.add_argument("handler", metavar="MODULE:FUNCTION")
    parser.add_argument("event", type=json.loads)
    parser.add_argument("--timeout", type=float, default=DEFAULT_TIMEOUT, metavar="SECONDS")
    options = parser.parse_args(arguments)
    name = options.handler.partition(":")[0].rpartition(".")[2]
    try:
        answer = _invoke(options.handler, options.event, LocalContext(name, options.timeout))
    except Exception as error:
        trace = traceback.format_tb(error.__traceback__)
        print(_failure(type(error).__name__, str(error), stackTrace=trace), file=sys.stderr)
        return 1
    print(answer)
    return 0


def _invoke(handler: str, event: Any, context: LocalContext) -> str:
    """Load and call it, with its time limit, and with its output on standard error."""
    clock = threading.Timer(context.timeout, _time_is_up, [context])
    clock.daemon = True
    clock.start()
    try:
        with redirect_stdout(sys.stderr):
            return json.dumps(load_handler(handler)(event, context))
    finally:
        clock.cancel()


def _time_is_up(context: LocalContext) -> None:
    """At once, as Lambda does: no finally block runs, no connection is closed."""
    message = f"RequestId: {context.aws_request_id} Error: Task timed out after"
    print(_failure("Sandbox.Timedout", f"{message} {context.timeout:.2f} seconds"), file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)


def _failure(kind: str, message: str, **more: Any) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"timestamp": now, "errorType": kind, "errorMessage": message, **more})


if __name__ == "__main__":
    sys.exit(main())
