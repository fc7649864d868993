"""
The cron function in a process that kills itself at a named point.

    stdin    {"point": ..., "event": ..., "environment": {...}}, a line each
    stdout   how the process ended, as a line: -9

Each is a fork of this process, for importing the function again takes longer than a whole run. SIGKILL: no
finally block runs, no connection is closed, nothing is flushed. The points are wrapped around the functions in
the fork only; the code that runs in production knows nothing of them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

import handlers.cron
from ops.local import invoke
from reminders.alerts import outbox
from reminders.database import Queries
from reminders.runs.ledger import Ledger

Call = Callable[..., Any]


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def before(target: object, name: str) -> None:
    setattr(target, name, lambda *arguments, **named: die())


def after(target: object, name: str, query: str | None = None) -> None:
    """After the call; of a query's, only after that one."""
    real: Call = getattr(target, name)

    def and_die(*arguments: Any, **named: Any) -> Any:
        answer = real(*arguments, **named)
        return die() if query is None or query in arguments else answer

    setattr(target, name, and_die)


def while_posting(share: float) -> None:
    """Slack gets that share of the request's body, and the process dies before it reads an answer."""

    def post(url: str, **named: Any) -> httpx.Response:
        request = httpx.Request("POST", url, json=named["json"])
        head = f"POST {urlsplit(url).path} HTTP/1.1\r\nhost: slack\r\ncontent-length: {len(request.content)}\r\n\r\n"
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
            connection.sendall(head.encode() + request.content[: int(len(request.content) * share)])
            time.sleep(0.2)
            die()

    # In the fork only, where nothing but the alert is sent by httpx.post.
    vars(httpx)["post"] = post


POINTS: dict[str, Callable[[], None]] = {
    "before settling": lambda: before(Ledger, "settle"),
    "in the settling transaction, after the UPDATE": lambda: before(outbox.Outbox, "write_for"),
    "in the settling transaction, after the alert's row": lambda: after(outbox.Outbox, "write_for"),
    "settled, before sending": lambda: before(Ledger, "deliver_alerts"),
    "after the claim": lambda: before(outbox, "send_within"),
    "while Slack reads the message": lambda: while_posting(0.5),
    "Slack has it, before its answer": lambda: while_posting(1),
    "after Slack's answer, before the mark": lambda: after(outbox, "send_within"),
    "after the mark, before its commit": lambda: after(Queries, "run", "mark_delivered"),
    "after the mark's commit": lambda: after(outbox.Outbox, "_deliver_one"),
}


def main() -> None:
    assert handlers.cron  # imported before the first fork
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            live_and_die(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def live_and_die(point: str, event: object, environment: dict[str, str]) -> NoReturn:
    os.dup2(2, 1)  # what it prints is a log
    os.environ.update(environment)
    POINTS[point]()
    os._exit(invoke.main(["handlers.cron:handler", json.dumps(event), "--timeout", "60"]))


if __name__ == "__main__":
    main()
