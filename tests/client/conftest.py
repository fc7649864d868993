"""Two organisations, the people of docs/client.md with their tokens, and the stand-in for Supabase's API."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ops.local.server import Server
from reminders.database import Connection
from tests.client.postgrest import serving
from tests.client.statements import Request
from tests.tokens import ADMIN, claims, signed

KEY = "sb_publishable_for_tests"
SUPABASE_JS = "@supabase/supabase-js@2.109.0"
ORG, OTHER_ORG = UUID(int=0xA), UUID(int=0xB)
ASSIGNMENT, UNCOORDINATED, FOREIGN = UUID(int=0xA1), UUID(int=0xA4), UUID(int=0xB1)
MENTOR, COORDINATOR = UUID(int=0xA2), UUID(int=0xA3)
ADMIN_APP = {"role": "admin", "org_ids": [str(ORG)]}
PEOPLE: dict[str, dict[str, Any]] = {
    "mentor": claims(MENTOR, app={}),
    "coordinator": claims(COORDINATOR, app={}),
    "stranger": claims(UUID(int=0xC), app={}),
    "admin": claims(ADMIN, app=ADMIN_APP),
    "admin of all": claims(ADMIN),
    "admin of another": claims(ADMIN, app={"role": "admin", "org_ids": [str(OTHER_ORG)]}),
}
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


@dataclass(frozen=True, slots=True)
class Api:
    """Supabase's API as a client sees it, and what came in."""

    url: str
    requests: list[Request]

    def headers(self, persona: str | None) -> dict[str, str]:
        """`persona`: one of PEOPLE; None: no access token."""
        token = signed(PEOPLE[persona]) if persona else KEY
        return {"apikey": KEY, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}


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
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=os.environ)
    if done.returncode:
        pytest.skip(
            f"npm cannot install {SUPABASE_JS}, so the examples in supabase-js are not run: {done.stderr[-300:]}"
        )
    return folder
