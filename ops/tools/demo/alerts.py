"""The demo's second half: days that fail, what the operators hear, and a tick that nobody ran."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ops.local.aws import Published
from ops.tools.demo.play import Play
from reminders.errors import ReminderError

FAULT = "REVOKE EXECUTE ON FUNCTION hold_run_date FROM reminder_scheduler"
REPAIR = "GRANT EXECUTE ON FUNCTION hold_run_date TO reminder_scheduler"


def failing_days(play: Play) -> None:
    """Two days fail, and the second one alerts; the third does not."""
    play.stage.act("Days 3, 4 and 5 fail", f"somebody ran: {FAULT}")
    play.database.execute(FAULT)
    heard = [_failing_day(play, day) for day in (2, 3, 4)]
    play.stage.check("day 3: one failure alerts nobody", (0, 0), heard[0])
    play.stage.check("day 4: the second in a row alerts, once a channel", (1, 1), heard[1])
    play.stage.check("day 5: nobody is told the same thing again", (1, 1), heard[2])
    _show_last(play)


def recovery(play: Play) -> None:
    """The next good day ends the outage, and says so."""
    play.stage.act("Day 6: somebody grants it again")
    play.database.execute(REPAIR)
    summary = play.stack.invoke(play.tick(5))
    play.stage.check("the run succeeded", "success", summary["status"])
    play.stage.check("what was late has gone out", True, summary["reminders_dispatched"] > 0)
    play.stage.check("one recovery notice a channel", (2, 2), _heard(play))
    play.stage.say(f"  [dim]{play.stack.slack.posted[-1]['text']}[/]")


def missed_tick(play: Play) -> None:
    """EventBridge never fired; the watchdog notices, twice asked, once told."""
    play.stage.act("A tick that nobody ran", "the watchdog comes every 15 minutes, and compares ledger and schedule")
    found = [play.stack.watch()["missed_tick"] for _ in range(2)]
    play.stage.check("it names the tick, once", (True, None), (found[0] is not None, found[1]))
    play.stage.check("one alert a channel", (3, 3), _heard(play))
    play.stage.say(f"  [dim]{play.stack.slack.posted[-1]['blocks'][1]['text']['text'].splitlines()[0]}[/]")


def _failing_day(play: Play, day: int) -> tuple[int, int]:
    try:
        play.stack.invoke(play.tick(day))
    except ReminderError as error:
        play.stage.say(f"  day {day + 1}: [red]{type(error).__name__}[/] {error}")
    return _heard(play)


def _heard(play: Play) -> tuple[int, int]:
    """How many messages have reached Slack, and SNS."""
    return len(play.stack.slack.posted), len(play.stack.aws.published(play.stack.topic_arn))


def _show_last(play: Play) -> None:
    play.stage.panel("Slack", _as_slack_shows_it(play.stack.slack.posted[-1]))
    play.stage.panel("SNS, by e-mail", _as_mail_shows_it(play.stack.aws.published(play.stack.topic_arn)[-1]))


def _as_slack_shows_it(message: dict[str, Any]) -> Text:
    header, section, context = message["blocks"]
    return Text.assemble(
        (header["text"]["text"], "bold"),
        "\n" + section["text"]["text"].replace("*", "") + "\n",
        (context["elements"][0]["text"], "dim"),
    )


def _as_mail_shows_it(mail: Published) -> Text:
    return Text.assemble((f"Subject: {mail.subject}", "bold"), "\n\n" + mail.message)
