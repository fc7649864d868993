"""What an admin changes: each change takes effect and is recorded once."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import dict_row

from ops.schema import MATRIX
from reminders.database import Connection
from tests.client.calls import ALL, ANOTHER, CALLS, REASON, call, changes, refusal
from tests.client.people import ADMIN_APP, ASSIGNMENT, COORDINATOR, MENTOR, ORG, OTHER_ORG, UNCOORDINATED
from tests.contacts import as_user, one, run
from tests.helpers.cases import table
from tests.helpers.connections import AsRole
from tests.tokens import ADMIN

TODAY = date(2026, 11, 25)


def coordinator(owner: Connection, assignment: UUID) -> UUID | None:
    found: UUID | None = one(owner, "SELECT coordinator_id FROM assignments WHERE id = %s", assignment)
    return found


def set_coordinator(connection: Connection, **more: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"assignment_id": ASSIGNMENT, "coordinator_id": ANOTHER, "reason": REASON, **more}
    return call(connection, "admin_set_coordinator", **arguments)


def test_missing_coordinator_is_set(filled: Connection, as_role: AsRole) -> None:
    """The assignment counted as without a recipient; in the next one its coordinator is alerted."""
    filled.execute("UPDATE assignments SET last_contact_date = '2026-10-01' WHERE id = %s", [UNCOORDINATED])
    scheduler = as_role("reminder_scheduler")
    assert 1 == run(filled, scheduler, TODAY).counts.without_recipient
    set_coordinator(filled, assignment_id=UNCOORDINATED, coordinator_id=COORDINATOR)
    assert 0 == run(filled, scheduler, TODAY).counts.without_recipient
    alerted = "SELECT recipient_id FROM notifications WHERE assignment_id = %s AND kind = 'escalation'"
    assert COORDINATOR == one(filled, alerted, UNCOORDINATED)


def test_change_is_recorded(filled: Connection) -> None:
    """Who, when, what, of whom, old, new and why."""
    row = set_coordinator(filled, expected_coordinator_id=COORDINATOR)
    with as_user(filled, ADMIN, **ADMIN_APP), filled.cursor(row_factory=dict_row) as cursor:
        assert [row] == cursor.execute("SELECT * FROM admin_changes").fetchall()
    assert row["changed_at"] is not None
    expected = {
        "what": "coordinator",
        "org_id": ORG,
        "assignment_id": ASSIGNMENT,
        "old_value": {"coordinator_id": str(COORDINATOR)},
        "new_value": {"coordinator_id": str(ANOTHER)},
        "reason": REASON,
        "changed_by": ADMIN,
    }
    assert expected == {name: row[name] for name in expected}


@table("expected", [None, MENTOR], ids=["none", "another"])
def test_coordinator_is_not_the_expected_one(filled: Connection, expected: UUID | None) -> None:
    """Nothing is changed or recorded; the refusal says who it is."""
    found = refusal(
        filled,
        "admin_set_coordinator",
        assignment_id=ASSIGNMENT,
        coordinator_id=ANOTHER,
        reason=REASON,
        expected_coordinator_id=expected,
    )
    assert ("PT412", "the coordinator is not the expected one", f"coordinator_id is {COORDINATOR}") == found
    assert (COORDINATOR, 0) == (coordinator(filled, ASSIGNMENT), changes(filled))


def test_every_function_for_admins_is_tested(filled: Connection) -> None:
    """A new public.admin_... fails here until it is in CALLS, with which the tests of all of them call it."""
    names = filled.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND prorettype = 'admin_changes'::regtype ORDER BY 1"
    ).fetchall()
    assert sorted(CALLS) == [name for (name,) in names]
    assert CALLS.keys() == MATRIX["may_change"].keys()


@pytest.mark.parametrize("function", CALLS)
def test_call_that_is_repeated(filled: Connection, function: str) -> None:
    """An app whose answer was lost asks again: the same answer, and one row in the record."""
    first = call(filled, function, ADMIN, ALL, **CALLS[function])
    assert first["id"]
    assert first == call(filled, function, ADMIN, ALL, **CALLS[function])
    assert 1 == changes(filled)


def test_same_change_in_two_organisations(filled: Connection) -> None:
    """A call that is repeated gets the answer of its own organisation."""
    days = {"reminder_days": 7, "escalation_days": 14}
    first, other, again = (
        call(filled, "admin_set_thresholds", ADMIN, ALL, org_id=org, **days) for org in (ORG, OTHER_ORG, ORG)
    )
    assert first == again != other


@table(
    ("function", "arguments"),
    [
        ("admin_set_coordinator", {"assignment_id": ASSIGNMENT, "coordinator_id": COORDINATOR, "reason": REASON}),
        ("admin_set_thresholds", {"org_id": ORG, "reminder_days": 10, "escalation_days": 20}),
        ("admin_set_activity_type", {"code": "meeting", "counts": True}),
        ("admin_set_activity_type", {"code": "letter", "counts": False}),
    ],
)
def test_nothing_to_change(filled: Connection, function: str, arguments: dict[str, Any]) -> None:
    """What is so already, by no admin's change: an answer without an id, and no row in the record."""
    row = call(filled, function, ADMIN, ALL, **arguments)
    assert (None, None, row["old_value"]) == (row["id"], row["changed_by"], row["new_value"])
    assert 0 == changes(filled)


