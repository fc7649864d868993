"""The demo's second half: days that fail, the alerts about them, and a scheduled run that did not happen."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ops.local.aws import Published
from ops.tools.demo.play import Play
from reminders.errors import ReminderError

FAULT = "REVOKE EXECUTE ON FUNCTION hold_run_date FROM reminder_scheduler"
# The watchdog compares with the time at which a run was opened, and all runs of the demo were opened just now.
BACKDATE = """
UPDATE public.cron_execution_logs
SET started_at = started_at - interval '3 days', completed_at = completed_at - interval '3 days'
"""
REPAIR = "GRANT EXECUTE ON FUNCTION hold_run_date TO reminder_scheduler"


def failing_days(play: Play) -> None:
    """Two days fail, and the second one alerts; the third does not."""
    play.act("Days 3, 4 and 5 fail", f"after: {FAULT}")
    play.database.execute(FAULT)
    sent = [_failing_day(play, day) for day in (2, 3, 4)]
    play.check("day 3: one failure sends no alert", (0, 0), sent[0])
    play.check("day 4: the second in a row sends one alert per channel", (1, 1), sent[1])
    play.check("day 5: the alert is not repeated", (1, 1), sent[2])
    _show_last(play)


def recovery(play: Play) -> None:
    """The next successful day ends the outage and sends a recovery notice."""
    play.act("Day 6: the permission is restored")
    play.database.execute(REPAIR)
    summary = play.stack.invoke(play.tick(5))
    play.check("the run succeeded", "success", summary["status"])
    play.check("reminders that were late were sent", True, summary["reminders_dispatched"] > 0)
    play.check("one recovery notice per channel", (2, 2), _sent(play))
    play.say(f"  [dim]{play.stack.slack.posted[-1]['text']}[/]")


def missed_tick(play: Play) -> None:
    """EventBridge did not fire: of two rounds of the watchdog, the first sends an alert."""
    play.act(
        "A scheduled run that did not happen", "every 15 minutes, the watchdog compares the ledger with the schedule"
    )
    play.database.execute(BACKDATE)
    found = [play.stack.watch()["missed_tick"] for _ in range(2)]
    play.check(
        "the first round names the scheduled time, the second is silent", (True, None), (found[0] is not None, found[1])
    )
    play.check("one alert per channel", (3, 3), _sent(play))
    play.say(f"  [dim]{play.stack.slack.posted[-1]['blocks'][1]['text']['text'].splitlines()[0]}[/]")


def _failing_day(play: Play, day: int) -> tuple[int, int]:
    try:
        play.stack.invoke(play.tick(day))
    except ReminderError as error:
        play.say(f"  day {day + 1}: [red]{type(error).__name__}[/] {error}")
    return _sent(play)


def _sent(play: Play) -> tuple[int, int]:
    """How many messages have reached Slack, and SNS."""
    return len(play.stack.slack.posted), len(play.stack.aws.published(play.stack.topic_arn))


def _show_last(play: Play) -> None:
    play.panel("Slack", _as_slack_shows_it(play.stack.slack.posted[-1]))
    play.panel("SNS, by e-mail", _as_mail_shows_it(play.stack.aws.published(play.stack.topic_arn)[-1]))


def _as_slack_shows_it(message: dict[str, Any]) -> Text:
    header, section, context = message["blocks"]
    return Text.assemble(
        (header["text"]["text"], "bold"), "\n" + section["text"]["text"] + "\n", (context["elements"][0]["text"], "dim")
    )


def _as_mail_shows_it(mail: Published) -> Text:
    return Text.assemble((f"Subject: {mail.subject}", "bold"), "\n\n" + mail.message)
