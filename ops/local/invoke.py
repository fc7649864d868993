"""
Invoke a Lambda handler by event, locally: `python -m ops.local.invoke MODULE:FUNCTION EVENT`.

EVENT is a file, `-` for standard input, or the JSON itself. What the handler returns is printed
as JSON on standard output; what it prints itself goes to standard error, as its log. It fails as
Lambda does: an exception gives {"errorType", "errorMessage"} and exit status 1, and at its time
limit the process ends at once.
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
from pathlib import Path
from typing import Any

Handler = Callable[..., Any]
DEFAULT_TIMEOUT = 900.0  # seconds, the longest that Lambda grants


@dataclass(frozen=True, slots=True)
class LocalContext:
    """What the Python runtime passes with the event (AWS: "Lambda context object in Python")."""

    function_name: str = "local"
    timeout: float = DEFAULT_TIMEOUT  # seconds
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "512"  # a string, as in Lambda
    identity: None = None
    client_context: None = None
    tenant_id: None = None
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:eu-west-2:123456789012:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        return f"/aws/lambda/{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        return "local"

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


def read_event(argument: str) -> Any:
    """The event from a file, from `-`, or from the argument itself; ValueError if it is no JSON."""
    if argument == "-":
        return json.load(sys.stdin)
    if argument.lstrip().startswith(("{", "[", '"')):
        return json.loads(argument)
    return json.loads(Path(argument).read_text())


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: the handler returned; 1: it failed; 2: the event cannot be read."""
    options = _parser().parse_args(arguments)
    try:
        event = read_event(options.event)
    except (OSError, ValueError) as error:
        print(f"The event cannot be read: {error}", file=sys.stderr)
        return 2
    name = options.handler.partition(":")[0].rpartition(".")[2]
    try:
        answer = _invoke(options.handler, event, LocalContext(name, options.timeout))
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops.local.invoke", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("handler", metavar="MODULE:FUNCTION")
    parser.add_argument("event", metavar="EVENT", help="a JSON file, - (standard input), or JSON")
    parser.add_argument("--timeout", type=float, default=DEFAULT_TIMEOUT, metavar="SECONDS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
