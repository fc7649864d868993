"""
Who is due, against an oracle that knows nothing of the SQL.

The oracle walks over the assignments one by one, in Python's own dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.local.server import MIGRATOR, Server
from reminders.database import Connection
from reminders.errors import DatabaseError
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, Shard
from tests.factories import COORDINATOR, MENTOR, TODAY, add_assignment, add_org, add_run
from tests.helpers.connections import connect_as
from tests.helpers.services import MakeService

ALL = Shard()
ORGS = [UUID(int=n) for n in range(1, 5)]
# Where a database's or a session's time zone would move a date, if a date were left to it.
ODD_ZONES = ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "America/St_Johns", "Asia/Kathmandu", "Europe/London"]


@dataclass(frozen=True)
class Row:
    """An assignment of an example."""

    id: UUID
    org_id: UUID
    coordinator_id: UUID | None
    status: str
    assigned_at: datetime
    last_contact_date: date | None


Due = tuple[UUID, UUID, str, date, int]


def oracle(rows: list[Row], thresholds: dict[UUID, tuple[int, int]], as_of: date) -> tuple[set[Due], int]:
    """What must be in `notifications`, and how many assignments have no recipient."""
    due: set[Due] = set()
    missing = 0
    for row in rows:
        if row.status != "open":
            continue
        anchor = row.last_contact_date or row.assigned_at.astimezone(UTC).date()
        gap = (as_of - anchor).days
        reminder_days, escalation_days = thresholds.get(row.org_id, (10, 20))
        if gap >= reminder_days:
            due.add((row.id, MENTOR, "reminder", anchor, gap))
        if gap >= escalation_days and row.coordinator_id:
            due.add((row.id, row.coordinator_id, "escalation", anchor, gap))
        missing += gap >= escalation_days and row.coordinator_id is None
    return due, missing


thresholds_of_orgs = st.dictionaries(
    st.sampled_from(ORGS),
    st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=3,
)
# Leap days, year ends, and any day; the day after a leap day is where off-by-one lives.
days = st.one_of(
    st.sampled_from([date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1), date(2100, 3, 1), date(2027, 1, 1)]),
    st.dates(date(2001, 1, 1), date(2101, 1, 1)),
)


@st.composite
def examples(draw: st.DrawFn) -> tuple[date, dict[UUID, tuple[int, int]], list[Row]]:
    """Gaps that crowd around the organisation's thresholds; assigned within seconds of some midnight."""
    as_of, thresholds = draw(days), draw(thresholds_of_orgs)
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        org = draw(st.sampled_from(ORGS))
        edge = draw(st.sampled_from([*thresholds.get(org, (10, 20)), 0]))
        anchor = as_of - timedelta(days=edge + draw(st.integers(-2, 2)))
        zone = timezone(timedelta(hours=draw(st.integers(-12, 14))))
        midnight = datetime(anchor.year, anchor.month, anchor.day, tzinfo=draw(st.sampled_from([UTC, zone])))
        rows.append(
            Row(
                uuid4(),
                org,
                draw(st.sampled_from([COORDINATOR, COORDINATOR, None])),
                draw(st.sampled_from(["open", "open", "open", "closed", "paused"])),
                midnight + timedelta(seconds=draw(st.integers(-2, 2))),
                draw(st.sampled_from([None, anchor])),
            )
        )
    return as_of, thresholds, rows


