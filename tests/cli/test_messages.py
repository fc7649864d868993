"""`reminders messages`: counts, errors and another try; and the courier of the local stack."""

from __future__ import annotations

import json

import pytest

from ops.cli import messages
from ops.cli.main import main
from tests.cli.site import Site

FAILED = """
INSERT INTO messages
(org_id, recipient_id, channel, local_date, status, attempts, send_after, expires_at, next_attempt_at, last_error)
VALUES (gen_random_uuid(), gen_random_uuid(), 'email', current_date, %s, 3, now(), now() + interval '24 h', now(), %s)
"""


@pytest.fixture
def url(site: Site) -> str:
    return site.stack.owner_dsn


def test_counts_and_errors(site: Site, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By channel and status, with the newest error first."""
    with site.stack.connect() as connection:
        connection.execute(FAILED, ["failed", "ses: MessageRejected"])
        connection.execute(FAILED, ["pending", "ses: TooManyRequestsException"])
    assert 0 == main(["messages", "--database", url, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert [("failed", 1), ("pending", 1)] == [(row["status"], row["messages"]) for row in shown["counts"]]
    assert ["ses: TooManyRequestsException", "ses: MessageRejected"] == [row["last_error"] for row in shown["failures"]]


def test_another_try(site: Site, url: str) -> None:
    """What failed or expired is pending again, with its attempts at zero; what was cancelled stays so."""
    with site.stack.connect() as connection:
        for status in ("failed", "expired", "cancelled"):
            connection.execute(FAILED, [status, "broken"])
        assert 0 == main(["messages", "--retry", "--yes", "--database", url])
        counts = {count.status: count.messages for count in messages.counts(connection, 7)}
        attempts = connection.execute("SELECT DISTINCT attempts FROM messages WHERE status = 'pending'").fetchall()
    assert ({"pending": 2, "cancelled": 1}, [(0,)]) == (counts, attempts)


def test_nothing_was_composed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Said in a sentence."""
    assert 0 == main(["messages", "--database", url])
    assert "No message was composed in 7 days." in capsys.readouterr().out
