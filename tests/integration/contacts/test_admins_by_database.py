"""The same rules where an admin's token reaches the database past the admin function, by Supabase's own API."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from reminders.database import Connection
from tests.contacts import add_pair, last_contact, one, today
from tests.helpers.cases import table
from tests.nasty import NASTY, acting
from tests.tokens import claims


@contextmanager
def signed_in(connection: Connection, **own: Any) -> Iterator[None]:
    """A transaction as PostgREST makes it for a token with these claims."""
    payload = json.dumps(claims(**own))
    with connection.transaction():
        connection.execute(
            "SELECT set_config('request.jwt.claims', %s, true), set_config('role', 'authenticated', true)", [payload]
        )
        yield


def scope(connection: Connection, **own: Any) -> object:
    with signed_in(connection, **own):
        return one(connection, "SELECT public.admin_scope()")


def correct(connection: Connection, pair: object, reason: str) -> None:
    with signed_in(connection):
        connection.execute(
            """
            INSERT INTO contact_date_corrections (assignment_id, old_date, new_date, reason)
            SELECT %(pair)s, last_contact_date, today, %(reason)s FROM reminder_admin.assignment(%(pair)s)
            """,
            {"pair": pair, "reason": reason},
        )


@pytest.mark.parametrize("own", [{}, {"is_anonymous": False}, {"aal": "aal1"}], ids=str)
def test_signed_in_admin(owner: Connection, own: dict[str, Any]) -> None:
    """An admin of everything."""
    assert ["*"] == scope(owner, **own)


@table(
    "own",
    [
        {"is_anonymous": True},
        {"is_anonymous": "true"},
        {"is_anonymous": "false"},
        {"role": "anon"},
        {"role": "service_role"},
        {"role": "Authenticated"},
        {"app": {"role": "mentor"}},
    ],
    ids=str,
)
def test_token_that_is_no_admins(owner: Connection, own: dict[str, Any]) -> None:
    """No scope at all, whatever app_metadata says, so that no policy lets it read or correct."""
    add_pair(owner)
    assert None is scope(owner, **own)
    with signed_in(owner, **own):
        assert [] == owner.execute("SELECT FROM assignments").fetchall()


@table("text", NASTY.values(), ids=list(NASTY))
def test_reason_that_acts_on_a_screen(owner: Connection, text: str) -> None:
    """Refused by the table itself; what only looks strange is a reason."""
    pair = add_pair(owner)
    if acting(text) or "\n" in text:
        with pytest.raises(psycopg.errors.CheckViolation, match="reason_is_printable"):
            correct(owner, pair, f"met {text}")
    else:
        correct(owner, pair, f"met {text}")
    assert (last_contact(owner, pair) == today(owner)) == (not (acting(text) or "\n" in text))


def test_reason_in_any_script(owner: Connection) -> None:
    """Names and sentences of every script pass, with the joiners that they need."""
    pair = add_pair(owner)
    reason = "Zoë, Владимир, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, नमस्ते, 陳, 👩\u200d💻"
    assert reason == unicodedata.normalize("NFC", reason)
    correct(owner, pair, reason)
    assert [(reason,)] == owner.execute("SELECT reason FROM contact_date_corrections").fetchall()


@table("began", [100, -5])
@table("wrong", ["'infinity'", "'-infinity'", "today + 1"])
def test_date_that_no_contact_can_have(owner: Connection, began: int, wrong: str) -> None:
    """The database refuses it by itself, also where the assignment's own start is wrong."""
    pair = add_pair(owner, began=began)
    query = f"""
        INSERT INTO contact_date_corrections (assignment_id, old_date, new_date, reason)
        SELECT %(pair)s, last_contact_date, {wrong}, 'because' FROM reminder_admin.assignment(%(pair)s)
        """
    with pytest.raises(psycopg.errors.CheckViolation, match="in the future, or before"), signed_in(owner):
        owner.execute(query.encode(), {"pair": pair})