def test_closing(filled: Connection, as_role: AsRole) -> None:
    """Its notifications are resolved, those of others are not, and the next run does not look at it."""
    call(filled, "admin_close_assignment", assignment_id=ASSIGNMENT, reason=REASON)
    open_ones = filled.execute("SELECT id FROM notifications WHERE resolved_at IS NULL ORDER BY id").fetchall()
    assert [(3,), (4,)] == open_ones
    assert 2 == run(filled, as_role("reminder_scheduler"), TODAY).counts.evaluated


def test_closing_what_is_paused(filled: Connection) -> None:
    """Only what is open, or has the status that the admin saw."""
    filled.execute("INSERT INTO reminder_statuses VALUES ('paused', false)")
    filled.execute("UPDATE assignments SET status = 'paused' WHERE id = %s", [ASSIGNMENT])
    arguments: dict[str, Any] = {"assignment_id": ASSIGNMENT, "reason": REASON}
    found = refusal(filled, "admin_close_assignment", **arguments)
    assert ("PT412", "the status is not the expected one", "status is paused") == found
    row = call(filled, "admin_close_assignment", **arguments, expected_status="paused")
    assert ({"status": "paused"}, {"status": "closed"}) == (row["old_value"], row["new_value"])


def test_closing_with_the_projects_own_words(filled: Connection) -> None:
    """The project says which words mean closed; any other one is refused."""
    filled.execute("INSERT INTO reminder_statuses VALUES ('active', true), ('ended', false)")
    filled.execute("UPDATE assignments SET status = 'active' WHERE id = %s", [ASSIGNMENT])
    for word in ("active", "no such word", None):
        arguments = {"assignment_id": ASSIGNMENT, "reason": REASON, "closed_status": word}
        assert "22023" == refusal(filled, "admin_close_assignment", **arguments)[0]
    with as_user(filled, MENTOR):
        assert ORG == one(filled, "SELECT org_id FROM my_reminder_settings()")
    row = call(filled, "admin_close_assignment", assignment_id=ASSIGNMENT, reason=REASON, closed_status="ended")
    assert ({"status": "active"}, {"status": "ended"}) == (row["old_value"], row["new_value"])


def test_thresholds_are_used_by_the_next_run(filled: Connection, as_role: AsRole) -> None:
    """The contact of 9 November is 16 days ago: with 15 days its coordinator is alerted, with 20 not yet."""
    set_coordinator(filled, assignment_id=UNCOORDINATED, coordinator_id=COORDINATOR)
    scheduler = as_role("reminder_scheduler")
    run(filled, scheduler, TODAY)
    escalated = "SELECT count(*) FROM notifications WHERE assignment_id = %s AND kind = 'escalation'"
    assert 0 == one(filled, escalated, UNCOORDINATED)
    call(filled, "admin_set_thresholds", org_id=ORG, reminder_days=7, escalation_days=15)
    run(filled, scheduler, TODAY)
    assert 1 == one(filled, escalated, UNCOORDINATED)


@table(("reminder", "escalation"), [(0, 5), (-1, 5), (20, 20), (21, 20), (None, 20), (10, None)])
def test_thresholds_that_are_not_possible(filled: Connection, reminder: int | None, escalation: int | None) -> None:
    """Refused by name, before anything is written."""
    found = refusal(filled, "admin_set_thresholds", org_id=ORG, reminder_days=reminder, escalation_days=escalation)
    assert ("22023", "reminder_days must be 1 or more, and escalation_days more than that", None) == found
    assert 0 == one(filled, "SELECT count(*) FROM org_settings")


def test_thresholds_that_another_admin_has_changed(filled: Connection) -> None:
    """412 with what they are; the change of the other admin stays."""
    call(filled, "admin_set_thresholds", org_id=ORG, reminder_days=7, escalation_days=14)
    found = refusal(
        filled,
        "admin_set_thresholds",
        org_id=ORG,
        reminder_days=5,
        escalation_days=9,
        expected_reminder_days=10,
        expected_escalation_days=20,
    )
    assert ("PT412", "the thresholds are not the expected ones", "they are 7 and 14 days") == found
    assert 1 == changes(filled)


def test_activity_type_counts_from_now_on(filled: Connection) -> None:
    """A letter moves the date once letters count, and no more when they do not; what was logged keeps its effect."""
    seen = []
    for day, counts in (("2026-11-10", None), ("2026-11-12", True), ("2026-11-14", False)):
        if counts is not None:
            call(filled, "admin_set_activity_type", ADMIN, ALL, code="letter", counts=counts)
        filled.execute(
            "INSERT INTO activities (assignment_id, activity_type, recorded_date) VALUES (%s, 'letter', %s)",
            [ASSIGNMENT, day],
        )
        seen.append(one(filled, "SELECT last_contact_date::text FROM assignments WHERE id = %s", ASSIGNMENT))
    assert ["2026-11-01", "2026-11-12", "2026-11-12"] == seen


@table("code", [None, "", " letter", "letter\n", "let\x07ter", "x" * 101])
def test_activity_type_that_is_no_code(filled: Connection, code: str | None) -> None:
    """Refused: it would be shown in a list, and would match no activity."""
    assert "22023" == refusal(filled, "admin_set_activity_type", ADMIN, ALL, code=code, counts=True)[0]


def test_record_goes_with_its_assignment(filled: Connection) -> None:
    """A reason may name a person: when the assignment is erased, so is what was said of it."""
    call(filled, "admin_close_assignment", assignment_id=ASSIGNMENT, reason=REASON)
    filled.execute("DELETE FROM assignments WHERE id = %s", [ASSIGNMENT])
    assert 0 == changes(filled)
