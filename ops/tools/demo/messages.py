"""The demo's act about messages: the e-mail that a mentor gets, and one that is cancelled after contact was logged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.text import Text

from ops.local import messages
from ops.local.invoke import LocalContext, load_handler
from ops.tools.demo.play import Play

PAGE = Path(__file__).resolve().parents[3] / "build" / "demo-mail.html"
# Two mentors who were reminded, with the number of their organisations. Each organisation sends its own e-mail. Only
# organisations with settings count: in the demo they send at any hour.
MENTORS = """
SELECT n.recipient_id, count(DISTINCT a.org_id) FROM notifications AS n
JOIN assignments AS a ON a.id = n.assignment_id
LEFT JOIN org_settings AS s USING (org_id)
WHERE n.kind = 'reminder'
GROUP BY 1 HAVING bool_and(s.org_id IS NOT NULL)
ORDER BY 2, 1 LIMIT 2
"""
LOG_CONTACT = """
INSERT INTO activities (assignment_id, activity_type, recorded_date, registered_by)
SELECT assignment_id, 'meeting', %s, recipient_id FROM notifications WHERE recipient_id = %s AND kind = 'reminder'
"""


def e_mails(play: Play) -> None:
    """Two mentors have an address; one of them logs contact after the e-mail was composed."""
    play.act("Day 1, the e-mail", "the courier composes, looks again right before sending, and sends")
    (reader, mails), (caller, cancelled) = play.database.execute(MENTORS).fetchall()
    for person in (reader, caller):
        play.database.execute("INSERT INTO auth.users (id, email) VALUES (%s, %s)", [person, f"{person}@example.org"])
    play.database.execute("UPDATE org_settings SET send_from = '00:00', send_until = '24:00'")
    environment = messages.environments(play.stack)["courier"]
    play.database.execute("SELECT reminder_private.compose_messages(ARRAY['email'], '48 hours', 10000)")
    play.database.execute(LOG_CONTACT, [play.first_day, caller])
    with patch.dict(os.environ, environment):
        answer = load_handler(messages.COURIER)({}, LocalContext("courier", 60))
    sent = play.stack.aws.mailed()
    sent_and_received = (answer["channels"]["email"]["sent"], len(sent))
    play.check("one mentor has an e-mail of each of their organisations", (mails, mails), sent_and_received)
    promise = "the other had logged contact in between: cancelled, nothing is sent"
    play.check(promise, cancelled, play.count("messages", "status = 'cancelled'"))
    if sent:
        _show(play, sent[0])
    play.database.execute("DELETE FROM auth.users")


def _show(play: Play, mail: str) -> None:
    message = messages.parsed(mail)
    plain: Any = message.get_body(("plain",))
    html: Any = message.get_body(("html",))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(html.get_content())
    text = plain.get_content().strip()
    play.panel("E-mail", Text.assemble((f"Subject: {message['subject']}", "bold"), "\n\n" + text))
    play.say(f"  as a page: {PAGE.relative_to(PAGE.parents[1])}")
    contacts = [name for name in ("assignment", "@example.org") if name in text]
    play.check("it names no one", [], contacts)
