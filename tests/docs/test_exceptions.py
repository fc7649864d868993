"""
What is reported for each class of exception that can reach a handler, tried on the handlers with every class.

The table in docs/reliability.md is made here. When it is out of date, the test's failure prints the right one.
"""

from __future__ import annotations

import builtins
import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn

import botocore.exceptions
import httpx
import psycopg
import pytest

import handlers
import reminders
from handlers import cron, watchdog
from handlers.wiring.alerts import unrecorded_failures, working_channels
from reminders.alerts import direct
from reminders.alerts.channels import Channel
from reminders.alerts.message import Alert
from reminders.errors import ReminderError
from reminders.runs import lifecycle
from reminders.runs.records import Outcome
from reminders.scheduling.work import RunTotals
from tests.docs.blocks import ROOT
from tests.helpers.cases import table

# So that all classes of ReminderError are known, whatever other tests have imported.
for package in (handlers, reminders):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
HEADER = "| exception class | before the run's row is written | during a run | in the watchdog |"
NOTHING = "not reported: the caller reads it, the watchdog reports the scheduled time"
CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1, invoked_function_arn="arn", aws_request_id="1", function_version="1"
)


def subclasses(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for child in root.__subclasses__():
        yield from subclasses(child)


def builtin_classes() -> list[type[BaseException]]:
    """All but GeneratorExit, which ends a generator and no function, and the groups, which need their members."""
    found = [value for value in vars(builtins).values() if isinstance(value, type) and issubclass(value, BaseException)]
    return [one for one in found if one is not GeneratorExit and not issubclass(one, BaseExceptionGroup)]


FAMILIES: dict[str, list[type[BaseException]]] = {
    **{f"`{one.__name__}`": [one] for one in sorted(set(subclasses(ReminderError)), key=lambda one: one.__name__)},
    "psycopg: `Error` and all its classes": list(subclasses(psycopg.Error)),
    "botocore: `BotoCoreError`, `ClientError` and all their classes": [
        *subclasses(botocore.exceptions.BotoCoreError),
        *subclasses(botocore.exceptions.ClientError),
    ],
    "httpx: `HTTPError`, `StreamError`, `InvalidURL`, `CookieConflict` and all their classes": [
        one
        for root in (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)
        for one in subclasses(root)
    ],
    "Python's own, such as `NotImplementedError`, `MemoryError`, `KeyboardInterrupt`, `SystemExit`": builtin_classes(),
}


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of what went straight to the channels."""
    texts: list[str] = []

    def send(channels: list[Channel], alert: Alert) -> dict[str, str]:
        texts.append(str(alert.error_message))
        return {}

    monkeypatch.setattr(direct, "send_now", send)
    return texts


def instance(kind: type[BaseException]) -> BaseException:
    """One of ours with a sentence; others without their own arguments, which only their raiser knows."""
    is_ours = issubclass(kind, ReminderError)
    error = kind("the sentence") if is_ours else kind.__new__(kind)
    error.args = ("the sentence" if is_ours else "a row's value",)
    return error


class Raising(ExitStack):
    """Collaborators that cannot be built. No generator, which would turn StopIteration into something else."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def __enter__(self) -> NoReturn:
        raise self._error


def outcome(error: BaseException, text: str | None) -> str:
    if text is None:
        return NOTHING
    assert "a row's value" not in text
    assert text.endswith("the sentence" if isinstance(error, ReminderError) else f"unexpected {type(error).__name__}")
    return "its sentence" if isinstance(error, ReminderError) else "its class name"


def outcomes(kind: type[BaseException], reported: list[str], patched: pytest.MonkeyPatch) -> tuple[str, str, str]:
    """What the three columns say of one class, tried on the handlers."""
    error, answers = instance(kind), []
    for module, build in ((cron, "run_deps"), (watchdog, "watchdog_deps")):
        reported.clear()
        patched.setattr(module, build, lambda *_: Raising(error))
        with pytest.raises(kind):
            module.handler({}, CONTEXT)
        documented = outcome(error, reported[0] if reported else None)
        answers.append(documented if documented == NOTHING else f"straight to the channels: {documented}")
    recorded = outcome(error, Outcome.of_error(error, RunTotals()).error_message)
    return answers[0], f"ledger and outbox: {recorded}", answers[1]


def test_what_is_reported_for_every_class(reported: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever class ends a run or a watchdog round, it is reported as the document says."""
    unrecorded_failures.cache_clear()
    lines = [HEADER, "| --- | --- | --- | --- |"]
    for name, kinds in FAMILIES.items():
        (found,) = {outcomes(kind, reported, monkeypatch) for kind in kinds}
        lines.append(f"| {name} | " + " | ".join(found) + " |")
    table = "\n".join(lines)
    text = (ROOT / "docs" / "reliability.md").read_text()
    assert table in text, f"docs/reliability.md needs this table:\n{table}"


def test_run_whose_failure_is_in_the_ledger(reported: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The outbox reports it then, so nothing goes straight to the channels."""

    @contextmanager
    def deps(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(ledger=SimpleNamespace(run_is_recorded=True))

    def fail(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(cron, "run_deps", deps)
    monkeypatch.setattr(lifecycle, "run", fail)
    with pytest.raises(NotImplementedError):
        cron.handler({}, CONTEXT)
    assert [] == reported


@table("broken", ["ALERT_TOPIC_ARN", "SLACK_WEBHOOK_SECRET"])
def test_channel_that_cannot_be_built(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The other one gets the alert all the same."""
    monkeypatch.setenv("ALERT_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:alerts")
    monkeypatch.setenv("SLACK_WEBHOOK_SECRET", "slack")
    monkeypatch.setenv(broken, "not\na name")
    names = {"ALERT_TOPIC_ARN": "sns", "SLACK_WEBHOOK_SECRET": "slack"}
    built = {channel.name for channel in working_channels()}
    assert {name for setting, name in names.items() if setting != broken} <= built
