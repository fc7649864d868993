"""Which words of assignments.status are open is data (reminder_statuses), and everything that depends on it follows."""

from __future__ import annotations

from uuid import UUID

import pytest
from psycopg import errors

from reminders.database import Connection
from reminders.scheduling.work import DispatchRequest, Shard
from tests.factories import TODAY, add_assignment, notified
from tests.helpers.cases import table
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeService

ALL = Shard()


def open_kinds(owner: Connection, assignment: UUID) -> list[str]:
    query = "SELECT kind FROM notifications WHERE assignment_id = %s AND resolved_at IS NULL ORDER BY kind DESC"
    return [kind for (kind,) in owner.execute(query, [assignment]).fetchall()]


def test_word_that_becomes_open(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """From the next call on its assignments are evaluated, beside those of the other words."""
    owner.execute("INSERT INTO reminder_statuses VALUES ('trial', true)")
    trial, usual = add_assignment(owner, 10, status="trial"), add_assignment(owner, 10)
    add_assignment(owner, 10, status="closed")
    progress = make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=60)
    assert (2, 2) == (progress.counts.evaluated, progress.counts.dispatched)
    assert {(trial, "reminder"), (usual, "reminder")} == notified(owner)


def test_word_that_is_closed_again(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """What was sent for its assignments is resolved, and open once more when the word is."""
    owner.execute("INSERT INTO reminder_statuses VALUES ('trial', true)")
    trial, usual = add_assignment(owner, 20, status="trial"), add_assignment(owner, 20)
    make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=60)
    both = ["reminder", "escalation"]
    owner.execute("UPDATE reminder_statuses SET is_open = false WHERE status = 'trial'")
    assert ([], both) == (open_kinds(owner, trial), open_kinds(owner, usual))
    owner.execute("UPDATE reminder_statuses SET is_open = true WHERE status = 'trial'")
    assert (both, both) == (open_kinds(owner, trial), open_kinds(owner, usual))


def test_assignment_that_goes_from_one_open_word_to_another(
    owner: Connection, make_service: MakeService, run_id: UUID
) -> None:
    """It stays open, and so do its notifications; with a closed word they are resolved."""
    owner.execute("INSERT INTO reminder_statuses VALUES ('trial', true)")
    pair = add_assignment(owner, 10)
    make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=60)
    owner.execute("UPDATE assignments SET status = 'trial'")
    assert ["reminder"] == open_kinds(owner, pair)
    owner.execute("UPDATE assignments SET status = 'closed'")
    assert [] == open_kinds(owner, pair)


def test_batches_walk_the_index_of_the_words(owner: Connection) -> None:
    """With several words as with one, a batch reads only open assignments, in order of their ids."""
    owner.execute("INSERT INTO reminder_statuses VALUES ('trial', true)")
    owner.execute(
        """
        INSERT INTO assignments (org_id, peer_mentor_id, status)
        SELECT gen_random_uuid(), gen_random_uuid(), CASE WHEN n % 50 = 0 THEN 'trial' ELSE 'closed' END
        FROM generate_series(1, 5000) AS n
        """
    )
    owner.execute("ANALYZE assignments")
    query = "EXPLAIN SELECT * FROM reminder_private.open_assignments WHERE id >= %s ORDER BY id LIMIT 10"
    plan = "\n".join(line for (line,) in owner.execute(query, [UUID(int=0)]).fetchall())
    assert "Index Scan using assignments_open_idx" in plan and "Sort" not in plan


def test_last_open_word_cannot_go(owner: Connection) -> None:
    """No reminder would ever be sent."""
    with pytest.raises(errors.CheckViolation, match="would ever be reminded"):
        owner.execute("UPDATE reminder_statuses SET is_open = false")


@table("role", ["anon", "authenticated", "service_role", "cron_runner"])
def test_words_are_not_for_the_api(as_role: AsRole, role: str) -> None:
    """Only the owner of the tables says which words are open."""
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(role).execute("INSERT INTO reminder_statuses VALUES ('trial', true)")


@pytest.mark.parametrize(("statuses", "unknown"), [(["active", "active", "closed"], 2), (["closed"], 0), ([], 0)])
def test_nothing_open(
    owner: Connection, make_service: MakeService, run_id: UUID, statuses: list[str], unknown: int
) -> None:
    """Assignments of words that no one has listed are counted; closed ones are as they should be."""
    for status in statuses:
        add_assignment(owner, 10, status=status)
    progress = make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=60)
    assert (0, unknown) == (progress.counts.evaluated, progress.of_unknown_status)


def test_unknown_words_beside_open_ones(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """They are not looked for: it would cost every run a walk through all assignments."""
    add_assignment(owner, 10)
    add_assignment(owner, 10, status="active")
    assert 0 == make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=60).of_unknown_status
