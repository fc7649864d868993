"""`reminders messages`: the results of e-mails and pushes."""

from __future__ import annotations

from dataclasses import asdict

import click

from ops.cli import messages, options, output
from ops.cli.messages import Count, Failure
from ops.cli.targets.base import Target
from ops.tables import table

COUNT_COLUMNS = ("channel", "status", "messages")
FAILURE_COLUMNS = ("id", "channel", "status", "attempts", "due", "error")


@click.command("messages")
@click.option("-n", "--number", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many errors.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="How many days back.")
@click.option("--retry", is_flag=True, help="Send again the messages that failed or expired.")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, number: int, days: int, retry: bool, yes: bool, as_json: bool) -> None:
    """
    Count the messages by status, and show the last errors.

    With --retry, the courier tries messages that failed or expired for another 24 hours. First remove the cause, which
    the errors name. If contact was logged in the meantime, the message is cancelled. Messages contain no addresses, so
    none are shown.
    """
    with target.connect() as connection:
        if retry:
            output.confirm(
                f"Send again the messages that failed or expired in the last {days} days, on {target.title}?", yes
            )
            _print_retried(messages.retry(connection, days), as_json)
            return
        counts, failures = messages.counts(connection, days), messages.failures(connection, days, number)
    if as_json:
        output.show_json(
            {"counts": [asdict(count) for count in counts], "failures": [asdict(failure) for failure in failures]}
        )
        return
    _show(counts, failures, days)


def _print_retried(number: int, as_json: bool) -> None:
    if as_json:
        output.show_json({"retried": number})
    else:
        output.out().print(f"{number:,} messages are tried again within five minutes.")


def _show(counts: list[Count], failures: list[Failure], days: int) -> None:
    console = output.out()
    if not counts:
        console.print(f"No message was composed in {days} days.")
        return
    console.print(table(COUNT_COLUMNS, [(count.channel, count.status, count.messages) for count in counts]))
    if failures:
        console.print()
        console.print(table(FAILURE_COLUMNS, [_row(failure) for failure in failures]))


def _row(failure: Failure) -> tuple[object, ...]:
    due = f"{failure.send_after:%Y-%m-%d %H:%M}"
    return failure.id, failure.channel, failure.status, failure.attempts, due, failure.last_error
