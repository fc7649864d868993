"""The run history, and one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from reminders.console.formats import Formats, Moment
from reminders.console.pages import Link, printable_line
from reminders.console.reading import Alert, RunCounts
from reminders.runs.history import Page, Run

PATH = "/console/runs"
WORDS = {"success": "Succeeded", "failed": "Failed", "running": "Running", "skipped": "Skipped"}
_LEVELS = {"success": "good", "failed": "problem", "running": "attention", "skipped": "quiet"}
_ALERTS = {
    "failure": "Runs failed",
    "repeat": "Runs still fail",
    "recovery": "It works again",
    "overrun": "A run takes too long",
    "missed_run": "A run was missed",
}
_CHANNELS = {"sns": "e-mail to the engineers", "slack": "Slack"}


@dataclass(frozen=True, slots=True)
class RunRow:
    href: str
    started: Moment
    status: str
    level: str
    sent: str
    checked: str
    why: str


@dataclass(frozen=True, slots=True)
class RunsPage:
    title: str
    answer: str
    filters: list[Link]
    rows: list[RunRow]
    next_page: str | None
    first_page: str | None
    empty: str


@dataclass(frozen=True, slots=True)
class AlertRow:
    what: str
    channel: str
    state: str
    at: Moment


@dataclass(frozen=True, slots=True)
class RunPage:
    title: str
    answer: str
    level: str
    facts: list[tuple[str, str]]
    started: Moment
    scheduled: Moment
    ended: Moment | None
    error: str
    advice: str
    alerts: list[AlertRow]
    id: str


def runs(counts: RunCounts, page: Page, status: str | None, before: UUID | None, formats: Formats) -> RunsPage:
    return RunsPage(
        title="Runs",
        answer=_answer(counts, formats),
        filters=_filters(counts, status, formats),
        rows=[_row(run, formats) for run in page.runs],
        next_page=_href(status, page.next_before) if page.next_before else None,
        first_page=_href(status) if before else None,
        empty=(
            "There are no such runs."
            if counts.every
            else "No run has taken place yet. The first one starts at the next scheduled time."
        ),
    )


def run(found: Run, alerts: Sequence[Alert], formats: Formats) -> RunPage:
    return RunPage(
        title=f"Run of {formats.day(found.scheduled_for.date())}",
        answer=_one_answer(found, formats),
        level=_LEVELS[found.status],
        facts=_facts(found, formats),
        started=formats.moment(found.started_at),
        scheduled=formats.moment(found.scheduled_for),
        ended=formats.moment_if(found.completed_at),
        error=printable_line(found.error_message),
        advice=_advice(found),
        alerts=[_alert(alert, formats) for alert in alerts],
        id=str(found.id),
    )


def _answer(counts: RunCounts, formats: Formats) -> str:
    failed = f"{formats.number(counts.failed)} failed" if counts.failed else "none failed"
    return f"{formats.counted(counts.every, 'run')} in the history, {failed}."


def _href(status: str | None, before: UUID | None = None) -> str:
    query = {name: str(value) for name, value in (("status", status), ("before", before)) if value}
    return f"{PATH}?{urlencode(query)}" if query else PATH


def _filters(counts: RunCounts, status: str | None, formats: Formats) -> list[Link]:
    every = [Link(f"All ({formats.number(counts.every)})", PATH, status is None)]
    return every + [
        Link(f"{words} ({formats.number(getattr(counts, name))})", _href(name), status == name)
        for name, words in WORDS.items()
    ]


def _row(found: Run, formats: Formats) -> RunRow:
    return RunRow(
        href=f"{PATH}/{found.id}",
        started=formats.moment(found.started_at),
        status=WORDS[found.status],
        level=_LEVELS[found.status],
        sent=formats.number(found.reminders_dispatched),
        checked=formats.number(found.assignments_evaluated),
        why=printable_line(found.error_message or found.note),
    )


_SKIPPED = {
    "advisory_lock_held": "Another run was working at the same time.",
    "duplicate_tick": "The run of this scheduled time had already succeeded.",
}


def _one_answer(found: Run, formats: Formats) -> str:
    sent = formats.counted(found.reminders_dispatched, "reminder or alert", "reminders and alerts")
    return {
        "success": f"This run succeeded: {sent} sent.",
        "failed": f"This run failed. {sent} had been sent; the next run sends the rest.",
        "running": "This run is not finished.",
        "skipped": f"This run was skipped. {_SKIPPED.get(found.note or '', '')}".strip(),
    }[found.status]


def _facts(found: Run, formats: Formats) -> list[tuple[str, str]]:
    facts = [
        ("Started by", "the schedule" if found.trigger_source == "schedule" else "hand"),
        ("Assignments checked", formats.number(found.assignments_evaluated)),
        ("Reminders and alerts sent", formats.number(found.reminders_dispatched)),
        ("Could not be processed", formats.number(found.assignments_failed)),
        ("Without a coordinator to alert", formats.number(found.assignments_without_recipient)),
    ]
    if found.duration_ms is not None:
        facts.append(("Took", formats.duration(found.duration_ms)))
    if found.http_status:
        facts.append(("The scheduler answered", str(found.http_status)))
    if found.note:
        facts.append(("Note", printable_line(found.note)))
    return facts


def _advice(found: Run) -> str:
    """What an admin can say to an engineer: the section of the runbook."""
    if found.status == "failed":
        return (
            "For the engineer on call: docs/operations/cron-reminder-runbook.md, section Troubleshooting, has this "
            "message and what to do."
        )
    if found.assignments_failed:
        return (
            "For the engineer on call: docs/operations/cron-reminder-runbook.md, “Assignments that were not processed”."
        )
    return ""


def _alert(alert: Alert, formats: Formats) -> AlertRow:
    channel = _CHANNELS.get(alert.channel or "", printable_line(alert.channel) or "no channel is set up")
    state = (
        "delivered"
        if alert.delivered_at
        else f"not delivered yet, tried {formats.counted(alert.attempts or 0, 'time')}"
    )
    return AlertRow(
        _ALERTS.get(alert.kind, printable_line(alert.kind)),
        channel,
        state,
        formats.moment(alert.delivered_at or alert.created_at),
    )
