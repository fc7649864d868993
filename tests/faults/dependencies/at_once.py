"""
The cron function in many processes at once, as Lambda runs it in many environments.

    stdin    {"events": [...], "environment": {...}, "clock_shift": seconds}, a line each
    stdout   what became of each, in order, as a line: [{"status": ..., "note": ..., ...}, {"error": "..."}]

Each is a fork of this process, since importing the function again takes longer than a whole run; its secrets are known
already, as those of a warm function are. All wait at a gate, and start when it opens. A shifted clock is
shifted in the forks alone: for Python's `time` and for every `datetime` that the functions know.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, Any, NoReturn

import httpx

import handlers.cron
from handlers.wiring import common
from ops.local.invoke import LocalContext, load_handler

OURS = ("handlers", "reminders")
SECONDS = 60.0


def main() -> None:
    assert handlers.cron  # imported before the first fork
    for line in sys.stdin:
        order = json.loads(line)
        forker, answers = fork(partial(invoke_at_once, **order))
        print(answers.read(), flush=True)
        os.waitpid(forker, 0)


def fork(work: Callable[[], Any]) -> tuple[int, IO[str]]:
    """A child that does `work` and writes what it gives as JSON; its id, and where to read."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        finish(work, write)
    os.close(write)
    return child, os.fdopen(read)


def finish(work: Callable[[], Any], write: int) -> NoReturn:
    os.dup2(2, 1)  # what it prints is a log
    answer = work()
    with os.fdopen(write, "w") as out:
        out.write(json.dumps(answer))
    os._exit(0)


def invoke_at_once(events: Sequence[object], environment: dict[str, str], clock_shift: float) -> list[Any]:
    """Load the secrets, shift the clock, fork, open the gate, collect the answers."""
    os.environ.update(environment)
    for name in ("DATABASE_SECRET", "SCHEDULER_TOKEN_SECRET", "SLACK_WEBHOOK_SECRET"):
        common.secrets().get(environment[name])
    httpx.Client().close()  # imports what it needs at its first use
    shift_clock(clock_shift)
    gate, opener = os.pipe()
    children = [fork(partial(invoke_behind, gate, event)) for event in events]
    os.write(opener, b"!" * len(children))
    found = [json.loads(answers.read()) for _, answers in children]
    for child, _ in children:
        os.waitpid(child, 0)
    return found


def invoke_behind(gate: int, event: object) -> Any:
    os.read(gate, 1)
    try:
        return load_handler("handlers.cron:handler")(event, LocalContext("cron", SECONDS))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


class ShiftedDatetime(datetime.datetime):
    """Follows `time.time`, as the real one does not."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> ShiftedDatetime:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> ShiftedDatetime:
        return cls.now(datetime.UTC).replace(tzinfo=None)


def shift_clock(seconds: float) -> None:
    right = time.time
    vars(time)["time"] = lambda: right() + seconds
    for name, module in sys.modules.items():
        if name.partition(".")[0] in OURS and getattr(module, "datetime", None) is datetime.datetime:
            vars(module)["datetime"] = ShiftedDatetime


if __name__ == "__main__":
    main()
