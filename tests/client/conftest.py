"""Two organisations, the people of docs/client.md with their tokens, and the stand-in for Supabase's API."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from ops.local.server import Server
from reminders.database import Connection
from tests.client.people import ASSIGNMENT, COORDINATOR, FOREIGN, MENTOR, ORG, OTHER_ORG, UNCOORDINATED, Api
from tests.client.postgrest import serving

SUPABASE_JS = "@supabase/supabase-js@2.109.0"
FILLED = """
INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, assigned_at, last_contact_date) VALUES
    (%(assignment)s, %(org)s, %(mentor)s, %(coordinator)s, '2026-01-01', '2026-11-01'),
    (%(uncoordinated)s, %(org)s, %(mentor)s, NULL, '2026-01-01', '2026-11-09'),
    (%(foreign)s, %(other)s, %(other_person)s, %(other_person)s, '2026-01-01', '2026-11-01');
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days, created_at) VALUES
    (%(assignment)s, %(mentor)s, 'reminder', '2026-11-01', 10, '2026-11-11 06:00:02Z'),
    (%(assignment)s, %(coordinator)s, 'escalation', '2026-11-01', 20, '2026-11-21 06:00:02Z'),
    (%(uncoordinated)s, %(mentor)s, 'reminder', '2026-11-09', 12, '2026-11-21 06:00:02Z'),
    (%(foreign)s, %(other_person)s, 'reminder', '2026-11-01', 10, '2026-11-11 06:00:02Z');
"""


@pytest.fixture
def filled(owner: Connection) -> Connection:
    """The rows that the page's answers show; as `postgres`."""
    values = {
        "org": ORG,
        "other": OTHER_ORG,
        "assignment": ASSIGNMENT,
        "uncoordinated": UNCOORDINATED,
        "foreign": FOREIGN,
        "mentor": MENTOR,
        "coordinator": COORDINATOR,
        "other_person": UUID(int=0xB2),
    }
    with psycopg.ClientCursor(owner) as cursor:
        cursor.execute(FILLED, values)
    return owner


@pytest.fixture
def api(server: Server, database: str, filled: Connection) -> Iterator[Api]:
    with serving(server.dsn(server.superuser, database)) as (url, requests):
        yield Api(url, requests)


@pytest.fixture(scope="session")
def supabase_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds supabase-js, installed by npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed, so the examples in supabase-js are not run")
    folder = tmp_path_factory.mktemp("supabase-js")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", SUPABASE_JS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, env=os.environ)
    if done.returncode:
        pytest.skip(
            f"npm cannot install {SUPABASE_JS}, so the examples in supabase-js are not run: {done.stderr[-300:]}"
        )
    return folder
