"""`reminders status`: is the service healthy? As text, JSON and exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import click

from ops.cli import health, ledger, messages, options, output, schedules
from ops.cli.errors import DONE, UNHEALTHY, expected
from ops.cli.health import Facts
from ops.cli.targets.base import Target
from ops.tables import styled

T = TypeVar("T")


@click.command("status")
@options.with_target
@options.as_json
def command(target: Target, as_json: bool) -> int:
    """
    Show whether the service is healthy: last success, next run, lock, alerts.

    Also counts failed invocations that left no row in the ledger. Each problem is shown with what to do about it.
    Monitors can use the exit code: 0 healthy, 1 not healthy, 3 the operator's login cannot reach the database.
    """
    facts = gather(target)
    found = health.findings(facts)
    healthy = health.is_healthy(found)
    if as_json:
        output.show_json(
            {
                "target": target.title,
                "healthy": healthy,
                **_facts_as_json(facts),
                "findings": [asdict(finding) for finding in found],
            }
        )
    else:
        _show(target, facts, found)
    return DONE if healthy else UNHEALTHY


def gather(target: Target) -> Facts:
    """Read the database and EventBridge; only the database must be reachable."""
    with target.connect() as connection:
        # The rows are read before the lock: a run that ends in between must not look like a lock without a run.
        overview, running = ledger.overview(connection), ledger.running(connection)
        holder = ledger.holder(connection)
        if holder is None and running:
            # A run may have ended before the lock was read. A row that is still 'running' has lost its process.
            running = ledger.running(connection)
        since = overview.last_success_at or overview.now - health.LONGEST_PAUSE
        failures, failures_error = ask(lambda: target.failures(since))
        failed_rows = ledger.failed_since(connection, since)
        sent = messages.overview(connection)
    schedule, error = ask(lambda: schedules.read(target))
    schedule_error = error and f"The schedule was not read. {error}"
    return Facts(overview, running, holder, schedule, schedule_error, failures, failures_error, failed_rows, sent)


def ask(question: Callable[[], T]) -> tuple[T | None, str | None]:
    """The result, or the error in words."""
    try:
        return question(), None
    except Exception as error:
        if known := expected(error):
            return None, str(known)
        raise


def _facts_as_json(facts: Facts) -> dict[str, Any]:
    seen, schedule = facts.overview, facts.schedule
    return {
        "now": seen.now,
        "last_success_at": seen.last_success_at,
        "last_run": {"status": seen.last_status, "started_at": seen.last_started_at, "error_message": seen.last_error},
        "consecutive_failures": seen.consecutive_failures,
        "schedule": schedule and asdict(schedule),
        "paused": None if schedule is None else not schedule.enabled,
        "next_tick": schedule and schedules.next_tick(schedule, seen.now, seen.last_tick),
        "running": [asdict(run) for run in facts.running],
        "lock": facts.holder and asdict(facts.holder),
        "undelivered_alerts": seen.undelivered,
        "failed_invocations": facts.failures and facts.failures.count,
        "failed_invocations_recorded": facts.failed_rows,
        "messages": asdict(facts.messages),
    }


def _show(target: Target, facts: Facts, found: list[health.Finding]) -> None:
    console = output.out()
    healthy = health.is_healthy(found)
    mark = styled("healthy" if healthy else "not healthy", "green" if healthy else "bold red")
    console.print(styled(f"{target.title}:", "bold"), mark)
    console.print()
    console.print(output.pairs(_lines(facts)), soft_wrap=True)
    for finding in found:
        console.print()
        sign = styled(*(("✗", "red") if finding.level == "problem" else ("•", "yellow")))
        output.show_finding(sign, "", finding.what, finding.fix)


def _lines(facts: Facts) -> list[tuple[str, str]]:
    seen, schedule, held = facts.overview, facts.schedule, facts.holder
    failures = f"{seen.consecutive_failures} in a row" if seen.consecutive_failures else "none"
    return [
        ("last success", output.ago(seen.last_success_at, seen.now)),
        ("last run", f"{seen.last_status or 'none'}, {output.ago(seen.last_started_at, seen.now)}"),
        ("failures", failures),
        ("schedule", _schedule_line(schedule)),
        ("next tick", _next_line(schedule, facts)),
        ("running", ", ".join(f"{run.id} since {run.started_at:%H:%M:%S}" for run in facts.running) or "nothing"),
        ("lock", _lock_line(held, facts) if held else "free"),
        ("undelivered alerts", str(seen.undelivered)),
        *([("unsent messages", f"{facts.messages.unsent:,}")] if facts.messages.in_use else []),
    ]


def _schedule_line(schedule: schedules.Schedule | None) -> str:
    if schedule is None:
        return "not known"
    why = f" ({schedule.reason})" if schedule.reason else ""
    return f"{schedule.expression} {schedule.timezone}, {'enabled' if schedule.enabled else 'PAUSED' + why}"


def _next_line(schedule: schedules.Schedule | None, facts: Facts) -> str:
    if schedule is None:
        return "not known"
    tick = schedules.next_tick(schedule, facts.overview.now, facts.overview.last_tick)
    return output.ago(tick, facts.overview.now) if tick else "none"


def _lock_line(held: ledger.Holder, facts: Facts) -> str:
    since = output.ago(held.since, facts.overview.now) if held.since else "a time that this login may not see"
    return f"held since {since} by {held}"
