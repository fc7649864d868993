"""How long the long pages take, and how large they are."""

from __future__ import annotations

import time
from collections.abc import Callable

from reminders.database import Connection
from tests.console.visitors import MENTOR, ORG, Console, many, rows

NEEDS = "/console/needs-contact"
# What Lambda answers with at most (AWS: "Lambda quotas").
LARGEST_ANSWER = 6 * 1024 * 1024


def fastest(call: Callable[[], object], times: int = 12) -> float:
    """Seconds of the fastest of some calls: a busy machine is slower, never faster."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


# Each assignment has a mentor of its own; one in eight has no address, and the message to one in eight failed.
PEOPLE_AND_MESSAGES = """
UPDATE assignments SET peer_mentor_id = md5(id::text)::uuid WHERE peer_mentor_id = {mentor};
INSERT INTO auth.users (id, email)
SELECT peer_mentor_id, CASE WHEN get_byte(uuid_send(id), 0) % 8 > 0 THEN 'x@example.org' END FROM assignments;
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
SELECT id, peer_mentor_id, 'reminder', last_contact_date, 15 FROM assignments ON CONFLICT DO NOTHING;
WITH made AS (
    INSERT INTO messages (
        org_id, recipient_id, channel, local_date, status, send_after, expires_at, next_attempt_at, sent_at, last_error
    )
    SELECT org_id, peer_mentor_id, 'email', current_date, CASE n WHEN 1 THEN 'failed' ELSE 'delivered' END,
        now(), now() + interval '1 day', now(), now(), CASE n WHEN 1 THEN 'bounce' END
    FROM (SELECT *, get_byte(uuid_send(id), 0) % 8 AS n FROM assignments) AS a WHERE n > 0
    RETURNING id, recipient_id
)
INSERT INTO message_items (notification_id, channel, message_id)
SELECT n.id, 'email', m.id FROM made AS m JOIN notifications AS n ON n.recipient_id = m.recipient_id;
ANALYZE;
"""


def test_ten_thousand_waiting_assignments_open_quickly(console: Console, filled: Connection) -> None:
    """Below 300 ms, with counts, names, notifications, and what became of the messages to ten thousand people."""
    many(filled, 10_000)
    filled.execute(PEOPLE_AND_MESSAGES.format(mentor=f"'{MENTOR}'").encode())
    visitor = console.admin(ORG)
    assert "people should know" in visitor.get("/console/needs-contact/not-reached").text
    took = {path: fastest(lambda path=path: visitor.get(path)) for path in ("/console", NEEDS, f"{NEEDS}/not-reached")}
    print(took)
    assert {} == {path: seconds for path, seconds in took.items() if seconds > 0.3}


def test_a_hundred_thousand_rows_as_csv(console: Console, filled: Connection) -> None:
    """In 21 parts, each far below what Lambda can answer with, even if every name were as long as it can be."""
    many(filled, 100_000)
    name = "å" * 60
    filled.execute("UPDATE auth.users SET raw_user_meta_data = jsonb_build_object('full_name', %s::text)", [name])
    filled.execute("ANALYZE")
    visitor = console.admin(ORG)
    page = visitor.get(NEEDS)
    part = visitor.get(f"{NEEDS}.csv")
    assert "so there are 21 files" in page.text
    assert 5_000 == len(rows(part.content.decode()))
    # As JSON, where a letter outside of ASCII takes six characters.
    assert LARGEST_ANSWER > len(part.content.decode().encode("ascii", "backslashreplace"))
