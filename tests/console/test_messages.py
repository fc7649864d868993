"""Messages on the pages: what became of each, who could not be reached; nothing of that where none are sent."""

from __future__ import annotations

import re

import pytest

from reminders.database import Connection
from tests.console.visitors import ASSIGNMENT, COORDINATOR, MENTOR, ORG, Console, many, message, rows, text_of
from tests.helpers.cases import one_of_each

LIST = "/console/needs-contact/not-reached"
NEEDS = "/console/needs-contact"
PAGE = f"/console/assignments/{ASSIGNMENT}"


def test_nothing_is_said_where_no_messages_are_sent(console: Console, filled: Connection) -> None:
    """Neither on a page nor in the CSV; whose address is missing does not matter then."""
    filled.execute("UPDATE auth.users SET email = NULL")
    visitor = console.admin(ORG)
    for path in ("/console", NEEDS, PAGE):
        text = text_of(visitor.get(path)).lower()
        assert not re.search(r"e-mail|push|reached", text), path
    assert "mentor_messages_utc" not in rows(visitor.get(f"{NEEDS}.csv").content.decode())[0]
    assert "No e-mail or push messages are sent from here." in text_of(visitor.get(LIST))


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        pytest.param(*case, marks=[] if case[0] in ("delivered", "failed") else [pytest.mark.matrix])
        for case in (
            ("pending", None, "E-mail waits to be sent, Fri 20 Nov 2026, 08:00 UTC"),
            ("sending", None, "E-mail is being sent, Fri 20 Nov 2026, 08:00 UTC"),
            ("sent", None, "E-mail sent, Fri 20 Nov 2026, 08:05 UTC"),
            ("delivered", None, "E-mail delivered, Fri 20 Nov 2026, 08:05 UTC"),
            ("expired", "SES: 454 <b>", "E-mail could not be sent in time, Fri 20 Nov 2026, 08:00 UTC"),
            ("failed", "ses: MessageRejected", "E-mail could not be delivered, Fri 20 Nov 2026, 08:00 UTC"),
            ("failed", "bounce", "E-mail came back: the address does not take mail, Fri 20 Nov 2026, 08:05 UTC"),
        )
    ],
)
def test_state_of_a_message_in_words(
    console: Console, filled: Connection, status: str, error: str | None, words: str
) -> None:
    """By which channel, what became of it and when: in the list, on the timeline, in the CSV; never the error."""
    message(filled, MENTOR, status, error=error)
    message(filled, MENTOR, "delivered", "push")
    visitor = console.admin(ORG)
    for path, comma in ((NEEDS, ""), (PAGE, ",")):
        page = text_of(visitor.get(path))
        assert words.replace(",", comma, 1) in page and "Push message delivered" in page, path
        assert error is None or error not in page
    assert "No e-mail or push message" in text_of(visitor.get(NEEDS))  # the coordinator's
    [row] = rows(visitor.get(f"{NEEDS}.csv").content.decode())
    assert row["mentor_messages_utc"].startswith(words.partition(",")[0])
    assert "" == row["coordinator_messages_utc"]


UNREACHED = {
    "no address": ("UPDATE auth.users SET email = NULL WHERE id = {mentor}", "There is no e-mail address"),
    "no account": ("DELETE FROM auth.users WHERE id = {mentor}", "There is no e-mail address"),
    "turned off": (
        "INSERT INTO recipient_settings (person_id, email_enabled) VALUES ({mentor}, false)",
        "E-mail or push is turned off",
    ),
    "came back": (
        """
        INSERT INTO email_suppressions (address_sha256, reason)
        SELECT reminder_private.address_hash(email), 'bounce' FROM auth.users WHERE id = {mentor}
        """,
        "The address does not take mail any more",
    ),
    "dead device": (
        """
        WITH gone AS (UPDATE auth.users SET email = NULL WHERE id = {mentor})
        INSERT INTO devices (person_id, platform, token, disabled_at) VALUES ({mentor}, 'fcm', 't', now())
        """,
        "There is no e-mail address, and no device",
    ),
}


