"""The console in projects that had tables before: numbers as ids, other words, without optional columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from handlers.console import ROUTES
from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.supabase_auth import SupabaseAuth
from ops.migrations import migrate
from reminders.database import Connection
from tests.console.visitors import ASSIGNMENT, Console, Visitor, console_on, rows, text_of
from tests.existing import Project, named, project_on
from tests.helpers.cases import first

NEEDS = "/console/needs-contact"
# The first two stand for the others: numbers as ids, and a table of notifications that is not ours.
WORKING = sorted(named("^-- works"), key=lambda name: name not in ("bigint_ids", "own_notifications"))


@pytest.fixture
def project(server: Server, template: str, request: pytest.FixtureRequest) -> Iterator[Project]:
    with project_on(server, request.param) as made:
        migrate(made.dsn)
        yield made


@pytest.fixture
def visitor(
    project: Project, server: Server, aws: Aws, auth: SupabaseAuth, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visitor]:
    """An admin of all organisations."""
    with console_on(server, project.database, aws, auth, monkeypatch) as console:
        yield console.admin()


def notify(project: Project) -> None:
    """What a run writes for all that are open."""
    table = project.one("SELECT notifications FROM reminder_private.project")
    project.connection.execute(
        f"""
        INSERT INTO {table} (assignment_id, recipient_id, kind, contact_anchor, gap_days)
        SELECT a.id, a.peer_mentor_id, 'reminder', o.anchor, 100
        FROM assignments AS a JOIN reminder_private.open_assignments AS o ON o.id = a.id
        """.encode()
    )


@pytest.mark.parametrize("project", first(2, WORKING), indirect=True)
def test_every_page_of_an_existing_project(project: Project, visitor: Visitor) -> None:
    """Each page opens, leads to each assignment, and its date can be corrected there; the CSV has them all."""
    notify(project)
    for route in ROUTES:
        if route.method == "GET" and "<" not in route.path and not route.is_public:
            assert 200 == visitor.get(route.path).status_code, route.path
    found = re.findall(r'<h2><a href="(/console/assignments/[^"]+)"', visitor.get(NEEDS).text)
    listed = rows(visitor.get(f"{NEEDS}.csv").content.decode())
    assert len(found) == len(listed) == project.expected[0]
    for address in found:
        page = visitor.get(address)
        assert 200 == page.status_code and "Reminded Mentor" in text_of(page), address
        version = re.search(r'name="version" value="([^"]*)"', page.text)
        assert version
        form = {"date": str(datetime.now(UTC).date()), "reason": "Met today", "version": version[1]}
        answer = text_of(visitor.post(f"{address}/contact-date", **form))
        assert "Last contact 0 days ago. All is well." in answer and "“Met today”" in answer, address


@pytest.mark.parametrize("project", ["bigint_ids"], indirect=True)
def test_pages_by_keyset_over_numbers(project: Project, visitor: Visitor) -> None:
    """Low, negative and large ones: each once, and the next page begins after the last."""
    project.connection.execute(
        """
        INSERT INTO assignments (id, org_id, peer_mentor_id, status, assigned_at)
        SELECT n, gen_random_uuid(), gen_random_uuid(), 'open', '2025-01-01' FROM generate_series(100, 200) AS n
        """
    )
    address, found = NEEDS, []
    while address:
        body = visitor.get(address).text
        found += re.findall(r'<h2><a href="/console/assignments/([^"]+)"', body)
        following = re.search(r'rel="next" href="([^"]+)"', body)
        address = following[1] if following else ""
    assert found == [str(n) for n in sorted(int(each) for each in found)]
    assert 106 == len(found)


@pytest.mark.parametrize("project", ["bigint_ids"], indirect=True)
def test_uuid_where_ids_are_numbers(project: Project, visitor: Visitor) -> None:
    """There is nothing with that id: 404, on pages, forms and places in the list."""
    check_not_found(visitor, str(ASSIGNMENT), f"2026-01-01_{ASSIGNMENT}")


def test_number_where_ids_are_uuids(console: Console, filled: Connection) -> None:
    """The same."""
    check_not_found(console.admin(), "5", "2026-01-01_5")


def check_not_found(visitor: Visitor, an_id: str, place: str) -> None:
    page = f"/console/assignments/{an_id}"
    assert 404 == visitor.get(page).status_code
    form = {"date": "2026-11-01", "reason": "a reason", "version": "never"}
    assert 404 == visitor.post(f"{page}/contact-date", **form).status_code
    assert 404 == visitor.get(f"{NEEDS}?after={place}").status_code
    assert 404 == visitor.get(f"{NEEDS}.csv?until={place}").status_code
