"""
The functions as processes that can be killed, paused and resumed: a server that forks one for each order.

    stdin    {"id": 7, "what": "cron", "environment": {...}, "secrets": {...}, ...}, a line each
    stdout   {"id": 7, "pid": 4711}, then what that process reports, at last {"id": 7, "code": -9}

Importing a function again takes longer than a whole run. What differs from production is changed in the fork only:
secrets come with the order, and the limits of a run that will be paused are short. No fork outlives this process,
and this process does not outlive its starter.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import os
import select
import signal
import ssl
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import httpx

import handlers.courier
import handlers.cron
import handlers.scheduler
import handlers.watchdog
from ops.local.function_url import FunctionUrl
from ops.local.invoke import LocalContext
from ops.local.keeper import PR_SET_PDEATHSIG
from reminders.alerts import outbox
from reminders.runs import ledger, lifecycle, lock
from reminders.scheduling import client
from reminders.scheduling.service import ReminderSchedulerService
from reminders.secrets import Secrets

LOOK_EVERY = 0.02  # seconds
SHORT_GRACE = 0.3  # seconds
SHORT_IDLE = {"idle_in_transaction_session_timeout": "700"}

Report = Callable[..., None]


def cron(report: Report, event: object, seconds: float) -> None:
    """One run: its summary, or the class of its error. It is not stopped when its time is over, as Lambda would."""
    try:
        report(answer=handlers.cron.handler(event, LocalContext("cron", seconds)))
    except Exception as error:
        report(raised=type(error).__name__)


def invocations(report: Report, events: list[object]) -> None:
    """Invocations one after the other; the event "watchdog" invokes the watchdog."""
    for event in events:
        if event == "watchdog":
            report(answer=handlers.watchdog.handler({}, LocalContext("watchdog", 60)))
        else:
            cron(report, event, 60)


def courier(report: Report) -> None:
    """One round of the courier."""
    try:
        report(answer=handlers.courier.handler({}, LocalContext("courier", 60)))
    except Exception as error:
        report(raised=type(error).__name__)


def scheduler(report: Report, port: int) -> NoReturn:
    """The scheduler behind its URL, until it is killed."""
    with FunctionUrl(handlers.scheduler.handler, port=port) as endpoint:
        report(url=endpoint.url)
        while True:
            signal.pause()


WHAT: dict[str, Callable[..., None]] = {
    "cron": cron,
    "courier": courier,
    "invocations": invocations,
    "scheduler": scheduler,
}


class PlainSecrets:
    """Secrets Manager as a mapping."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, name: str, *, max_age: int, force_fetch: bool) -> object:
        return self._values[name]


def shorten() -> None:
    """A lease that ends 0.3 s after the invocation's time, and transactions that end when idle for 0.7 s."""
    lock.GRACE_SECONDS, lifecycle.RESERVE_SECONDS, client.ANSWER_MARGIN_SECONDS = SHORT_GRACE, 0.2, 0.2
    redefine(ledger, SETTLE_LIMITS=ledger.SETTLE_LIMITS | SHORT_IDLE)
    redefine(outbox, CLAIM_LIMITS=outbox.CLAIM_LIMITS | SHORT_IDLE)
    limits = ReminderSchedulerService._limits
    redefine(ReminderSchedulerService, _limits=lambda *given: limits(*given) | SHORT_IDLE)


def redefine(target: object, **names: object) -> None:
    """Replace attributes of `target`, in this process."""
    for name, meaning in names.items():
        setattr(target, name, meaning)


def warm_up() -> None:
    """What each fork would need a tenth of a second for: TLS' authorities, HTTP's modules."""
    redefine(ssl, create_default_context=functools.cache(ssl.create_default_context))
    httpx.Client().close()
    gc.collect()
    gc.freeze()  # else the first collection in each fork copies all of our memory


def main() -> None:
    warm_up()
    running: dict[int, int] = {}
    try:
        while True:
            readable, _, _ = select.select([0], [], [], LOOK_EVERY)
            if readable:
                line = _line()
                if not line:
                    return
                order = json.loads(line)
                running[_fork(order)] = order["id"]
            _report_exits(running)
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)


def _line() -> bytes:
    """Byte by byte, for select knows nothing of what a buffer holds back."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _run_order(**order)
    _report(id=order["id"], pid=pid)
    return pid


def _run_order(
    id: int, what: str, environment: dict[str, str], secrets: dict[str, str], short: bool, **arguments: Any
) -> NoReturn:
    try:
        _die_with_parent()
        # Nothing that another test of the session, or the caller's shell, has set.
        os.environ.clear()
        os.environ.update(environment)
        redefine(Secrets, _source=lambda _: PlainSecrets(secrets))
        if short:
            shorten()
        WHAT[what](lambda **words: _report(id=id, **words), **arguments)
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _report_exits(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _report(id=running.pop(pid), code=os.waitstatus_to_exitcode(status))


# What the functions print is a log; the real standard output is ours.
_answers = os.dup(1)


def _report(**words: object) -> None:
    """One write, so that lines of several processes do not mix."""
    os.write(_answers, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    os.dup2(2, 1)
    main()
