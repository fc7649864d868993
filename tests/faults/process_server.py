"""
The functions as processes that can be killed, paused and resumed: a server that forks one for each order.

    stdin    {"id": 7, "what": "cron", "environment": {...}, "secrets": {...}, ...}, a line each
    stdout   {"id": 7, "pid": 4711}, then what that process reports, at last {"id": 7, "code": -9}

Importing a function again takes longer than a whole run. What differs from production is changed in the fork only:
secrets come with the order, pauses between retries are short, and so are the limits of a run that will be paused. No
fork outlives this process, and this process does not outlive its starter.
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
from dataclasses import replace
from typing import Any, NoReturn

import boto3
import httpx

import handlers.courier
import handlers.cron
import handlers.scheduler
import handlers.watchdog
from ops.local.function_url import FunctionUrl
from ops.local.invoke import LocalContext
from ops.local.keeper import PR_SET_PDEATHSIG
from reminders import database
from reminders.limits import LIMITS, Limits
from reminders.messages.delivery import CourierLimits
from reminders.secrets import Secrets
from tests.helpers.pooler import Pooler

LOOK_EVERY = 0.02  # seconds
# Retries come soon.
USUAL = replace(LIMITS, retry_jitter=0.1)
# A lease that ends soon after the invocation's time, and transactions that end soon when they are idle.
SHORT = replace(
    USUAL,
    lease_grace=0.3,
    reserve=0.2,
    answer_margin=0.2,
    settle=replace(LIMITS.settle, idle=0.7),
    claim=replace(LIMITS.claim, idle=0.7),
    batch=replace(LIMITS.batch, idle=0.7),
)

Report = Callable[..., None]


def cron(report: Report, limits: Limits, event: object, seconds: float) -> None:
    """One run: its summary, or the class of its error. It is not stopped when its time is over, as Lambda would."""
    try:
        report(answer=handlers.cron.handler(event, LocalContext("cron", seconds), limits))
    except Exception as error:
        report(raised=type(error).__name__)


def invocations(report: Report, limits: Limits, events: list[object]) -> None:
    """Invocations one after the other; the event "watchdog" invokes the watchdog."""
    for event in events:
        if event == "watchdog":
            report(answer=handlers.watchdog.handler({}, LocalContext("watchdog", 60), limits))
        else:
            cron(report, limits, event, 60)


def scheduler(report: Report, limits: Limits, port: int, *, pooled: bool = False) -> NoReturn:
    """The scheduler behind its URL, until it is killed; `pooled`: its sessions of PostgreSQL stay."""
    if pooled:
        redefine(database, connect=Pooler().connect)
    with FunctionUrl(functools.partial(handlers.scheduler.handler, limits=limits), port=port) as endpoint:
        report(url=endpoint.url)
        while True:
            signal.pause()


def courier(report: Report, _: Limits, seconds: float = 60.0, limits: Mapping[str, Any] | None = None) -> None:
    """One invocation of the courier: what it did, or the class of its error."""
    try:
        answer = handlers.courier.handler({}, LocalContext("courier", seconds), CourierLimits(**(limits or {})))
        report(answer=answer)
    except Exception as error:
        report(raised=type(error).__name__)


WHAT: dict[str, Callable[..., None]] = {
    "cron": cron,
    "invocations": invocations,
    "scheduler": scheduler,
    "courier": courier,
}


class PlainSecrets:
    """Secrets Manager as a mapping."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, name: str, *, max_age: int, force_fetch: bool) -> object:
        return self._values[name]


def redefine(target: object, **names: object) -> None:
    """Replace attributes of `target`, in this process."""
    for name, meaning in names.items():
        setattr(target, name, meaning)


def warm_up() -> None:
    """What each fork would need a tenth of a second for: TLS' authorities, HTTP's modules, boto3's models."""
    redefine(ssl, create_default_context=functools.cache(ssl.create_default_context))
    httpx.Client().close()
    boto3.client("sesv2", region_name="eu-west-2")  # its models stay in the default session
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
        WHAT[what](lambda **words: _report(id=id, **words), SHORT if short else USUAL, **arguments)
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
