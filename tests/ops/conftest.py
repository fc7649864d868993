"""What the tests of the local stack share: one server, PostgreSQL's installs, small migrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.local import database
from ops.local.postgres import Postgres
from tests.helpers.cases import first
from tests.ops.helpers import installed

FIRST_MIGRATION = """\
-- migrate:up
CREATE ROLE cron_runner NOLOGIN;
CREATE ROLE reminder_scheduler NOLOGIN;
CREATE ROLE contact_admin_api NOLOGIN;
CREATE ROLE reminder_courier NOLOGIN;
CREATE ROLE message_feedback NOLOGIN;
GRANT authenticated TO contact_admin_api;
CREATE TABLE public.notes (id int PRIMARY KEY, owner uuid DEFAULT auth.uid());
-- migrate:down
"""


@pytest.fixture(scope="session", params=first(1, installed()), ids=lambda path: str(path or "wheel"))
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with Postgres.start(pg_bin=request.param) as started:
        yield started


@pytest.fixture(scope="session")
def migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrations")
    (folder / "20260101000000_first.sql").write_text(FIRST_MIGRATION)
    return folder


@pytest.fixture
def fresh_database(server: Postgres, migrations: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database of the test's own."""
    template = database.prepare_template(server, migrations)
    name = database.create_database(server, f"test_{abs(hash(request.node.name))}", template)
    yield name
    database.drop_database(server, name)
