"""What an alert says: payload and plain text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import get_args

from reminders.alerts.message import Alert, Origin, iso
from reminders.alerts.policy import Kind
from tests.alerting import FAILURE
from tests.helpers.cases import table

KINDS = get_args(Kind)
JOB = "assignment-reminder-cron"


def test_payload_through_json() -> None:
    """An alert that is read from the outbox equals the one that was written."""
    assert FAILURE == Alert.from_payload(json.loads(json.dumps(FAILURE.payload())))


def test_payload_of_another_version() -> None:
    """Keys that this version does not know are passed over, keys that are missing have defaults."""
    assert Alert("overrun", JOB) == Alert.from_payload({"kind": "overrun", "job_name": JOB, "tomorrow": 1})


def test_text_of_a_failure() -> None:
    """Everything that the operator asks first: what, how often, since when, last success, where to read on."""
    assert [
        "assignment-reminder-cron: 2 runs in a row have failed",
        "",
        "Error: scheduler answered 500: Internal Server Error",
        "Consecutive failures: 2",
        "Failing since: 2026-11-20 06:00:02 UTC",
        "Scheduled time: 2026-11-21 06:00:00 UTC",
        "Run: 5f0c4d1e-0000-4000-8000-000000000001",
        "Last successful run: 2026-11-19 06:00:05 UTC",
        "",
        "Reminders are late, but none is lost. The next successful run sends all that are due.",
        "Runbook: docs/operations/cron-reminder-runbook.md",
    ] == FAILURE.text().splitlines()


def test_text_names_the_stack_and_links_to_the_runbook() -> None:
    """Two deployments send the same words; only these two lines tell them apart, and lead to help with one click."""
    text = FAILURE.text(Origin("reminders-staging", "https://git.example/runbook")).splitlines()

    assert "Stack: reminders-staging" in text
    assert "Runbook: https://git.example/runbook" == text[-1]


@table(("kind", "expected"), [("test", "[test] [reminders-staging] "), ("overrun", "[reminders-staging] ")])
def test_headline_begins_with_the_stack(kind: Kind, expected: str) -> None:
    """What an e-mail's subject and a phone's notification show."""
    alert = replace(FAILURE, kind=kind)

    assert expected + alert.headline == Origin("reminders-staging").headline(alert)


@table("kind", KINDS)
def test_every_kind_has_words(kind: Kind) -> None:
    """Each kind has a headline of one short line, and says what is to be done."""
    alert = replace(FAILURE, kind=kind)
    assert 20 < len(alert.headline) < 100
    assert "\n" not in alert.headline
    assert alert.text().startswith(f"{alert.headline}\n\n")


def test_headlines_differ() -> None:
    """Two kinds cannot be mistaken for each other."""
    assert len(KINDS) == len({replace(FAILURE, kind=kind).headline for kind in KINDS})


def test_system_that_never_succeeded() -> None:
    """Where there was never a success, it says so."""
    assert "Last successful run: none on record" in Alert("failure", JOB).text()


def test_run_that_could_not_begin() -> None:
    """Without a count the headline does not tell of 0 failures."""
    assert f"{JOB}: a failure that the ledger does not record" == Alert("failure", JOB).headline


@table(
    ("moment", "expected"),
    [
        (None, None),
        (datetime(2026, 11, 21, 1, 0, 0, 999_999, timezone(timedelta(hours=-5))), "2026-11-21T06:00:00Z"),
    ],
)
def test_times_in_a_payload(moment: datetime | None, expected: str | None) -> None:
    """UTC, whole seconds, Z."""
    assert expected == iso(moment)
