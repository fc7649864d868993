"""Where a run divides the ids: shards of about equal size at the ids that are there."""

from __future__ import annotations

import psycopg
import pytest

from ops.local.server import Server
from ops.migrations import migrate
from ops.tools.bench.data import MAKE_ID, Ids
from reminders.database import Connection
from reminders.scheduling.fanout import find_shards
from reminders.scheduling.ids import UUIDS
from reminders.scheduling.work import DispatchRequest, Shard
from tests.existing import project_on
from tests.factories import TODAY, add_assignments
from tests.helpers.cases import first
from tests.helpers.connections import AsRole

# The older third, which has the lower ids where ids grow with time, is closed.
FILL = """
INSERT INTO assignments (id, org_id, peer_mentor_id, assigned_at, status)
SELECT {id}, md5(n::text)::uuid, md5(n::text)::uuid, now(), CASE WHEN n > 55000 THEN 'open' ELSE 'closed' END
FROM generate_series(1, 165000) AS n
"""
OPEN = "SELECT count(*) FROM assignments WHERE status = 'open' AND id BETWEEN %s AND %s"


@pytest.mark.parametrize("ids", first(1, MAKE_ID))
def test_large_table(owner: Connection, as_role: AsRole, ids: Ids) -> None:
    """It is divided in four of about the same size, without statistics."""
    owner.execute(FILL.format(id=MAKE_ID[ids]).encode())
    shards = find_shards(as_role("cron_runner"), None)
    ranges = [DispatchRequest(None, TODAY, shard).range(UUIDS) for shard in shards]
    sizes = [row[0] for ends in ranges for row in owner.execute(OPEN, ends)]
    assert (4, 110_000) == (len(sizes), sum(sizes))
    assert min(sizes) > 110_000 / 4 * 0.6


@pytest.mark.parametrize("number", [None, 1])
def test_small_table(owner: Connection, as_role: AsRole, number: int | None) -> None:
    """One shard."""
    add_assignments(owner, 20)
    assert [Shard()] == find_shards(as_role("cron_runner"), number)


def test_number_that_is_set(owner: Connection, as_role: AsRole) -> None:
    """There are as many where there are enough assignments; an empty table is one shard."""
    connection = as_role("cron_runner")
    assert [Shard()] == find_shards(connection, 3)
    ids = sorted(add_assignments(owner, 6))
    assert [ids[2], ids[4]] == [shard.first for shard in find_shards(connection, 3)[1:]]
    assert 7 == len(find_shards(connection, 64))


def test_numbers_as_ids(server: Server) -> None:
    """Serial numbers, which are close together, are divided as well."""
    with project_on(server, "bigint_ids") as project:
        migrate(project.dsn)
        with psycopg.connect(project.dsn, autocommit=True, prepare_threshold=None) as connection:
            assert [None, -7, 3] == [shard.first for shard in find_shards(connection, 3)]


def test_database_that_cannot_say(owner: Connection, as_role: AsRole) -> None:
    """Where the migration is missing, or the table is locked, the run has one shard."""
    with owner.transaction():
        owner.execute("LOCK TABLE assignments")
        assert [Shard()] == find_shards(as_role("cron_runner"), 2)
    owner.execute("DROP FUNCTION reminder_private.shard_bounds")
    assert [Shard()] == find_shards(as_role("cron_runner"), 2)
