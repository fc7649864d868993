"""`reminders alert-test`: send a test alert through every channel."""

from __future__ import annotations

import click

from ops.cli import options, output
from ops.cli.errors import DONE, UNHEALTHY, CliError
from ops.cli.targets.base import Target
from ops.tables import table


@click.command("alert-test")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, yes: bool, as_json: bool) -> int:
    """
    Send an alert, marked as a test, through every channel.

    Writes nothing to the ledger or the outbox. The exit code is 1 when a channel refuses the alert, or when there is no
    channel.
    """
    target.function_name("cron")  # a bare database has none: fail before the question
    if target.requires_confirmation:
        output.confirm(f"Send a test alert to the channels of {target.title}?", yes)
    with output.working("Sending a test alert"):
        answer = target.invoke({"action": "test_alert"})
    if answer.error:
        raise CliError(f"The test failed. {answer.error}", "`reminders doctor` finds causes.")
    channels = answer.result["channels"]
    if as_json:
        output.show_json(answer.result)
    elif not channels:
        output.out().print("No channel is configured: set ALERT_TOPIC_ARN or SLACK_WEBHOOK_SECRET.")
    else:
        output.out().print(table(["channel", "answer"], channels.items()))
    return DONE if answer.result["status"] == "success" else UNHEALTHY