@pytest.mark.parametrize("case", one_of_each({name: words for name, (_, words) in UNREACHED.items()}))
def test_person_whom_no_channel_reaches(console: Console, filled: Connection, case: str) -> None:
    """Counted on the overview, and listed by name with what is in the way and the assignment that waits."""
    statement, words = UNREACHED[case]
    message(filled, COORDINATOR, "delivered")
    filled.execute(statement.format(mentor=f"'{MENTOR}'").encode())
    visitor = console.admin(ORG)
    assert "1 person could not be reached" in text_of(visitor.get("/console"))
    page = visitor.get(LIST)
    text = text_of(page)
    assert words in text and "30 days without contact" in text
    assert ("Mia Mentor" if case != "no account" else "Mentor 00000000") in text
    assert PAGE in page.text and "cora@example.org" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE message_rates SET is_in_use = channel = 'push'", "messages of that kind are not sent from here"),
        ("UPDATE notifications SET created_at = now() - interval '49 hours'", "No message was made in the two days"),
    ],
    ids=["channel that is not used", "no message in time"],
)
def test_person_for_whom_no_message_is_made(console: Console, filled: Connection, change: str, words: str) -> None:
    """An address alone does not mean that a message was sent."""
    message(filled, COORDINATOR, "delivered")
    filled.execute(change.encode())
    visitor = console.admin(ORG)
    assert "1 person could not be reached" in text_of(visitor.get("/console"))
    text = text_of(visitor.get(LIST))
    assert words in text and "Mia Mentor" in text


@pytest.mark.parametrize(
    ("statuses", "reached"),
    [
        (("failed", "expired"), False),
        (("failed", "delivered"), True),
        pytest.param(("expired", "pending"), True, marks=pytest.mark.matrix),
        pytest.param(("sent", "failed"), True, marks=pytest.mark.matrix),
    ],
)
def test_person_whose_messages_failed(
    console: Console, filled: Connection, statuses: tuple[str, str], reached: bool
) -> None:
    """Not reached when each of them failed; one that arrived, or still waits, is enough."""
    for status, channel in zip(statuses, ("email", "push"), strict=True):
        message(filled, MENTOR, status, channel, "it broke" if status in {"failed", "expired"} else None)
    visitor = console.admin(ORG)
    text = text_of(visitor.get("/console"))
    assert ("0 people could not be reached" if reached else "1 person could not be reached") in text
    assert ("No one is missing" if reached else "The last message could not be delivered") in text_of(visitor.get(LIST))


def test_after_contact_no_one_has_to_be_reached(console: Console, filled: Connection) -> None:
    """What is resolved or read is not in the list."""
    message(filled, COORDINATOR, "delivered")
    filled.execute("UPDATE auth.users SET email = NULL WHERE id = %s", [MENTOR])
    filled.execute("UPDATE assignments SET last_contact_date = current_date WHERE id = %s", [ASSIGNMENT])
    filled.execute("DELETE FROM notifications WHERE assignment_id <> %s", [ASSIGNMENT])
    assert "0 people could not be reached" in text_of(console.admin().get("/console"))


def test_unreached_people_page_by_keyset(console: Console, filled: Connection) -> None:
    """50 a page, each once, the longest wait first; a person with several assignments is one row."""
    message(filled, COORDINATOR, "delivered")
    many(filled, 130)
    filled.execute("UPDATE assignments SET peer_mentor_id = gen_random_uuid() WHERE id <> %s", [ASSIGNMENT])
    filled.execute(
        """
        INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
        SELECT id, peer_mentor_id, 'reminder', last_contact_date, 15 FROM assignments WHERE org_id = %s
        ON CONFLICT DO NOTHING
        """,
        [ORG],
    )
    visitor = console.admin(ORG)
    address, found, pages = LIST, [], 0
    while address:
        body = visitor.get(address).text
        found += re.findall(r'href="/console/assignments/([^"]+)"', body)
        following = re.search(r'rel="next" href="([^"]+)"', body)
        address, pages = following[1] if following else "", pages + 1
    assert (130, 130, 3) == (len(found), len(set(found)), pages)


def test_operators_count_is_the_same(console: Console, filled: Connection) -> None:
    """`reminders status` counts those whom the console lists."""
    from ops.cli import messages

    message(filled, COORDINATOR, "failed", error="bounce")
    filled.execute("UPDATE auth.users SET email = NULL WHERE id = %s", [MENTOR])
    assert "2 people could not be reached" in text_of(console.admin().get("/console"))
    assert 2 == messages.overview(filled).unreachable


@pytest.mark.parametrize("place", [f"2026-01-01_{MENTOR}", "2026-01-01_5", "x"])
def test_place_in_the_list_that_was_made_up(console: Console, filled: Connection, place: str) -> None:
    """A page, or 404; never an error of ours."""
    assert console.admin(ORG).get(f"{LIST}?after={place}").status_code in {200, 404}