@pytest.fixture(scope="module")
def module_owner(server: Server, module_database: str) -> Iterator[Connection]:
    with psycopg.connect(server.dsn(MIGRATOR, module_database), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def scheduler(server: Server, module_database: str) -> Iterator[Connection]:
    with connect_as(server, module_database, "reminder_scheduler") as connection:
        yield connection


@settings(max_examples=60, deadline=None)
@given(example=examples(), zone=st.sampled_from(ODD_ZONES), batch_size=st.integers(1, 9))
def test_any_assignments_on_any_day(
    module_owner: Connection,
    scheduler: Connection,
    example: tuple[date, dict[UUID, tuple[int, int]], list[Row]],
    zone: str,
    batch_size: int,
) -> None:
    """Exactly what the oracle says is due is dispatched, whatever the session's time zone and the batch size."""
    as_of, thresholds, rows = example
    module_owner.execute("TRUNCATE org_settings, assignments, notifications CASCADE")
    for org_id, (reminder_days, escalation_days) in thresholds.items():
        add_org(module_owner, org_id, reminder_days, escalation_days)
    for row in rows:
        module_owner.execute(
            "INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, status, assigned_at,"
            " last_contact_date) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [row.id, row.org_id, MENTOR, row.coordinator_id, row.status, row.assigned_at, row.last_contact_date],
        )
    run = add_run(module_owner, as_of=as_of)
    scheduler.execute("SELECT set_config('TimeZone', %s, false)", [zone])

    service = ReminderSchedulerService(scheduler, batch_size, lambda: 0.0)
    progress = service.work(DispatchRequest(run, as_of, ALL), budget=1)

    due, missing = oracle(rows, thresholds, as_of)
    dispatched = module_owner.execute(
        "SELECT assignment_id, recipient_id, kind, contact_anchor, gap_days FROM notifications"
    ).fetchall()
    assert due == set(dispatched)
    evaluated = sum(row.status == "open" for row in rows)
    assert DispatchResult(Counts(evaluated, len(due), 0, without_recipient=missing)) == progress


@pytest.mark.parametrize("has_settings", [True, False])
def test_gap_around_the_thresholds(
    owner: Connection, make_service: MakeService, run_id: UUID, has_settings: bool
) -> None:
    """Both thresholds are inclusive; an organisation without settings has 10 and 20 days."""
    if has_settings:
        add_org(owner, reminder_days=10, escalation_days=20)
    for gap in (9, 10, 11, 19, 20, 21):
        add_assignment(owner, gap)
    make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    sent = owner.execute(
        "SELECT kind, array_agg(gap_days ORDER BY gap_days) FROM notifications GROUP BY kind"
    ).fetchall()
    assert {"reminder": [10, 11, 19, 20, 21], "escalation": [20, 21]} == dict(sent)


def test_never_contacted(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """The gap of an assignment without any contact starts on the UTC date of its making."""
    # 23:59 in UTC on the 10th, which is the 11th in most of the world.
    late = datetime(2026, 11, 11, 13, 59, tzinfo=timezone(timedelta(hours=14)))
    add_assignment(owner, None, assigned_at=late)
    make_service().work(DispatchRequest(add_run(owner, as_of=date(2026, 11, 20)), date(2026, 11, 20), ALL), budget=5)
    assert [(date(2026, 11, 10), 10)] == owner.execute("SELECT contact_anchor, gap_days FROM notifications").fetchall()


def test_contact_in_the_future(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """A gap that has not begun is no gap: evaluated, nothing due."""
    add_assignment(owner, -3)
    assert DispatchResult(Counts(1, 0, 0)) == make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=5)


def test_no_coordinator_until_there_is_one(owner: Connection, make_service: MakeService) -> None:
    """The reminder goes out once, the escalation is counted each day, and goes out when there is a coordinator."""
    lonely = add_assignment(owner, 20, coordinator_id=None)

    def day(n: int) -> tuple[int, int]:
        as_of = TODAY + timedelta(days=n)
        progress = make_service().work(DispatchRequest(add_run(owner, as_of=as_of), as_of, ALL), budget=5)
        return progress.counts.dispatched, progress.counts.without_recipient

    assert [(1, 1), (0, 1), (0, 1)] == [day(0), day(1), day(2)]
    owner.execute("UPDATE assignments SET coordinator_id = %s WHERE id = %s", [COORDINATOR, lonely])
    assert [(1, 0), (0, 0)] == [day(3), day(4)]


def test_missed_days(owner: Connection, make_service: MakeService) -> None:
    """Evaluation looks at state: after a week without runs, what became due meanwhile goes out once."""
    add_assignment(owner, 8)
    first = make_service().work(DispatchRequest(add_run(owner, as_of=TODAY), TODAY, ALL), budget=5)
    week_later = make_service().work(
        DispatchRequest(add_run(owner, as_of=TODAY + timedelta(days=7)), TODAY + timedelta(days=7), ALL), budget=5
    )
    next_day = make_service().work(
        DispatchRequest(add_run(owner, as_of=TODAY + timedelta(days=8)), TODAY + timedelta(days=8), ALL), budget=5
    )
    dispatched = [p.counts.dispatched for p in (first, week_later, next_day)]
    assert [0, 1, 0] == dispatched


def test_new_contact_starts_a_new_gap(owner: Connection, make_service: MakeService) -> None:
    """A reminder is sent once for each gap: after a contact, the next gap earns its own."""
    add_assignment(owner, 10)
    make_service().work(DispatchRequest(add_run(owner, as_of=TODAY), TODAY, ALL), budget=5)
    owner.execute("UPDATE assignments SET last_contact_date = %s", [TODAY])
    later = make_service().work(
        DispatchRequest(add_run(owner, as_of=TODAY + timedelta(days=10)), TODAY + timedelta(days=10), ALL), budget=5
    )
    assert 1 == later.counts.dispatched
    assert 2 == len(owner.execute("SELECT FROM notifications").fetchall())


def test_no_unique_index(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """Nothing is sent: two calls at the same time could send it twice."""
    add_assignment(owner)
    owner.execute("ALTER INDEX notifications_once_per_gap RENAME TO other")
    make_service(5).work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    owner.execute("DROP INDEX other")
    with pytest.raises(DatabaseError, match=r"^notifications has no unique index on "):
        make_service(5).work(DispatchRequest(run_id, TODAY, ALL), budget=5)
